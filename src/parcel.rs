//! What a job carries: encoded bytes and the descriptors that belong to them.
//!
//! Pure: nothing here makes a system call, except to close a descriptor that is not
//! taken out.

use std::{any::Any, os::fd::OwnedFd};

use crate::error::{Error, Result};

/// Bytes and descriptors on their way out.
#[derive(Debug, Default)]
pub struct Encoder {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
}

impl Encoder {
    /// Puts a descriptor at the end of the list.
    pub fn push_fd(&mut self, fd: OwnedFd) {
        self.fds.push(fd);
    }

    /// Puts the length, then the bytes.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.reserve(8 + bytes.len());
        // A length that fits into memory fits into 64 bits.
        self.bytes
            .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    /// Puts one byte.
    pub fn push_byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Puts bytes, without their length, which both sides know.
    pub(crate) fn push_array<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes.extend_from_slice(&bytes);
    }

    /// Puts a list: each element by `push`, with a byte in front of it, and then a
    /// zero.
    pub(crate) fn push_list<T>(
        &mut self,
        list: impl IntoIterator<Item = T>,
        mut push: impl FnMut(&mut Self, T) -> Result<()>,
    ) -> Result<()> {
        for element in list {
            self.push_byte(1);
            push(self, element)?;
        }
        self.push_byte(0);
        Ok(())
    }
}

/// Bytes and descriptors that arrived, taken out in the order they were put in.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    at: usize,
    fds: std::vec::IntoIter<OwnedFd>,
}

impl Decoder {
    pub(crate) fn new(bytes: Vec<u8>, fds: Vec<OwnedFd>) -> Self {
        Self {
            bytes,
            at: 0,
            fds: fds.into_iter(),
        }
    }

    /// Makes a decoder whose first bytes are already taken.
    pub(crate) fn after(skip: usize, bytes: Vec<u8>, fds: Vec<OwnedFd>) -> Self {
        let mut decoder = Self::new(bytes, fds);
        decoder.skip(skip);
        decoder
    }

    /// Takes the next descriptor.
    pub fn take_fd(&mut self) -> Result<OwnedFd> {
        self.fds
            .next()
            .ok_or_else(|| Error::invalid("a descriptor is missing from what arrived"))
    }

    /// Takes what [`Encoder::push_bytes`] put.
    pub fn take_bytes(&mut self) -> Result<&[u8]> {
        let Some((length, rest)) = self.rest().split_first_chunk::<8>() else {
            return Err(short());
        };
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
        if length > rest.len() {
            return Err(short());
        }
        let from = self.at + 8;
        self.at = from + length;
        Ok(&self.bytes[from..self.at])
    }

    /// Takes one byte.
    pub fn take_byte(&mut self) -> Result<u8> {
        let byte = *self.rest().first().ok_or_else(short)?;
        self.at += 1;
        Ok(byte)
    }

    /// Takes what [`Encoder::push_array`] put.
    pub(crate) fn take_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = *self.rest().first_chunk().ok_or_else(short)?;
        self.at += N;
        Ok(bytes)
    }

    /// Takes what [`Encoder::push_list`] put, each element by `take`.
    pub(crate) fn take_list<T>(
        &mut self,
        mut take: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut list = Vec::new();
        while self.take_byte()? != 0 {
            list.push(take(self)?);
        }
        Ok(list)
    }

    /// Gives what has not been taken yet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Passes over what was read from [`rest`](Self::rest).
    pub(crate) fn skip(&mut self, count: usize) {
        self.at = self.bytes.len().min(self.at + count);
    }

    /// Checks that everything has been taken.
    pub fn finish(&self) -> Result<()> {
        if self.at == self.bytes.len() && self.fds.len() == 0 {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{} bytes and {} descriptors are left over",
            self.bytes.len() - self.at,
            self.fds.len()
        )))
    }
}

fn short() -> Error {
    Error::invalid("the bytes that arrived end too early")
}

/// What the function in a registered entry is given, and where it puts the
/// result. It exists in the process that runs the entry.
#[derive(Debug, Default)]
pub struct Job {
    pub(crate) args: Decoder,
    pub(crate) state: Option<State>,
    pub(crate) reply: Encoder,
}

/// The value of a preload. It is never dropped: a later value replaces it, and code
/// that ran before may hold on to it.
#[derive(Debug)]
pub(crate) struct State {
    value: &'static mut dyn Any,
    type_name: &'static str,
}

impl Job {
    /// Gives the arguments, which are taken out in order.
    pub fn args(&mut self) -> &mut Decoder {
        &mut self.args
    }

    /// Gives the place for the result.
    pub fn reply(&mut self) -> &mut Encoder {
        &mut self.reply
    }

    /// Gives the preloaded value, or an error when it is missing or of another type.
    pub fn state<T: 'static>(&mut self) -> Result<&mut T> {
        let wanted = std::any::type_name::<T>();
        let Some(state) = &mut self.state else {
            return Err(Error::invalid(format!(
                "the process has no preloaded value, `{wanted}` is needed"
            )));
        };
        let held = state.type_name;
        state.value.downcast_mut().ok_or_else(|| {
            Error::invalid(format!(
                "the process has a preloaded value of type `{held}`, `{wanted}` is needed"
            ))
        })
    }

    /// Makes this the preloaded value.
    pub fn keep<T: 'static>(&mut self, value: T) {
        self.state = Some(State {
            value: Box::leak(Box::new(value)),
            type_name: std::any::type_name::<T>(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_in_order() -> Result<()> {
        let mut out = Encoder::default();
        out.push_bytes(b"one");
        out.push_byte(7);
        out.push_bytes(b"");
        let mut input = Decoder::new(out.bytes, out.fds);
        assert_eq!(input.take_bytes()?, b"one");
        assert_eq!(input.take_byte()?, 7);
        assert!(input.finish().is_err());
        assert_eq!(input.take_bytes()?, b"");
        input.finish()
    }

    #[test]
    fn lists_come_back_and_what_is_cut_off_is_an_error() -> Result<()> {
        let list = [7_u32, 0, u32::MAX];
        let mut out = Encoder::default();
        out.push_list(list, |out, number| {
            out.push_array(number.to_le_bytes());
            Ok(())
        })?;
        let take = |input: &mut Decoder| Ok(u32::from_le_bytes(input.take_array()?));
        for end in 0..out.bytes.len() {
            let mut input = Decoder::new(out.bytes[..end].to_vec(), Vec::new());
            assert!(input.take_list(take).unwrap_err().is_invalid());
        }
        let mut input = Decoder::new(out.bytes, out.fds);
        assert_eq!(input.take_list(take)?, list);
        input.finish()
    }

    #[test]
    fn every_truncation_is_an_error() {
        let mut out = Encoder::default();
        out.push_bytes(b"something");
        for end in 0..out.bytes.len() {
            let mut input = Decoder::new(out.bytes[..end].to_vec(), Vec::new());
            assert!(input.take_bytes().unwrap_err().is_invalid());
            assert!(input.take_fd().unwrap_err().is_invalid());
        }
        let mut huge = Decoder::new(u64::MAX.to_le_bytes().to_vec(), Vec::new());
        assert!(huge.take_bytes().unwrap_err().is_invalid());
    }

    #[test]
    fn the_state_is_checked_by_type() {
        let mut job = Job::default();
        assert!(job.state::<u32>().unwrap_err().is_invalid());
        job.keep(5_u32);
        let error = job.state::<String>().unwrap_err();
        assert!(error.to_string().contains("u32"));
        assert!(job.state::<u32>().is_ok_and(|n| *n == 5));
    }
}
