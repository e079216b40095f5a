//! System calls that a filter denies, as those of containers do, from the
//! program's first instruction on.

use super::*;

pub(crate) const ROLES: Roles = &[("filtered", filtered)];

/// A call that is denied; of some, only with this argument at this place.
struct Denied {
    name: &'static str,
    call: i64,
    with: Option<(u32, u32)>,
    /// What does not work without it, and what the error must name.
    refused: &'static [&'static str],
    names: &'static str,
}

const ALL: &[&str] = &["small", "large", "file", "forks", "kill", "drop", "fresh"];

#[rustfmt::skip]
const DENIED: &[Denied] = &[
    Denied { name: "clone3", call: libc::SYS_clone3, with: None, refused: &[], names: "clone3" },
    Denied { name: "close_range", call: libc::SYS_close_range, with: None, refused: &[], names: "" },
    Denied { name: "unshare", call: libc::SYS_unshare, with: None, refused: &[], names: "" },
    Denied { name: "getrandom", call: libc::SYS_getrandom, with: None, refused: &[], names: "" },
    Denied { name: "waitid(P_PIDFD)", call: libc::SYS_waitid, with: Some((0, 3)), refused: &[], names: "" },
    Denied { name: "rt_sigtimedwait", call: libc::SYS_rt_sigtimedwait, with: None, refused: &[], names: "" },
    Denied { name: "madvise(WIPEONFORK)", call: libc::SYS_madvise, with: Some((2, 18)), refused: &[], names: "" },
    Denied { name: "sched_yield", call: libc::SYS_sched_yield, with: None, refused: &[], names: "" },
    Denied { name: "prlimit64", call: libc::SYS_prlimit64, with: None, refused: &[], names: "" },
    Denied { name: "memfd_create", call: libc::SYS_memfd_create, with: None, refused: &["large"], names: "memfd_create" },
    Denied { name: "pidfd_send_signal", call: libc::SYS_pidfd_send_signal, with: None, refused: &["kill"], names: "pidfd_send_signal" },
    Denied { name: "pidfd_open", call: libc::SYS_pidfd_open, with: None, refused: ALL, names: "pidfd_open" },
    Denied { name: "prctl(PDEATHSIG)", call: libc::SYS_prctl, with: Some((0, 1)), refused: ALL, names: "PR_SET_PDEATHSIG" },
    Denied { name: "signalfd4", call: libc::SYS_signalfd4, with: None, refused: ALL, names: "signalfd" },
    Denied { name: "clone(no signal)", call: libc::SYS_clone, with: Some((0, 0)), refused: ALL, names: "clone" },
    Denied { name: "clone(fork)", call: libc::SYS_clone, with: Some((0, FORK)), refused: ALL, names: "fork" },
];

/// What the C library's `fork` asks for.
#[allow(clippy::cast_sign_loss, reason = "flags")]
const FORK: u32 = (libc::SIGCHLD | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID) as u32;

impl Denied {
    /// The program of the filter: fails this call, allows all others.
    fn filter(&self, errno: i32) -> Vec<libc::sock_filter> {
        let word = |code: u32, jt, jf, k| libc::sock_filter {
            code: u16::try_from(code).unwrap(),
            jt,
            jf,
            k,
        };
        let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
        let is = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        let give = libc::BPF_RET | libc::BPF_K;
        let deny = libc::SECCOMP_RET_ERRNO | errno.cast_unsigned();
        let call = u32::try_from(self.call).unwrap();
        let mut program = vec![word(load, 0, 0, 0)];
        match self.with {
            None => program.push(word(is, 0, 1, call)),
            Some((place, value)) => program.extend([
                word(is, 0, 3, call),
                // The low half of the argument.
                word(load, 0, 0, 16 + 8 * place),
                word(is, 0, 1, value),
            ]),
        }
        program.push(word(give, 0, 0, deny));
        program.push(word(give, 0, 0, libc::SECCOMP_RET_ALLOW));
        program
    }

    /// The program in this role, under the filter from the start.
    fn command(&self, errno: i32) -> Command {
        let filter = self.filter(errno);
        let mut command = command("filtered");
        if self.call == libc::SYS_clone3 && errno != libc::ENOSYS {
            // Then the C library makes no thread, and the harness needs one.
            command.env(LATE, errno.to_string());
        } else {
            // SAFETY: two system calls, on memory that was made before the fork.
            unsafe { command.pre_exec(move || install(&filter)) };
        }
        command
    }
}

/// Denies `clone3` with this error, from the role's beginning on.
const LATE: &str = "ZYGOTE_PROBE_LATE";

fn install(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(0),
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: it takes numbers only.
    let privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the pointer is to a program of the length beside it.
    let filtered = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    if privileges < 0 || filtered < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Tries everything and says what works; a refusal says why.
fn filtered() {
    if let Ok(errno) = env::var(LATE) {
        install(&DENIED[0].filter(errno.parse().unwrap())).unwrap();
    }
    for way in ["early", "executed"] {
        if way == "executed" {
            end_early();
        }
        for step in ALL {
            let tried = typed(step, || settled(|| attempt(step)));
            let text = tried.map_or_else(|error| format!("{error:?}"), |()| "works".to_owned());
            say(&format!("{way}.{step}"), text.replace('\n', " "));
        }
    }
    assert!(
        until(LIMIT, || listed(std::process::id()).len() < 12 + STOCK),
        "descriptors pile up"
    );
}

fn attempt(step: &str) -> Result<()> {
    match step {
        "small" => assert_eq!(echo::spawn(5)?.join()?, 5),
        "large" => assert_eq!(bytes_back::spawn(vec![5; 300_000])?.join()?.len(), 300_000),
        "file" => assert_eq!(
            count::spawn(vec![File::open("/").unwrap().into()])?.join()?,
            1
        ),
        "forks" => {
            let process = Process::new()?;
            for n in 0..3 {
                assert_eq!(process.fork()?.run(echo::task(n))?.join()?, n);
            }
        }
        "kill" => {
            let worker = rest::spawn()?;
            let killed = worker.kill();
            // It must end in any case.
            send(worker.id(), libc::SIGKILL);
            assert_eq!(worker.wait()?.to_string(), "was killed by SIGKILL");
            killed?;
        }
        "drop" => {
            let worker = rest::spawn()?.kill_on_drop(true);
            let pid = worker.id();
            drop(worker);
            assert!(until(LIMIT, || stat(pid).is_none()));
        }
        "fresh" => assert_eq!(Process::fresh()?.run(echo::task(5))?.join()?, 5),
        _ => panic!("no step {step}"),
    }
    Ok(())
}

#[test]
fn what_a_filter_denies_is_done_without_or_named_in_an_error() {
    let mut wrong = Vec::new();
    for denied in DENIED {
        for errno in [libc::ENOSYS, libc::EPERM] {
            // Of this one the C library's `posix_spawn` takes ENOSYS only.
            let is_hard = denied.call == libc::SYS_clone3 && errno == libc::EPERM;
            let mut probe = Probe::spawn(denied.command(errno));
            for way in ["early", "executed"] {
                for step in ALL {
                    let text = probe.expect(&format!("{way}.{step}"));
                    let is_refused = match is_hard {
                        true => way == "executed" || *step == "fresh",
                        false => denied.refused.contains(step),
                    };
                    let is_right = match is_refused {
                        true => text.contains(denied.names) && text != "works",
                        false => text == "works",
                    };
                    if !is_right {
                        wrong.push(format!("{} ({errno}), {way}, {step}: {text}", denied.name));
                    }
                }
            }
            probe.expect("done");
            probe.finish();
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
