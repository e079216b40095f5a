//! What idle workers take, by their number.

use std::{
    io::Read,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use peers::{
    ballast::Ballast,
    figures::{median, share},
    forked::{fork_with, get, put},
    goals::Found,
    memory::{Memory, of, parent},
    program::IDLE,
    survey::SMALL,
};

use crate::{
    crowd::{dismiss, idle_workers},
    ways::Template,
};

/// Numbers of workers.
const MANY: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

pub(crate) fn measure(found: &mut Found, length: Duration, peer: &Path) -> Result<()> {
    let many = if length.is_zero() { &MANY[..2] } else { &MANY };
    let _touched = Ballast::touch(SMALL)?;
    let template = Template::without_stock()?;
    for many in many {
        let (workers, end) = idle_workers(&template, *many)?;
        let pids: Vec<u32> = workers.iter().map(|worker| worker.id()).collect();
        let each = note(found, "this crate", &pids)?;
        found.figure("memory:worker", each.private_dirty);
        found.figure("memory:pss", each.pss);
        let process = parent(pids[0])?;
        dismiss(workers, end)?;
        // What it shares with its forks only is its own, too.
        thread::sleep(Duration::from_millis(10));
        found.figure("memory:template", of(process)?.private);

        let programs = executed(peer, *many)?;
        let pids: Vec<u32> = programs.iter().map(Child::id).collect();
        note(found, "program executed", &pids)?;
        for mut program in programs {
            ensure!(program.wait()?.success());
        }

        let (forks, pids) = forked(*many)?;
        note(found, "fork of the program", &pids)?;
        drop(forks);
        for pid in pids {
            nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid.try_into()?), None)?;
        }
    }
    Ok(())
}

/// The memory of each of these, at the same time.
fn note(found: &mut Found, way: &str, pids: &[u32]) -> Result<Memory> {
    // Until all are idle.
    thread::sleep(Duration::from_millis(10));
    let all = pids
        .iter()
        .map(|pid| of(*pid))
        .collect::<Result<Vec<_>>>()?;
    let each = Memory {
        pss: all.iter().map(|one| one.pss).sum::<f64>() / share(all.len()),
        private_dirty: median(all.iter().map(|one| one.private_dirty)),
        ..all[0]
    };
    let line = (pids.len(), each.pss, each.private_dirty);
    found.memory.entry(way.to_owned()).or_default().push(line);
    Ok(each)
}

/// The program executed again, idle until its input ends.
fn executed(program: &Path, many: usize) -> Result<Vec<Child>> {
    (0..many)
        .map(|_| {
            let mut child = Command::new(program)
                .arg(IDLE)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let out = child.stdout.as_mut().context("no pipe")?;
            out.read_exact(&mut [0])?;
            Ok(child)
        })
        .collect()
}

/// Forks of the program, idle until their socket ends.
fn forked(many: usize) -> Result<(Vec<OwnedFd>, Vec<u32>)> {
    let mut forks = Vec::new();
    let mut pids = Vec::new();
    for _ in 0..many {
        let socket = fork_with(|socket| {
            put(socket, &std::process::id().to_ne_bytes())?;
            get(socket, &mut [0; 4])?;
            Err(std::io::ErrorKind::UnexpectedEof.into())
        })?;
        let mut pid = [0; 4];
        get(&socket, &mut pid)?;
        forks.push(socket);
        pids.push(u32::from_ne_bytes(pid));
    }
    Ok((forks, pids))
}
