//! A program that measures one pool when it is asked.

use std::{
    fmt,
    io::{Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tempfile::NamedTempFile;

use crate::run::{line, reason};

use super::load::Load;

/// What an answer may take, apart from the measuring itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// The program, and the processes that it makes: together a process group, which
/// ends with this handle.
pub(super) struct Asked {
    child: Child,
    complaints: NamedTempFile,
    /// Who it says it is.
    pub(super) title: String,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("title", &self.title)
            .finish_non_exhaustive()
    }
}

impl Asked {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let complaints = NamedTempFile::new()?;
        let child = command
            .env("RUST_BACKTRACE", "0")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints.reopen()?)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut asked = Self {
            child,
            complaints,
            title: String::new(),
        };
        asked.title = asked.answer(PATIENCE)?;
        Ok(asked)
    }

    /// Has it measure; the calls a second.
    pub(super) fn rate(&mut self, load: Load, length: Duration) -> Result<f64> {
        let mut input = self.child.stdin.as_ref().context("no pipe")?;
        writeln!(input, "{load} {}", length.as_secs_f64())?;
        Ok(self.answer(PATIENCE + 3 * length)?.parse()?)
    }

    fn answer(&mut self, patience: Duration) -> Result<String> {
        let text = line(&mut self.child, patience)?;
        if let Some(why) = text.strip_prefix("! ") {
            bail!("{}", why.trim_end());
        }
        if text.ends_with('\n') {
            return Ok(text.trim_end().to_owned());
        }
        let status = self.child.wait()?;
        let mut complaint = String::new();
        self.complaints.read_to_string(&mut complaint)?;
        Err(anyhow!(reason(&complaint, &status.to_string())))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Ok(group) = self.child.id().try_into() {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}
