//! Distributed slices of the program's own, with the names that zygote's have.
#![expect(
    unsafe_code,
    reason = "sections of the linker, which linkme's macros name"
)]

use linkme::distributed_slice;

#[distributed_slice]
pub(crate) static ENTRIES: [fn() -> u8];

#[distributed_slice]
pub(crate) static HOOKS: [fn() -> u8];

#[distributed_slice]
pub(crate) static EARLY: [fn() -> u8];

#[distributed_slice(ENTRIES)]
static ENTRY: fn() -> u8 = || 1;

#[distributed_slice(HOOKS)]
static HOOK: fn() -> u8 = || 2;

/// What is in them all; zygote's elements are not.
pub(crate) fn all() -> Vec<u8> {
    let all = [&ENTRIES[..], &HOOKS, &EARLY].concat();
    all.into_iter().map(|element| element()).collect()
}
