//! The entries and preloads of the program: a distributed slice, filled at link
//! time.
//!
//! An entry's identity is its position in the slice together with a hash of
//! what it is. A position alone could name another function in another build of
//! the program; an address never travels.

use crate::{
    error::{Error, Result},
    parcel::Job,
};

/// One function annotated `#[zygote::entry]` or `#[zygote::preload]`.
#[derive(Debug)]
pub struct Entry {
    path: &'static str,
    file: &'static str,
    line: u32,
    hash: u64,
    role: Role,
    run: fn(&mut Job) -> Result<()>,
}

/// What an [`Entry`] can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes typed arguments and gives a typed result; runs in a worker.
    Typed,
    /// Is `Typed`, and takes the preloaded value by `&mut`.
    Changing,
    /// Takes a socket and raw arguments; runs in a worker.
    Raw,
    /// Runs in a template.
    Preload,
}

/// Every entry and preload that was linked into this program.
#[zygote_macros::slice]
pub static ENTRIES: [Entry];

/// A slice that is not empty when the program said `early!()`.
#[zygote_macros::slice]
pub static EARLY: [fn()];

impl Entry {
    /// Makes what the macros put into the slice.
    #[must_use]
    pub const fn new(
        path: &'static str,
        file: &'static str,
        line: u32,
        column: u32,
        signature: &'static str,
        role: Role,
        run: fn(&mut Job) -> Result<()>,
    ) -> Self {
        let mut hash = fnv(0xcbf2_9ce4_8422_2325, path.as_bytes());
        hash = fnv(hash, file.as_bytes());
        hash = fnv(hash, &line.to_le_bytes());
        hash = fnv(hash, &column.to_le_bytes());
        hash = fnv(hash, signature.as_bytes());
        Self {
            path,
            file,
            line,
            hash,
            role,
            run,
        }
    }

    /// Gives the full path, `crate::module::function`.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.path
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn run(&self, job: &mut Job) -> Result<()> {
        (self.run)(job)
    }

    /// Tells where its code begins.
    pub(crate) fn code(&self) -> *const () {
        self.run as *const ()
    }

    pub(crate) fn id(&'static self) -> Id {
        let first = ENTRIES.as_ptr().addr();
        let offset = std::ptr::from_ref(self).addr().wrapping_sub(first);
        let index = offset / size_of::<Self>();
        Id {
            // More than u32::MAX entries do not fit into an address space.
            index: u32::try_from(index).unwrap_or(u32::MAX),
            hash: self.hash,
        }
    }
}

/// An entry, as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) index: u32,
    pub(crate) hash: u64,
}

impl Id {
    pub(crate) const LENGTH: usize = 12;

    pub(crate) fn encode(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(&self.index.to_le_bytes());
        bytes[4..].copy_from_slice(&self.hash.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: [u8; Self::LENGTH]) -> Self {
        let [a, b, c, d, hash @ ..] = bytes;
        Self {
            index: u32::from_le_bytes([a, b, c, d]),
            hash: u64::from_le_bytes(hash),
        }
    }
}

/// Finds the entry with this identity; anything that is not in the slice is an error.
pub(crate) fn find(id: Id) -> Result<&'static Entry> {
    usize::try_from(id.index)
        .ok()
        .and_then(|index| ENTRIES.get(index))
        .filter(|entry| entry.hash == id.hash)
        .ok_or_else(|| {
            Error::invalid(format!(
                "no entry has number {} and hash {:#x} in this program: the \
                 processes run different builds",
                id.index, id.hash
            ))
        })
}

/// Finds the raw entry with this name: its full path, or a last segment that only one
/// raw entry has.
pub(crate) fn find_raw(name: &str) -> Result<&'static Entry> {
    let raw = || ENTRIES.iter().filter(|entry| entry.role == Role::Raw);
    let exact: Vec<_> = raw().filter(|entry| entry.path == name).collect();
    let found = if exact.is_empty() {
        raw()
            .filter(|entry| entry.path.rsplit("::").next() == Some(name))
            .collect()
    } else {
        exact
    };
    match found[..] {
        [entry] => Ok(entry),
        [] => Err(missing(name)),
        _ => Err(Error::invalid(format!(
            "the name `{name}` is ambiguous: {}",
            places(&found)
        ))),
    }
}

fn missing(name: &str) -> Error {
    let other: Vec<_> = ENTRIES
        .iter()
        .filter(|entry| entry.path == name || entry.path.rsplit("::").next() == Some(name))
        .collect();
    if !other.is_empty() {
        return Error::invalid(format!(
            "`{name}` is not a raw entry, write `#[zygote::entry(raw)]`: {}",
            places(&other)
        ));
    }
    let known: Vec<_> = ENTRIES
        .iter()
        .filter(|entry| entry.role == Role::Raw)
        .collect();
    Error::invalid(format!(
        "no raw entry is named `{name}`; this program has: {}",
        places(&known)
    ))
}

fn places(entries: &[&Entry]) -> String {
    if entries.is_empty() {
        return "none".to_owned();
    }
    let list: Vec<_> = entries
        .iter()
        .map(|entry| format!("{} at {}:{}", entry.path, entry.file, entry.line))
        .collect();
    list.join(", ")
}

/// Hashes with FNV-1a, which can be used in a constant.
const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash ^= bytes[at] as u64;
        hash = hash.wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    // A separator, so that "ab", "c" and "a", "bc" differ.
    hash.wrapping_mul(0x0100_0000_01b3) ^ 0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &mut Job) -> Result<()> {
        Ok(())
    }

    #[test]
    fn every_part_of_the_identity_changes_the_hash() {
        let make = |path, file, line, column, signature| {
            Entry::new(path, file, line, column, signature, Role::Typed, nothing).hash
        };
        let base = make("a::b", "f.rs", 1, 2, "fn()");
        for other in [
            make("a::c", "f.rs", 1, 2, "fn()"),
            make("a::b", "g.rs", 1, 2, "fn()"),
            make("a::b", "f.rs", 3, 2, "fn()"),
            make("a::b", "f.rs", 1, 3, "fn()"),
            make("a::b", "f.rs", 1, 2, "fn(u8)"),
            make("a::bf", ".rs", 1, 2, "fn()"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn an_identity_that_is_not_in_the_slice_is_an_error() {
        let error = find(Id {
            index: u32::MAX,
            hash: 1,
        })
        .unwrap_err();
        assert!(error.is_invalid());
        assert!(find_raw("no such thing").unwrap_err().is_invalid());
    }
}
