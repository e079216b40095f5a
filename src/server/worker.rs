//! Runs an entry: from the task to the end of the process.

use std::{
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{panics, serve::Host};
use crate::{
    error::{Error, Kind as ErrorKind},
    parcel::{Call, Decoder, Encoder, State},
    registry::{self, Entry, Role},
    sys::{fork, image, signal},
    wire::{
        frame::{FROM_STOCK, Failure, Frame, Head, Kind, call},
        link::{self, Trouble},
    },
};

use std::os::fd::AsFd;

/// The exit code of a worker whose entry panicked, as of a Rust program.
const PANICKED: i32 = 101;

/// Runs the entry that the frame names, sends what it gave and exits.
pub(super) fn run(mut host: Host, frame: Frame) -> ! {
    let owner = frame.number & !FROM_STOCK;
    if owner != frame.number {
        signal::discard_pending(i32::try_from(owner).unwrap_or(0));
    }
    signal::unblock_all();
    let state = host.state.take();
    let result = find(&frame).map(|entry| {
        image::set_title(entry.path(), owner);
        catch_unwind(AssertUnwindSafe(|| perform(entry, state, frame)))
    });
    // Before the result, so that no output follows `join`. A stdout that cannot
    // be written to is the entry's own business.
    let _ = std::io::stdout().flush();
    fork::flush_c();
    let code = match result {
        Ok(Ok(Ok(reply))) => give(&host, &reply),
        Ok(Ok(Err(error))) | Err(error) => {
            host.fail(&Failure::from_error(&error));
            1
        }
        Ok(Err(payload)) => {
            host.fail(&panics::caught(&*payload));
            // Its drop may panic again.
            std::mem::forget(payload);
            PANICKED
        }
    };
    fork::exit(code)
}

fn find(frame: &Frame) -> Result<&'static Entry, Error> {
    let id = call::decode(&frame.body)
        .ok_or_else(|| Error::new(ErrorKind::Protocol, "a task without a name").unstarted())?;
    let entry = registry::find(id).map_err(Error::unstarted)?;
    if entry.role() == Role::Preload {
        let text = format!("{} is a preload, not an entry", entry.path());
        return Err(Error::invalid(text).unstarted());
    }
    Ok(entry)
}

fn perform(entry: &Entry, state: Option<State>, frame: Frame) -> Result<Encoder, Error> {
    let mut call = Call {
        args: Decoder::after(call::LENGTH, frame.body, frame.fds),
        state,
        ..Call::default()
    };
    entry.run(&mut call)?;
    Ok(call.reply)
}

/// Sends the result; gives the exit code.
fn give(host: &Host, reply: &Encoder) -> i32 {
    let head = Head::new(Kind::Value, 0);
    let fds: Vec<_> = reply.fds.iter().map(AsFd::as_fd).collect();
    match link::send(host.socket(), head, &[&reply.bytes], &fds, true) {
        // A handle that was dropped is no failure of the worker.
        Ok(()) | Err(Trouble::Closed { .. }) => {}
        Err(trouble) => {
            let error = trouble.into_error("sending the result");
            host.fail(&Failure::from_error(&error));
            return 1;
        }
    }
    // Whoever waits for the result goes first, then this process's end.
    fork::yield_now();
    0
}
