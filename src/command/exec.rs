//! What a worker does to become another program.

use std::{
    ffi::{CString, OsStr},
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
};

use linkme::distributed_slice;

use super::Command;
use crate::{
    codec::Hand,
    error::{Error, Result},
    parcel::{Call, Decoder, Encoder},
    registry::{self, ENTRIES, Entry, Id, Role},
    sys::exec,
    task::{Anywhere, Task},
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

/// The task that becomes the program. The streams with these numbers are passed
/// with it, behind everything else.
pub(super) fn task(command: &Command, streams: impl Iterator<Item = i32>) -> Task<(), Anywhere> {
    let encode = |out: &mut Encoder| {
        for number in streams {
            push_number(out, number);
        }
        out.push_byte(0);
        for (number, fd) in &command.fds {
            push_number(out, *number);
            push_fd(out, fd)?;
        }
        out.push_byte(0);
        for task in &command.before {
            let load = task.load();
            load.check()?;
            out.push_byte(1);
            out.push_bytes(&load.entry.id().index.to_le_bytes());
            out.push_bytes(&load.entry.id().hash.to_le_bytes());
            out.push_bytes(&load.bytes);
            out.push_bytes(&(load.fds.len() as u64).to_le_bytes());
            load.fds.iter().try_for_each(|fd| push_fd(out, fd))?;
        }
        out.push_byte(0);
        let arg0 = command.arg0.as_ref().unwrap_or(&command.program);
        out.push_bytes(command.program.as_bytes());
        for arg in std::iter::once(arg0).chain(&command.args) {
            out.push_byte(1);
            out.push_bytes(arg.as_bytes());
        }
        out.push_byte(0);
        Ok(())
    };
    Task::new(&EXEC, encode, |_| Ok(()))
}

fn push_number(out: &mut Encoder, number: i32) {
    out.push_byte(1);
    out.push_bytes(&number.to_le_bytes());
}

fn push_fd(out: &mut Encoder, fd: &OwnedFd) -> Result<()> {
    let copy = fd.try_clone();
    out.push_fd(copy.map_err(|error| Error::os("duplicating a descriptor failed", error))?);
    Ok(())
}

fn run(call: &mut Call) -> Result<()> {
    let input = call.args();
    let streams = take_list(input, take_number)?;
    let fds = take_list(input, |input| Ok((take_number(input)?, input.take_fd()?)))?;
    let before = take_list(input, take_task)?;
    let program = take_string(input)?;
    let args = take_list(input, take_string)?;
    for number in streams {
        let fd = input.take_fd()?;
        place(&[(number, fd)], "passing a standard stream")?;
    }
    input.finish()?;
    let is_first = before.is_empty();
    for (entry, call) in before {
        run_before(entry, call)?;
    }
    let error = exec::replace(&program, &args, &fds);
    let text = OsStr::from_bytes(program.as_bytes()).display();
    let error = Error::os(format!("executing `{text}` failed"), error);
    // After a task that ran before it is not safe to try again.
    Err(if is_first { error.unstarted() } else { error })
}

fn place(fds: &[(i32, OwnedFd)], tried: &str) -> Result<()> {
    exec::place(fds).map_err(|error| Error::os(format!("{tried} failed"), error).unstarted())
}

fn take_list<T>(
    input: &mut Decoder,
    mut take: impl FnMut(&mut Decoder) -> Result<T>,
) -> Result<Vec<T>> {
    let mut list = Vec::new();
    while input.take_byte()? != 0 {
        list.push(take(input)?);
    }
    Ok(list)
}

fn take_array<const N: usize>(input: &mut Decoder) -> Result<[u8; N]> {
    let bytes = input.take_bytes()?.try_into();
    bytes.map_err(|_| Error::invalid("a number of another length"))
}

fn take_number(input: &mut Decoder) -> Result<i32> {
    take_array(input).map(i32::from_le_bytes)
}

fn take_string(input: &mut Decoder) -> Result<CString> {
    let bytes = input.take_bytes()?;
    CString::new(bytes).map_err(|_| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        Error::invalid(format!("an argument has a NUL byte: {text:?}")).unstarted()
    })
}

/// A task to run before, and its arguments.
fn take_task(input: &mut Decoder) -> Result<(&'static Entry, Call)> {
    let id = Id {
        index: u32::from_le_bytes(take_array(input)?),
        hash: u64::from_le_bytes(take_array(input)?),
    };
    let bytes = input.take_bytes()?.to_vec();
    let count = u64::from_le_bytes(take_array(input)?);
    let fds = (0..count).map(|_| input.take_fd()).collect::<Result<_>>()?;
    let call = Call {
        args: Decoder::new(bytes, fds),
        ..Call::default()
    };
    Ok((registry::find(id)?, call))
}

fn run_before(entry: &Entry, mut call: Call) -> Result<()> {
    let failed = |error: Error| error.context(format!("pre_exec `{}`", entry.path()));
    entry.run(&mut call).map_err(failed)?;
    let mut reply = Decoder::new(call.reply.bytes, call.reply.fds);
    match reply.take_byte()? {
        0 => Ok(()),
        _ => {
            let error = io::Error::decode(&mut reply)?;
            let text = format!("pre_exec `{}` failed: {error}", entry.path());
            Err(Error::os(text, error))
        }
    }
}
