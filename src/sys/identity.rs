//! The capabilities of a process with one thread.

use std::io;

use super::check;

/// Leaves in each set of capabilities, including the bounding set, only what is in
/// `keep` and permitted. That becomes inheritable, effective and ambient.
pub(crate) fn keep_capabilities(keep: u64) -> io::Result<()> {
    let mut sets = Sets::get()?;
    // A change of the user has emptied the effective set.
    sets.effective = sets.permitted;
    sets.set()?;
    reduce_bounding(keep)?;
    let kept = sets.permitted & keep;
    // What is no longer inheritable is no longer ambient.
    Sets {
        effective: kept,
        permitted: kept,
        inheritable: kept,
    }
    .set()?;
    for number in (0..u64::BITS).filter(|number| kept & (1 << number) != 0) {
        raise_ambient(number)?;
    }
    Ok(())
}

/// Drops from the bounding set whatever is not to be kept. It needs no right if there
/// is nothing to drop.
fn reduce_bounding(keep: u64) -> io::Result<()> {
    for number in 0..u64::BITS {
        // SAFETY: it takes a number and touches no memory.
        let held = unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(number)) };
        match held {
            0 => {}
            1 if keep & (1 << number) != 0 => {}
            // SAFETY: as above.
            1 => drop(check(unsafe {
                libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number))
            })?),
            // The kernel has no more capabilities.
            _ => break,
        }
    }
    Ok(())
}

fn raise_ambient(number: u32) -> io::Result<()> {
    const ZERO: libc::c_ulong = 0;
    let raise = libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong;
    let number = libc::c_ulong::from(number);
    // SAFETY: it takes numbers and touches no memory.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, raise, number, ZERO, ZERO) })?;
    Ok(())
}

/// The sets of the calling thread, with a bit for each capability.
struct Sets {
    effective: u64,
    permitted: u64,
    inheritable: u64,
}

/// The kernel's `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// The kernel's `struct __user_cap_data_struct`: 32 bits of each set.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

impl Header {
    /// Makes the header of the third version, with two halves, for the calling thread.
    fn new() -> Self {
        Self {
            version: 0x2008_0522,
            pid: 0,
        }
    }
}

impl Sets {
    /// Calls `capget(2)`.
    fn get() -> io::Result<Self> {
        let mut header = Header::new();
        let mut halves = [Half::default(); 2];
        // SAFETY: both pointers are to live values of the kernel's layout, of
        // the two halves that the version says.
        check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) })?;
        let whole = |of: fn(&Half) -> u32| {
            u64::from(of(&halves[0])) | u64::from(of(&halves[1])) << u32::BITS
        };
        Ok(Self {
            effective: whole(|half| half.effective),
            permitted: whole(|half| half.permitted),
            inheritable: whole(|half| half.inheritable),
        })
    }

    /// Calls `capset(2)`.
    #[expect(clippy::cast_possible_truncation, reason = "each is one half")]
    fn set(&self) -> io::Result<()> {
        let mut header = Header::new();
        let halves = [0, u32::BITS].map(|shift| Half {
            effective: (self.effective >> shift) as u32,
            permitted: (self.permitted >> shift) as u32,
            inheritable: (self.inheritable >> shift) as u32,
        });
        // SAFETY: as in `get`; the kernel only reads the halves.
        check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) })?;
        Ok(())
    }
}
