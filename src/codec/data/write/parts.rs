//! Structs, tuples and variants.

use serde::{
    Serialize,
    ser::{
        SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};

use super::{
    super::shape::{Form, Shape, What, same},
    Fault, Result, SLOTS, Writer,
};

/// A struct, a tuple or a variant on its way out.
pub(in super::super) struct Parts<'w, 'a> {
    to: &'w mut Writer<'a>,
    owner: &'static str,
    /// Where the number of its shape goes.
    at: usize,
    slot: usize,
    /// The shape that it has so far, if it was met before.
    like: Option<usize>,
    /// Else the parts so far.
    shape: Shape<'static>,
    done: usize,
}

impl<'w, 'a> Parts<'w, 'a> {
    /// Leaves room for the number of its shape.
    pub(super) fn new(
        to: &'w mut Writer<'a>,
        what: What,
        owner: &'static str,
        variant: &'static str,
        count: usize,
    ) -> Self {
        let key = owner.as_ptr() as usize ^ (variant.as_ptr() as usize).rotate_left(7) ^ count;
        let slot = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) % SLOTS;
        let like = to.slots[slot] as usize;
        // The parts are compared when they come.
        let alike = to.shapes.get(like).is_some_and(|shape| {
            shape.what == what && shape.count == count && same(shape.variant, variant)
        });
        Self {
            at: to.gap(),
            owner,
            slot,
            like: alike.then_some(like),
            shape: Shape::new(what, variant, count),
            done: 0,
            to,
        }
    }
}

impl Parts<'_, '_> {
    #[inline]
    pub(super) fn part<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
        if let Err(fault) = value.serialize(&mut *self.to) {
            return Err(self.to.fail(fault.within(self.owner, name)));
        }
        let form = self.to.last;
        let known = self
            .like
            .is_some_and(|like| self.to.shapes[like].has(self.done, name, form));
        if !known {
            self.differ(name, form);
        }
        self.done += 1;
        Ok(())
    }

    /// Notes a part that the shape does not have.
    #[cold]
    fn differ(&mut self, name: &'static str, form: Form) {
        if let Some(like) = self.like.take() {
            self.shape = self.to.shapes[like].first(self.done);
        }
        self.shape.push(self.done, name, form);
    }

    #[cold]
    fn left_out(&mut self, name: &str) -> Fault {
        let owner = self.owner;
        self.to.refuse(format!(
            "`{owner}` leaves out its field `{name}`, as serde's `skip_serializing_if` does"
        ))
    }

    pub(super) fn close(self, form: Form) -> Result {
        if self.done != self.shape.count {
            let (owner, count, done) = (self.owner, self.shape.count, self.done);
            let text = format!("`{owner}` announces {count} fields or elements and gives {done}");
            return Err(self.to.refuse(text));
        }
        let number = match self.like {
            Some(like) => like,
            None => {
                let number = self.to.number(self.shape);
                // One that has no slot is searched for.
                self.to.slots[self.slot] = u32::try_from(number).unwrap_or(0);
                number
            }
        };
        self.to.fill(self.at, number)?;
        self.to.last = form;
        Ok(())
    }
}

macro_rules! parts {
    ($($name:ident, $method:ident, $form:ident;)*) => { $(
        impl $name for Parts<'_, '_> {
            type Ok = ();
            type Error = Fault;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
                self.part("", value)
            }

            fn end(self) -> Result {
                self.close(Form::$form)
            }
        }
    )* };
}

parts! {
    SerializeTuple, serialize_element, Tuple;
    SerializeTupleStruct, serialize_field, Tuple;
    SerializeTupleVariant, serialize_field, Enum;
}

macro_rules! fields {
    ($($name:ident, $form:ident;)*) => { $(
        impl $name for Parts<'_, '_> {
            type Ok = ();
            type Error = Fault;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result {
                self.part(name, value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result {
                Err(self.left_out(name))
            }

            fn end(self) -> Result {
                self.close(Form::$form)
            }
        }
    )* };
}

fields! {
    SerializeStruct, Struct;
    SerializeStructVariant, Enum;
}
