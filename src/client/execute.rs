//! A template from this program's own binary.

use std::{
    os::fd::{AsFd, AsRawFd},
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{birth::Birth, ending, peer::Peer};
use crate::{
    error::{Error, ErrorKind, Result},
    exit::Exit,
    phase, start,
    sys::{
        executable, fork, image, pidfd,
        poll::Deadline,
        socket,
        spawn::{self, End},
    },
    wire::frame::{self, Head},
};

/// How long a program that was executed may take to answer as a template.
const ANSWER: Duration = Duration::from_secs(10);

/// How long the process that was executed may take to exit after it has cloned the
/// template or closed its socket.
const LEAVING: Duration = Duration::from_secs(1);

/// The exit code of the loader when it finds no library, or no room for one.
const UNLOADED: i32 = 127;

/// How each of these errors begins.
const EXECUTED: &str = "this program was executed as a template";

/// Why this program cannot be executed as a template: it was executed once, and ran
/// without ever looking at what it was asked. It is never run again to find out.
static DEAF: OnceLock<Error> = OnceLock::new();

/// Executes this program once more, as a template.
pub(super) fn execute() -> Result<Arc<Peer>> {
    phase::check()?;
    ending::look();
    if !start::is_hooked() {
        return Err(Error::invalid(
            "this program cannot be executed as a template: zygote is not linked into the main \
             executable but into a shared object. There `Process::fork_current` works while the \
             program has one thread; otherwise start an executable of your own that links zygote, \
             and spawn from there",
        )
        .unstarted());
    }
    // If it were executed again it would be privileged again, and therefore deaf: its
    // `main` would run once more, and would come here again.
    if image::is_privileged() {
        return Err(Error::invalid(
            "this program cannot be executed as a template: it runs with more privileges than its \
             caller (set-user-id, file capabilities); say `zygote::early!()` in the program's root",
        )
        .unstarted());
    }
    if spawn::next_is_first_of_namespace() {
        return Err(Error::invalid(
            "this program cannot be executed as a template: the process would be the first of the \
             pid namespace that this thread has made (unshare). Start another one there first, or \
             say `zygote::early!()` in the program's root",
        )
        .unstarted());
    }
    if let Some(error) = DEAF.get() {
        return Err(error.clone());
    }
    check_file()
        .and_then(|()| execute_and_wait())
        .map_err(Error::unstarted)
}

/// Refuses when `/proc/self/exe` is another program, which would take this one's
/// arguments for its own: a loader, for example, runs what the first of them names.
fn check_file() -> Result<()> {
    // The answer never changes.
    static IS_OURS: OnceLock<()> = OnceLock::new();
    if IS_OURS.get().is_some() {
        return Ok(());
    }
    match executable::starts_this_program() {
        Ok(true) => {
            IS_OURS.get_or_init(|| ());
            Ok(())
        }
        Ok(false) => Err(Error::invalid(format!(
            "this program cannot be executed as a template: {} is `{}`, another program that has \
             loaded this one (a loader, a wrapper, an emulator). Start this program by itself, or \
             say `zygote::early!()` in its root",
            executable::FILE,
            executable::path().display()
        ))),
        Err(error) => Err(Error::descriptor(
            "reading /proc/self/exe failed, to see whether it is this program (without /proc, say \
             `zygote::early!()` in the program's root)",
            error,
        )),
    }
}

fn execute_and_wait() -> Result<Arc<Peer>> {
    let depth = phase::deeper()?;
    let (near, far) = socket::pair()
        .map_err(|error| Error::descriptor("socketpair for a template failed", error))?;
    let template = Peer::new(near, Birth::Executed);
    let deadline = Deadline::after(ANSWER);
    let asker = fork::own_pid();
    let token = send_token(&template, depth, asker, deadline)?;
    let value = format!(
        "{}:{token}:{asker}",
        template.line.socket.as_fd().as_raw_fd()
    );
    let child = spawn::respawn(far, template.line.socket.as_fd(), start::VARIABLE, &value)
        .map_err(|error| {
            Error::os(
                "executing /proc/self/exe as a template failed (posix_spawn); without /proc, \
                 without the right to execute, or where a filter denies clone3 by another error \
                 than ENOSYS, say `zygote::early!()` in the program's root",
                error,
            )
        })?;
    // The child is held by a handle, since other code in the program may wait for every
    // child.
    let handle = pidfd::open(child).ok();
    let answer = template.hello(deadline).map(drop);
    let unread = answer.is_err() && template.has_unread();
    let patience = match &answer {
        Err(error) if error.is_timeout() => Duration::ZERO,
        _ => LEAVING,
    };
    let end = spawn::end(child, handle.as_ref().map(AsFd::as_fd), patience);
    match answer {
        Ok(()) => {
            // What the process said of its template is of no use any more.
            template.line.take_in();
            Ok(template)
        }
        Err(error) => {
            let exit = template.kill_born();
            // Some errors come from the process itself, or say that there was no room
            // here for its answer. Other words would hide that.
            match error.is_timeout() || error.is_template_gone() {
                true => Err(why(&error, unread, end, exit)),
                false => Err(error),
            }
        }
    }
}

/// Sends a new token, and returns it. By the token the process that is executed knows
/// that it is asked for.
fn send_token(template: &Peer, depth: u32, asker: i32, deadline: Deadline) -> Result<u64> {
    let token = spawn::random()
        .map_err(|error| Error::os("getrandom for a template's token failed", error))?;
    // The template may be in another pid namespace, where it does not see this process
    // by a number.
    let own = pidfd::open(asker)
        .map_err(|error| Error::descriptor("pidfd_open of the program failed", error))?;
    let head = Head::new(frame::Kind::Token, token);
    template
        .line
        .send(head, &[&depth.to_le_bytes()], &[own.as_fd()], deadline)
        .map_err(|trouble| trouble.into_error("preparing a template"))?;
    Ok(token)
}

/// Makes the error that says why there is no template. `unread` says that the process
/// has not looked at the token, with which everything of ours begins there. `exit` says
/// how the template that it had cloned ended.
fn why(error: &Error, unread: bool, end: End, exit: Option<Exit>) -> Error {
    if error.is_timeout() {
        let text = format!(
            "{EXECUTED} and did not answer within {} s",
            ANSWER.as_secs()
        );
        return match end {
            // A process that was stopped, or waited for its file, may not have run at
            // all.
            End::KilledAsleep => {
                Error::timeout(format!("{text}: it was stopped, or is not loaded"))
            }
            End::Own(Some(status)) if libc::WIFSIGNALED(status) => Error::timeout(text),
            End::Killed | End::Own(Some(_)) if unread => give_up(Error::timeout(text)),
            _ => Error::timeout(text),
        };
    }
    let own = match end {
        End::Own(status) => status.map(|status| (status, Exit::new(Some(status), None))),
        End::Killed if unread => {
            let text = format!("{EXECUTED}, and has closed its socket and gone on");
            return give_up(Error::invalid(text));
        }
        End::Killed | End::KilledAsleep => None,
    };
    match own {
        // Not a line of the program ran. What it lacked may be there soon.
        Some((status, exit)) if status == UNLOADED << 8 => Error::new(
            ErrorKind::Exit,
            format!(
                "{EXECUTED} and could not be loaded (exit code 127): its libraries are gone, or \
                 there is no room (RLIMIT_NOFILE, RLIMIT_AS)"
            ),
        )
        .with_exit(exit),
        // A signal says nothing about the program that it killed.
        Some((status, exit)) if libc::WIFSIGNALED(status) => gone(Some(exit)),
        // Whatever it did instead, it must not do it again.
        Some((_, exit)) if unread => {
            let text = format!("{EXECUTED}, and {exit} without having looked at what it was asked");
            give_up(Error::new(ErrorKind::Exit, text).with_exit(exit))
        }
        _ => gone(exit),
    }
}

fn gone(exit: Option<Exit>) -> Error {
    match exit {
        Some(exit) => Error::new(
            ErrorKind::TemplateGone,
            format!("{EXECUTED} and {exit} while it started"),
        )
        .with_exit(exit),
        None => Error::new(
            ErrorKind::TemplateGone,
            format!("{EXECUTED} and ended while it started"),
        ),
    }
}

/// Remembers why this program is never executed again.
fn give_up(error: Error) -> Error {
    let text = "; it is not tried again; say `zygote::early!()` in the program's root";
    DEAF.get_or_init(|| error.and(text).unstarted()).clone()
}
