//! With jemalloc. The argument `configured` says that jemalloc was told by its
//! variable to have a thread in the background, `later` asks for one in `main`.

use std::{
    env, ffi, mem, ptr, thread,
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(feature = "early")]
zygote::early!();

/// As the kernel has it.
const THREAD: &str = "jemalloc_bg_thd";

fn main() {
    match env::args().nth(1).as_deref() {
        // Its thread starts with the first allocation: before any template.
        Some("configured") => {
            wait_for_its_name();
            let error = zygote::Process::new().unwrap_err();
            assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
            // Until it names itself it has the name of what was executed.
            let names = ["others are: jemalloc", "others are: exe"];
            let text = error.to_string();
            assert!(names.iter().any(|name| text.contains(name)), "{error:?}");
        }
        Some("later") => {
            start_background_thread();
            wait_for_its_name();
            allocators::check("jemalloc with its thread");
        }
        _ => {
            assert!(!allocators::has_thread(THREAD));
            allocators::check("jemalloc");
        }
    }
}

fn wait_for_its_name() {
    let start = Instant::now();
    while !allocators::has_thread(THREAD) {
        assert!(start.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(1));
    }
}

fn start_background_thread() {
    unsafe extern "C" {
        fn _rjem_mallctl(
            name: *const ffi::c_char,
            old: *mut ffi::c_void,
            old_length: *mut usize,
            new: *mut ffi::c_void,
            new_length: usize,
        ) -> ffi::c_int;
    }
    let mut on = true;
    let name = c"background_thread";
    let none = ptr::null_mut();
    // SAFETY: the option is a bool, and `on` is one that lives.
    let result = unsafe {
        let on = (&raw mut on).cast();
        _rjem_mallctl(
            name.as_ptr(),
            none,
            ptr::null_mut(),
            on,
            mem::size_of::<bool>(),
        )
    };
    assert_eq!(result, 0);
}
