//! A program under ptrace, in which the start of the first template goes wrong.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    ptr, thread,
};

use super::probe::{LIMIT, kill_group, send};

/// What happens at a system call, before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Kill,
    Stop,
    /// With ENOMEM.
    Fail,
}

impl Fault {
    /// How a call is made to fail differs between machines.
    pub(crate) fn can_be(self) -> bool {
        self != Self::Fail || cfg!(target_arch = "x86_64")
    }
}

/// `ptrace(2)` with a number.
fn ptrace(request: libc::c_uint, pid: i32, address: usize, data: usize) -> io::Result<()> {
    let address = ptr::without_provenance_mut::<libc::c_void>(address);
    let data = ptr::without_provenance_mut::<libc::c_void>(data);
    // SAFETY: none of the requests made here has this process's memory written to.
    match unsafe { libc::ptrace(request as _, pid, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Whether a child of this process may be traced.
pub(crate) fn can() -> bool {
    let mut command = Command::new("true");
    // SAFETY: ptrace is async-signal-safe.
    unsafe { command.pre_exec(trace_me) };
    let Ok(mut child) = command.spawn() else {
        return false;
    };
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

fn trace_me() -> io::Result<()> {
    ptrace(libc::PTRACE_TRACEME, 0, 0, 0)
}

/// A process or thread that is traced.
#[derive(Clone, Copy, Debug, Default)]
struct Tracee {
    /// The stop with which it begins was seen.
    begun: bool,
    /// Its parent has said that it made it.
    announced: bool,
    /// Its calls are counted: it is a template on its way.
    starts: bool,
    /// It is inside of a call.
    inside: bool,
    /// That call fails.
    fails: bool,
}

struct Tracer {
    program: i32,
    all: BTreeMap<i32, Tracee>,
    /// What was executed first.
    executed: Option<i32>,
    calls: usize,
    /// The template has said its first word, or something has gone wrong: from here
    /// on nothing is counted.
    over: bool,
    fault: Option<Fault>,
    at: usize,
}

/// Runs the program, and at this call of the start of its first template lets this
/// happen; what it wrote, how many calls there were, its process id.
pub(crate) fn traced(
    mut command: Command,
    fault: Option<Fault>,
    at: usize,
) -> (String, usize, u32) {
    let set_up = || {
        nix::unistd::setsid()?;
        trace_me()
    };
    // SAFETY: setsid and ptrace are async-signal-safe.
    unsafe { command.pre_exec(set_up) };
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let id = child.id();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    let (over, wait) = std::sync::mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        // Twice: it waits for ten seconds where its template is stopped.
        if wait.recv_timeout(2 * LIMIT).is_err() {
            kill_group(id);
        }
    });
    let mut tracer = Tracer {
        program: id.cast_signed(),
        all: BTreeMap::new(),
        executed: None,
        calls: 0,
        over: false,
        fault,
        at,
    };
    while tracer.next() {}
    let _ = over.send(());
    watchdog.join().unwrap();
    // The tracer has reaped it.
    let _ = child.wait();
    kill_group(id);
    (reader.join().unwrap(), tracer.calls, id)
}

impl Tracer {
    /// Waits for the next stop and goes on; false when nothing is traced any more.
    fn next(&mut self) -> bool {
        let mut status = 0;
        let flags = libc::__WALL | libc::__WNOTHREAD;
        // SAFETY: the pointer is to a live number.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
        if pid < 0 {
            return false;
        }
        if !libc::WIFSTOPPED(status) {
            self.all.remove(&pid);
            return true;
        }
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        let mut forwarded = 0;
        if signal == libc::SIGTRAP | 0x80 {
            if !self.call(pid) {
                return true;
            }
        } else if event == libc::PTRACE_EVENT_EXEC {
            if pid != self.program && self.executed.is_none() {
                self.executed = Some(pid);
                let executed = self.tracee(pid);
                // The exec itself is the call that it leaves next.
                (executed.starts, executed.inside) = (true, true);
            }
        } else if event == 0 {
            let tracee = self.tracee(pid);
            let is_first = !std::mem::replace(&mut tracee.begun, true);
            let is_announced = tracee.announced;
            match (signal, is_first) {
                (libc::SIGTRAP, true) if pid == self.program => self.follow(),
                (libc::SIGSTOP, true) if is_announced => {}
                // It goes on when its parent has said what it is.
                (libc::SIGSTOP, true) => return true,
                _ => forwarded = signal.cast_unsigned() as usize,
            }
        } else {
            self.announce(pid);
        }
        self.resume(pid, forwarded);
        true
    }

    /// The program has been executed: everything that it makes is traced.
    fn follow(&self) {
        let options = libc::PTRACE_O_TRACESYSGOOD
            | libc::PTRACE_O_TRACEEXEC
            | libc::PTRACE_O_TRACECLONE
            | libc::PTRACE_O_TRACEFORK
            | libc::PTRACE_O_TRACEVFORK
            | libc::PTRACE_O_EXITKILL;
        let options = options.cast_unsigned() as usize;
        ptrace(libc::PTRACE_SETOPTIONS, self.program, 0, options).unwrap();
    }

    /// The process has made another, which is part of the start if it is one.
    fn announce(&mut self, parent: i32) {
        let mut child: libc::c_ulong = 0;
        let place = (&raw mut child).cast::<libc::c_void>();
        let nothing = ptr::null_mut::<libc::c_void>();
        // SAFETY: this request writes one long, to a live one.
        let told = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, parent, nothing, place) };
        let Some(child) = i32::try_from(child).ok().filter(|_| told == 0) else {
            return;
        };
        let starts = self.tracee(parent).starts;
        let tracee = self.tracee(child);
        (tracee.starts, tracee.announced) = (starts, true);
        if tracee.begun {
            self.resume(child, 0);
        }
    }

    fn tracee(&mut self, pid: i32) -> &mut Tracee {
        self.all.entry(pid).or_default()
    }

    fn resume(&mut self, pid: i32, signal: usize) {
        let is_counted = self.tracee(pid).starts && !self.over || self.tracee(pid).fails;
        let how = match is_counted {
            true => libc::PTRACE_SYSCALL,
            false => libc::PTRACE_CONT,
        };
        // It may have been killed meanwhile.
        let _ = ptrace(how, pid, 0, signal);
    }

    /// A counted process enters or leaves a call; whether it goes on.
    fn call(&mut self, pid: i32) -> bool {
        let tracee = self.tracee(pid);
        tracee.inside = !tracee.inside;
        if !tracee.inside {
            if std::mem::take(&mut tracee.fails) {
                fail(pid);
            }
            return true;
        }
        self.calls += 1;
        // The template's first message is its first word.
        self.over = self.executed != Some(pid) && sends(pid);
        if self.calls != self.at {
            return true;
        }
        self.over = true;
        match self.fault {
            Some(Fault::Kill) => send(pid.cast_unsigned(), libc::SIGKILL),
            // It stays where it is, as under a debugger.
            Some(Fault::Stop) => return false,
            Some(Fault::Fail) => {
                skip(pid);
                self.tracee(pid).fails = true;
            }
            None => {}
        }
        true
    }
}

