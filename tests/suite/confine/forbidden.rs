//! What a confined worker must not be able to do. Each act is tried without
//! confinement as well, where it must work: else the test would not see that it
//! is forbidden.

#![allow(unsafe_code, reason = "hostile code does not use the standard library")]

use std::{
    fs::{self, File},
    io,
    net::UdpSocket,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::net::{UnixDatagram, UnixStream},
        unix::process::parent_id,
    },
    path::PathBuf,
    process::{Command, id},
    ptr::{null, null_mut},
    time::Duration,
};

use zygote::{Process, settings::Confine};

use super::{compute, confined};
use crate::util::watchdog;

/// What is tried, how it fails when it is forbidden, and how without that: 0 is
/// success, `ANY` what depends on the machine.
const ACTS: &[(&str, Act, i32, i32)] = &[
    ("read a file", read_file, EPERM, 0),
    (
        "read a file by the root in /proc",
        read_by_proc_root,
        EPERM,
        0,
    ),
    ("open what is open by /proc", open_by_proc_fd, EPERM, 0),
    ("create a file", create_file, EPERM, 0),
    ("remove a file", remove_file, EPERM, 0),
    ("make a directory", make_directory, EPERM, 0),
    ("list a directory", list_directory, EPERM, 0),
    ("ask for a file's status", status_of_file, EPERM, 0),
    ("change the directory", change_directory, EPERM, 0),
    ("open with flags in memory", open_by_openat2, ENOSYS, 0),
    ("an Internet socket", internet_socket, EPERM, 0),
    ("a local socket", local_socket, EPERM, 0),
    ("a pair of sockets", pair_of_sockets, EPERM, 0),
    ("a pipe", a_pipe, EPERM, 0),
    ("fork", fork, EPERM, 0),
    ("clone with flags in memory", fork_by_clone3, ENOSYS, 0),
    ("run a program", run_program, EPERM, 0),
    ("execute", execute, EPERM, libc::ENOENT),
    ("execute memory", execute_memory, EPERM, libc::ENOEXEC),
    ("signal the parent", signal_parent, EPERM, 0),
    (
        "signal another thread's process",
        signal_parent_thread,
        EPERM,
        0,
    ),
    ("own a descriptor in the parent's name", set_owner, EPERM, 0),
    ("be traced", be_traced, EPERM, 0),
    ("read a process's memory", read_memory, EPERM, 0),
    ("executable memory", executable_memory, EPERM, 0),
    ("make memory executable", make_executable, EPERM, 0),
    ("2 GiB of memory", much_memory, libc::ENOMEM, 0),
    (
        "more than 1 GiB in parts",
        much_memory_in_parts,
        libc::ENOMEM,
        0,
    ),
    (
        "more than 1 GiB made writable later",
        much_made_writable,
        libc::ENOMEM,
        0,
    ),
    ("a stack that grows by itself", growing_stack, EPERM, 0),
    ("shared memory of no file", shared_memory, EPERM, 0),
    ("raise a limit", set_limit, EPERM, 0),
    ("leave the template", leave_template, EPERM, 0),
    ("be dumpable", be_dumpable, EPERM, 0),
    ("change the user", change_user, EPERM, 0),
    ("another namespace", another_namespace, EPERM, 0),
    ("another personality", another_personality, EPERM, 0),
    (
        "type into a terminal",
        type_into_terminal,
        EPERM,
        libc::ENOTTY,
    ),
    ("shared memory of System V", system_v_memory, EPERM, 0),
    ("watch files", watch_files, EPERM, 0),
    ("mount", mount, EPERM, ANY),
    ("io_uring", io_uring, EPERM, ANY),
    ("userfaultfd", user_fault, EPERM, ANY),
    ("bpf", bpf, EPERM, ANY),
    ("keys", keys, EPERM, ANY),
    ("a call of another numbering", other_numbering, EPERM, ANY),
];

type Act = fn() -> io::Result<()>;

const EPERM: i32 = libc::EPERM;
const ENOSYS: i32 = libc::ENOSYS;
const ANY: i32 = -1;

/// Tries an act; gives the errno.
#[zygote::entry]
fn act(index: usize) -> i32 {
    match ACTS[index].1() {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(ANY),
    }
}

#[test]
fn each_act_is_forbidden_and_works_without_confinement() {
    let _limit = watchdog(60);
    let tasks = || (0..ACTS.len()).map(act::task);
    let forbidden = compute().spawn_all(tasks());
    let free = Process::new().unwrap().spawn_all(tasks());
    let outcomes = forbidden.into_iter().zip(free);
    for ((what, _, denied, works), (forbidden, free)) in ACTS.iter().zip(outcomes) {
        assert_eq!(forbidden.unwrap().join().unwrap(), *denied, "{what}");
        let free = free.unwrap().join().unwrap();
        assert!(
            free == *works || *works == ANY,
            "{what}, unconfined: {free}"
        );
    }
}

