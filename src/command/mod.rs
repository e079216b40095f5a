//! Other executables, launched by the template.
//!
//! `Command` records what to launch; `Child` is the handle. How a process becomes
//! another executable is in `launch`.

mod child;
mod gather;
mod inherited;

use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::fd::OwnedFd,
    process::{ExitStatus, Output},
    sync::Arc,
    time::Duration,
};

pub use self::child::Child;
use self::inherited::inherit;
use crate::{
    client::{Process, lend},
    error::{Error, Result},
    hooks::{self, When},
    launch::{self, Wanted},
    settings::{STREAMS, Settings, What, stdio::Stdio},
    sys::environment::own_status,
    task::Task,
    wire::frame::streams,
};

/// How long a program that was killed is waited for. It may end later, if it is in a
/// system call that cannot be interrupted.
const LEAVING: Duration = Duration::from_secs(1);

/// Starts another program, as `std::process::Command` does, but from the template: the
/// cost is the same for a program of any size, with any number of threads, whatever is
/// done between fork and exec.
///
/// If you set only arguments, environment, directory, umask, streams, descriptors,
/// session and process group, and there is no [`hook`](crate::hook), nothing is copied
/// at all: a launcher starts the program. The launcher is one process, which is forked
/// from the template when it is first needed and then stays (`ps` shows it as `zygote:
/// launcher of PID`). It starts one program after the other. In all other cases a
/// process is forked for each program.
///
/// As with std's, the program inherits what this program has at the time of the spawn:
/// environment, directory, umask, standard streams, process group, session, ignored
/// signals and the signals that the calling thread blocks. A relative directory starts
/// from this program's directory, and a name without a slash is looked for in the
/// `PATH` that the program gets. You can use all settings of a [`Process`].
///
/// # Differences from std's
///
/// - The child ends when this program does, however it ends, unless it is
///   [`detached`](Self::detached).
/// - It is a child of the template. This program gets no SIGCHLD for it and no
///   zombie, and its `waitpid` does not see it.
/// - Its descriptors are exactly 0, 1, 2 and those that it is [given](Self::fd),
///   whether they are close-on-exec or not. A standard stream that is closed in this
///   program is `/dev/null` there, so that no file which the child opens becomes a
///   stream.
/// - Limits, priorities, processors, user, root, namespaces and cgroup are the
///   template's. If your program changes its own after the start, call
///   [`renew_template`](crate::renew_template). Where there is no `/proc`, the umask
///   and the ignored signals are the template's as well, and no signal is blocked.
/// - If your program calls `setsid` after its template began, its next `Command` makes
///   a new default template, as `renew_template` does, since only a process of that
///   session can start others in it. If no new one can be had, the spawn is an error;
///   [`session`](Self::session) and [`process_group`](Self::process_group) need none.
/// - A variable whose name is empty or has a `=` is an error.
/// - A file that is no program is always an error (`ENOEXEC`). `std` gives such a file
///   to a shell where it must fork and the C library is glibc.
/// - [`before_exec`](Self::before_exec) takes a task, not a closure. There is no `exec` and
///   there are no `get_…` methods.
///
/// # Examples
///
/// ```
/// use zygote::Command;
///
/// let output = Command::new("sh").args(["-c", "echo $GREETING"]).env("GREETING", "hello").output()?;
/// assert!(output.status.success());
/// assert_eq!(output.stdout, b"hello\n");
///
/// let error = Command::new("/no/such/program").spawn().unwrap_err();
/// assert!(error.to_string().contains("/no/such/program"));
/// # Ok::<(), zygote::Error>(())
/// ```
pub struct Command {
    program: OsString,
    arg0: Option<OsString>,
    args: Vec<OsString>,
    fds: Vec<(i32, Arc<OwnedFd>)>,
    before: Vec<Task<std::io::Result<()>>>,
    pub(crate) settings: Settings,
}

