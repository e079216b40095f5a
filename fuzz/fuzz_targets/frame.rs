//! Frames: heads and bodies, and whole messages with descriptors.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    zygote::__fuzz::bodies(bytes);
    zygote::__fuzz::message(bytes);
});
