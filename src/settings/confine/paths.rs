//! Landlock: the worker has nothing of the file system but what it may read, no
//! network, and no signals to others. If no path may be read, the filter of system
//! calls forbids the same once more; if one may be read, this is the guard.

use std::{error::Error, fmt::Display, io, path::PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, PathFdError,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};

/// The version that the crate knows and the tests have seen.
const KNOWN: ABI = ABI::V7;

/// Restricts this process as far as the kernel can; with readable paths the kernel must
/// have the first version.
pub(super) fn restrict(readable: &[PathBuf]) -> io::Result<()> {
    let files: Vec<_> = readable
        .iter()
        .map(PathFd::new)
        .collect::<Result<_, _>>()
        .map_err(missing)?;
    rules(files).map_err(|error| match readable {
        [] => io::Error::other(format!("Landlock: {}", chain(&error))),
        _ => io::Error::new(
            io::ErrorKind::Unsupported,
            format!("readable paths need Landlock (Linux 5.13, `landlock` among the kernel's security modules): {}", chain(&error)),
        ),
    })
}

fn rules(files: Vec<PathFd>) -> Result<(), RulesetError> {
    let mut ruleset = Ruleset::default();
    if !files.is_empty() {
        ruleset = ruleset
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V1))?
            .set_compatibility(CompatLevel::BestEffort);
    }
    let mut created = ruleset
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    for file in files {
        created = created.add_rule(PathBeneath::new(
            file,
            AccessFs::ReadFile | AccessFs::ReadDir,
        ))?;
    }
    created.restrict_self()?;
    Ok(())
}

/// Makes the error of a path that cannot be looked up.
fn missing(error: PathFdError) -> io::Error {
    match error {
        PathFdError::OpenCall { source, path, .. } => {
            io::Error::new(source.kind(), format!("`{}`: {source}", path.display()))
        }
        other => io::Error::other(other),
    }
}

/// Shows an error with its causes.
fn chain(error: &dyn Error) -> impl Display {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
