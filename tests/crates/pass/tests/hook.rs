//! Hooks: what they may return, where they may stand.

#![deny(warnings)]

#[zygote::hook(worker)]
fn nothing() {}

#[zygote::hook(prepare)]
fn unit() -> () {}

#[zygote::hook(parent, order = 10)]
fn result() -> Result<(), String> {
    Ok(())
}

#[zygote::hook(child, order = -1i32,)]
fn io() -> std::io::Result<()> {
    Ok(())
}

#[zygote::hook(worker, order = -2_147_483_648)]
fn crates_own() -> zygote::Result<()> {
    Ok(())
}

#[zygote::hook(worker)]
fn boxed() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Ok(())
}

#[zygote::hook(worker)]
fn opaque() -> Result<(), impl std::fmt::Display> {
    Ok::<(), u8>(())
}

type Alias = Result<(), u8>;

#[zygote::hook(worker)]
fn alias() -> Alias {
    Ok(())
}

/// Said twice.
#[zygote::hook(worker)]
#[zygote::hook(child)]
fn both() {}

#[deprecated]
#[zygote::hook(worker)]
fn old() {}

#[zygote::hook(worker)]
#[cfg(windows)]
fn elsewhere(_: u8) {}

#[zygote::hook(worker)]
fn r#move() {}

/// A function of this name and a hook are two things.
macro_rules! hooks {
    ($name:ident, $result:ty) => {
        #[zygote::hook(worker)]
        fn $name() -> $result {
            Ok(())
        }
    };
}

hooks!(made, Result<(), String>);

mod facade {
    pub use zygote::*;
}

mod inner {
    use super::facade as renamed;

    /// So that nothing finds the crate by its name.
    mod zygote {}

    #[renamed::hook(worker, crate = renamed)]
    pub(super) fn elsewhere() {
        fn body() {
            #[renamed::hook(worker, crate = crate::facade)]
            fn local() {}
        }
        body();
    }
}

#[zygote::entry]
fn echo(n: u8) -> u8 {
    n
}

fn main() {
    inner::elsewhere();
    assert_eq!(echo::spawn(5).unwrap().join().unwrap(), 5);
}
