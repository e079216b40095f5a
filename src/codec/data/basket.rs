//! The descriptors of the value that is on its way.
//!
//! serde has no place for descriptors. While a value is encoded or decoded they are in
//! a basket of the thread, and an [`Fd`] in the value is its number there. Each
//! descriptor can be taken out once, and those that nobody takes are closed.

use std::{
    cell::RefCell,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};

use super::{super::Fd, fault::Fault};
use crate::{
    bytes::Bytes,
    error::{Error, Result},
};

thread_local! {
    static BASKET: RefCell<Option<Basket>> = const { RefCell::new(None) };
}

pub(crate) fn rehearse() {
    BASKET.set(None);
}

/// The descriptors of the value that is on its way.
struct Basket {
    filling: bool,
    fds: Vec<Option<OwnedFd>>,
    /// What went wrong with a descriptor. It is kept here because serde's errors are
    /// only text.
    failure: Option<Error>,
}

/// While this lives, the thread has a basket. A user's `Serialize` may encode another
/// value, or panic: the previous basket comes back either way.
pub(super) struct Active {
    before: Option<Basket>,
}

impl Active {
    pub(super) fn new(filling: bool, fds: Vec<Option<OwnedFd>>) -> Self {
        let basket = Basket {
            filling,
            fds,
            failure: None,
        };
        Self {
            before: BASKET.replace(Some(basket)),
        }
    }

    /// Gives what is in the basket at the end, or an error if the work failed.
    pub(super) fn finish<T, R>(self, done: Result<R, Fault>) -> Result<(R, Vec<Option<OwnedFd>>)> {
        let basket = BASKET.take();
        let (fds, failure) = basket.map_or_else(Default::default, |it| (it.fds, it.failure));
        match done {
            Ok(done) => Ok((done, fds)),
            Err(error) => Err(failure.unwrap_or_else(|| error.into_error::<T>())),
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        BASKET.set(self.before.take());
    }
}

/// Tells how many there are.
pub(super) fn number_of(fds: &[Option<OwnedFd>]) -> Result<u32> {
    u32::try_from(fds.len()).map_err(|_| Error::invalid("more descriptors than a process can have"))
}

/// A duplicate of the descriptor goes into the basket, and its number there into the
/// data.
impl<T: AsFd> Serialize for Fd<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        put(self.0.as_fd(), serializer)
    }
}

impl<'de, T: From<OwnedFd>> Deserialize<'de> for Fd<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take(deserializer, |fd| Ok(Self(fd.into())))
    }
}

/// The memory travels as an [`Fd`].
impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        put(self.as_fd(), serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take(deserializer, Self::try_from)
    }
}

/// Puts a duplicate into the basket, and its number there into the data.
fn put<S: Serializer>(fd: BorrowedFd<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    let copy = fd.try_clone_to_owned();
    let number = in_basket(true, |fds| {
        let number = number_of(fds)?;
        fds.push(Some(copy.map_err(|error| {
            Error::os("duplicating a descriptor to send it failed", error)
        })?));
        Ok(number)
    });
    serializer.serialize_u32(number.map_err(S::Error::custom)?)
}

/// Takes the descriptor with the number that is read out of the basket, and makes it
/// what it is.
fn take<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    what: impl FnOnce(OwnedFd) -> Result<T>,
) -> Result<T, D::Error> {
    let number = u32::deserialize(deserializer)?;
    let value = in_basket(false, |fds| {
        let fd = usize::try_from(number)
            .ok()
            .and_then(|number| fds.get_mut(number)?.take())
            .ok_or_else(|| Error::invalid(format!("descriptor {number} did not arrive")))?;
        what(fd)
    });
    value.map_err(D::Error::custom)
}

/// Does something with the thread's basket, if it has one of this kind.
fn in_basket<R>(
    filling: bool,
    act: impl FnOnce(&mut Vec<Option<OwnedFd>>) -> Result<R>,
) -> Result<R> {
    BASKET.with_borrow_mut(|basket| match basket {
        Some(basket) if basket.filling == filling => {
            act(&mut basket.fds).inspect_err(|error| basket.failure = Some(error.clone()))
        }
        _ => Err(Error::invalid(
            "a `zygote::Fd` or `zygote::Bytes` can be serialized only by zygote, on its way to \
             another process",
        )),
    })
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixStream, panic};

    use super::{super::encode_serde, *};
    use crate::parcel::Encoder;

    fn stream() -> Fd<UnixStream> {
        Fd(UnixStream::pair().unwrap().0)
    }

    fn descriptors_of<T: Serialize>(value: &T) -> usize {
        let mut out = Encoder::default();
        encode_serde(value, &mut out).unwrap();
        out.fds.len()
    }

    /// A value that encodes another one while it is encoded, or panics.
    struct Odd<'a>(&'a Fd<UnixStream>, bool);

    impl Serialize for Odd<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert!(self.1, "odd");
            assert_eq!(descriptors_of(self.0), 1);
            self.0.serialize(serializer)
        }
    }

    #[test]
    fn the_basket_comes_back_after_another_value_and_after_a_panic() {
        let stream = stream();
        let twice = [Odd(&stream, true), Odd(&stream, true)];
        assert_eq!(descriptors_of(&twice), 2);
        let caught = panic::catch_unwind(|| descriptors_of(&Odd(&self::stream(), false)));
        assert!(caught.is_err());
        assert!(BASKET.with_borrow(Option::is_none));
    }
}
