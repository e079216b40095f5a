//! What a program writes, gathered from its pipes.

use std::{
    io::{self, Read},
    os::fd::AsFd,
    process::{ChildStderr, ChildStdout},
};

use crate::sys::poll::{Deadline, Want, poll};

/// How much is read at once: what a pipe holds.
const CHUNK: usize = 64 << 10;

/// What has been read so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Gathered {
    /// Reads both pipes to their ends, in the order in which data arrives, and closes
    /// each at its end. Gives `false` if the deadline has passed before both were at the
    /// end.
    pub(super) fn read(
        &mut self,
        stdout: &mut Option<ChildStdout>,
        stderr: &mut Option<ChildStderr>,
        deadline: Deadline,
    ) -> io::Result<bool> {
        while stdout.is_some() || stderr.is_some() {
            let [out, err] = poll([wanted(stdout), wanted(stderr)], deadline)?;
            if out {
                take(stdout, &mut self.stdout)?;
            }
            if err {
                take(stderr, &mut self.stderr)?;
            }
            if !out && !err && deadline.passed() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn wanted(pipe: &Option<impl AsFd>) -> Want<'_> {
    pipe.as_ref().map_or(Want::Nothing, Want::read)
}

/// Reads what is there, once: no other handle on the pipe can be faster.
fn take(pipe: &mut Option<impl Read>, to: &mut Vec<u8>) -> io::Result<()> {
    let Some(open) = pipe else { return Ok(()) };
    let before = to.len();
    to.resize(before + CHUNK, 0);
    let read = open.read(&mut to[before..]);
    to.truncate(before + *read.as_ref().unwrap_or(&0));
    match read {
        Ok(0) => *pipe = None,
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::fd::OwnedFd, time::Duration};

    use super::*;

    fn pair<T: From<OwnedFd>>() -> (Option<T>, io::PipeWriter) {
        let (read, write) = io::pipe().unwrap();
        (Some(OwnedFd::from(read).into()), write)
    }

    #[test]
    fn both_are_read_to_their_ends_and_closed() {
        let (mut out, mut to_out) = pair();
        let (mut err, mut to_err) = pair();
        let mut gathered = Gathered::default();
        to_err.write_all(b"err").unwrap();
        to_out.write_all(&[7; 3000]).unwrap();
        let now = Deadline::after(Duration::ZERO);
        assert!(!gathered.read(&mut out, &mut err, now).unwrap());
        drop(to_err);
        to_out.write_all(&[7; 3000]).unwrap();
        drop(to_out);
        assert!(gathered.read(&mut out, &mut err, Deadline::NEVER).unwrap());
        assert_eq!(gathered.stderr, b"err");
        assert_eq!(gathered.stdout, [7; 6000]);
        assert!(out.is_none() && err.is_none());
    }

    #[test]
    fn without_pipes_there_is_nothing_to_wait_for() {
        let mut gathered = Gathered::default();
        assert!(
            gathered
                .read(&mut None, &mut None, Deadline::NEVER)
                .unwrap()
        );
    }
}