/// Turns the result of a system call into a `Result`.
fn check(result: impl Into<i64>) -> io::Result<i64> {
    match result.into() {
        -1 => Err(io::Error::last_os_error()),
        number => Ok(number),
    }
}

macro_rules! call {
    ($number:expr $(, $argument:expr)*) => {
        // SAFETY: the arguments are numbers, null, or point to live values.
        check(unsafe { libc::syscall($number $(, $argument)*) })
    };
}

/// A new descriptor that is closed again.
fn close(fd: i64) {
    // SAFETY: it was made by the call just before.
    drop(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) });
}

fn own_path() -> PathBuf {
    std::env::temp_dir().join(format!("zygote-confine-{}", id()))
}

fn read_file() -> io::Result<()> {
    fs::read("/etc/passwd").map(drop)
}

fn read_by_proc_root() -> io::Result<()> {
    fs::read("/proc/self/root/etc/passwd").map(drop)
}

fn open_by_proc_fd() -> io::Result<()> {
    let file = call!(libc::SYS_memfd_create, c"x".as_ptr(), 0)?;
    let opened = File::open(format!("/proc/self/fd/{file}")).map(drop);
    close(file);
    opened
}

fn create_file() -> io::Result<()> {
    let path = own_path();
    File::create(&path)?;
    fs::remove_file(path)
}

fn remove_file() -> io::Result<()> {
    let path = own_path();
    // Where this fails, so does the next for another reason.
    let _ = File::create(&path);
    fs::remove_file(path)
}

fn make_directory() -> io::Result<()> {
    let path = own_path();
    fs::create_dir(&path)?;
    fs::remove_dir(path)
}

fn list_directory() -> io::Result<()> {
    fs::read_dir("/").map(drop)
}

fn status_of_file() -> io::Result<()> {
    fs::metadata("/etc/passwd").map(drop)?;
    // SAFETY: an all-zero status is one.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    let (place, path) = (&raw mut status, c"/etc/passwd");
    let flags = libc::AT_EMPTY_PATH;
    call!(
        libc::SYS_newfstatat,
        libc::AT_FDCWD,
        path.as_ptr(),
        place,
        flags
    )
    .map(drop)
}

fn change_directory() -> io::Result<()> {
    std::env::set_current_dir("/")
}

fn open_by_openat2() -> io::Result<()> {
    let how = [0_u64; 3];
    let path = c"/etc/passwd".as_ptr();
    call!(libc::SYS_openat2, libc::AT_FDCWD, path, &raw const how, 24).map(close)
}

fn internet_socket() -> io::Result<()> {
    UdpSocket::bind("127.0.0.1:0").map(drop)
}

fn local_socket() -> io::Result<()> {
    UnixDatagram::unbound().map(drop)
}

fn pair_of_sockets() -> io::Result<()> {
    UnixStream::pair().map(drop)
}

fn a_pipe() -> io::Result<()> {
    io::pipe().map(drop)
}

fn fork() -> io::Result<()> {
    // SAFETY: this process has one thread.
    let child = check(unsafe { libc::fork() })?;
    if child == 0 {
        // SAFETY: it has no conditions.
        unsafe { libc::_exit(0) };
    }
    let child = i32::try_from(child).unwrap();
    // SAFETY: a null status is not written.
    check(unsafe { libc::waitpid(child, null_mut(), 0) }).map(drop)
}

fn fork_by_clone3() -> io::Result<()> {
    // Its exit signal alone, as fork has it.
    let mut arguments = [0_u64; 8];
    arguments[4] = libc::SIGCHLD.cast_unsigned().into();
    let child = call!(libc::SYS_clone3, &raw const arguments, 64)?;
    if child == 0 {
        // SAFETY: it has no conditions.
        unsafe { libc::_exit(0) };
    }
    let child = i32::try_from(child).unwrap();
    // SAFETY: a null status is not written.
    check(unsafe { libc::waitpid(child, null_mut(), 0) }).map(drop)
}

fn run_program() -> io::Result<()> {
    Command::new("/bin/true").status().map(drop)
}

fn execute() -> io::Result<()> {
    let nothing: *const *const i8 = null();
    call!(
        libc::SYS_execve,
        c"/no/such/program".as_ptr(),
        nothing,
        nothing
    )
    .map(drop)
}

