//! Constructors, in Rust and in C, which count how often they ran and where.
//!
//! The variable `CONSTRUCTORS` makes them do more: `thread` and `thread-late`
//! start one before and after zygote's own constructor, `abort` aborts a
//! template.
#![expect(unsafe_code, reason = "constructors, and symbols of C files")]

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

static COUNT: AtomicU32 = AtomicU32::new(0);
static PID: AtomicU32 = AtomicU32::new(0);

#[ctor::ctor(unsafe)]
fn run() {
    COUNT.fetch_add(1, Ordering::Relaxed);
    PID.store(std::process::id(), Ordering::Relaxed);
    if std::env::var_os("CONSTRUCTORS").is_some_and(|what| what == "thread") {
        // Without it the test fails by itself.
        let _ = std::thread::Builder::new()
            .name("made-in-rust".to_owned())
            .spawn(|| {
                loop {
                    std::thread::sleep(Duration::from_secs(3600));
                }
            });
        // Its name is set by itself.
        std::thread::sleep(Duration::from_millis(20));
    }
}

unsafe extern "C" {
    static constructors_c_count: u32;
    static constructors_c_pid: u32;
    static constructors_late_count: u32;
    static constructors_late_pid: u32;
    fn constructors_wait() -> i32;
}

/// For each constructor (in Rust, in C, in C after zygote's): how often it ran,
/// and the process where it did last.
#[must_use]
pub fn runs() -> [(u32, u32); 3] {
    // SAFETY: written by the constructors only, before this program has
    // threads that could call this.
    let c = unsafe { (constructors_c_count, constructors_c_pid) };
    // SAFETY: as above.
    let late = unsafe { (constructors_late_count, constructors_late_pid) };
    let rust = (COUNT.load(Ordering::Relaxed), PID.load(Ordering::Relaxed));
    [rust, c, late]
}

/// Waits for any child, even one that sends no signal at its end: its raw
/// status.
#[must_use]
pub fn wait_for_any_child() -> Option<i32> {
    // SAFETY: it has no conditions.
    let status = unsafe { constructors_wait() };
    (status >= 0).then_some(status)
}
