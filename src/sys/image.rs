//! The running executable: its constructors, arguments and title.

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    marker::PhantomData,
    ptr, slice,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering},
    },
};

use super::{executable::is_in_executable, single::Single};

/// A constructor as the loader calls it.
type Constructor =
    unsafe extern "C" fn(argc: c_int, argv: *const *const c_char, envp: *const *const c_char);

/// A place in the init array, in which the loader finds what it calls before `main`.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Slot(Constructor);

/// What the loader calls.
pub(crate) trait Hook {
    /// Runs before `main`. In a shared object inside another program there is no proof
    /// of that.
    fn run(before: Option<BeforeMain>);
}

/// The proof that this process has not reached `main`. It is not kept while user code
/// runs, and no other thread can have it.
#[derive(Debug)]
pub(crate) struct BeforeMain(PhantomData<*const ()>);

impl Slot {
    /// Makes what the loader finds in this place.
    ///
    /// # Safety
    ///
    /// It must stand in the init array.
    pub(crate) const unsafe fn new<H: Hook>() -> Self {
        Self(enter::<H>)
    }
}

/// Calls the hook, as the loader or the template of another version asks.
unsafe extern "C" fn enter<H: Hook>(
    argc: c_int,
    argv: *const *const c_char,
    _: *const *const c_char,
) {
    H::run(is_in_executable(&ARGC).then(|| {
        remember_arguments(argc, argv);
        BeforeMain(PhantomData)
    }));
}

// The linker defines `__init_array_end`. It is weak, because a linker that does not
// define it then leaves null, and hidden, so that in a shared object it is that
// object's own.
std::arch::global_asm!(
    ".weak __init_array_end",
    ".hidden __init_array_end",
    ".pushsection .data.rel.ro.zygote_init_array_end, \"aw\"",
    ".balign 8",
    concat!(".hidden ", symbol!("init_array_end")),
    concat!(".globl ", symbol!("init_array_end")),
    concat!(symbol!("init_array_end"), ":"),
    ".quad __init_array_end",
    ".popsection",
);

// There is one flag for all versions of this crate in a binary, so it is weak and named
// without the version: every version has it, and the linker takes one of them. With LTO
// all of this is one text, in which it may be defined only once.
std::arch::global_asm!(
    ".ifndef zygote_is_template",
    ".pushsection .data.zygote_is_template, \"aw\"",
    ".hidden zygote_is_template",
    ".weak zygote_is_template",
    "zygote_is_template:",
    ".byte 0",
    ".popsection",
    ".endif",
);

unsafe extern "C" {
    #[link_name = symbol!("init_array_end")]
    static INIT_ARRAY_END: *const Constructor;
    #[link_name = "zygote_is_template"]
    // It is defined above, and only ever used as an atomic.
    safe static IS_TEMPLATE: AtomicBool;
    static mut environ: *mut *mut c_char;
}

/// Marks this process and all its forks as templates and workers: other versions
/// of this crate, whose constructors may come later, begin nothing here.
pub(crate) fn mark_template() {
    IS_TEMPLATE.store(true, Ordering::Relaxed);
}

/// Tells whether this process comes from a template of any version.
pub(crate) fn is_template() -> bool {
    IS_TEMPLATE.load(Ordering::Relaxed)
}

/// Runs the constructors that come after `slot` in the init array. The loader does not
/// call them in a process that does not return from `slot`.
pub(crate) fn run_constructors_after(single: Single, _: BeforeMain, slot: &'static Slot) {
    // SAFETY: the symbol is defined above, initialised by the linker and
    // never written.
    let end = unsafe { INIT_ARRAY_END };
    let mut next = ptr::from_ref(&slot.0).wrapping_add(1);
    let (argc, argv) = arguments(&single);
    // SAFETY: `environ` is set before any constructor runs, and only this
    // thread exists.
    let envp = unsafe { environ };
    while next < end {
        // SAFETY: `slot` stands in the init array and `end` is its end, so
        // between them are function pointers of the loader's table.
        let constructor = unsafe { *next };
        // Linkers may leave 0 or −1 in place of a function.
        if !matches!((constructor as *const c_void).addr(), 0 | usize::MAX) {
            // SAFETY: it is called as by the loader, which never gets to it.
            unsafe { constructor(argc, argv.cast(), envp.cast_const().cast()) };
        }
        next = next.wrapping_add(1);
    }
}

