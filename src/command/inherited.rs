//! What a program inherits from the one that starts it.

use std::env;

use crate::{
    client::other_group,
    error::{Error, Result},
    settings::{Namespaces, Settings, What},
    sys::environment::own_dir,
};

/// Records the environment, the directory, the umask and the process group that the
/// program has now, unless the settings say otherwise.
pub(super) fn inherit(settings: &mut Settings, umask: Option<u32>) -> Result<()> {
    settings.settle_variables(env::vars_os());
    if !settings.has(What::Umask)
        && let Some(mask) = umask
    {
        settings.umask(mask);
    }
    if !has_own_place(settings)
        && let Some(group) = other_group()?
    {
        settings.process_group(group);
    }
    if settings.is_dir_relative() {
        let here = own_dir().map_err(|error| {
            Error::os("opening the program's working directory failed", error).unstarted()
        })?;
        settings.begin_in(here);
    }
    Ok(())
}

/// Tells whether the new process has a process group of its own, or numbers processes
/// anew, so that the program's group has no name there.
fn has_own_place(settings: &Settings) -> bool {
    settings.has(What::Session)
        || settings.is_tree()
        || settings.has(What::ProcessGroup)
        || Namespaces::of(settings).is_ok_and(|new| new.has(libc::CLONE_NEWPID))
}
