//! The one error type.

mod calls;
mod cause;
mod io_error;
mod kind;
mod show;

use std::{error, fmt, io, sync::Arc};

use self::cause::Cause;
pub(crate) use self::{cause::Source, kind::ErrorKind};
use crate::exit::Exit;

/// How the text of a panic begins.
pub(crate) const PANICKED: &str = "panicked";

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a process could not be started, or what became of a task instead of its
/// result.
///
/// The kind is private; ask with the `is_…` methods. The text says what was tried and
/// where. If the operating system gave a cause, [`source`](error::Error::source) has
/// it, an [`io::Error`] with its errno.
///
/// An error that is made an `io::Error` (by `?` in a function that returns
/// `io::Result`) becomes the errno alone if the operating system gave one, as std's own
/// errors are: `raw_os_error` and `kind` say the same as std's. Any other error stays
/// whole inside, and becomes what it was when it is made an `Error` again.
///
/// # Examples
///
/// ```
/// #[zygote::entry]
/// fn fragile(n: u32) -> u32 {
///     assert!(n < 10, "{n} is too much");
///     n
/// }
///
/// let error = fragile::spawn(11)?.join().unwrap_err();
/// assert!(error.is_panic());
/// assert!(error.to_string().contains("11 is too much"));
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Error(Box<Inner>);