fn execute_memory() -> io::Result<()> {
    let file = call!(libc::SYS_memfd_create, c"x".as_ptr(), 0)?;
    let nothing: *const *const i8 = null();
    let (path, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
    call!(libc::SYS_execveat, file, path, nothing, nothing, flags).map(drop)
}

fn signal_parent() -> io::Result<()> {
    call!(libc::SYS_kill, parent_id(), 0).map(drop)
}

fn signal_parent_thread() -> io::Result<()> {
    call!(libc::SYS_tgkill, parent_id(), parent_id(), 0).map(drop)
}

fn set_owner() -> io::Result<()> {
    let own = call!(libc::SYS_memfd_create, c"x".as_ptr(), 0)?;
    call!(libc::SYS_fcntl, own, libc::F_SETOWN, parent_id()).map(drop)
}

fn be_traced() -> io::Result<()> {
    call!(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0).map(drop)
}

fn read_memory() -> io::Result<()> {
    let (from, mut to) = ([7_u8; 8], [0_u8; 8]);
    let local = libc::iovec {
        iov_base: (&raw mut to).cast(),
        iov_len: 8,
    };
    let remote = libc::iovec {
        iov_base: (&raw const from).cast_mut().cast(),
        iov_len: 8,
    };
    call!(
        libc::SYS_process_vm_readv,
        id(),
        &raw const local,
        1,
        &raw const remote,
        1,
        0
    )
    .map(drop)
}

const PRIVATE: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

fn executable_memory() -> io::Result<()> {
    let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    call!(libc::SYS_mmap, 0_usize, 4096, all, PRIVATE, -1, 0).map(drop)
}

fn make_executable() -> io::Result<()> {
    let memory = call!(
        libc::SYS_mmap,
        0_usize,
        4096,
        libc::PROT_READ,
        PRIVATE,
        -1,
        0
    )?;
    call!(
        libc::SYS_mprotect,
        memory,
        4096,
        libc::PROT_READ | libc::PROT_EXEC
    )
    .map(drop)
}

fn much_memory() -> io::Result<()> {
    let reserved = Vec::<u8>::new().try_reserve_exact(2 << 30);
    reserved.map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))
}

fn much_memory_in_parts() -> io::Result<()> {
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    let part = || call!(libc::SYS_mmap, 0_usize, 64 << 20, writable, PRIVATE, -1, 0);
    (0..17).try_for_each(|_| part().map(drop))
}

fn much_made_writable() -> io::Result<()> {
    const LENGTH: usize = (1 << 30) + 4096;
    let none = libc::PROT_NONE;
    // Reserving it is nothing.
    let memory = call!(libc::SYS_mmap, 0_usize, LENGTH, none, PRIVATE, -1, 0)?;
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    call!(libc::SYS_mprotect, memory, LENGTH, writable).map(drop)
}

fn growing_stack() -> io::Result<()> {
    let flags = PRIVATE | libc::MAP_GROWSDOWN;
    call!(
        libc::SYS_mmap,
        0_usize,
        4096,
        libc::PROT_WRITE,
        flags,
        -1,
        0
    )
    .map(drop)
}

fn shared_memory() -> io::Result<()> {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    call!(
        libc::SYS_mmap,
        0_usize,
        4096,
        libc::PROT_WRITE,
        flags,
        -1,
        0
    )
    .map(drop)
}

fn set_limit() -> io::Result<()> {
    let limit = [1_u64 << 40; 2];
    let old: *const u8 = null();
    call!(
        libc::SYS_prlimit64,
        0,
        libc::RLIMIT_CPU,
        &raw const limit,
        old
    )
    .map(drop)
}

fn leave_template() -> io::Result<()> {
    call!(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, 0).map(drop)
}

fn be_dumpable() -> io::Result<()> {
    call!(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0).map(drop)
}

fn change_user() -> io::Result<()> {
    // SAFETY: it has no conditions.
    let own = unsafe { libc::getuid() };
    call!(libc::SYS_setuid, own).map(drop)
}

fn another_namespace() -> io::Result<()> {
    call!(libc::SYS_unshare, 0).map(drop)
}

fn another_personality() -> io::Result<()> {
    call!(libc::SYS_personality, u32::MAX).map(drop)
}

fn type_into_terminal() -> io::Result<()> {
    let own = call!(libc::SYS_memfd_create, c"x".as_ptr(), 0)?;
    let letter = b'x';
    call!(libc::SYS_ioctl, own, libc::TIOCSTI, &raw const letter).map(drop)
}

fn system_v_memory() -> io::Result<()> {
    let memory = call!(libc::SYS_shmget, libc::IPC_PRIVATE, 4096, 0o600)?;
    call!(libc::SYS_shmctl, memory, libc::IPC_RMID, 0).map(drop)
}

fn watch_files() -> io::Result<()> {
    call!(libc::SYS_inotify_init1, 0).map(close)
}

