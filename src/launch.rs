//! Becoming another executable: what travels from the program that asks for it to the
//! process that does it.

use std::{
    ffi::{CString, OsStr, OsString},
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    sync::Arc,
};

use linkme::distributed_slice;

use crate::{
    codec,
    error::{Error, Result},
    parcel::{Decoder, Encoder, Job},
    registry::{self, ENTRIES, Entry, Id, Role},
    sys::{
        exec::{self, Exec},
        fork,
        signal::{self, Signals},
    },
    task::{self, Anywhere, Task},
};

#[distributed_slice(ENTRIES)]
#[expect(unsafe_code, reason = "the slice is a section of the linker's")]
static EXEC: Entry = Entry::new(
    "zygote::Command",
    file!(),
    line!(),
    column!(),
    "",
    Role::Typed,
    run,
);

/// Which executable is launched, as the user names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a OsStr,
    pub(crate) arg0: &'a OsStr,
    pub(crate) args: &'a [OsString],
    /// Which descriptors it finds at which numbers.
    pub(crate) fds: &'a [(i32, Arc<OwnedFd>)],
    /// Which signals it finds blocked and ignored, if they differ from the
    /// template's.
    pub(crate) signals: Option<Signals>,
    /// The streams that are passed with the task, after everything else.
    pub(crate) streams: &'a [i32],
    /// What the process runs before it becomes the executable.
    pub(crate) before: &'a [Task<io::Result<()>>],
}

/// Makes the task that becomes the executable.
pub(crate) fn task(wanted: Wanted<'_>) -> Task<(), Anywhere> {
    let encode = |out: &mut Encoder| {
        out.push_list(wanted.signals, |out, signals| {
            out.push_array(signals.blocked.to_le_bytes());
            out.push_array(signals.ignored.to_le_bytes());
            Ok(())
        })?;
        out.push_list(wanted.streams, |out, number| {
            out.push_array(number.to_le_bytes());
            Ok(())
        })?;
        out.push_list(wanted.fds, |out, (number, fd)| {
            out.push_array(number.to_le_bytes());
            push_fd(out, fd)
        })?;
        out.push_list(wanted.before, |out, task| {
            let load = task.load();
            load.check()?;
            out.push_array(load.entry.id().encode());
            out.push_bytes(&load.bytes);
            out.push_list(load.fds.iter(), push_fd)
        })?;
        out.push_bytes(wanted.name.as_bytes());
        let args = wanted.args.iter().map(OsString::as_os_str);
        out.push_list(std::iter::once(wanted.arg0).chain(args), |out, arg| {
            out.push_bytes(arg.as_bytes());
            Ok(())
        })
    };
    task::task(&EXEC, encode, |_| Ok(()))
}

fn push_fd(out: &mut Encoder, fd: &OwnedFd) -> Result<()> {
    let copy = fd.try_clone();
    out.push_fd(copy.map_err(|error| Error::os("duplicating a descriptor failed", error))?);
    Ok(())
}

fn run(job: &mut Job) -> Result<()> {
    let (mut plan, before) = decode(job.args())?;
    plan.prepare()?;
    plan.streams.clear();
    let is_first = before.is_empty();
    for (entry, job) in before {
        run_before(entry, job)?;
    }
    let error = plan.replace_this();
    // It is not safe to try again after a task that ran before.
    Err(if is_first { error.unstarted() } else { error })
}

/// Decodes what [`task`] has put together, in a process that launches it and goes on:
/// there nothing runs before.
pub(crate) fn plan(input: &mut Decoder) -> Result<Plan> {
    let (plan, before) = decode(input)?;
    match before.is_empty() {
        true => Ok(plan),
        false => Err(Error::invalid("a task where there can be none")),
    }
}

/// An executable, and what is passed with it for it to find.
#[derive(Debug)]
pub(crate) struct Plan {
    signals: Option<Signals>,
    streams: Streams,
    exec: Exec,
}

impl Plan {
    /// Becomes the executable, in the new process, or says why that is not possible.
    pub(crate) fn carry_out(&self) -> Error {
        let prepared = self.prepare();
        prepared
            .err()
            .unwrap_or_else(|| self.replace_this())
            .unstarted()
    }

    fn prepare(&self) -> Result<()> {
        exec::place(&self.streams)
            .map_err(|error| Error::os("passing a standard stream failed", error).unstarted())?;
        if let Some(signals) = self.signals {
            signal::ignore(signals.ignored);
        }
        Ok(())
    }

    fn replace_this(&self) -> Error {
        let blocked = self.signals.map_or(0, |signals| signals.blocked);
        let error = self.exec.replace_this(blocked);
        let name = self.exec.name().display();
        Error::os(format!("executing `{name}` failed"), error)
    }
}

type Streams = Vec<(i32, OwnedFd)>;
type Before = Vec<(&'static Entry, Job)>;

fn decode(input: &mut Decoder) -> Result<(Plan, Before)> {
    let signals = input.take_list(|input| {
        Ok(Signals {
            blocked: u64::from_le_bytes(input.take_array()?),
            ignored: u64::from_le_bytes(input.take_array()?),
        })
    })?;
    let streams = input.take_list(take_number)?;
    let fds = input.take_list(|input| Ok((take_number(input)?, input.take_fd()?)))?;
    let before = input.take_list(take_task)?;
    let name = take_string(input)?;
    let args = input.take_list(take_string)?;
    let with_fd = |number| Ok((number, input.take_fd()?));
    let streams = streams.into_iter().map(with_fd).collect::<Result<_>>()?;
    input.finish()?;
    let exec = Exec::new(name, args, &fds);
    let exec = exec.map_err(|error| {
        Error::os("duplicating a program's descriptor failed", error).unstarted()
    })?;
    let plan = Plan {
        // There is at most one.
        signals: signals.into_iter().next(),
        streams,
        exec,
    };
    Ok((plan, before))
}

fn take_number(input: &mut Decoder) -> Result<i32> {
    Ok(i32::from_le_bytes(input.take_array()?))
}

fn take_string(input: &mut Decoder) -> Result<CString> {
    let bytes = input.take_bytes()?;
    CString::new(bytes).map_err(|_| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        Error::invalid(format!("an argument has a NUL byte: {text:?}")).unstarted()
    })
}

/// Takes a task to run before, and its arguments.
fn take_task(input: &mut Decoder) -> Result<(&'static Entry, Job)> {
    let id = Id::decode(input.take_array()?);
    let bytes = input.take_bytes()?.to_vec();
    let fds = input.take_list(Decoder::take_fd)?;
    let job = Job {
        args: Decoder::new(bytes, fds),
        ..Job::default()
    };
    Ok((registry::find(id)?, job))
}

fn run_before(entry: &Entry, mut job: Job) -> Result<()> {
    let failed = |error: Error| error.context(format!("before_exec `{}`", entry.path()));
    let ran = entry.run(&mut job);
    // If the task forks, the executable is still executed only once.
    fork::end_copy(0);
    ran.map_err(failed)?;
    codec::done(job.reply)?.map_err(|error| {
        let text = format!("before_exec `{}` failed: {error}", entry.path());
        Error::os(text, error)
    })
}