#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Inner {
    kind: ErrorKind,
    text: String,
    source: Option<Cause>,
    unstarted: bool,
    entry: Option<String>,
    pid: Option<u32>,
    exit: Option<Exit>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            text: text.into(),
            source: None,
            unstarted: false,
            entry: None,
            pid: None,
            exit: None,
        }))
    }

    /// Makes the error of a call to the operating system that failed; `tried` says
    /// which.
    pub(crate) fn os(tried: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::new(ErrorKind::Os, tried).with_source(source.into())
    }

    /// Does what [`os`](Self::os) does, for a call that makes a descriptor.
    pub(crate) fn descriptor(tried: &str, source: io::Error) -> Self {
        let advice = match source.raw_os_error() {
            Some(libc::EMFILE) => ", raise the limit of descriptors (RLIMIT_NOFILE) or close some",
            _ => "",
        };
        Self::os(format!("{tried}{advice}"), source)
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, text)
    }

    #[cfg(feature = "pool")]
    pub(crate) fn template_gone(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::TemplateGone, text)
    }

    pub(crate) fn timeout(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, text)
    }

    pub(crate) fn with_source(mut self, source: io::Error) -> Self {
        self.0.source = Some(Cause(Arc::new(source)));
        self
    }

    /// Says in front of the text what failed because of this error.
    pub(crate) fn context(mut self, what: impl fmt::Display) -> Self {
        self.0.text = format!("{what}: {}", self.0.text);
        self
    }

    /// Adds this to the text.
    pub(crate) fn and(mut self, what: &str) -> Self {
        self.0.text.push_str(what);
        self
    }

    /// Notes that no code of the entry ran.
    pub(crate) fn unstarted(mut self) -> Self {
        self.0.unstarted = true;
        self
    }

    pub(crate) fn with_entry(mut self, entry: &str) -> Self {
        self.0.entry.get_or_insert_with(|| entry.to_owned());
        self
    }

    pub(crate) fn with_pid(mut self, pid: u32) -> Self {
        self.0.pid = Some(pid);
        self
    }

    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.0.exit = Some(exit);
        self
    }

    /// Says what was tried and what came of it, without the [entry](Self::entry) and the
    /// [process id](Self::pid) with which the whole text begins. It is meant for a
    /// message to a user, or to compare two errors. For a panic it is only what the
    /// panic said: its place in the source stands in the whole text.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn leave() {
    ///     std::process::exit(3);
    /// }
    ///
    /// let error = leave::spawn()?.join().unwrap_err();
    /// assert_eq!(error.message(), "the worker exited with code 3 before it gave a result");
    /// assert!(error.to_string().ends_with(error.message()));
    ///
    /// #[zygote::entry]
    /// fn fails() {
    ///     panic!("no luck");
    /// }
    ///
    /// let error = fails::spawn()?.join().unwrap_err();
    /// assert_eq!(error.message(), "no luck");
    /// assert!(error.to_string().contains("panicked at "));
    /// # Ok::<(), zygote::Error>(())
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        let text = &self.0.text;
        let said = match self.0.kind {
            ErrorKind::Panic => text
                .split_once(PANICKED)
                .and_then(|(_, rest)| rest.split_once(": ")),
            _ => None,
        };
        said.map_or(text, |(_place, said)| said)
    }

    /// Gives the text of which [`message`](Self::message) is a part.
    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Gives the errno of the cause.
    pub(crate) fn code(&self) -> Option<i32> {
        self.0.source.as_ref()?.0.raw_os_error()
    }

    /// Tells whether the worker or the preload panicked. The text has the message and
    /// the place.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.0.kind == ErrorKind::Panic
    }

    /// Tells whether the worker left by itself without giving a result: by `exit(n)`,
    /// `_exit`, or `exec` of another program. [`exit`](Self::exit) has the code.
    #[must_use]
    pub fn is_exit(&self) -> bool {
        self.0.kind == ErrorKind::Exit
    }

    /// Tells whether a signal killed the worker before it gave a result.
    /// [`exit`](Self::exit) says which one.
    #[must_use]
    pub fn is_signal(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Signal | ErrorKind::OutOfMemory)
    }

    /// Tells whether memory could not be had, in one of two ways. A worker asked for
    /// some in vain and was then killed by SIGABRT: this is known only if the program
    /// has the [`Allocator`](crate::Allocator), [`is_signal`](Self::is_signal) is true
    /// as well, and the text has the size, if that is known. Or a system call failed for
    /// want of memory (`ENOMEM`).
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        self.0.kind == ErrorKind::OutOfMemory || self.code() == Some(libc::ENOMEM)
    }

    /// Tells whether a deadline passed first.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// Tells whether the request itself cannot be carried out, because of an unknown or
    /// ambiguous name, a value that cannot be encoded or decoded, a handle from before
    /// a fork, or a template with more than one thread.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.0.kind == ErrorKind::Invalid
    }

    /// Tells whether a setting of the process could not be applied, for example
    /// [`Process::uid`](crate::Process::uid). The text names the setting and its value,
    /// and [`source`](error::Error::source) has the errno. No code of the entry ran.
    #[must_use]
    pub fn is_setting(&self) -> bool {
        self.0.kind == ErrorKind::Setting
    }

    /// Tells whether the template died. If it died while it started,
    /// [`exit`](Self::exit) says how, as far as that is known. The next spawn on the
    /// default template starts a new one.
    #[must_use]
    pub fn is_template_gone(&self) -> bool {
        self.0.kind == ErrorKind::TemplateGone
    }

    /// Tells whether a [`hook`](crate::hook) returned an error or panicked. The text
    /// has its path and its message.
    #[must_use]
    pub fn is_hook(&self) -> bool {
        self.0.kind == ErrorKind::Hook
    }

    /// Tells whether the other end of a channel is gone.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.0.kind == ErrorKind::Disconnected
    }

    /// Tells whether it is certain that no code of the entry ran: then it is safe to
    /// try again.
    #[must_use]
    pub fn is_unstarted(&self) -> bool {
        self.0.unstarted
    }

    /// Says how the worker ended, or the template if that was killed while it started,
    /// as far as that is known.
    #[must_use]
    pub fn exit(&self) -> Option<&Exit> {
        self.0.exit.as_ref()
    }

    /// Gives the process id of the worker that the error is about.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.0.pid
    }

    /// Gives the full path of the entry that the error is about.
    #[must_use]
    pub fn entry(&self) -> Option<&str> {
        self.0.entry.as_deref()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &*source.0 as _)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn says_what_was_tried_and_keeps_the_cause() {
        let cause = io::Error::from_raw_os_error(libc::EMFILE);
        let error = Error::os("socketpair for a new process failed", cause).unstarted();
        assert_eq!(error.to_string(), "socketpair for a new process failed");
        assert!(error.is_unstarted());
        assert!(error.source().unwrap().to_string().contains("os error 24"));
        assert!(format!("{error:?}").contains("os error 24"));
    }

    /// Each kind has its method, and the kind of `io::Error` that it becomes without an
    /// errno. With an errno it becomes that.
    #[test]
    fn every_kind_is_told_by_its_method_and_as_an_io_error() {
        type Is = fn(&Error) -> bool;
        let is: [Is; 14] = [
            Error::is_panic,
            Error::is_exit,
            Error::is_signal,
            Error::is_timeout,
            Error::is_invalid,
            Error::is_template_gone,
            Error::is_disconnected,
            Error::is_setting,
            Error::is_hook,
            Error::is_cancelled,
            Error::is_unstarted,
            Error::is_out_of_memory,
            Error::is_full,
            Error::is_closed,
        ];
        for (kind, own, as_io) in [
            (ErrorKind::Panic, Some(0), io::ErrorKind::Other),
            (ErrorKind::Exit, Some(1), io::ErrorKind::Other),
            (ErrorKind::Signal, Some(2), io::ErrorKind::Other),
            (ErrorKind::Timeout, Some(3), io::ErrorKind::TimedOut),
            (ErrorKind::Invalid, Some(4), io::ErrorKind::InvalidInput),
            (ErrorKind::TemplateGone, Some(5), io::ErrorKind::Other),
            (ErrorKind::Disconnected, Some(6), io::ErrorKind::BrokenPipe),
            (ErrorKind::Setting, Some(7), io::ErrorKind::Other),
            (ErrorKind::Hook, Some(8), io::ErrorKind::Other),
            (ErrorKind::Cancelled, Some(9), io::ErrorKind::Other),
            (ErrorKind::Full, Some(12), io::ErrorKind::Other),
            (ErrorKind::Closed, Some(13), io::ErrorKind::Other),
            (ErrorKind::Preload, None, io::ErrorKind::Other),
            (ErrorKind::Protocol, None, io::ErrorKind::InvalidData),
            (ErrorKind::Os, None, io::ErrorKind::Other),
            // It is `is_signal` as well.
            (ErrorKind::OutOfMemory, Some(2), io::ErrorKind::OutOfMemory),
        ] {
            let error = Error::new(kind, "why");
            let said = |error: &Error| is.iter().position(|is| is(error));
            assert_eq!(said(&error), own, "{kind:?}");
            assert!(error.source().is_none() && error.exit().is_none());
            let io = io::Error::from(error.clone());
            assert_eq!((io.kind(), io.raw_os_error()), (as_io, None), "{kind:?}");
            let back = Error::from(io);
            assert_eq!(said(&back), own, "{kind:?} comes back");

            let error = error.with_source(io::Error::from_raw_os_error(libc::ENOENT));
            assert_eq!(said(&error), own, "{kind:?} with an errno");
            let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
            assert_eq!(source.raw_os_error(), Some(libc::ENOENT));
            let io = io::Error::from(error);
            assert_eq!(io.raw_os_error(), Some(libc::ENOENT), "{kind:?}");
            assert_eq!(io.kind(), io::ErrorKind::NotFound, "{kind:?}");
        }
    }

    #[test]
    fn memory_that_could_not_be_had_is_told_of_a_death_and_of_a_call() {
        let call = |errno| Error::os("fork failed", io::Error::from_raw_os_error(errno));
        for (error, expected) in [
            (Error::new(ErrorKind::OutOfMemory, "why"), true),
            (Error::new(ErrorKind::Signal, "why"), false),
            (call(libc::ENOMEM), true),
            (call(libc::EAGAIN), false),
        ] {
            assert_eq!(error.is_out_of_memory(), expected, "{error:?}");
        }
    }
}
