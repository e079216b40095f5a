//! Sequences and maps.

use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::reader::{Reader, Result, wrong};
use crate::codec::data::{fault::Fault, shape::Form};

impl<'de> Reader<'de> {
    /// Reads which form the elements have.
    pub(super) fn track(&mut self) -> Result<Track> {
        let byte: u8 = self.take()?;
        match Form::from_byte(byte) {
            Some(Form::None) => self.each(),
            Some(form) => Ok(Track::All(form)),
            None => Err(self.fail(wrong("a form"))),
        }
    }

    /// Reads the forms of elements of several forms; there are none if no shape says
    /// which.
    pub(super) fn each(&mut self) -> Result<Track> {
        self.shape().map(Track::Each)
    }

    pub(super) fn elements(&mut self, keys: Track, values: Track) -> Result<Elements<'_, 'de>> {
        Ok(Elements {
            count: self.take()?,
            from: self,
            keys,
            values,
            keys_done: 0,
            done: 0,
        })
    }
}

/// Which forms elements have.
#[derive(Clone, Copy)]
pub(super) enum Track {
    All(Form),
    /// The number of the shape that says so for each.
    Each(usize),
}

/// The elements of a sequence or of a map.
pub(super) struct Elements<'r, 'de> {
    from: &'r mut Reader<'de>,
    count: usize,
    keys: Track,
    values: Track,
    keys_done: usize,
    done: usize,
}

impl<'de> Elements<'_, 'de> {
    #[inline(always)]
    fn element<T: DeserializeSeed<'de>>(
        &mut self,
        track: Track,
        at: usize,
        seed: T,
    ) -> Result<T::Value> {
        let form = match track {
            Track::All(form) => form,
            Track::Each(number) => self.from.shapes[number].shape.form(at),
        };
        self.from.part(form, seed)
    }

    pub(super) fn close(&mut self) -> Result {
        let (count, done) = (self.count, self.done);
        if done == count {
            return Ok(());
        }
        Err(self.from.fewer(count, done))
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Fault;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.done == self.count {
            return Ok(None);
        }
        let at = self.done;
        self.done += 1;
        self.element(self.values, at, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.count - self.done)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if self.keys_done != self.done {
            return Err(self.from.refuse("a key is read where a value was written"));
        }
        if self.done == self.count {
            return Ok(None);
        }
        self.keys_done += 1;
        self.element(self.keys, self.done, seed).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        if self.keys_done != self.done + 1 {
            return Err(self.from.refuse("a value is read where a key was written"));
        }
        self.done += 1;
        self.element(self.values, self.done - 1, seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.count - self.done)
    }
}
