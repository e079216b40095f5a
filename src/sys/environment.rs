//! What surrounds a process: variables, directory, signals.

use std::{
    ffi::{CStr, CString, c_char},
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use super::{check, place::open_dir, signal::Signals, single::Single};

fn string(bytes: &[u8]) -> io::Result<CString> {
    Ok(CString::new(bytes)?)
}

/// Calls `setenv(3)`. A name that is empty or has a `=` is refused.
pub(crate) fn set(_: &Single, key: &[u8], value: &[u8]) -> io::Result<()> {
    let (key, value) = (string(key)?, string(value)?);
    // SAFETY: both are strings that end in NUL, which setenv copies; no other
    // thread reads or writes the environment.
    check(unsafe { libc::setenv(key.as_ptr(), value.as_ptr(), 1) })?;
    Ok(())
}

/// Calls `unsetenv(3)`.
pub(crate) fn remove(_: &Single, key: &[u8]) -> io::Result<()> {
    let key = string(key)?;
    // SAFETY: a string that ends in NUL; no other thread reads or writes the
    // environment.
    check(unsafe { libc::unsetenv(key.as_ptr()) })?;
    Ok(())
}

/// Calls `clearenv(3)`.
pub(crate) fn clear(_: &Single) -> io::Result<()> {
    // SAFETY: no other thread reads or writes the environment.
    check(unsafe { libc::clearenv() })?;
    Ok(())
}

/// Runs `act` with these variables in place of the process's own. Each is `NAME=value`
/// and a NUL.
pub(crate) fn with<T>(_: &Single, variables: &[u8], act: impl FnOnce() -> T) -> T {
    let mut list: Vec<*const c_char> = Vec::with_capacity(128);
    let mut rest = variables;
    // Bytes without a NUL at their end are not a variable.
    while let Ok(variable) = CStr::from_bytes_until_nul(rest) {
        list.push(variable.as_ptr());
        rest = &rest[variable.count_bytes() + 1..];
    }
    list.push(ptr::null());
    // SAFETY: the C library has this pointer, and only this thread reads it.
    let current = unsafe { &environ };
    // The list ends in null and lives, as its strings do, until it is put back.
    let _own = PutBack(current, current.swap(list.as_mut_ptr(), Ordering::Relaxed));
    act()
}

/// The process's own variables, which are in place again when this is dropped.
struct PutBack(&'static AtomicPtr<*const c_char>, *mut *const c_char);

impl Drop for PutBack {
    fn drop(&mut self) {
        self.0.store(self.1, Ordering::Relaxed);
    }
}

unsafe extern "C" {
    /// What `getenv` looks into and `execvp` passes on.
    static environ: AtomicPtr<*const c_char>;
}

/// Opens the calling thread's directory, as `O_PATH`.
pub(crate) fn own_dir() -> io::Result<OwnedFd> {
    match open_dir(".".as_ref()) {
        // By that name only a user who may search the directory can open it, and it may
        // have been another user that went there.
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
            open_dir("/proc/thread-self/cwd".as_ref())
        }
        result => result,
    }
}

/// What `/proc` tells of the calling thread in one read. Nothing else tells it without
/// changing it or asking for each signal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Status {
    pub(crate) umask: Option<u32>,
    pub(crate) signals: Option<Signals>,
}

/// Reads the status of the calling thread; it says nothing if there is no `/proc`.
pub(crate) fn own_status() -> Status {
    let mut text = vec![0; 4096];
    let read = File::open("/proc/thread-self/status").and_then(|mut file| {
        let length = file.read(&mut text)?;
        text.truncate(length);
        // The list of groups, which comes before the signals, may be long.
        if number(&text, "SigIgn", 16).is_none() {
            file.read_to_end(&mut text)?;
        }
        Ok(())
    });
    if read.is_err() {
        return Status::default();
    }
    let set = |key| number(&text, key, 16);
    let signals = set("SigBlk").zip(set("SigIgn"));
    Status {
        umask: number(&text, "Umask", 8).and_then(|mask| u32::try_from(mask).ok()),
        signals: signals.map(|(blocked, ignored)| Signals { blocked, ignored }),
    }
}

/// Finds the number after a key, on a line of its own that is whole.
fn number(status: &[u8], key: &str, radix: u32) -> Option<u64> {
    let is_it = |line: &&[u8]| line.starts_with(key.as_bytes()) && line.ends_with(b"\n");
    let line = status.split_inclusive(|byte| *byte == b'\n').find(is_it)?;
    let value = std::str::from_utf8(line.get(key.len() + 1..)?).ok()?;
    u64::from_str_radix(value.trim(), radix).ok()
}
