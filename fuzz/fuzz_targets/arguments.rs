//! Arguments and results of many types.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zygote::__fuzz::arguments(bytes));
