//! What this program is when it starts another. Each test is a process of its own,
//! and changes what it is after the template began.

use std::{fs::File, os::fd::AsRawFd};

use nix::{
    sched::{CloneFlags, unshare},
    sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask},
    unistd::{Pid, getpgrp, getsid, setpgid, setsid},
};

use zygote::settings::Capability;

use super::{all_of, differs, same};
use crate::util::{alone, may, missing, watchdog};

const PARENT: &str = "echo $PPID";

/// The template begins, if it has not yet.
fn begin() {
    assert!(zygote::Command::new("true").status().unwrap().success());
}

/// Group, session, terminal and foreground group of a program that is started now.
macro_rules! same_place {
    ($name:expr) => {
        same!($name, {
            let plain = Command::new("cut")
                .args(["-d ", "-f5-8", "/proc/self/stat"])
                .output()?;
            let mut other = Command::new("cut");
            other.args(["-d ", "-f5-8", "/proc/self/stat"]);
            // std forks for it, and we do.
            let other = nicer(&mut other).output()?;
            Ok(all_of(&plain) + &all_of(&other))
        })
    };
}

/// Asks for something that needs a process of its own.
trait Nicer {
    fn nicer(&mut self) -> &mut Self;
}

impl Nicer for std::process::Command {
    fn nicer(&mut self) -> &mut Self {
        self
    }
}

impl Nicer for zygote::Command {
    fn nicer(&mut self) -> &mut Self {
        self.title("own")
    }
}

fn nicer<C: Nicer>(command: &mut C) -> &mut C {
    command.nicer()
}

#[test]
fn the_process_group_of_now() {
    let _limit = watchdog(60);
    alone(|| {
        begin();
        same_place!("the group it began with");
        setpgid(Pid::from_raw(0), Pid::from_raw(0)).unwrap();
        same_place!("a group of its own");
        same!("a group of its own, and another asked for", {
            let mut sh = Command::new("sh");
            sh.args(["-c", "read -r p c s q g rest < /proc/$$/stat; [ $$ = $g ]"]);
            Ok(all_of(&sh.process_group(0).output()?))
        });
        let mut leader = std::process::Command::new("sleep");
        let mut leader = std::os::unix::process::CommandExt::process_group(leader.arg("100"), 0)
            .spawn()
            .unwrap();
        let group = Pid::from_raw(i32::try_from(leader.id()).unwrap());
        setpgid(Pid::from_raw(0), group).unwrap();
        assert_eq!(getpgrp(), group);
        same_place!("a child's group");
        leader.kill().unwrap();
        leader.wait().unwrap();
        same_place!("a group whose leader is gone");
    });
}

#[test]
fn the_session_of_now() {
    let _limit = watchdog(60);
    alone(|| {
        begin();
        let before = getsid(None).unwrap();
        let old = zygote::Command::new("sleep")
            .arg("100")
            .spawn()
            .unwrap()
            .kill_on_drop(true);
        setsid().unwrap();
        assert_ne!(getsid(None).unwrap(), before);
        same_place!("a session of its own");
        same_place!("a session of its own, once more");
        differs!(
            "the parent",
            "a program is a child of its template: no SIGCHLD and no `waitpid` of this one's",
            (|| Ok(all_of(
                &std::process::Command::new("sh")
                    .args(["-c", PARENT])
                    .output()?
            )))(),
            (|| Ok(all_of(
                &zygote::Command::new("sh").args(["-c", PARENT]).output()?
            )))()
        );
        // What was started before goes on, and its handle works.
        assert!(old.try_wait().unwrap().is_none());
    });
}

#[zygote::entry]
fn session() -> i32 {
    getsid(None).unwrap().as_raw()
}

