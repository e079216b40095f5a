//! Initialisers: entries that run in a new process before the one that it is for.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::Arc,
};

use super::{Setting, Settings, What};
use crate::{
    error::{Error, Result},
    parcel::Decoder,
    registry::Id,
};

impl Settings {
    /// Records the entry and its arguments, or why they cannot be recorded.
    pub(crate) fn init<'a>(
        &mut self,
        id: Id,
        arguments: &[u8],
        fds: impl Iterator<Item = BorrowedFd<'a>>,
    ) {
        let copies: io::Result<Vec<OwnedFd>> = fds.map(|fd| fd.try_clone_to_owned()).collect();
        match copies {
            Ok(copies) => {
                let mut setting = Setting::new(What::Init).text(id.encode()).text(arguments);
                setting.fds = copies.into_iter().map(Arc::new).collect();
                self.add(setting);
            }
            Err(error) => self.refuse(Error::descriptor(
                "duplicating a descriptor of an initialiser failed",
                error,
            )),
        }
    }

    /// Takes the initialisers out, in the order in which they were recorded: each entry,
    /// and its arguments.
    pub(crate) fn take_inits(&mut self) -> Result<Vec<(Id, Decoder)>> {
        let inits = self.take_all(What::Init).into_iter();
        inits
            .map(|setting| given(setting).ok_or_else(wrong))
            .collect()
    }
}

fn given(setting: Setting) -> Option<(Id, Decoder)> {
    let [id, arguments]: [Vec<u8>; 2] = setting.texts.try_into().ok()?;
    // They came with a frame, and nothing else has them.
    let fds: Option<_> = setting.fds.into_iter().map(Arc::into_inner).collect();
    let id = Id::decode(*id.first_chunk()?);
    Some((id, Decoder::new(arguments, fds?)))
}

fn wrong() -> Error {
    Error::invalid("an initialiser that is none").unstarted()
}

/// Does nothing: the server takes initialisers out and runs them, after the hooks.
pub(super) fn run_later(_: &Setting, _: &Settings) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd};

    use super::*;

    #[test]
    fn they_are_taken_out_in_order_with_what_they_are_given() {
        let null = File::open("/dev/null").unwrap();
        let id = |index| Id { index, hash: 7 };
        let mut settings = Settings::default();
        settings.init(id(2), b"two", [null.as_fd(), null.as_fd()].into_iter());
        settings.umask(0o22);
        settings.init(id(1), b"", std::iter::empty());
        settings.check().unwrap();
        let [(first, two), (second, none)] = &mut settings.take_inits().unwrap()[..] else {
            panic!("two were recorded");
        };
        assert_eq!((*first, *second), (id(2), id(1)));
        assert_eq!(two.rest(), b"two");
        two.skip(3);
        two.take_fd().unwrap();
        assert!(two.finish().is_err(), "the second descriptor is there");
        two.take_fd().unwrap();
        two.finish().unwrap();
        none.finish().unwrap();
        assert!(settings.take_inits().unwrap().is_empty());
        assert!(settings.has(What::Umask));
    }

    #[test]
    fn what_is_no_initialiser_is_refused() {
        for wrong in [
            Setting::new(What::Init),
            Setting::new(What::Init).text("short").text(""),
            Setting::new(What::Init).text([0; Id::LENGTH]),
        ] {
            let mut settings = Settings::default();
            settings.add(wrong);
            assert!(settings.take_inits().unwrap_err().is_unstarted());
        }
    }
}
