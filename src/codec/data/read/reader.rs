//! What a value is read from.

use postcard::de_flavors::Slice;
use serde::{Deserialize, de::DeserializeSeed};

use crate::codec::data::{
    fault::Fault,
    shape::{Form, Shape},
};

pub(super) type Result<T = (), E = Fault> = std::result::Result<T, E>;

/// A shape that arrived.
pub(super) struct Arrived<'de> {
    pub(super) shape: Shape<'de>,
    /// The fields or variants that it was compared with last.
    pub(super) fits: Option<&'static [&'static str]>,
}

/// Reads one value.
pub(in crate::codec::data) struct Reader<'de> {
    pub(super) input: postcard::Deserializer<'de, Slice<'de>>,
    pub(super) shapes: Vec<Arrived<'de>>,
    /// The form of the value that comes next; [`Form::None`] once it is read.
    pub(super) next: Form,
    /// The first error. It is kept because a type that goes on after an error has read
    /// half a value.
    failed: Option<Fault>,
}

impl<'de> Reader<'de> {
    pub(in crate::codec::data) fn new(
        input: &'de [u8],
        form: Form,
        shapes: Vec<Shape<'de>>,
    ) -> Result<Self> {
        if !shapes.iter().all(Shape::whole) {
            return Err(wrong("a shape"));
        }
        let arrived = |shape| Arrived { shape, fits: None };
        Ok(Self {
            input: postcard::Deserializer::from_bytes(input),
            shapes: shapes.into_iter().map(arrived).collect(),
            next: form,
            failed: None,
        })
    }

    /// Checks that everything was read, without an error on the way.
    pub(in crate::codec::data) fn finish(mut self) -> Result {
        self.was_read()?;
        if let Some(fault) = self.failed {
            return Err(fault);
        }
        match self.input.finalize()? {
            [] => Ok(()),
            _ => Err(wrong("the end of the value")),
        }
    }

    #[cold]
    pub(super) fn fail(&mut self, fault: Fault) -> Fault {
        self.failed.get_or_insert_with(|| fault.clone());
        fault
    }

    #[cold]
    pub(super) fn refuse(&mut self, text: impl Into<String>) -> Fault {
        self.fail(Fault::refused(text))
    }

    // What follows is done for each number of a long sequence, and has to vanish in the
    // loop. That is why it is inlined `always`, and why the errors are made elsewhere.

    /// Reads a value in postcard's format.
    #[inline(always)]
    pub(super) fn take<T: Deserialize<'de>>(&mut self) -> Result<T> {
        match T::deserialize(&mut self.input) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.broken(error)),
        }
    }

    #[cold]
    pub(super) fn broken(&mut self, error: postcard::Error) -> Fault {
        self.fail(error.into())
    }

    /// Checks that the next value has this form.
    #[inline(always)]
    pub(super) fn want(&mut self, form: Form) -> Result {
        self.expect(form)?;
        self.next = Form::None;
        Ok(())
    }

    /// Does what [`want`](Self::want) does, for a value that is still to be read.
    #[inline(always)]
    pub(super) fn expect(&mut self, form: Form) -> Result {
        if self.next == form {
            return Ok(());
        }
        Err(self.unexpected(form))
    }

    #[cold]
    pub(super) fn unexpected(&mut self, form: Form) -> Fault {
        let (written, read) = (self.next.text(), form.text());
        self.refuse(format!(
            "serde's {written} was written where {read} is to be read"
        ))
    }

    /// Checks that the value that came next has been read.
    #[inline(always)]
    pub(super) fn was_read(&mut self) -> Result {
        if self.next == Form::None {
            return Ok(());
        }
        Err(self.unread())
    }

    #[cold]
    pub(super) fn unread(&mut self) -> Fault {
        let written = self.next.text();
        self.refuse(format!("serde's {written} was written and not read"))
    }

    /// Has a part read that has this form.
    #[inline(always)]
    pub(super) fn part<T: DeserializeSeed<'de>>(
        &mut self,
        form: Form,
        seed: T,
    ) -> Result<T::Value> {
        self.next = form;
        match seed.deserialize(&mut *self) {
            Ok(value) => {
                self.was_read()?;
                Ok(value)
            }
            Err(fault) => Err(self.fail(fault)),
        }
    }
}

/// Makes the error for something that no `Writer` writes.
#[cold]
pub(super) fn wrong(what: &str) -> Fault {
    serde::de::Error::custom(format_args!("{what} is not what this library writes"))
}
