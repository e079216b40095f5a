//! Panics, as data: the message and the place of the last one.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{self, PanicHookInfo},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crate::{
    error::{Error, ErrorKind, PANICKED},
    hooks::Hook,
    sys::ours,
    wire::{
        frame::{Head, Kind, failure},
        link,
    },
};

thread_local! {
    /// The message and place of this thread's last panic.
    static LAST: RefCell<Option<(String, String)>> = const { RefCell::new(None) };

    /// The hook that this thread runs. Without unwinding, the panic hook sends its
    /// panic, and so must know of it.
    static RUNNING: Cell<Option<&'static Hook>> = const { Cell::new(None) };
}

/// The number of the call that this process answers. Without unwinding, the panic hook
/// sends its panic, on whatever thread.
pub(super) static CALL: AtomicU64 = AtomicU64::new(0);

/// How often [`install`] was called: only its newest hook records.
static NEWEST: AtomicUsize = AtomicUsize::new(0);

/// Records panics from here on. The previous panic hook still does what it did. This
/// may be called again, since code that ran meanwhile may have put its own hook in
/// place.
pub(super) fn install() {
    let number = NEWEST.fetch_add(1, Ordering::Relaxed) + 1;
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let is_newest = number == NEWEST.load(Ordering::Relaxed);
        if is_newest {
            record(info);
        }
        before(info);
        if is_newest && cfg!(panic = "abort") {
            send_last();
        }
    }));
}

fn record(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    // When a second panic comes while the first one's message is being formatted, the
    // first one is kept.
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = Some((message(info.payload()), place));
        }
    });
}

/// Sends the panic before the abort: without unwinding nobody catches it.
fn send_last() {
    let Some(text) = LAST.take().map(|(message, place)| text(&message, &place)) else {
        return;
    };
    ours::with_main_socket(|socket| {
        let head = Head::new(Kind::Failed, CALL.load(Ordering::Relaxed));
        // Best effort: the death by SIGABRT is seen anyway.
        let _ = link::send(socket, head, &[&failure::encode(&error(text))], &[], false);
    });
}

/// Runs this hook's code, so that a panic in it is reported as the hook's.
pub(super) fn named<T>(hook: &'static Hook, code: impl FnOnce() -> T) -> T {
    RUNNING.set(Some(hook));
    let result = code();
    RUNNING.set(None);
    result
}

/// Makes the error for a caught panic.
pub(super) fn caught(payload: &(dyn Any + Send)) -> Error {
    let message = message(payload);
    // A payload that was resumed never went through the hook.
    let place = LAST
        .take()
        .filter(|(last, _)| *last == message)
        .map(|(_, place)| place);
    error(text(&message, &place.unwrap_or_default()))
}

fn error(text: String) -> Error {
    match RUNNING.get() {
        Some(hook) => hook.failure(&text),
        None => Error::new(ErrorKind::Panic, text),
    }
}

fn text(message: &str, place: &str) -> String {
    if place.is_empty() {
        return format!("{PANICKED}: {message}");
    }
    format!("{PANICKED} at {place}: {message}")
}

fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    match payload.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => "(a payload that is no text)".to_owned(),
    }
}
