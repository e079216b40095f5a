//! A confined worker can do what it is for, and nothing else.

mod allowed;
mod combined;
mod forbidden;
mod levels;

use std::io::Write;

use zygote::{Process, settings::Confine};

/// A process that will be confined.
fn confined(confine: Confine) -> Process {
    Process::new().unwrap().confine(confine)
}

fn compute() -> Process {
    confined(Confine::compute())
}

/// Whether this kernel has Landlock; says so if not.
fn has_landlock() -> bool {
    const VERSION: libc::c_long = 1;
    // SAFETY: with this flag and no attributes it gives a version.
    #[allow(unsafe_code, reason = "there is no safe call at hand")]
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0,
            VERSION,
        )
    };
    if version < 1 {
        let _ = writeln!(std::io::stderr(), "not run: this kernel has no Landlock");
    }
    version >= 1
}