impl Command {
    /// Makes a command for this program: a path, or a name that is looked for in
    /// `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arg0: None,
            args: Vec::new(),
            fds: Vec::new(),
            before: Vec::new(),
            settings: Settings::default(),
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        self.args.extend(args);
        self
    }

    /// Sets what the program sees as its own name, instead of the name that it is
    /// started by.
    pub fn arg0(&mut self, arg0: impl AsRef<OsStr>) -> &mut Self {
        self.arg0 = Some(arg0.as_ref().to_owned());
        self
    }

    /// Passes a descriptor, which the program finds at this number.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    ///
    /// let mut command = zygote::Command::new("head");
    /// command.args(["-n1", "/proc/self/fd/5"]).fd(5, File::open("Cargo.toml")?);
    /// assert_eq!(command.output()?.stdout, b"[workspace]\n");
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn fd(&mut self, number: u32, fd: impl Into<OwnedFd>) -> &mut Self {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        self.fds.push((number, Arc::new(fd.into())));
        self
    }

    /// Runs a task in the new process, after all settings and before the program. The
    /// task may be any Rust code: the process has one thread, so it may allocate and
    /// lock as it likes. If it returns an error or panics, the program is not started,
    /// and that is the error of the spawn. Several tasks run in order.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{env, io};
    ///
    /// #[zygote::entry]
    /// fn prepare(limit: u64) -> io::Result<()> {
    ///     if limit == 0 {
    ///         return Err(io::Error::other("no limit"));
    ///     }
    ///     env::set_current_dir("/proc")
    /// }
    ///
    /// let output = zygote::Command::new("pwd").before_exec(prepare::task(5)).output()?;
    /// assert_eq!(output.stdout, b"/proc\n");
    /// let error = zygote::Command::new("pwd").before_exec(prepare::task(0)).output().unwrap_err();
    /// assert!(error.to_string().contains("prepare"));
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn before_exec(&mut self, task: Task<std::io::Result<()>>) -> &mut Self {
        self.before.push(task);
        self
    }

    /// Starts the program. Returns when it has been executed, or with the reason
    /// why it could not be.
    ///
    /// # Errors
    ///
    /// Fails as [`Process::run`] does, if a task of [`before_exec`](Self::before_exec)
    /// fails, and if the program cannot be executed: then the text names it, and
    /// [`source`](std::error::Error::source) has the errno.
    pub fn spawn(&mut self) -> Result<Child> {
        self.start(|_| Stdio::inherit())
    }

    /// Runs the program to its end, and says how it ended.
    ///
    /// # Errors
    ///
    /// Fails as [`spawn`](Self::spawn) and [`Child::wait`] do.
    ///
    /// # Examples
    ///
    /// ```
    /// let status = zygote::Command::new("sh").args(["-c", "exit 3"]).status()?;
    /// assert_eq!(status.code(), Some(3));
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn status(&mut self) -> Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Runs the program to its end, and collects what it writes. Unless you set them,
    /// stdout and stderr are pipes, and stdin is `/dev/null`.
    ///
    /// # Errors
    ///
    /// Fails as [`spawn`](Self::spawn) and [`Child::wait_with_output`] do.
    pub fn output(&mut self) -> Result<Output> {
        self.start(collected)?.wait_with_output()
    }

    /// Does what [`output`](Self::output) does, but waits only this long. Then it kills
    /// the program ([`Child::kill`]), and with [`tree`](Self::tree) what it has started
    /// as well.
    ///
    /// To keep what it has written so far, use [`Child::wait_with_output_timeout`]
    /// instead.
    ///
    /// # Errors
    ///
    /// Fails as `output` does, and if the program was killed
    /// ([`is_timeout`](Error::is_timeout)).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use zygote::Command;
    ///
    /// let mut quick = Command::new("echo");
    /// assert_eq!(quick.arg("hello").output_timeout(Duration::from_secs(9))?.stdout, b"hello\n");
    /// let mut slow = Command::new("sleep");
    /// let error = slow.arg("77").output_timeout(Duration::from_millis(30)).unwrap_err();
    /// assert!(error.is_timeout());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn output_timeout(&mut self, timeout: Duration) -> Result<Output> {
        let mut child = self.start(collected)?;
        if let Some(output) = child.wait_with_output_timeout(timeout)? {
            return Ok(output);
        }
        child.kill()?;
        child.wait_timeout(LEAVING)?;
        Err(Error::timeout(format!(
            "`{}` did not end within {timeout:?} and was killed",
            self.program.display()
        )))
    }

    /// Starts the program, with these streams where none was set.
    fn start(&self, default: impl Fn(What) -> Stdio) -> Result<Child> {
        let mut settings = self.settings.clone();
        for what in STREAMS {
            if !settings.has(what) {
                settings.stream(what, default(what));
            }
        }
        let status = own_status();
        inherit(&mut settings, status.umask)?;
        let is_launched = self.before.is_empty() && settings.are_plain() && !has_hooks();
        // The streams of a fork come with its task, as any worker's do.
        let (flags, lent) = match is_launched {
            true => lend(&settings),
            false => Default::default(),
        };
        let task = launch::task(Wanted {
            name: &self.program,
            arg0: self.arg0.as_ref().unwrap_or(&self.program),
            args: &self.args,
            fds: &self.fds,
            signals: status.signals,
            streams: &streams::of(flags).collect::<Vec<_>>(),
            before: &self.before,
        });
        let worker = match is_launched {
            true => Process::launch(settings, &task, &lent),
            false => Process::made_of(settings)?.execute(&task),
        };
        worker.map(Child::new)
    }
}

/// The streams of a program whose output is collected.
fn collected(what: What) -> Stdio {
    match what {
        What::Stdin => Stdio::null(),
        _ => Stdio::piped(),
    }
}

/// Tells whether any code of the program runs between fork and exec.
fn has_hooks() -> bool {
    let around = [When::Worker, When::Prepare, When::Parent, When::Child];
    around.into_iter().any(hooks::has)
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}