#[cfg(target_arch = "x86_64")]
fn poke(pid: i32, register: libc::c_int, value: usize) {
    let offset = usize::try_from(register).unwrap() * size_of::<usize>();
    let _ = ptrace(libc::PTRACE_POKEUSER, pid, offset, value);
}

/// Whether the call that it enters is `sendmsg`.
#[cfg(target_arch = "x86_64")]
fn sends(pid: i32) -> bool {
    let offset = usize::try_from(libc::ORIG_RAX).unwrap() * size_of::<usize>();
    let offset = ptr::without_provenance_mut::<libc::c_void>(offset);
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: it reads a register of another process.
    let call = unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, pid, offset, nothing) };
    call == libc::SYS_sendmsg
}

/// The call is none.
#[cfg(target_arch = "x86_64")]
fn skip(pid: i32) {
    poke(pid, libc::ORIG_RAX, usize::MAX);
}

/// The call gives ENOMEM.
#[cfg(target_arch = "x86_64")]
fn fail(pid: i32) {
    poke(
        pid,
        libc::RAX,
        0_usize.wrapping_sub(libc::ENOMEM.unsigned_abs() as usize),
    );
}

/// Then the template is not counted: whatever it calls ends that.
#[cfg(not(target_arch = "x86_64"))]
fn sends(_: i32) -> bool {
    true
}

#[cfg(not(target_arch = "x86_64"))]
fn skip(_: i32) {}

#[cfg(not(target_arch = "x86_64"))]
fn fail(_: i32) {}
