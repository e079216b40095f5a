//! What the hook before `main` leaves for the program.

use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    error::Error,
    sys::{epoch, image, ours::Ours},
};

/// Set by the hook when it ran in a program that it may act in.
static IN_EXECUTABLE: AtomicBool = AtomicBool::new(false);

/// The program's end of the early template's socket, the template's process id, and the
/// epoch to which both belong.
static EARLY: Mutex<Option<(Ours, i32, u64)>> = Mutex::new(None);

/// Why there is no template before `main`, if nothing can change that.
static REFUSED: OnceLock<Error> = OnceLock::new();

/// The environment variable that asks a program to be a server. It contains the
/// version, because two versions of this crate may be in one binary.
#[cfg(feature = "exec")]
pub(crate) const VARIABLE: &str = concat!(
    "ZYGOTE_",
    env!("CARGO_PKG_VERSION_MAJOR"),
    "_",
    env!("CARGO_PKG_VERSION_MINOR"),
    "_SERVER",
);

/// Notes that the hook ran, in the main executable.
pub(crate) fn mark_hooked() {
    IN_EXECUTABLE.store(true, Ordering::Relaxed);
}

/// Tells whether executing the binary again would reach the hook. It would not in a
/// shared object inside another program.
pub(crate) fn is_hooked() -> bool {
    IN_EXECUTABLE.load(Ordering::Relaxed)
}

/// Leaves the socket and the process id of the early template.
pub(crate) fn leave_early(socket: Ours, child: i32) {
    let mut early = EARLY.lock().unwrap_or_else(PoisonError::into_inner);
    *early = Some((socket, child, epoch::current()));
}

/// Takes the socket and the id of the early template, once, and only in the process that
/// it was left for.
pub(crate) fn take_early() -> Option<(Ours, i32)> {
    let mut early = EARLY.lock().unwrap_or_else(PoisonError::into_inner);
    let (socket, child, of) = early.take()?;
    if of == epoch::current() {
        return Some((socket, child));
    }
    if image::is_template() {
        // The socket was closed when this process was made, perhaps by another version
        // of this crate: the number may belong to something else now.
        std::mem::forget(socket);
    }
    None
}

/// Leaves the reason why this program cannot have a template: if it were executed
/// again, it would be in the same state.
pub(crate) fn leave_refusal(error: Error) {
    let _ = REFUSED.set(error);
}

/// Tells why this program cannot have a template.
pub(crate) fn refusal() -> Option<Error> {
    REFUSED.get().cloned()
}
