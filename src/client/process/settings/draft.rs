//! A process that is only settings so far: what a `Command` records.

use std::{env, marker::PhantomData, sync::Arc};

use super::{Process, Setting, What};
use crate::{
    client::{process::Lease, template},
    error::{Error, Result},
    hooks::{self, When},
    settings::{
        Namespaces, Settings,
        environment::{self, WHOLE},
    },
    sys::environment::own_dir,
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

    /// The environment, the directory, the umask and the process group that the
    /// program has now, where nothing else was said.
    pub(crate) fn surroundings_of_program(mut self, umask: Option<u32>) -> Result<Self> {
        let said: Vec<_> = self.settings.of(What::Environment).cloned().collect();
        if let Some(whole) = environment::whole(env::vars_os(), &said) {
            self = self.set(Setting::new(What::Environment).number(WHOLE).text(whole));
        }
        if !self.says(What::Umask)
            && let Some(mask) = umask
        {
            self = self.umask(mask);
        }
        if !self.has_own_place()
            && let Some(group) = template::other_group()?
        {
            self = self.process_group(group);
        }
        let dir = self.settings.take(What::CurrentDir);
        let is_absolute = |dir: &Setting| dir.texts.concat().starts_with(b"/");
        // With a new root, a path is one inside of it.
        if self.says(What::Root) || dir.as_ref().is_some_and(is_absolute) {
            return Ok(dir.into_iter().fold(self, Self::set));
        }
        let tried = |error| Error::os("opening the program's working directory failed", error);
        let here = own_dir().map_err(|error| tried(error).unstarted())?;
        let dir = dir.unwrap_or_else(|| Setting::new(What::CurrentDir));
        Ok(self.set(dir.fd(Arc::new(here))))
    }

    /// Whether it has a process group of its own, or numbers processes anew, so
    /// that the program's group has no name there.
    fn has_own_place(&self) -> bool {
        let mut namespaces = self.settings.of(What::Namespaces);
        self.says(What::Session)
            || self.says(What::ProcessGroup)
            || namespaces
                .any(|it| Namespaces::decode(it).is_some_and(|new| new.has(libc::CLONE_NEWPID)))
    }

    /// Whether anything was said about it.
    fn says(&self, what: What) -> bool {
        self.settings.of(what).next().is_some()
    }
}
