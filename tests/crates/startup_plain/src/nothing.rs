use std::io::{self, Read, Write};

/// Nothing; with an argument it says that it is there, and waits until its input
/// ends, for whoever looks at its memory.
fn main() -> io::Result<()> {
    if std::env::args_os().len() > 1 {
        io::stdout().write_all(b"!\n")?;
        io::stdin().read_to_end(&mut Vec::new())?;
    }
    Ok(())
}
