//! The handle on a program that was started.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Output},
    time::Duration,
};

use super::gather::Gathered;
use crate::{
    client::Worker,
    error::{Error, ErrorKind, Result},
    exit::Exit,
    sys::poll::Deadline,
};

/// A program that was started, like `std::process::Child`.
///
/// Every wait except [`try_wait`](Self::try_wait) first closes a piped stdin that was
/// not taken, as std's `wait` does.
///
/// Unlike std's, it has a wait with a deadline; a signal goes to its pidfd, never to
/// another process that has the same id; and a handle that is dropped leaves no zombie.
/// As a descriptor it is the pidfd.
///
/// # Examples
///
/// ```
/// use std::{io::{Read, Write}, time::Duration};
/// use zygote::{Command, Stdio};
///
/// let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// let mut stdin = cat.stdin.take().expect("it is piped");
/// stdin.write_all(b"hello")?;
/// assert!(cat.wait_timeout(Duration::from_millis(5))?.is_none());
/// drop(stdin);
/// assert!(cat.wait()?.success());
/// let mut text = String::new();
/// cat.stdout.take().expect("it is piped").read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Debug)]
pub struct Child {
    /// The program's end of a piped stdin.
    pub stdin: Option<ChildStdin>,
    /// The program's end of a piped stdout.
    pub stdout: Option<ChildStdout>,
    /// The program's end of a piped stderr.
    pub stderr: Option<ChildStderr>,
    gathered: Gathered,
    worker: Worker<()>,
}

impl Child {
    pub(super) fn new(mut worker: Worker<()>) -> Self {
        Self {
            stdin: worker.take_stdin(),
            stdout: worker.take_stdout(),
            stderr: worker.take_stderr(),
            gathered: Gathered::default(),
            worker,
        }
    }

    /// Gives its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.worker.id()
    }

    /// Closes a piped stdin that was not taken, and waits until the program has ended.
    ///
    /// # Errors
    ///
    /// How it ended cannot be known, because its template died (before Linux
    /// 6.15); a system call failed; the handle is from before a fork.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        known(self.wait_usage()?)
    }

    /// Gives what [`wait`](Self::wait) gives, or `None` if the program still runs; it
    /// does not wait, and closes nothing.
    ///
    /// # Errors
    ///
    /// Fails as `wait` does.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.worker.try_wait()?.map(known).transpose()
    }

    /// Waits as [`wait`](Self::wait) does, but only this long; gives `None` if the
    /// program still runs.
    ///
    /// # Errors
    ///
    /// Fails as `wait` does.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<ExitStatus>> {
        drop(self.stdin.take());
        self.worker.wait_timeout(timeout)?.map(known).transpose()
    }

    /// Waits as [`wait`](Self::wait) does, and says what the program used as well. If
    /// it cannot be known how the program ended, the [`Exit`] says so, and that is no
    /// error.
    ///
    /// # Errors
    ///
    /// A system call failed, or the handle is from before a fork.
    pub fn wait_usage(&mut self) -> Result<Exit> {
        drop(self.stdin.take());
        self.worker.wait()
    }

    /// Closes a piped stdin, reads stdout and stderr to their ends, and waits.
    ///
    /// # Errors
    ///
    /// Fails as [`wait`](Self::wait) does, and if a pipe cannot be read.
    pub fn wait_with_output(mut self) -> Result<Output> {
        self.gather(Deadline::NEVER)?;
        let status = self.wait()?;
        Ok(self.output(status))
    }

    /// Waits as [`wait_with_output`](Self::wait_with_output) does, but only this long.
    /// Gives `None` if the program still runs by then, or if another process, for
    /// example one that it has started, still holds its stdout or stderr open. What was
    /// read so far is kept for the next call.
    ///
    /// # Errors
    ///
    /// Fails as `wait_with_output` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use zygote::{Command, Stdio};
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo begun; exec sleep 77"]).stdout(Stdio::piped());
    /// let mut child = command.spawn()?;
    /// if child.wait_with_output_timeout(Duration::from_millis(300))?.is_none() {
    ///     child.kill()?;
    /// }
    /// let output = child.wait_with_output()?;
    /// assert_eq!(output.stdout, b"begun\n");
    /// assert!(!output.status.success());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn wait_with_output_timeout(&mut self, timeout: Duration) -> Result<Option<Output>> {
        let deadline = Deadline::after(timeout);
        if !self.gather(deadline)? {
            return Ok(None);
        }
        let left = deadline.remaining().unwrap_or(Duration::MAX);
        let status = self.wait_timeout(left)?;
        Ok(status.map(|status| self.output(status)))
    }

    /// Tells whether the pipes are at their ends.
    fn gather(&mut self, deadline: Deadline) -> Result<bool> {
        drop(self.stdin.take());
        self.gathered
            .read(&mut self.stdout, &mut self.stderr, deadline)
            .map_err(|error| Error::os("reading a program's output failed", error))
    }

    fn output(&mut self, status: ExitStatus) -> Output {
        let Gathered { stdout, stderr } = std::mem::take(&mut self.gathered);
        Output {
            status,
            stdout,
            stderr,
        }
    }

    /// Sends SIGKILL. It is no error if the program has ended. With
    /// [`Command::tree`](crate::Command::tree) it kills what the program has started as
    /// well.
    ///
    /// # Errors
    ///
    /// The kernel refuses, because the program has another user.
    pub fn kill(&self) -> Result<()> {
        self.worker.kill()
    }

    /// Kills the program and what it has started, as
    /// [`Worker::kill_tree`](crate::Worker::kill_tree) does.
    ///
    /// # Errors
    ///
    /// Fails as that does.
    pub fn kill_tree(&self) -> Result<()> {
        self.worker.kill_tree()
    }

    /// Sends a signal. It is no error if the program has ended.
    ///
    /// # Errors
    ///
    /// Fails as [`kill`](Self::kill) does, and for a number that is no signal.
    pub fn signal(&self, signal: i32) -> Result<()> {
        self.worker.signal(signal)
    }

    /// Sets whether dropping the handle kills the program. By default it does not.
    #[must_use = "it gives the child back"]
    pub fn kill_on_drop(mut self, kill: bool) -> Self {
        self.worker = self.worker.kill_on_drop(kill);
        self
    }
}

fn known(exit: Exit) -> Result<ExitStatus> {
    exit.status().ok_or_else(|| {
        let text = "the template is gone, and how the program ended cannot be known";
        Error::new(ErrorKind::TemplateGone, text).with_exit(exit)
    })
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.worker.as_fd()
    }
}

impl AsRawFd for Child {
    fn as_raw_fd(&self) -> RawFd {
        self.worker.as_raw_fd()
    }
}
