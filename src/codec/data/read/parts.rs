//! Structs, tuples and variants.

use serde::de::{
    DeserializeSeed, EnumAccess, SeqAccess, VariantAccess, Visitor, value::BorrowedStrDeserializer,
};

use super::reader::{Arrived, Reader, Result, wrong};
use crate::codec::data::{
    fault::Fault,
    shape::{Form, What},
};

impl<'de> Reader<'de> {
    /// Reads which shape the value has.
    #[inline(always)]
    pub(super) fn shape(&mut self) -> Result<usize> {
        let number: usize = self.take()?;
        if number < self.shapes.len() {
            return Ok(number);
        }
        Err(self.fail(wrong("a shape's number")))
    }

    /// Checks that the shape is this, with so many parts.
    #[inline(always)]
    pub(super) fn counted(&mut self, number: usize, what: What, count: usize) -> Result {
        let shape = &self.shapes[number].shape;
        if shape.what == what && shape.count == count {
            return Ok(());
        }
        Err(self.other(number, what, count))
    }

    #[cold]
    fn other(&mut self, number: usize, what: What, count: usize) -> Fault {
        let shape = &self.shapes[number].shape;
        let text = format!(
            "{:?} with {} elements was written where {what:?} with {count} is to be read",
            shape.what, shape.count
        );
        self.refuse(text)
    }

    /// Checks that the shape is this, with fields that are among these.
    #[inline(always)]
    pub(super) fn named(
        &mut self,
        number: usize,
        what: What,
        fields: &'static [&'static str],
    ) -> Result {
        let Arrived { shape, fits } = &self.shapes[number];
        if shape.what == what && fits.is_some_and(|it| std::ptr::eq(it, fields)) {
            return Ok(());
        }
        self.fits(number, what, fields)
    }

    /// Compares the fields, and remembers if they fit.
    #[cold]
    fn fits(&mut self, number: usize, what: What, fields: &'static [&'static str]) -> Result {
        let Arrived { shape, fits } = &mut self.shapes[number];
        if shape.what != what {
            let text = format!("{:?} was written where {what:?} is to be read", shape.what);
            return Err(self.refuse(text));
        }
        if shape.reads_as(fields) {
            *fits = Some(fields);
            return Ok(());
        }
        let text = format!(
            "it is written with the fields {:?}, and read with {fields:?}",
            shape.names
        );
        Err(self.refuse(text))
    }

    /// Checks that the variant is one of these, and remembers that it is.
    pub(super) fn known(
        &mut self,
        owner: &str,
        number: usize,
        variants: &'static [&'static str],
    ) -> Result {
        let Arrived { shape, fits } = &mut self.shapes[number];
        let variant = shape.variant;
        if variants.contains(&variant) {
            if shape.what != What::StructVariant {
                *fits = Some(variants);
            }
            return Ok(());
        }
        let text = format!("`{owner}` is written as `{variant}`, and read as one of {variants:?}");
        Err(self.refuse(text))
    }

    #[inline(always)]
    pub(super) fn parts<V: Visitor<'de>>(
        &mut self,
        owner: &'static str,
        number: usize,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let mut parts = Parts {
            count: self.shapes[number].shape.count,
            done: 0,
            from: self,
            owner,
            number,
            named: !fields.is_empty(),
        };
        let value = visitor.visit_seq(&mut parts)?;
        let (done, count) = (parts.done, parts.count);
        if done == count {
            return Ok(value);
        }
        Err(self.fewer(count, done))
    }

    /// Makes the error for a type that does not read all that was written.
    #[cold]
    pub(super) fn fewer(&mut self, count: usize, done: usize) -> Fault {
        self.refuse(format!(
            "{count} fields or elements were written and {done} are read"
        ))
    }
}

/// The parts of a struct, a tuple or a variant.
struct Parts<'r, 'de> {
    from: &'r mut Reader<'de>,
    owner: &'static str,
    number: usize,
    count: usize,
    done: usize,
    named: bool,
}

impl<'de> SeqAccess<'de> for Parts<'_, 'de> {
    type Error = Fault;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.done == self.count {
            return self.beyond().map(|()| None);
        }
        let at = self.done;
        self.done += 1;
        let form = self.from.shapes[self.number].shape.form(at);
        match self.from.part(form, seed) {
            Ok(value) => Ok(Some(value)),
            Err(fault) => {
                let names = &self.from.shapes[self.number].shape.names;
                let name = names.get(at).copied().unwrap_or_default();
                Err(fault.within(self.owner, name))
            }
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.count - self.done)
    }
}

impl Parts<'_, '_> {
    /// Refuses, because one more part is asked for. A struct would get the default for
    /// a field that `skip_serializing` has left out, and that need not be the last
    /// field.
    #[cold]
    fn beyond(&mut self) -> Result {
        if !self.named {
            return Ok(());
        }
        let (owner, count) = (self.owner, self.count);
        Err(self.from.refuse(format!(
            "`{owner}` is written with {count} fields and read with more, as with serde's \
             `skip_serializing`"
        )))
    }
}

/// A variant, by its name: its number is another when variants are skipped.
pub(super) struct Variant<'r, 'de> {
    pub(super) from: &'r mut Reader<'de>,
    pub(super) owner: &'static str,
    pub(super) number: usize,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let name = self.from.shapes[self.number].shape.variant;
        match seed.deserialize(BorrowedStrDeserializer::<Fault>::new(name)) {
            Ok(variant) => Ok((variant, self)),
            Err(fault) => Err(self.from.fail(fault)),
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result {
        self.from.counted(self.number, What::UnitVariant, 0)?;
        self.from.want(Form::Enum)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        self.from.counted(self.number, What::NewtypeVariant, 1)?;
        let form = self.from.shapes[self.number].shape.form(0);
        self.from.part(form, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value> {
        self.from.counted(self.number, What::TupleVariant, count)?;
        self.from.want(Form::Enum)?;
        self.from.parts(self.owner, self.number, &[], visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.from.named(self.number, What::StructVariant, fields)?;
        self.from.want(Form::Enum)?;
        self.from.parts(self.owner, self.number, fields, visitor)
    }
}