fn mount() -> io::Result<()> {
    let nowhere = c"/no/such/place".as_ptr();
    call!(libc::SYS_mount, nowhere, nowhere, c"tmpfs".as_ptr(), 0, 0).map(drop)
}

fn io_uring() -> io::Result<()> {
    let mut parameters = [0_u64; 15];
    call!(libc::SYS_io_uring_setup, 1, &raw mut parameters).map(close)
}

fn user_fault() -> io::Result<()> {
    call!(libc::SYS_userfaultfd, 1).map(close)
}

fn bpf() -> io::Result<()> {
    call!(libc::SYS_bpf, 0, 0, 0).map(close)
}

fn keys() -> io::Result<()> {
    call!(libc::SYS_keyctl, 0, -2, 0).map(drop)
}

/// The x32 form of `getpid`, where there is one.
fn other_numbering() -> io::Result<()> {
    call!(libc::SYS_getpid | 0x4000_0000).map(drop)
}

#[zygote::entry]
fn open_in(directory: File) -> Option<i32> {
    let flags = libc::O_RDONLY;
    let opened = call!(
        libc::SYS_openat,
        directory.as_raw_fd(),
        c"passwd".as_ptr(),
        flags
    );
    opened.map(close).err()?.raw_os_error()
}

#[test]
fn a_given_directory_opens_nothing() {
    let task = open_in::task(File::open("/etc").unwrap());
    let worker = compute().run(task.clone()).unwrap();
    assert_eq!(worker.join().unwrap(), Some(EPERM));
    let worker = Process::new().unwrap().run(task).unwrap();
    assert_eq!(worker.join().unwrap(), None);
}

#[zygote::entry]
fn connect(socket: UdpSocket, to: std::net::SocketAddr) -> [Option<i32>; 2] {
    let sent = socket.send_to(b"x", to).map(drop);
    let connected = socket.connect(to);
    [sent, connected].map(|result| result.err()?.raw_os_error())
}

#[test]
fn a_given_socket_reaches_nobody_else() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = target.local_addr().unwrap();
    let task = || connect::task(UdpSocket::bind("127.0.0.1:0").unwrap(), to);
    let worker = compute().run(task()).unwrap();
    assert_eq!(worker.join().unwrap(), [Some(EPERM), Some(EPERM)]);
    let worker = confined(Confine::compute().sockets()).run(task()).unwrap();
    assert_eq!(worker.join().unwrap(), [None, Some(EPERM)]);
    let worker = Process::new().unwrap().run(task()).unwrap();
    assert_eq!(worker.join().unwrap(), [None, None]);
}

/// Computes without end, and does not care about signals.
#[zygote::entry]
fn burn(deaf: bool) {
    if deaf {
        // SAFETY: SIG_IGN runs no code.
        unsafe { libc::signal(libc::SIGXCPU, libc::SIG_IGN) };
    }
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n + 1);
    }
}

#[test]
fn computing_without_end_has_an_end() {
    let _limit = watchdog(60);
    let process = confined(Confine::compute().cpu_time(Duration::from_millis(500)));
    let workers = process.spawn_all([false, true].map(burn::task));
    let ends = workers.into_iter().map(|worker| {
        let error = worker.unwrap().join().unwrap_err();
        assert!(error.is_signal());
        error.exit().unwrap().to_string()
    });
    assert_eq!(
        ends.collect::<Vec<_>>(),
        ["was killed by SIGXCPU", "was killed by SIGKILL"]
    );
}

#[test]
fn strictly_a_forbidden_act_is_the_last() {
    let process = confined(Confine::compute().strict());
    // Some of what fails softly else; a soft error that stays is among them.
    for (index, (what, _, denied, _)) in ACTS.iter().enumerate() {
        if *denied != EPERM {
            continue;
        }
        let error = process.fork().unwrap().run(act::task(index)).unwrap();
        let error = error.join().unwrap_err();
        assert!(error.is_signal(), "{what}: {error:?}");
        assert_eq!(
            error.exit().unwrap().to_string(),
            "was killed by SIGSYS",
            "{what}"
        );
    }
}

#[cfg(target_arch = "x86_64")]
#[zygote::entry]
fn getpid_of_32_bits() -> i32 {
    let pid: i32;
    // SAFETY: the call takes no argument, and its result is a number.
    unsafe { std::arch::asm!("int 0x80", inlateout("eax") 20 => pid) };
    pid
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_another_architecture_are_deadly() {
    let worker = compute().run(getpid_of_32_bits::task()).unwrap();
    let error = worker.join().unwrap_err();
    assert_eq!(error.exit().unwrap().to_string(), "was killed by SIGSYS");
}