#[test]
fn a_session_that_cannot_have_a_template() {
    let _limit = watchdog(60);
    if missing("the right to make namespaces", may(Capability::SysAdmin)) {
        return;
    }
    alone(|| {
        begin();
        let before = session::spawn().unwrap().join().unwrap();
        setsid().unwrap();
        // A template that is executed now would be the first of its namespace.
        unshare(CloneFlags::CLONE_NEWPID).unwrap();
        for mut command in [zygote::Command::new("true"), zygote::Command::new("true")] {
            let error = command.title("own").status().unwrap_err();
            assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
            let text = error.to_string();
            assert!(
                text.contains("setsid") && text.contains("session()"),
                "{text}"
            );
        }
        // The template is not given up for it.
        assert!(
            zygote::Command::new("true")
                .session()
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(session::spawn().unwrap().join().unwrap(), before);
    });
}

#[test]
#[allow(unsafe_code, reason = "a terminal is made")]
fn the_terminal_of_now() {
    let _limit = watchdog(60);
    alone(|| {
        begin();
        setsid().unwrap();
        // SAFETY: it takes a number.
        let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
        assert!(master >= 0);
        let mut number = 0_u32;
        let unlock = 0_i32;
        // SAFETY: the pointer is to a live number.
        let unlocked = unsafe { libc::ioctl(master, libc::TIOCSPTLCK, &raw const unlock) };
        // SAFETY: as above.
        let named = unsafe { libc::ioctl(master, libc::TIOCGPTN, &raw mut number) };
        assert_eq!((unlocked, named), (0, 0));
        // The leader of a session without a terminal gets the first that it opens.
        let path = format!("/dev/pts/{number}");
        let terminal = File::options().read(true).write(true).open(path).unwrap();
        // SAFETY: it takes a number.
        let foreground = unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) };
        assert_eq!(foreground, getpgrp().as_raw());
        same_place!("in the foreground of a terminal");
        same!("a program that reads the terminal", {
            // SAFETY: the pointer and the length are those of the text.
            let written = unsafe { libc::write(master, b"line\n".as_ptr().cast(), 5) };
            assert_eq!(written, 5);
            let mut head = Command::new("head");
            Ok(all_of(
                &head.arg("-n1").stdin(terminal.try_clone()?).output()?,
            ))
        });
    });
}

#[test]
#[allow(unsafe_code, reason = "what a signal does is changed")]
fn signals_of_now() {
    let _limit = watchdog(60);
    alone(|| {
        begin();
        let signals = ["-E", "^(SigBlk|SigIgn|SigCgt)", "/proc/self/status"];
        same!("signals, as Rust's main has them", {
            Ok(all_of(&Command::new("grep").args(signals).output()?))
        });
        // SAFETY: a signal that is ignored runs nothing.
        unsafe { signal(Signal::SIGINT, SigHandler::SigIgn) }.unwrap();
        same!("a signal that is ignored", {
            Ok(all_of(&Command::new("grep").args(signals).output()?))
        });
        // SAFETY: as above.
        unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) }.unwrap();
        same!("a signal that is not ignored any more", {
            Ok(all_of(&Command::new("grep").args(signals).output()?))
        });
        let mut set = SigSet::empty();
        set.add(Signal::SIGUSR1);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).unwrap();
        same!("a signal that is blocked", {
            Ok(all_of(&Command::new("grep").args(signals).output()?))
        });
        same!("a signal that is blocked, in a process of its own", {
            Ok(all_of(&nicer(Command::new("grep").args(signals)).output()?))
        });
    });
}

#[test]
fn the_umask_of_now() {
    let _limit = watchdog(60);
    alone(|| {
        begin();
        for mask in [0o077, 0o002, 0o777, 0] {
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
            same!(&format!("umask {mask:o}"), {
                Ok(all_of(&Command::new("sh").args(["-c", "umask"]).output()?))
            });
        }
    });
}

/// What stays the template's, until the program says `renew_template`.
#[test]
#[allow(unsafe_code, reason = "there is no safe setpriority(2) at hand")]
fn priority_and_limits() {
    let _limit = watchdog(60);
    alone(|| {
        begin();
        let why = "priority, limits and processors are the template's until it is renewed";
        let show = [
            "-c",
            "nice; ulimit -Sn; grep Cpus_allowed_list /proc/self/status",
        ];
        let std = || {
            Ok(all_of(
                &std::process::Command::new("sh").args(show).output()?,
            ))
        };
        let own = || Ok(all_of(&zygote::Command::new("sh").args(show).output()?));
        assert_eq!(std(), own(), "nothing was changed yet");
        // SAFETY: it takes three numbers.
        assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 5) }, 0);
        differs!("priority", why, std(), own());
        zygote::renew_template();
        assert_eq!(std(), own(), "the template is as old as the priority");
        crate::util::limit_fds(std::process::id(), 100);
        differs!("limits", why, std(), own());
        zygote::renew_template();
        assert_eq!(std(), own(), "the template is as old as the limit");
    });
}
