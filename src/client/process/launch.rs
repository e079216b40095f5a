//! Launching an executable without a process that was forked for it.

use std::{os::fd::BorrowedFd, sync::Arc};

use super::{
    Process,
    started::{Started, Until},
};
use crate::{
    client::{launcher, peer::Peer, template, worker::Worker},
    error::{Error, Result},
    parcel::Encoder,
    settings::{Ends, Settings},
    task::Task,
};

impl Process {
    /// Launches an executable with these settings, which are plain, without a process
    /// that was forked for it. Returns when it has been executed.
    pub(crate) fn launch(
        mut settings: Settings,
        task: &Task<()>,
        more: &[BorrowedFd<'_>],
    ) -> Result<Worker<()>> {
        let deadline = settings.until(template::PATIENCE);
        let load = task.load();
        load.check()?;
        let ends = Ends::make(&mut settings)?;
        let mut out = Encoder::default();
        settings.encode(&mut out);
        out.bytes.extend_from_slice(&load.bytes);
        let fds: Vec<_> = settings.fds().chain(load.all_fds(more)).collect();
        let start = |launcher: &Arc<Peer>| launcher.launch(&out.bytes, &fds, deadline);
        let peer = launcher::with(start)?;
        let origin = peer.origin().cloned();
        // It says that it is there, then closes its socket: one word to wait for.
        peer.await_end(deadline);
        let started = Started::new(peer, settings, ends, Until::Executed, deadline);
        let result = started.begin(task, more);
        if result.as_ref().is_err_and(Error::is_timeout) {
            // It may be waiting for a file system that does not answer.
            origin.inspect(launcher::give_up);
        }
        result
    }
}
