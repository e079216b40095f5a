//! The executable that this program is, in memory and as a file.

use std::{
    ffi::{c_int, c_void},
    ptr, slice,
};

#[cfg(feature = "exec")]
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::PathBuf,
};

/// What is executed to start this program again.
#[cfg(feature = "exec")]
pub(crate) const FILE: &str = "/proc/self/exe";

/// Tells whether `object` is part of the main executable and not of a shared object.
pub(crate) fn is_in_executable<T>(object: &'static T) -> bool {
    let Some((address, headers)) = first_object() else {
        return false;
    };
    // `dlmopen` makes its own list, which begins with what it has loaded. (musl has no
    // `dlmopen`, and its loader leaves its own headers there when it is called by
    // hand.)
    // SAFETY: it takes a number and touches no memory of ours.
    let main = unsafe { libc::getauxval(libc::AT_PHDR) };
    #[expect(clippy::cast_possible_truncation, reason = "addresses, on 64 bits")]
    if cfg!(target_env = "gnu") && headers.as_ptr().addr() != main as usize {
        return false;
    }
    let place = ptr::from_ref(object).addr();
    #[expect(clippy::cast_possible_truncation, reason = "addresses, on 64 bits")]
    let covers = |header: &libc::Elf64_Phdr| {
        let start = (address + header.p_vaddr) as usize;
        header.p_type == libc::PT_LOAD && (start..start + header.p_memsz as usize).contains(&place)
    };
    headers.iter().any(covers)
}

/// Gives the first object of the loader's list, its address and its program headers: the
/// executable, or else what `dlmopen` has loaded together with this code.
fn first_object() -> Option<(u64, &'static [libc::Elf64_Phdr])> {
    extern "C" fn first(info: *mut libc::dl_phdr_info, _: usize, found: *mut c_void) -> c_int {
        // SAFETY: `found` is the option that `first_object` passed.
        let found = unsafe { &mut *found.cast::<Option<libc::dl_phdr_info>>() };
        // SAFETY: dl_iterate_phdr passes a valid info, which is plain data.
        *found = Some(unsafe { *info });
        1 // look no further
    }
    let mut found: Option<libc::dl_phdr_info> = None;
    // SAFETY: the callback gets the pointer to `found`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut found).cast()) };
    let object = found.filter(|found| !found.dlpi_phdr.is_null())?;
    // SAFETY: the loader says where the headers are and how many. They stay as long as
    // this code: it lies in that object, or in one which that object keeps loaded.
    let headers = unsafe { slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
    Some((object.dlpi_addr, headers))
}

/// Tells whether executing [`FILE`] with the program's arguments starts this program
/// again: it is the file of this program, or was started with just these arguments (a
/// packer, or a file that may not be read). A loader that was called by hand, or an
/// emulator, would run whatever the arguments name.
///
/// # Errors
///
/// The file cannot be read, and the arguments are different ones.
#[cfg(feature = "exec")]
pub(crate) fn starts_this_program() -> io::Result<bool> {
    let compared = has_own_headers();
    match compared {
        Ok(true) => compared,
        _ if was_started_with_own_arguments() => Ok(true),
        _ => compared,
    }
}

/// Tells whether the file has the program headers that this program has in memory. They
/// say where each part of the file is, and how long: no two programs share them.
#[cfg(feature = "exec")]
fn has_own_headers() -> io::Result<bool> {
    let own = first_object().map_or(&[][..], |(_, headers)| headers);
    // SAFETY: the headers are plain numbers without gaps, and are only read.
    let own = unsafe { slice::from_raw_parts(own.as_ptr().cast::<u8>(), size_of_val(own)) };
    let file = File::open(FILE)?;
    let mut start = [0; size_of::<libc::Elf64_Ehdr>()];
    if file.read_at(&mut start, 0)? < start.len() || !start.starts_with(b"\x7fELF") {
        return Ok(false);
    }
    let offset = std::mem::offset_of!(libc::Elf64_Ehdr, e_phoff);
    let offset = start[offset..]
        .first_chunk()
        .map(|it| u64::from_ne_bytes(*it));
    let mut headers = vec![0; own.len()];
    let read = file.read_at(&mut headers, offset.unwrap_or(0))?;
    Ok(!own.is_empty() && headers[..read] == *own)
}

/// Tells whether the kernel was given the arguments that this program has: a loader
/// takes its own away. (The arguments of a template are gone, and count as different
/// ones.)
#[cfg(feature = "exec")]
fn was_started_with_own_arguments() -> bool {
    let line = |arguments: &mut dyn Iterator<Item = OsString>| {
        let mut line = Vec::new();
        for argument in arguments {
            line.extend_from_slice(argument.as_bytes());
            line.push(0);
        }
        line
    };
    let own = line(&mut std::env::args_os());
    !own.is_empty() && fs::read("/proc/self/cmdline").is_ok_and(|given| given == own)
}

/// Tells which file [`FILE`] is.
#[cfg(feature = "exec")]
pub(crate) fn path() -> PathBuf {
    fs::read_link(FILE).unwrap_or_else(|_| FILE.into())
}

#[cfg(all(test, feature = "exec", not(miri)))]
mod tests {
    use super::*;

    static HERE: u8 = 1;

    #[test]
    fn this_program_is_its_own_file() {
        assert!(is_in_executable(&HERE));
        assert!(has_own_headers().unwrap());
        assert!(was_started_with_own_arguments());
        assert!(starts_this_program().unwrap());
        assert_eq!(path(), std::env::current_exe().unwrap());
    }
}
