//! Giving a process away, and taking it over.

use std::os::fd::{AsFd, OwnedFd};

use super::Process;
use crate::{
    client::{
        birth::Birth,
        line::{Answer, Waited},
        peer::{Peer, gone},
        template,
    },
    codec::Hand,
    error::{Error, Result},
    parcel::{Decoder, Encoder},
    sys::poll::Deadline,
    wire::frame::{Head, Kind, NEW_OWNER},
};

impl<S> Process<S> {
    /// Gives the process away as a descriptor, for [`from_fd`](Process::from_fd) in
    /// this or in another process. (A `Process` that is an argument or the result of an
    /// entry is given away like this by itself.)
    ///
    /// From then on it depends neither on this program nor on the template that forked
    /// it: both may end before it is taken over. It ends if the last copy of the
    /// descriptor is closed before anybody has taken the process over.
    ///
    /// Waits until the process exists and has taken note, at most 10 s or the
    /// [`start_timeout`](Process::start_timeout).
    ///
    /// # Errors
    ///
    /// The process has live workers, whose exits are reported to this program; it has
    /// settings or raw arguments, which only this handle knows; or it is gone or does
    /// not answer. After any of these it ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use zygote::Process;
    ///
    /// #[zygote::entry]
    /// fn answer() -> u8 {
    ///     42
    /// }
    ///
    /// #[zygote::entry]
    /// fn delegate(process: Process) -> zygote::Result<u8> {
    ///     answer::spawn()?.join()?;
    ///     process.run(answer::task())?.join()
    /// }
    ///
    /// assert_eq!(delegate::spawn(Process::new()?)?.join()??, 42);
    ///
    /// let fd = Process::new()?.into_fd()?;
    /// let process = Process::<()>::from_fd(fd)?;
    /// assert_eq!(process.run(answer::task())?.join()?, 42);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn into_fd(self) -> Result<OwnedFd> {
        let peer = self.peer();
        peer.check_epoch()?;
        peer.discard_stock();
        if !self.settings.is_empty() {
            return Err(Error::invalid(
                "a process with settings or raw arguments cannot be given away, they would be \
                 lost: set them where it is run",
            ));
        }
        if peer.has_live_children() {
            return Err(Error::invalid(
                "a process that has live workers cannot be given away: fork it first",
            ));
        }
        let deadline = self.settings.until(template::PATIENCE);
        // Its first words are for this program.
        let pidfd = peer.hello(deadline)?.pidfd.as_fd();
        peer.line
            .send(Head::new(Kind::Give, 0), &[], &[], deadline)
            .map_err(|trouble| peer.lost(trouble, "giving a process away", deadline))?;
        match peer.answer(deadline, pidfd)? {
            Waited::Got(Answer::Done) => {}
            Waited::Got(Answer::Failed(failure)) => return Err(failure),
            Waited::TimedOut => {
                let text = "the process did not answer before the deadline and is not given away";
                return Err(Error::timeout(text));
            }
            _ => return Err(gone()),
        }
        let fd = peer.line.socket.as_fd().try_clone_to_owned();
        let fd = fd.map_err(|error| Error::os("duplicating a process's socket failed", error))?;
        // It is not ended: somebody else has it.
        drop(self.lease.release());
        Ok(fd)
    }

    /// Takes over a process that [`into_fd`](Self::into_fd) gave away. Whether it holds
    /// a value of type `S` is checked when a task needs that value.
    ///
    /// It stays what it is, a template: whatever you run or preload in it runs in a
    /// fork of it, which has another process id. It ends with this program.
    ///
    /// Waits until the process has answered, at most 10 s.
    ///
    /// # Errors
    ///
    /// The descriptor is not that of a process; or the process is gone or does not
    /// answer.
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        let peer = Peer::new(fd, Birth::Given);
        let deadline = Deadline::after(template::PATIENCE);
        peer.introduce(NEW_OWNER, deadline)?;
        peer.hello(deadline)?;
        Ok(Self::from_peer(peer))
    }
}

/// Gives away a process that is in an argument or a result.
impl<S> Hand for Process<S> {
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
        out.push_fd(self.into_fd()?);
        Ok(())
    }

    fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
        Self::from_fd(input.take_fd()?)
    }
}
