//! Preloading: what runs in the process itself and stays there.

use std::{marker::PhantomData, os::fd::AsFd, time::Duration};

use super::{
    Lease, Process,
    lend::lend,
    started::{send_load, send_settings},
};
use crate::{
    client::{
        line::{Answer, Waited},
        peer::gone,
        template,
    },
    error::{Error, ErrorKind, Result},
    settings::{Settings, What},
    sys::{pidfd, poll::Deadline},
    task::{Load, Preload, RunsIn},
    wire::frame::{HUGE_PAGES, Head, Kind},
};

/// How long a preload may take unless a deadline is set.
const PRELOAD: Duration = Duration::from_secs(60);

impl<S> Process<S> {
    /// Runs a preload in this process. Its value stays there, and every fork
    /// made afterwards shares it copy-on-write.
    ///
    /// A preload may refer to the value of the one before it (`&A`); that value is
    /// replaced and never dropped. With `&mut S` it changes the value in place.
    /// Descriptors that it leaves open belong to its value. Forks have them too, as
    /// well as the signal handlers that it installs.
    ///
    /// Much memory on the heap makes each fork slow: keep large data in
    /// [`Bytes`](crate::Bytes), or ask for [`huge_pages`](Self::huge_pages).
    ///
    /// The preload gets the raw arguments that were sent to this process so far: see
    /// [`take_args`](crate::raw::take_args).
    ///
    /// Waits until the preload is done, at most 60 s or the
    /// [`start_timeout`](Self::start_timeout); after that the process is killed.
    ///
    /// # Errors
    ///
    /// The preload returned an error, panicked, exited or was killed by a signal; the
    /// deadline passed; it left threads running (a template must have one thread); or
    /// this process has live workers: fork it first. After any of these the process has
    /// ended.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::preload]
    /// fn table(size: usize) -> Result<Vec<usize>, String> {
    ///     if size > 1000 {
    ///         return Err(format!("{size} is too big"));
    ///     }
    ///     Ok((0..size).collect())
    /// }
    ///
    /// #[zygote::entry]
    /// fn sum(table: &Vec<usize>) -> usize {
    ///     table.iter().sum()
    /// }
    ///
    /// let error = zygote::Process::new()?.preload(table::task(2000)).unwrap_err();
    /// assert!(error.to_string().contains("2000 is too big"));
    ///
    /// let process = zygote::Process::new()?.preload(table::task(100))?;
    /// assert_eq!(sum::spawn(&process)?.join()?, 4950);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn preload<T, K: RunsIn<S>>(mut self, preload: Preload<T, K>) -> Result<Process<T>> {
        let load = preload.load();
        let deadline = self.settings.until(PRELOAD);
        let raw = self.settings.take_all(What::RawArg);
        let lease = self
            .lease
            .preloaded(load, raw, self.settings.wants_huge_pages(), deadline)
            .map_err(|error| error.with_entry(load.entry.path()))?;
        Ok(Process {
            settings: self.settings,
            lease,
            state: PhantomData,
        })
    }
}

impl<S> Process<S> {
    /// Puts what later preloads leave in memory into huge pages (2 MiB on most
    /// machines), so that it costs each fork hardly anything.
    ///
    /// A fork copies the page tables of its template, one entry for every 4 KiB. For
    /// large memory this is most of what a fork costs (`benches/preload.rs` measures
    /// it). When the preload is done, the template moves its memory, piece by piece, to
    /// huge pages (`MADV_COLLAPSE`, Linux 6.1). What the kernel refuses stays as it is,
    /// for example because the machine has no free memory in one piece. The move takes
    /// seconds for each GiB (5 to 7 on the machine of `docs/performance.md`), which count as
    /// part of the preload, and needs the memory of one more huge page for a moment. A
    /// fork that writes to such memory gets its own copy in small pages.
    ///
    /// It applies to this process and, from then on, to its forks. Without it, too,
    /// [`Bytes`](crate::Bytes) in the preloaded value cost a fork nothing at any size.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::preload]
    /// fn table(size: usize) -> Vec<u64> {
    ///     (0..size as u64).collect()
    /// }
    ///
    /// #[zygote::entry]
    /// fn at(table: &Vec<u64>, index: usize) -> u64 {
    ///     table[index]
    /// }
    ///
    /// let process = zygote::Process::new()?.huge_pages().preload(table::task(1 << 20))?;
    /// assert_eq!(at::spawn(&process, 77)?.join()?, 77);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn huge_pages(mut self) -> Self {
        self.settings.huge_pages();
        self
    }
}

impl Lease {
    fn preloaded(
        self,
        load: &Load,
        raw: Settings,
        huge_pages: bool,
        deadline: Deadline,
    ) -> Result<Self> {
        load.check()?;
        self.peer().check_epoch()?;
        let lease = self.worker(deadline)?;
        lease.load(load, raw, huge_pages, deadline)?;
        Ok(lease)
    }

    fn load(&self, load: &Load, raw: Settings, huge_pages: bool, deadline: Deadline) -> Result<()> {
        let peer = self.peer();
        peer.discard_stock();
        // Other settings are for workers only.
        let (mut flags, lent) = lend(&raw);
        if huge_pages {
            flags |= HUGE_PAGES;
        }
        let head = Head::new(Kind::Preload, flags);
        send_settings(peer, &raw, deadline)
            .and_then(|()| send_load(peer, head, load, &lent, deadline))
            .map_err(|trouble| peer.lost(trouble, "sending a preload", deadline))?;
        // The preload may wait until the last copy of a descriptor is closed.
        drop(raw);
        let pidfd = peer.hello(deadline)?.pidfd.as_fd();
        match peer.answer(deadline, pidfd)? {
            Waited::Got(Answer::Done) => Ok(()),
            Waited::Got(Answer::Failed(failure)) => Err(failure),
            Waited::Got(Answer::Value { .. }) => Err(Error::new(
                ErrorKind::Protocol,
                "a result came for a preload",
            )),
            Waited::TimedOut => {
                let _ = pidfd::signal(pidfd, libc::SIGKILL);
                Err(Error::timeout(
                    "the preload was not done before the deadline",
                ))
            }
            Waited::Closed(_) | Waited::Watched => {
                let exit = peer.exit(Deadline::after(template::PATIENCE))?;
                Err(exit.map_or_else(gone, |exit| peer.without_result(exit, "the preload")))
            }
        }
    }
}
