//! Runs an entry: from the task to the end of the process.

use std::io::Write;

use super::{
    hooks,
    perform::{PANICKED, end_unheard, perform},
    serve::Host,
    streams,
};
use crate::{
    error::{Error, Kind as ErrorKind},
    hooks::When,
    parcel::{Call, Decoder, Encoder, State},
    phase::{self, Phase},
    registry::{self, Entry, Role},
    sys::{fail, fork, image, pages, profile, signal},
    wire::{
        frame::{FROM_STOCK, Failure, Frame, Head, Kind, TELL_READY, call},
        link::{self, Trouble},
    },
};

use std::os::fd::AsFd;

/// Runs the entry that the frame names, sends what it gave and exits.
pub(super) fn run(mut host: Host, mut frame: Frame) -> ! {
    fail::set_role("worker");
    let owner = frame.number & u64::from(u32::MAX);
    if frame.number & FROM_STOCK != 0 {
        signal::discard_pending(i32::try_from(owner).unwrap_or(0));
    }
    signal::unblock_all();
    if let Err(failure) = streams::take(&mut frame) {
        host.fail(&failure);
        fork::exit(1);
    }
    // What it had as a template is no worker's.
    host.owner = None;
    host.family = None;
    let state = host.state.take();
    let found = find(&frame).map_err(|error| Failure::from_error(&error));
    let result = found.and_then(|entry| {
        image::set_title(entry.path(), owner);
        prepare(&mut host, frame.number & TELL_READY != 0)?;
        phase::enter(Phase::Running);
        perform(|| run_entry(entry, state, frame))
    });
    // Before the result, so that no output follows `join`.
    write_out();
    fail::point("worker: before result");
    end_unheard();
    let code = match result {
        Ok(Ok(reply)) => give(&host, &reply),
        Ok(Err(error)) => {
            host.fail(&Failure::from_error(&error));
            1
        }
        Err(failure) => {
            host.fail(&failure);
            match failure.kind {
                ErrorKind::Panic => PANICKED,
                _ => 1,
            }
        }
    };
    fail::point("worker: after result");
    fork::exit(code)
}

/// Applies the settings and runs the hooks; says that it is done, if somebody
/// waits for that.
fn prepare(host: &mut Host, tell: bool) -> Result<(), Failure> {
    let settings = std::mem::take(&mut host.settings).sorted();
    let failed = |error: Error| Failure::from_error(&error);
    settings.apply().map_err(failed)?;
    hooks::run(When::Worker)?;
    settings.apply_last().map_err(failed)?;
    if tell {
        let ready = Head::new(Kind::Ready, 0);
        // Whoever asked for this worker has given it up.
        if link::send(host.socket(), ready, &[], &[], true).is_err() {
            fork::exit(0);
        }
    }
    Ok(())
}

/// The most entries whose code is looked at in advance.
const WARM: usize = 16;

/// Takes the steps of every worker that write to memory, and looks at the code
/// of the others, in advance: a page costs a new process time when it uses it
/// first. Before its `Hello`: until then nobody can have sent it a signal.
pub(super) fn warm_up() {
    flush();
    signal::discard_pending(0);
    fork::yield_now();
    pages::touch_stack();
    pages::touch_code(run as *const ());
    for entry in registry::ENTRIES.iter().take(WARM) {
        pages::touch_code(entry.code());
    }
}

/// Writes what the user's code left in buffers. A stdout that cannot be written
/// to is that code's own business.
pub(super) fn write_out() {
    flush();
    profile::write();
}

fn flush() {
    let _ = std::io::stdout().flush();
    fork::flush_c();
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

fn run_entry(entry: &Entry, state: Option<State>, frame: Frame) -> Result<Encoder, Error> {
    let mut call = Call {
        args: Decoder::after(call::LENGTH, frame.body, frame.fds),
        state,
        ..Call::default()
    };
    fail::point("worker: before entry");
    entry.run(&mut call)?;
    fail::point("worker: after entry");
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
