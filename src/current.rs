//! The program itself as a template.

use std::{io::Write, os::fd::OwnedFd};

use crate::{
    client::{Peer, Process},
    error::{Error, Result},
    phase, server, start,
    sys::{
        fork::{self, Refusal, Side},
        image, ours, pidfd, signal,
        single::Single,
        socket,
    },
};

impl Process<()> {
    /// Forks the program itself, as it is now, into a template: everything that it has
    /// loaded and computed so far is there in the template's forks.
    ///
    /// Costs what a `fork` of the program costs. Unlike other processes, this one has
    /// the program's descriptors, because values in its memory own them; those of this
    /// library are closed. It is a child of the program like any other: `waitpid(-1)`
    /// sees it. When it has ended, a later call into the library collects it.
    ///
    /// It stays a template: whatever you run or preload in it runs in a fork of it,
    /// which has another process id.
    ///
    /// # Errors
    ///
    /// The program has more than one thread (the error names the others), or `fork`
    /// failed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # // The threads of a test program are more than one.
    /// use std::sync::OnceLock;
    ///
    /// static TABLE: OnceLock<Vec<u32>> = OnceLock::new();
    ///
    /// #[zygote::entry]
    /// fn look_up(n: usize) -> Option<u32> {
    ///     TABLE.get()?.get(n).copied()
    /// }
    ///
    /// fn main() -> zygote::Result<()> {
    ///     TABLE.get_or_init(|| (0..1000).map(|n| n * n).collect());
    ///     let process = zygote::Process::fork_current()?;
    ///     assert_eq!(process.fork()?.run(look_up::task(9))?.join()?, Some(81));
    ///     Ok(())
    /// }
    /// ```
    pub fn fork_current() -> Result<Self> {
        phase::check()?;
        let depth = phase::deeper()?;
        let failed = |tried: &'static str| move |error| Error::descriptor(tried, error).unstarted();
        let (near, far) = socket::pair().map_err(failed("socketpair for a template failed"))?;
        let program = fork::own_pid();
        let owner = pidfd::open(program).map_err(failed("pidfd_open of the program failed"))?;
        // What stands in the buffers would be written twice.
        let _ = std::io::stdout().flush();
        fork::flush_c();
        let mask = signal::Mask::block();
        match fork::fork() {
            Ok(Side::Child(single)) => {
                phase::set_depth(depth);
                become_template(&single, near, far, owner, program)
            }
            Ok(Side::Parent { child }) => {
                // This comes before a handler of the program may wait for it.
                let peer = Peer::copied(near, child);
                mask.restore();
                Ok(Self::from_peer(peer))
            }
            Err(refusal) => {
                mask.restore();
                Err(refused(refusal).unstarted())
            }
        }
    }
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Os(error) => Error::os("fork of the program failed", error),
        Refusal::Threads(names) => Error::invalid(format!(
            "the program has more than one thread and must not be forked; the others are: {}. \
             Call `fork_current` before they start, or {}",
            names.join(", "),
            match start::is_hooked() {
                true => "use `Process::new`, whose template has none of them",
                // `Process::new` would say that it cannot work there, and name this.
                false =>
                    "start an executable of your own that links zygote, and spawn from there: \
                     here it is part of a shared object, which cannot be executed",
            }
        )),
    }
}

fn become_template(
    single: &Single,
    near: OwnedFd,
    far: OwnedFd,
    owner: OwnedFd,
    program: i32,
) -> ! {
    signal::reset_dispositions();
    // If that is denied, its owner's pidfd says the same a moment later.
    let _ = signal::stay_with(program);
    drop(near);
    ours::close_ours(single);
    image::mark_template();
    image::take_title_memory(single);
    image::set_title("template", u64::from(program.cast_unsigned()));
    server::serve_copy(far, owner)
}
