//! Runs an entry: from the task to the end of the process.

use std::os::fd::AsFd;

use super::{
    hooks,
    host::Host,
    init, job, keeper, output,
    perform::{PANICKED, end_unheard, perform},
    streams,
};
use crate::{
    error::{Error, Result},
    hooks::When,
    parcel::{Encoder, Job},
    phase::{self, Phase},
    registry::{self, Entry},
    sys::{allocator, fail, fork, image, pages, signal},
    wire::{
        frame::{FROM_STOCK, Frame, Head, Kind, TELL_READY},
        link::{self, Trouble},
    },
};

/// Runs the entry that the frame names, sends what it gave and exits.
pub(super) fn run(mut host: Host, mut frame: Frame) -> ! {
    let owner = begin(&mut host, &mut frame);
    let result = job::entry(&frame)
        .map_err(Error::unstarted)
        .and_then(|entry| {
            image::set_title(entry.path(), owner);
            prepare(&mut host, frame.number)?;
            let mut job = job::given(frame, host.state.take());
            perform(|| run_entry(entry, &mut job))?;
            Ok(job.reply)
        });
    // The output is written before the result, so that none follows `join`.
    output::write_out();
    fail::point("worker: before result");
    end_unheard();
    let given = result.and_then(|reply| give(&host, 0, &reply));
    // The owner, which waits for the result, goes first, and then the end of this
    // process.
    let given = given.inspect(|()| fork::yield_now());
    let code = given.map_or_else(|error| refuse(&host, &error), |()| 0);
    fail::point("worker: after result");
    fork::exit(code)
}

/// Makes the process a worker, whose streams the frame brings. Gives the owner's process
/// id.
pub(super) fn begin(host: &mut Host, frame: &mut Frame) -> u64 {
    fail::set_role("worker");
    let owner = frame.number & u64::from(u32::MAX);
    if frame.number & FROM_STOCK != 0 {
        signal::discard_pending(i32::try_from(owner).unwrap_or(0));
    }
    signal::unblock_all();
    if let Err(error) = streams::take(frame) {
        host.end(&error);
    }
    // A worker has nothing of what it had as a template.
    host.owner = None;
    host.family = None;
    owner
}

/// Applies the settings, runs the hooks and the initialisers, and then says so if
/// somebody waits for it, as the number of the frame says. From then on user code may
/// start processes.
pub(super) fn prepare(host: &mut Host, number: u64) -> Result<()> {
    allocator::speak();
    let mut settings = std::mem::take(&mut host.settings).sorted();
    let inits = settings.take_inits()?;
    settings.apply(keeper::enter)?;
    hooks::run(When::Worker)?;
    init::run(inits, &mut host.state)?;
    settings.apply_last()?;
    if number & TELL_READY != 0 && host.say(Kind::Ready).is_err() {
        // The owner has given this worker up.
        fork::exit(0);
    }
    phase::enter(Phase::Running);
    Ok(())
}

/// The most entries whose code is looked at in advance.
const WARM: usize = 16;

/// Takes in advance those steps of every worker that write to memory, and looks at the
/// code of the others: the first use of a page costs a new process time. This happens
/// before its `Hello`, because until then nobody can have sent it a signal.
pub(super) fn warm_up() {
    output::flush();
    signal::discard_pending(0);
    fork::yield_now();
    pages::touch_stack();
    pages::touch_code(run as *const ());
    for entry in registry::ENTRIES.iter().take(WARM) {
        pages::touch_code(entry.code());
    }
}

pub(super) fn run_entry(entry: &Entry, job: &mut Job) -> Result<()> {
    fail::point("worker: before entry");
    entry.run(job)?;
    fail::point("worker: after entry");
    Ok(())
}

/// Sends the result of the task, or of the call with this number.
pub(super) fn give(host: &Host, number: u64, reply: &Encoder) -> Result<()> {
    let head = Head::new(Kind::Value, number);
    let fds: Vec<_> = reply.fds.iter().map(AsFd::as_fd).collect();
    match link::send(host.socket(), head, &[&reply.bytes], &fds, true) {
        // A handle that was dropped is no failure of the worker.
        Ok(()) | Err(Trouble::Closed { .. }) => Ok(()),
        Err(trouble) => Err(trouble.into_error("sending the result")),
    }
}

/// Says why there is no result, and gives the exit code.
pub(super) fn refuse(host: &Host, error: &Error) -> i32 {
    host.fail(error);
    if error.is_panic() { PANICKED } else { 1 }
}
