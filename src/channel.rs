//! Typed frames between any two processes.

use std::{
    fmt, io,
    marker::PhantomData,
    os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd},
    time::Duration,
};

use sendfd::{RecvWithFd, SendWithFd};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    codec::{decode_any, encode_any},
    error::{Error, ErrorKind, Result},
    parcel::Encoder,
    sys::{
        fd,
        poll::{Deadline, Want, poll},
        socket,
    },
    wire::{
        frame::{Frame, Head, Kind},
        link::{self, Trouble},
    },
};

/// Makes a channel: what is sent into one end comes out of the other, in order,
/// each value whole.
///
/// Both ends can be arguments and results of entries, and both can be cloned. Several
/// receivers share one queue, and each value goes to one of them. Descriptors inside of
/// values travel as [`Fd`](crate::Fd), shared memory as [`Bytes`](crate::Bytes). A
/// `Vec<u8>` travels as bytes, without work for each element.
///
/// The queue is the kernel's and holds about 200 KiB; a sender waits while it is full.
///
/// # Errors
///
/// No socket pair can be made.
///
/// # Examples
///
/// ```
/// use zygote::{Receiver, Sender};
///
/// #[zygote::entry]
/// fn squares(jobs: Receiver<u64>, results: Sender<(u64, u64)>) -> zygote::Result<()> {
///     for n in jobs {
///         let n = n?;
///         results.send((n, n * n))?;
///     }
///     Ok(())
/// }
///
/// let (jobs, for_worker) = zygote::channel()?;
/// let (from_worker, results) = zygote::channel()?;
/// let worker = squares::spawn(for_worker, from_worker)?;
/// jobs.send(12)?;
/// assert_eq!(results.recv()?, (12, 144));
/// drop(jobs); // the worker's loop ends
/// worker.join()??;
/// # Ok::<(), zygote::Error>(())
/// ```
pub fn channel<T>() -> Result<(Sender<T>, Receiver<T>)> {
    let (a, b) = socket::pair()
        .map_err(|error| Error::descriptor("socketpair for a channel failed", error))?;
    Ok((Sender::from(a), Receiver::from(b)))
}

/// The sending end of a [`channel`].
pub struct Sender<T> {
    socket: OwnedFd,
    sends: PhantomData<fn(T)>,
}

/// The receiving end of a [`channel`].
///
/// As an iterator it ends when all senders are gone.
pub struct Receiver<T> {
    socket: OwnedFd,
    receives: PhantomData<fn() -> T>,
}

impl<T> Sender<T> {
    /// Makes another handle on the same end.
    ///
    /// # Errors
    ///
    /// The descriptor cannot be duplicated.
    pub fn try_clone(&self) -> Result<Self> {
        clone(&self.socket).map(Self::from)
    }
}

impl<T: Serialize + 'static> Sender<T> {
    /// Sends a value. Waits while the queue is full.
    ///
    /// # Errors
    ///
    /// The value cannot be encoded (then nothing was sent), or all receivers are gone
    /// ([`is_disconnected`](Error::is_disconnected)).
    pub fn send(&self, value: T) -> Result<()> {
        self.send_by(value, |socket, head, body, fds| {
            link::send(socket, head, body, fds, true)
        })
    }

    /// Sends as [`send`](Self::send) does, but waits no longer than this.
    ///
    /// # Errors
    ///
    /// Fails as `send` does, and if the queue is still full
    /// ([`is_timeout`](Error::is_timeout)): then the value was not sent.
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<()> {
        let deadline = Deadline::after(timeout);
        self.send_by(value, |socket, head, body, fds| {
            link::send_until(socket, head, body, fds, deadline)
        })
    }

    fn send_by(
        &self,
        value: T,
        send: impl FnOnce(BorrowedFd<'_>, Head, &[&[u8]], &[BorrowedFd<'_>]) -> Result<(), Trouble>,
    ) -> Result<()> {
        let mut out = Encoder::default();
        encode_any(value, &mut out)?;
        let fds: Vec<_> = out.fds.iter().map(AsFd::as_fd).collect();
        let head = Head::new(Kind::Message, 0);
        send(self.socket.as_fd(), head, &[&out.bytes], &fds)
            .map_err(|trouble| trouble.into_error("sending on a channel"))
    }
}

impl<T> Receiver<T> {
    /// Makes another handle on the same end: both take from one queue.
    ///
    /// # Errors
    ///
    /// The descriptor cannot be duplicated.
    pub fn try_clone(&self) -> Result<Self> {
        clone(&self.socket).map(Self::from)
    }
}