/// Tells whether the program runs with more privileges than its caller (set-user-id,
/// file capabilities).
#[cfg(any(feature = "exec", feature = "failpoints"))]
pub(crate) fn is_privileged() -> bool {
    // SAFETY: it takes a number and touches no memory of ours.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Takes a variable out of the environment, and out of what `/proc` shows of it.
#[cfg(feature = "exec")]
pub(crate) fn remove_variable(_: &Single, name: &CStr) {
    // SAFETY: the name ends in NUL; no other thread changes the environment.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return;
    }
    // SAFETY: getenv gave a string that ends in NUL.
    let length = unsafe { libc::strlen(value) };
    let before = name.count_bytes() + 1;
    let start = value.wrapping_sub(before);
    // SAFETY: the name ends in NUL; no other thread uses the environment.
    unsafe { libc::unsetenv(name.as_ptr()) };
    if is_in_block(start) {
        // SAFETY: `name=value` is one string in the block, which is writable, and no
        // list names it any more.
        unsafe { ptr::write_bytes(start, 0, before + length) };
    }
}

/// Tells whether a string is in the kernel's block of arguments and variables. The
/// random bytes lie below it, and the name of the executable is its last string.
#[cfg(feature = "exec")]
fn is_in_block(string: *const c_char) -> bool {
    let of = |what| {
        // SAFETY: it takes a number and touches no memory of ours.
        let address = unsafe { libc::getauxval(what) };
        usize::try_from(address).unwrap_or(0)
    };
    (of(libc::AT_RANDOM)..of(libc::AT_EXECFN)).contains(&string.addr())
}

/// The arguments as the loader passed them (glibc), see [`arguments`].
static ARGC: AtomicUsize = AtomicUsize::new(0);
static ARGV: AtomicPtr<*mut c_char> = AtomicPtr::new(ptr::null_mut());

/// Remembers what the hook was called with. musl calls constructors without
/// arguments, so there it is not read.
fn remember_arguments(argc: c_int, argv: *const *const c_char) {
    if cfg!(target_env = "gnu") {
        ARGC.store(usize::try_from(argc).unwrap_or(0), Ordering::Relaxed);
        ARGV.store(argv.cast_mut().cast(), Ordering::Relaxed);
    }
}

/// Gives the program's argument vector: from the hook, or from in front of the
/// environment, where the kernel puts it.
fn arguments(single: &Single) -> (c_int, *mut *mut c_char) {
    let (mut argc, mut argv) = (ARGC.load(Ordering::Relaxed), ARGV.load(Ordering::Relaxed));
    if argv.is_null() {
        (argc, argv) = arguments_before_environment(single).unwrap_or((0, ptr::null_mut()));
    }
    (c_int::try_from(argc).unwrap_or(0), argv)
}

/// Finds the arguments by walking back from the environment; `None` when that was
/// already moved to the heap. The kernel lays out the count, the argument pointers,
/// null, the environment pointers, null, …, and the strings.
fn arguments_before_environment(_: &Single) -> Option<(usize, *mut *mut c_char)> {
    const MOST: usize = 1 << 16;
    // SAFETY: it takes a number; the kernel's random bytes lie on the stack.
    let random = unsafe { libc::getauxval(libc::AT_RANDOM) };
    // SAFETY: `environ` is a word that the C library set.
    let envp = unsafe { environ };
    let above = usize::try_from(random).ok()?.checked_sub(envp.addr())?;
    if envp.is_null() || above > MOST * size_of::<usize>() {
        return None;
    }
    for count in 0..MOST {
        let argv = envp.wrapping_sub(count + 1);
        // SAFETY: `envp` is in the kernel's block on the stack (checked
        // above), which begins with the count that ends this walk.
        let before = unsafe { *argv.wrapping_sub(1) };
        if before.addr() == count {
            return Some((count, argv));
        }
    }
    None
}

