//! A process that is only settings so far: what a `Command` records.

use std::{env, marker::PhantomData, sync::Arc};

use super::{Process, Setting, What};
use crate::{
    client::{process::Lease, template},
    error::{Error, Result},
    hooks::{self, When},
    settings::{
        Settings,
        environment::{self, WHOLE},
    },
    sys::environment::{own_dir, own_umask},
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

    /// Whether nothing is asked for but what the process that becomes a program
    /// can do in its launcher's memory.
    pub(crate) fn is_plain(&self) -> bool {
        let hooks = [When::Worker, When::Prepare, When::Parent, When::Child];
        self.settings.are_plain() && !hooks.into_iter().any(hooks::has)
    }

    /// A copy of this draft.
    pub(crate) fn redraft(&self) -> Self {
        Self {
            patience: self.patience,
            settings: self.settings.clone(),
            ..Self::draft()
        }
    }

    /// A fork of the default template with the settings of this draft.
    pub(crate) fn realize(self) -> Result<Self> {
        let peer = template::with_default(Self::fork_of)?;
        let lease = Lease(Some(peer));
        Ok(Self { lease, ..self })
    }

    /// The environment, the directory and the umask that the program has now,
    /// where nothing else was said.
    pub(crate) fn surroundings_of_program(mut self) -> Result<Self> {
        let said: Vec<_> = self.settings.of(What::Environment).cloned().collect();
        if let Some(whole) = environment::whole(env::vars_os(), &said) {
            self = self.set(Setting::new(What::Environment).number(WHOLE).text(whole));
        }
        if !self.says(What::Umask)
            && let Some(mask) = own_umask()
        {
            self = self.umask(mask);
        }
        if self.says(What::CurrentDir) || self.says(What::Root) {
            return Ok(self);
        }
        let tried = |error| Error::os("opening the program's working directory failed", error);
        let here = own_dir().map_err(|error| tried(error).unstarted())?;
        Ok(self.set(Setting::new(What::CurrentDir).fd(Arc::new(here))))
    }

    /// Whether anything was said about it.
    fn says(&self, what: What) -> bool {
        self.settings.of(what).next().is_some()
    }
}
