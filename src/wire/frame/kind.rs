//! What a frame says.

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $(= $number:literal)?,)*) => {
        /// What a frame says. The number is its first byte after the mark.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Kind { $($(#[$doc])* $kind $(= $number)?,)* }

        impl Kind {
            pub(super) const ALL: &[Self] = &[$(Self::$kind),*];

            /// Gives the kind with this number.
            pub(super) fn decode(number: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| *kind as u8 == number)
            }
        }
    };
}

kinds! {
    /// To a process: fork. The descriptor is the new process's end of its socket, and
    /// the number is its name between the owner and this process. Body:
    /// [`ids`](super::ids) of children that nobody asks about any more.
    Fork = 1,
    /// To a process: run this preload. Body: [`job`](super::job). The number says which
    /// [`streams`](super::streams) follow its descriptors.
    Preload,
    /// To a process: the settings that it applies when it runs an entry, or the raw
    /// arguments of the preload that comes next. Body:
    /// [`Settings`](crate::settings::Settings).
    Settings,
    /// To a process: the same as `Fork`, but to be done when there is nothing else to
    /// do.
    Spare,
    /// To a process: run this entry. The number has the owner's process id, and says
    /// which [`streams`](super::streams) follow its descriptors. Body:
    /// [`job`](super::job).
    Run,
    /// To a process: report nothing about the children in the body, [`ids`](super::ids).
    Forget,
    /// To a process: see whether this child has ended.
    Reap,
    /// To a process: kill the children in the body, [`ids`](super::ids), and report
    /// nothing about them.
    Discard,
    /// To a process: it belongs to the sender now. The descriptor is the sender's
    /// pidfd. Answered by `Hello`.
    Owner,
    /// To a process: fork no more, and leave when the children have left.
    Close,
    /// To a program started as a server: the token that it must know. The descriptor is
    /// the sender's pidfd.
    Token,
    /// To a process: somebody waits for the spare with this number, so fork it now.
    Hurry,
    /// To a process: launch what the body says, with these settings. Otherwise this is
    /// the same as `Fork`.
    Launch,
    /// To a process: it is given away, and another owner will speak. Answered by
    /// `Done`.
    Give,
    /// To a process: take calls from now on. The number is as for `Run`, and the first
    /// descriptor is the [`Page`](crate::wire::page::Page).
    Serve,
    /// To a process that takes calls: run this entry. Answered by `Value` or `Failed`
    /// with the same number. Body: [`job`](super::job).
    Call,

    /// From a process, first of all: its id as the number, and its own pidfd.
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
    /// cloned, with its id as the number, and its pidfd. It comes before or after its
    /// `Hello`.
    Born,
    /// From a worker: it asked for memory of this size, which is the number, and got
    /// none. The number is 0 in the last such frame, which stands for all later ones.
    Starved,

    /// Between the ends of a channel.
    Message = 64,
}

impl Kind {
    /// Tells whether it carries what a user made: bytes of any length, and any number
    /// of descriptors. All others have a short body and at most one descriptor.
    pub(crate) fn is_parcel(self) -> bool {
        matches!(
            self,
            Self::Launch
                | Self::Settings
                | Self::Preload
                | Self::Run
                | Self::Serve
                | Self::Call
                | Self::Failed
                | Self::Value
                | Self::Message
        )
    }
}
