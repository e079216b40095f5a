//! Code of the user that a pool runs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::info::Info;
use crate::{
    error::{Error, ErrorKind, Result},
    exit::Exit,
};

type OnStart = Box<dyn Fn(&Info) + Send + Sync>;
type OnStop = Box<dyn Fn(&Info, &Exit) + Send + Sync>;

/// What is done when workers start and when they have ended.
#[derive(Default)]
pub(super) struct Hooks {
    pub(super) on_start: Option<OnStart>,
    pub(super) on_stop: Option<OnStop>,
}

/// Runs code of the user, whose panic is an error.
pub(super) fn caught<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let said = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        Err(Error::new(
            ErrorKind::Panic,
            format!(
                "a closure of the pool panicked: {}",
                said.as_deref().unwrap_or("it did not say why")
            ),
        ))
    })
}
