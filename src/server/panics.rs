//! Panics, as data: the message and the place of the last one.

use std::{
    any::Any,
    cell::RefCell,
    panic::{self, PanicHookInfo},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::hooks;
use crate::{
    error::Kind as ErrorKind,
    sys::ours,
    wire::{
        frame::{Failure, Head, Kind},
        link,
    },
};

thread_local! {
    /// The message and place of this thread's last panic.
    static LAST: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// How often [`install`] was called: only its newest hook records.
static NEWEST: AtomicUsize = AtomicUsize::new(0);

/// Records panics from here on; what the hook before did, it still does. May be
/// called again: what ran meanwhile may have put a hook of its own in place.
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
    // A panic while the first one's message is being formatted: keep that one.
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = Some((message(info.payload()), place));
        }
    });
}

/// Without unwinding nobody catches the panic: it is sent before the abort.
fn send_last() {
    let Some(text) = LAST.take().map(|(message, place)| text(&message, &place)) else {
        return;
    };
    let Some(socket) = ours::main_socket() else {
        return;
    };
    let head = Head::new(Kind::Failed, 0);
    // Best effort: the death by SIGABRT is seen anyway.
    let _ = link::send(socket, head, &[&failure(text).encode()], &[], false);
}

/// What to send for a caught panic.
pub(super) fn caught(payload: &(dyn Any + Send)) -> Failure {
    let message = message(payload);
    // A payload that was resumed never went through the hook.
    let place = LAST
        .take()
        .filter(|(last, _)| *last == message)
        .map(|(_, place)| place);
    failure(text(&message, &place.unwrap_or_default()))
}

fn failure(text: String) -> Failure {
    hooks::panicked(&text).unwrap_or(Failure {
        kind: ErrorKind::Panic,
        unstarted: false,
        code: 0,
        text,
    })
}

fn text(message: &str, place: &str) -> String {
    if place.is_empty() {
        return format!("panicked: {message}");
    }
    format!("panicked at {place}: {message}")
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
