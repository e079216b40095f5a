//! Whether a process ends with its template.

use std::io;

use super::{Setting, Settings, What};
use crate::{
    error::{Error, Result},
    sys::signal,
};

impl Settings {
    pub(crate) fn detached(&mut self) {
        self.put(Setting::new(What::Detached));
    }

    pub(super) fn is_detached(&self) -> bool {
        self.has(What::Detached)
    }
}

/// Does nothing: [`stay_attached`] looks for the setting.
pub(super) fn apply(_: &Setting, _: &Settings) -> io::Result<()> {
    Ok(())
}

/// Asks for the parent-death signal once more, and looks whether that was too late:
/// the kernel takes it back when a process changes its user or gains rights.
pub(super) fn stay_attached(settings: &Settings, parent: i32) -> Result<()> {
    if settings.is_detached() {
        signal::live_on();
        return Ok(());
    }
    signal::stay_with(parent).map_err(|error| {
        Error::os("prctl(PR_SET_PDEATHSIG) failed after the settings", error).unstarted()
    })
}