impl<T: DeserializeOwned + 'static> Receiver<T> {
    /// Waits for the next value.
    ///
    /// # Errors
    ///
    /// All senders are gone and the queue is empty
    /// ([`is_disconnected`](Error::is_disconnected)); what arrived is not a `T`; or
    /// this process had no room for its descriptors (the next call takes the next
    /// value).
    pub fn recv(&self) -> Result<T> {
        decode(link::receive(self.socket.as_fd(), true))
    }

    /// Receives as [`recv`](Self::recv) does, but waits no longer than this.
    ///
    /// # Errors
    ///
    /// Fails as `recv` does, and if nothing came ([`is_timeout`](Error::is_timeout)).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T> {
        let deadline = Deadline::after(timeout);
        loop {
            match link::receive(self.socket.as_fd(), false) {
                // Another receiver may be faster.
                Err(Trouble::Busy) if !deadline.passed() => {
                    poll([Want::Read(self.socket.as_fd())], deadline)
                        .map_err(|error| Error::os("poll for a channel failed", error))?;
                }
                Err(Trouble::Busy) => {
                    return Err(Error::timeout("nothing came on the channel in time"));
                }
                result => return decode(result),
            }
        }
    }
}

fn decode<T: DeserializeOwned + 'static>(frame: Result<Frame, Trouble>) -> Result<T> {
    let frame = message(frame)?;
    decode_any(frame.body, frame.fds)
}

fn message(frame: Result<Frame, Trouble>) -> Result<Frame> {
    match frame {
        Ok(frame) if frame.kind == Kind::Message => Ok(frame),
        Ok(frame) => Err(Error::new(
            ErrorKind::Protocol,
            format!("a frame that is not a channel's arrived: {:?}", frame.kind),
        )),
        Err(trouble) => Err(trouble.into_error("receiving from a channel")),
    }
}

fn clone(socket: &OwnedFd) -> Result<OwnedFd> {
    socket
        .try_clone()
        .map_err(|error| Error::descriptor("duplicating a channel's end failed", error))
}

impl<T: DeserializeOwned + 'static> Iterator for Receiver<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        match self.recv() {
            Err(error) if error.is_disconnected() => None,
            result => Some(result),
        }
    }
}

/// Sends octets and descriptors as one frame, for code that uses these traits. A
/// receiver of `Vec<u8>` gets the octets.
impl<T> SendWithFd for Sender<T> {
    fn send_with_fd(&self, bytes: &[u8], fds: &[RawFd]) -> io::Result<usize> {
        let head = Head::new(Kind::Message, 0);
        fd::lend(fds, |fds| {
            link::send(self.socket.as_fd(), head, &[bytes], fds, true)
        })?
        .map_err(|trouble| trouble.into_error("sending on a channel"))?;
        Ok(bytes.len())
    }
}

/// Receives one whole frame. If there is too little room for it, that is an error, and
/// the frame is lost. The descriptors are close-on-exec. The end of the channel is `(0,
/// 0)`.
impl<T> RecvWithFd for Receiver<T> {
    fn recv_with_fd(&self, bytes: &mut [u8], fds: &mut [RawFd]) -> io::Result<(usize, usize)> {
        let frame = match message(link::receive(self.socket.as_fd(), true)) {
            Err(error) if error.is_disconnected() => return Ok((0, 0)),
            frame => frame?,
        };
        if frame.body.len() > bytes.len() || frame.fds.len() > fds.len() {
            let text = format!(
                "a frame of {} bytes and {} descriptors does not fit",
                frame.body.len(),
                frame.fds.len()
            );
            return Err(Error::invalid(text).into());
        }
        bytes[..frame.body.len()].copy_from_slice(&frame.body);
        let count = frame.fds.len();
        for (place, fd) in fds.iter_mut().zip(frame.fds) {
            *place = fd.into_raw_fd();
        }
        Ok((frame.body.len(), count))
    }
}

macro_rules! is_a_descriptor {
    ($end:ident, $marker:ident) => {
        /// Trusts that the descriptor is this end of a channel of `T`: if it is not,
        /// that shows as an error when something is received.
        impl<T> From<OwnedFd> for $end<T> {
            fn from(socket: OwnedFd) -> Self {
                Self {
                    socket,
                    $marker: PhantomData,
                }
            }
        }

        impl<T> From<$end<T>> for OwnedFd {
            fn from(end: $end<T>) -> Self {
                end.socket
            }
        }

        impl<T> AsFd for $end<T> {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.socket.as_fd()
            }
        }

        impl<T> AsRawFd for $end<T> {
            fn as_raw_fd(&self) -> RawFd {
                self.socket.as_raw_fd()
            }
        }

        impl<T> fmt::Debug for $end<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($end)).field(&self.socket).finish()
            }
        }
    };
}

is_a_descriptor!(Sender, sends);
is_a_descriptor!(Receiver, receives);
