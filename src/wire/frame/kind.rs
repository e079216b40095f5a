//! What a frame says.

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $(= $number:literal)?,)*) => {
        /// What a frame says. The number is its first byte after the mark.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Kind { $($(#[$doc])* $kind $(= $number)?,)* }

        impl Kind {
            pub(super) const ALL: &[Self] = &[$(Self::$kind),*];

            /// The kind of this number.
            pub(super) fn decode(number: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| *kind as u8 == number)
            }
        }
    };
}

kinds! {
    /// To a process: fork; the descriptor is the new process's end of its
    /// socket, the number its name between the two. Body: [`ids`](super::ids) of children
    /// that nobody asks about any more.
    Fork = 1,
    /// To a process: run this preload. Body: [`job`](super::job). The number says which
    /// [`streams`](super::streams) follow its descriptors.
    Preload,
    /// To a process: keep these bytes as a raw argument.
    Arg,
    /// To a process: keep this descriptor as a raw argument.
    Fd,
    /// To a process: run this entry, with the owner's process id as number, and
    /// which [`streams`](super::streams) follow its descriptors. Body: [`job`](super::job).
    Run,
    /// To a process: report nothing about the children in the body, [`ids`](super::ids).
    Forget,
    /// To a process: look whether this child has ended.
    Reap,
    /// To a process: kill the children in the body, [`ids`](super::ids), report nothing.
    Discard,
    /// To a process: it belongs to the sender now; the descriptor is the
    /// sender's pidfd. Answered by `Hello`.
    Owner,
    /// To a process: no more forks; leave when the children have.
    Close,
    /// To a program started as a server: the token it must know; the
    /// descriptor is the sender's pidfd.
    Token,
    /// To a process: what it is to be made of when it runs an entry. Body:
    /// [`Settings`](crate::settings::Settings).
    Settings,
    /// To a process: as `Fork`, but when nothing else is to be done.
    Spare,
    /// To a process: somebody waits for the spare of this number, fork it now.
    Hurry,
    /// To a process: start the program that the new process was told to become
    /// already. Otherwise as `Fork`.
    Program,
    /// To a process: it is given away, and another owner will speak. Answered by
    /// `Done`.
    Give,

    /// From a process, first of all: its id as number, its own pidfd.
    Hello = 32,
    /// From a process: the preload has run.
    Done,
    /// From a process: a request failed. Body: a [`failure`](super::failure).
    Failed,
    /// From a worker: the result.
    Value,
    /// From a worker: it lives on without its template from here on.
    Detached,
    /// From a process: children that ended. Body: [`Report`](super::Report)s.
    Exits,
    /// From a worker that was asked for it: its settings are applied.
    Ready,
    /// From a program that was executed to be a template: the template that it has
    /// cloned, its id as number and its pidfd. It comes before or after its `Hello`.
    Born,

    /// Between the ends of a channel.
    Message = 64,
}

impl Kind {
    /// Whether it carries what a user made: bytes of any length, descriptors of
    /// any number. All others have a short body and at most one descriptor.
    pub(crate) fn is_parcel(self) -> bool {
        matches!(
            self,
            Self::Program
                | Self::Settings
                | Self::Preload
                | Self::Arg
                | Self::Run
                | Self::Failed
                | Self::Value
                | Self::Message
        )
    }
}
