//! Building the programs and having them measure.

use std::{
    env, fs,
    io::Read,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::de::DeserializeOwned;

use crate::{
    goals::Found,
    pools::Who,
    startup,
    survey::{Plan, Survey},
    ways::{Kind, Name},
};

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    ours: PathBuf,
    peer: PathBuf,
    startup: [PathBuf; 4],
}

/// The root of the project.
#[must_use]
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

impl Programs {
    /// Has cargo build them, in the profile and next to this program.
    ///
    /// # Errors
    ///
    /// They cannot be built.
    pub fn build() -> Result<Self> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--message-format=json"]);
        cargo.arg("--manifest-path").arg(root().join("Cargo.toml"));
        // TARGET/PROFILE/peers
        if let Some(target) = env::current_exe()?.ancestors().nth(2) {
            cargo.arg("--target-dir").arg(target);
        }
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        cargo.args(["--package", "peers", "--bin", "ours", "--bin", "peer"]);
        for name in startup::NAMES {
            cargo.args(["--package", name, "--bin", name]);
        }
        let built = cargo.stderr(Stdio::inherit()).output()?;
        ensure!(built.status.success(), "{cargo:?}: {}", built.status);
        let messages = String::from_utf8(built.stdout)?;
        let paths = messages.split("\"executable\":\"").skip(1);
        let paths: Vec<_> = paths
            .filter_map(|rest| rest.split('"').next())
            .map(PathBuf::from)
            .collect();
        let find = |name: &str| {
            let mut named = paths.iter().filter(|path| path.ends_with(name));
            named
                .next()
                .cloned()
                .with_context(|| format!("{name} was not built"))
        };
        Ok(Self {
            ours: find("ours")?,
            peer: find("peer")?,
            startup: [
                find(startup::NAMES[0])?,
                find(startup::NAMES[1])?,
                find(startup::NAMES[2])?,
                find(startup::NAMES[3])?,
            ],
        })
    }

    /// Measures one way, in a process of its own.
    ///
    /// # Errors
    ///
    /// Why that way cannot be measured.
    pub fn survey(&self, name: Name, plan: &Plan) -> Result<Survey> {
        let mut command = if name.kind() == Kind::Ours {
            let mut command = Command::new(&self.ours);
            command.arg("survey");
            command
        } else {
            Command::new(&self.peer)
        };
        command.arg(serde_json::to_string(&name)?);
        command.arg(serde_json::to_string(plan)?);
        answer(&mut command)
    }

    /// Makes one run of a group of goals, in a process of its own.
    ///
    /// # Errors
    ///
    /// Why it cannot be measured.
    pub fn goals(&self, group: &str, length: Duration) -> Result<Found> {
        let mut command = Command::new(&self.ours);
        command.args(["goal", group, &length.as_millis().to_string()]);
        command.arg(&self.peer);
        answer(&mut command).with_context(|| format!("measuring {group}"))
    }

    /// The program that measures this pool when it is asked.
    #[must_use]
    pub fn pools(&self, who: Who) -> Command {
        let script = |name| root().join("peers/src/pools").join(name);
        let mut command = match who {
            Who::Pool | Who::DeepPool | Who::Services | Who::Spawn => Command::new(&self.ours),
            Who::Procspawn | Who::Raw => Command::new(&self.peer),
            Who::Python => {
                let mut command = Command::new("python3");
                command.arg(script("executor.py"));
                return command;
            }
            Who::PerlPool | Who::DeepPerlPool | Who::PerlRpc => {
                let mut command = Command::new("perl");
                command.arg(script("anyevent.pl")).arg(who.name());
                return command;
            }
        };
        command.args(["pools", who.name()]);
        command
    }

    /// What `early!()` adds to a start, of so many.
    ///
    /// # Errors
    ///
    /// A program fails.
    pub fn startup(&self, times: usize) -> Result<Found> {
        let mut found = Found::default();
        startup::measure(&mut found, &self.startup, times)?;
        Ok(found)
    }
}

/// No program takes longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a program that prints one line, and what that says; if it fails, why.
fn answer<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    // What it complains of goes into a file: no pipe that can fill up.
    let mut complaints = tempfile::NamedTempFile::new()?;
    let mut child = command
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(complaints.reopen()?)
        .spawn()?;
    let line = line(&mut child, PATIENCE);
    if line.is_err() {
        let _ = child.kill();
    }
    let status = child.wait()?;
    let mut complaint = String::new();
    complaints.read_to_string(&mut complaint)?;
    match line? {
        text if status.success() && !text.is_empty() => Ok(serde_json::from_str(&text)?),
        _ => Err(anyhow!(reason(&complaint, &status.to_string()))),
    }
}

/// What comes until the end of the line, or the end.
pub(crate) fn line(child: &mut Child, patience: Duration) -> Result<String> {
    let out = child.stdout.as_mut().context("no pipe")?;
    let end = Instant::now() + patience;
    let mut text = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while text.last() != Some(&b'\n') {
        let left = end.saturating_duration_since(Instant::now()).as_millis();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(out.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, timeout)? == 0 {
            bail!("not done after {} s", patience.as_secs());
        }
        match out.read(&mut buffer)? {
            0 => break,
            length => text.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(String::from_utf8(text)?)
}

/// The reason in what a program has complained: the message of its first panic or
/// its error.
pub(crate) fn reason(complaint: &str, status: &str) -> String {
    let mut lines = complaint.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or(status).trim();
    match (first.strip_prefix("Error: "), first.find(" panicked at ")) {
        (Some(error), _) => error.to_owned(),
        (None, Some(at)) => {
            // The place without the directory of somebody's registry.
            let place = first[at..].trim_start_matches(" panicked at ");
            let place = place.trim_end_matches(':');
            let place = place.split("/registry/src/").last().unwrap_or(place);
            let place = place.split_once('/').map_or(place, |(_, below)| below);
            format!("panics at {place}: {}", lines.next().unwrap_or_default())
        }
        _ => first.to_owned(),
    }
}

/// The time of a cold release build of this crate, and of tokio with all its
/// features, in s: in empty directories, with as many jobs.
///
/// # Errors
///
/// A build fails.
pub fn builds() -> Result<[f64; 2]> {
    let ours = format!("zygote = {{ path = {:?} }}", root());
    let tokio = "tokio = { version = \"=1.54.1\", features = [\"full\"] }";
    Ok([build(&ours)?, build(tokio)?])
}

fn build(dependency: &str) -> Result<f64> {
    let scratch = tempfile::tempdir()?;
    let manifest = format!(
        "[package]\nname = \"scratch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [lib]\npath = \"lib.rs\"\n[workspace]\n[dependencies]\n{dependency}\n"
    );
    fs::write(scratch.path().join("Cargo.toml"), manifest)?;
    fs::write(scratch.path().join("lib.rs"), "")?;
    let cargo = |args: &[&str]| {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(scratch.path()).args(args);
        cargo.env("CARGO_TARGET_DIR", scratch.path().join("target"));
        let status = cargo.status()?;
        ensure!(status.success(), "{cargo:?}: {status}");
        anyhow::Ok(())
    };
    cargo(&["fetch", "--quiet"])?;
    let start = Instant::now();
    cargo(&["build", "--quiet", "--release", "--offline"])?;
    Ok(start.elapsed().as_secs_f64())
}
