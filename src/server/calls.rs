//! A live worker: takes calls one after the other, until its owner says no more.

use std::{
    os::fd::AsFd,
    sync::{
        OnceLock,
        atomic::Ordering::{Relaxed, SeqCst},
    },
};

use super::{
    host::Host,
    job, output,
    panics::CALL,
    perform::{PANICKED, end_unheard, perform},
    worker::{begin, give, prepare, refuse, run_entry},
};
use crate::{
    error::{Error, ErrorKind, Result},
    parcel::{Encoder, State},
    registry::{Entry, Role},
    sys::{fail, fork, image},
    wire::{
        frame::{Frame, KEEP, Kind, ONCE},
        link::{self, Trouble},
        page::{Page, Phase},
    },
};

/// The page of this process, which any thread of an entry may ask.
static PAGE: OnceLock<Page> = OnceLock::new();

/// Makes the process a live worker and takes calls until the end.
pub(super) fn run(mut host: Host, mut frame: Frame) -> ! {
    let owner = begin(&mut host, &mut frame);
    image::set_title("service", owner);
    let page = take_page(&frame).map_err(Error::unstarted);
    drop(frame.fds);
    let ready = page.and_then(|page| {
        prepare(&mut host, frame.number)?;
        Ok(page)
    });
    let [keeps, once] = [KEEP, ONCE].map(|flag| frame.number & flag != 0);
    let code = match ready {
        Ok(page) => serve(&mut host, page, keeps, once),
        Err(error) => refuse(&host, &error),
    };
    output::write_out();
    fork::exit(code)
}

fn take_page(frame: &Frame) -> Result<&'static Page> {
    let none = || Error::new(ErrorKind::Protocol, "the page of a service is missing");
    let fd = frame.fds.first().ok_or_else(none)?;
    let page = Page::of(fd.as_fd())
        .map_err(|error| Error::os("mapping the page of a service failed", error))?
        .ok_or_else(none)?;
    Ok(PAGE.get_or_init(|| page))
}

/// Tells whether the call that this process runs was cancelled.
pub(crate) fn is_cancelled() -> bool {
    let page = PAGE.get();
    page.is_some_and(|page| page.phase(CALL.load(Relaxed)) == Phase::Cancelled)
}

/// Takes calls until there are no more. Gives the exit code.
fn serve(host: &mut Host, page: &Page, keeps: bool, once: bool) -> i32 {
    loop {
        match link::receive(host.socket(), true) {
            Ok(frame) if frame.kind == Kind::Call => {
                if let Err(code) = answer(host, page, frame, keeps) {
                    return code;
                }
                if once {
                    return 0;
                }
            }
            // The kernel says so, once, before it gives what the owner said before it
            // closed.
            Err(Trouble::Closed { unread: true }) => {}
            Err(Trouble::Closed { .. }) => return 0,
            // The frame is lost, and its number is known.
            Err(Trouble::Lost { number, error }) => host.fail_call(number, &error.unstarted()),
            Err(trouble @ Trouble::NoRoom { number, .. }) => {
                let error = trouble.into_error("receiving a call").unstarted();
                host.fail_call(number, &error);
            }
            // Only this library writes here: anything else is the end.
            Ok(_) | Err(_) => return 1,
        }
    }
}

/// Runs one call and answers it. If the process must not go on, the exit code is the
/// error.
fn answer(host: &mut Host, page: &Page, frame: Frame, keeps: bool) -> Result<(), i32> {
    let number = frame.number;
    fail::point("worker: call received");
    // From here on nobody says that it has not begun.
    if !page.begin(number) {
        host.fail_call(number, &Error::withdrawn());
        return Ok(());
    }
    CALL.store(number, SeqCst);
    fail::point("worker: call begun");
    let entry = job::entry(&frame).map_err(Error::unstarted);
    let is_changing = entry.as_ref().is_ok_and(|it| it.role() == Role::Changing);
    let result = entry.and_then(|entry| run_call(entry, frame, &mut host.state));
    // The output is written before the result, so that none follows `join`.
    output::flush();
    fail::point("worker: before result");
    end_unheard();
    // Without unwinding, a panic on another thread is from here on not this call's.
    CALL.store(0, SeqCst);
    let given = result.and_then(|reply| give(host, number, &reply));
    let error = given.err();
    if let Some(error) = &error {
        host.fail_call(number, error);
    }
    fail::point("worker: after result");
    // Nobody can say what the value is now.
    match is_changing && !keeps && error.is_some_and(|error| error.is_panic()) {
        true => Err(PANICKED),
        false => Ok(()),
    }
}

/// Runs the entry, and leaves the preloaded value where it was.
fn run_call(entry: &Entry, frame: Frame, state: &mut Option<State>) -> Result<Encoder> {
    let mut job = job::given(frame, state.take());
    let result = perform(|| run_entry(entry, &mut job));
    *state = job.state.take();
    result.map(|()| job.reply)
}
