//! Typed arguments, typed results.

use std::{fs, io, path::PathBuf};

/// The first bytes of a file, as a stand-in for a thumbnail.
///
/// # Errors
///
/// When the file cannot be read.
#[zygote::entry]
pub fn thumbnail(src: PathBuf, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = fs::read(src)?;
    bytes.truncate(size);
    Ok(bytes)
}

/// A private entry without docs, with patterns and a result that is no
/// `Result`.
#[zygote::entry]
fn area((width, height): (u32, u32), mut scale: u32) -> u32 {
    scale *= width;
    scale * height
}

/// A function that never returns.
#[zygote::entry]
fn leave(code: i32) -> ! {
    std::process::exit(code)
}

/// Spawns [`thumbnail`] and joins it, like a thread.
///
/// # Errors
///
/// When anything fails.
pub fn program() -> crate::Result<()> {
    let bytes = thumbnail::spawn("Cargo.toml".into(), 9)?.join()??;
    assert_eq!(bytes, b"[package]");

    let missing = thumbnail::spawn("no/such/file".into(), 9)?.join()?;
    let error = missing.expect_err("the file is not there");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);

    // The function is a function still, and a task is a value.
    let task = area::task((3, 4), 2);
    let tasks = [task.clone(), task];
    let workers = zygote::Process::new()?.spawn_all(tasks);
    for worker in workers {
        assert_eq!(worker?.join()?, area((3, 4), 2));
    }

    let exit = leave::spawn(3)?.wait()?;
    assert_eq!(exit.status().and_then(|status| status.code()), Some(3));
    let error = leave::spawn(4)?.join().expect_err("there is no result");
    assert!(error.is_exit());
    Ok(())
}
