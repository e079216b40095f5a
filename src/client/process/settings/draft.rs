//! A process that is only settings so far: what a `Command` records.

use std::{fs::File, marker::PhantomData, os::fd::OwnedFd, sync::Arc};

use super::{Process, Setting, What};
use crate::{
    client::{process::Lease, template},
    error::{Error, Result},
    settings::{Settings, environment::CLEAR},
    sys::environment,
};

impl Process<()> {
    /// Nothing but settings: nothing can be run in it.
    pub(crate) fn draft() -> Self {
        Self {
            lease: Lease(None),
            patience: None,
            settings: Settings::default(),
            state: PhantomData,
        }
    }

    /// A fork of the default template with the settings of this draft.
    pub(crate) fn realize(&self) -> Result<Self> {
        let peer = template::with_default(Self::fork_of)?;
        let mut process = Self::from_peer(peer);
        process.patience = self.patience;
        process.settings = self.settings.clone();
        Ok(process)
    }

    /// The environment, the directory and the umask that the program has now,
    /// where nothing else was said.
    pub(crate) fn surroundings_of_program(mut self) -> Result<Self> {
        let said: Vec<_> = self.settings.of(What::Environment).cloned().collect();
        if said.first().is_none_or(|first| first.numbers != [CLEAR]) {
            self = self.inherit_env();
            for setting in said {
                self.settings.add(setting);
            }
        }
        if !self.says(What::Umask)
            && let Some(mask) = environment::own_umask()
        {
            self = self.umask(mask);
        }
        if self.says(What::CurrentDir) || self.says(What::Root) {
            return Ok(self);
        }
        let tried = |error| Error::os("opening the program's working directory failed", error);
        let here = File::open(".").map_err(|error| tried(error).unstarted())?;
        let here = Arc::new(OwnedFd::from(here));
        Ok(self.set(Setting::new(What::CurrentDir).fd(here)))
    }

    /// Whether anything was said about it.
    fn says(&self, what: What) -> bool {
        self.settings.of(what).next().is_some()
    }
}