/// The memory of the argument and environment strings, when the title may be written
/// there. The last byte is not part of it: it stays NUL.
static TITLE: OnceLock<&'static [AtomicU8]> = OnceLock::new();

/// Frees the memory of the argument and environment strings for a title, and copies the
/// strings elsewhere, so that `std::env` goes on working. This happens once.
pub(crate) fn take_title_memory(single: &Single) {
    TITLE.get_or_init(|| free_strings(single));
}

fn free_strings(single: &Single) -> &'static [AtomicU8] {
    let (_, argv) = arguments(single);
    if argv.is_null() {
        return &[];
    }
    // SAFETY: `argv` is the loader's: pointers up to a null.
    let start = unsafe { *argv };
    let mut end = start;
    // SAFETY: as above, and no other thread uses it.
    unsafe { move_strings(argv, &mut end) };
    // SAFETY: it is set before any constructor runs, and no other thread changes it.
    let envp = unsafe { environ };
    // SAFETY: `environ` ends in null, and no other thread uses it.
    unsafe { move_strings(envp, &mut end) };
    let length = end.addr().saturating_sub(start.addr());
    if length == 0 {
        return &[];
    }
    // SAFETY: the strings stood from `start` to `end` without a gap, and
    // nothing points to them any more.
    unsafe { ptr::write_bytes(start.cast::<u8>(), 0, length) };
    // SAFETY: as above; this memory stays, and from here on it is only used as these
    // atomics.
    unsafe { slice::from_raw_parts(start.cast(), length - 1) }
}

/// Moves the strings of a list to the heap, as long as each begins where the
/// one before ended; `end` is that place.
///
/// # Safety
///
/// `list` must be null-terminated, writable and used by this thread only.
unsafe fn move_strings(mut list: *mut *mut c_char, end: &mut *mut c_char) {
    if list.is_null() {
        return;
    }
    loop {
        // SAFETY: the caller promises a null-terminated list.
        let string = unsafe { *list };
        if string.is_null() || string != *end {
            return;
        }
        // SAFETY: every pointer of the list is to a string that ends in NUL.
        let text = unsafe { CStr::from_ptr(string) };
        *end = string.wrapping_add(text.to_bytes_with_nul().len());
        // SAFETY: the caller promises that the list may be written.
        unsafe { *list = text.to_owned().into_raw() };
        list = list.wrapping_add(1);
    }
}

/// Sets what `ps` shows for this process: `zygote: WHAT of PID`. It is cut to the room
/// that there is; if there is none, nothing happens.
///
/// It is put together by hand, because formatting would touch pages that most workers
/// have no other use for.
pub(crate) fn set_title(what: &str, mut pid: u64) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    while pid > 0 || first == digits.len() {
        first -= 1;
        digits[first] += (pid % 10) as u8;
        pid /= 10;
    }
    write_title(&[b"zygote: ", what.as_bytes(), b" of ", &digits[first..]]);
}

/// Sets what `ps` shows for this process to these parts. They are cut to the room that
/// there is; if there is none, nothing happens.
pub(crate) fn write_title(parts: &[&[u8]]) {
    let mut room = TITLE.get().copied().unwrap_or_default().iter();
    for (byte, place) in parts.iter().copied().flatten().zip(room.by_ref()) {
        place.store(*byte, Ordering::Relaxed);
    }
    // This clears the rest of the previous title.
    let rest = room.take_while(|place| place.load(Ordering::Relaxed) != 0);
    rest.for_each(|place| place.store(0, Ordering::Relaxed));
}

#[cfg(all(test, feature = "exec"))]
impl BeforeMain {
    pub(super) fn assumed() -> Self {
        Self(PhantomData)
    }
}
