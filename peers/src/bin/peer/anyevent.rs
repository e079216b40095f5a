//! Perl's `AnyEvent::Fork`, which a program in Perl measures.

use std::{
    any::Any,
    cell::RefCell,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use peers::way::{Alone, Measured};

const PROGRAM: &str = include_str!("anyevent.pl");

/// The program in Perl. It ends with its input.
#[derive(Debug)]
pub(crate) struct Perl(RefCell<(Child, BufReader<ChildStdout>)>);

impl Perl {
    pub(crate) fn start() -> Result<Self> {
        let installed = Command::new("perl")
            .args(["-MAnyEvent::Fork", "-e", "1"])
            .stderr(Stdio::null())
            .status();
        if !installed.is_ok_and(|status| status.success()) {
            bail!("not installed: `apt-get install libanyevent-fork-perl`");
        }
        let mut child = Command::new("perl")
            .args(["-e", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().context("no pipe")?);
        Ok(Self(RefCell::new((child, output))))
    }

    fn ask(&self, request: &str) -> Result<Vec<f64>> {
        let (child, output) = &mut *self.0.borrow_mut();
        let mut input = child.stdin.as_ref().context("no pipe")?;
        writeln!(input, "{request}")?;
        let mut line = String::new();
        ensure!(output.read_line(&mut line)? > 0, "perl has ended");
        Ok(line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?)
    }
}

impl Drop for Perl {
    fn drop(&mut self) {
        let child = &mut self.0.get_mut().0;
        drop(child.stdin.take());
        let _ = child.wait();
    }
}

impl Measured for Perl {
    /// Until the next call.
    fn touch(&self, megabytes: usize) -> Result<Box<dyn Any>> {
        self.ask(&format!("touch {megabytes}"))?;
        Ok(Box::new(()))
    }

    /// It is not made for threads.
    fn idle_threads(&self, _: usize) -> Result<bool> {
        Ok(false)
    }

    fn alone(&self, length: Duration) -> Result<Alone> {
        let times = self.ask(&format!("alone {}", length.as_secs_f64()))?;
        let by_turns = |first: usize| times.iter().skip(first).step_by(2).copied().collect();
        Ok(Alone {
            results: by_turns(0),
            exits: by_turns(1),
        })
    }

    fn in_flight(&self, many: usize, length: Duration) -> Result<f64> {
        let rate = self.ask(&format!("flight {many} {}", length.as_secs_f64()))?;
        rate.first().copied().context("no figure")
    }
}
