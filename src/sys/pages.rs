//! Pages that a process makes its own before it needs them.

/// A page, or a part of one.
const PAGE: usize = 4096;

/// Makes the stack below the caller this process's own, as far as small entries
/// use it.
#[inline(never)]
pub(crate) fn touch_stack() {
    let mut below = [0_u8; 2 * PAGE];
    for byte in below.iter_mut().step_by(PAGE / 4) {
        *std::hint::black_box(byte) = 1;
    }
}

/// Brings the page of a function into this process, together with those around it that
/// the kernel maps with it (64 KiB). Before Linux 5.14 it does nothing.
pub(crate) fn touch_code(code: *const ()) {
    let page = code.map_addr(|address| address & !(PAGE - 1));
    // SAFETY: it reads pages into memory and changes none; where nothing is mapped
    // it is an error.
    unsafe { libc::madvise(page.cast_mut().cast(), PAGE, libc::MADV_POPULATE_READ) };
}
