//! Structs, tuples and variants.

use serde::{
    Serialize,
    ser::{
        SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};

use super::writer::{Result, SLOTS, Writer};
use crate::codec::data::{
    fault::Fault,
    shape::{Form, Shape, What, same},
};

/// A struct, a tuple or a variant on its way out.
pub(in super::super) struct Parts<'w, 'a> {
    to: &'w mut Writer<'a>,
    owner: &'static str,
    /// The place for the number of its shape.
    at: usize,
    slot: usize,
    what: What,
    variant: &'static str,
    count: usize,
    /// The shape that it has so far, if it was met before.
    like: Option<usize>,
    /// Otherwise the parts so far. There are nearly always none, so they take no room.
    own: Option<Box<Shape<'static>>>,
    done: usize,
}

impl<'w, 'a> Parts<'w, 'a> {
    /// Leaves room for the number of its shape.
    #[inline(always)]
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
            what,
            variant,
            count,
            own: None,
            done: 0,
            to,
        }
    }
}

impl Parts<'_, '_> {
    #[inline(always)]
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
        let done = self.done;
        let (what, variant, count) = (self.what, self.variant, self.count);
        let own = self.own.get_or_insert_with(|| {
            let like = self
                .like
                .take()
                .map(|like| self.to.shapes[like].first(done));
            Box::new(like.unwrap_or_else(|| Shape::new(what, variant, count)))
        });
        own.push(done, name, form);
    }

    #[cold]
    fn left_out(&mut self, name: &str) -> Fault {
        let owner = self.owner;
        self.to.refuse(format!(
            "`{owner}` leaves out its field `{name}`, as serde's `skip_serializing_if` does"
        ))
    }

    #[inline(always)]
    pub(super) fn close(self, form: Form) -> Result {
        if self.done != self.count {
            return Err(self.miscounted());
        }
        self.to.last = form;
        match self.like {
            Some(number @ 0..128) => {
                self.to.bytes()[self.at] = number.to_le_bytes()[0];
                Ok(())
            }
            _ => self.close_new(),
        }
    }

    /// Fills the gap with the number of a new shape, or with one of two bytes.
    #[cold]
    fn close_new(self) -> Result {
        let number = self.like.unwrap_or_else(|| {
            let own = self.own.map(|own| *own);
            let shape = own.unwrap_or_else(|| Shape::new(self.what, self.variant, self.count));
            self.to.number(shape)
        });
        // A shape whose number does not fit is searched for each time.
        self.to.slots[self.slot] = u32::try_from(number).unwrap_or(0);
        self.to.fill(self.at, number)
    }

    #[cold]
    fn miscounted(self) -> Fault {
        let (owner, count, done) = (self.owner, self.count, self.done);
        self.to.refuse(format!(
            "`{owner}` announces {count} fields or elements and gives {done}"
        ))
    }
}

macro_rules! parts {
    ($($name:ident, $method:ident, $form:ident;)*) => { $(
        impl $name for Parts<'_, '_> {
            type Ok = ();
            type Error = Fault;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
                self.part("", value)
            }

            #[inline(always)]
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

            #[inline(always)]
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

            #[inline(always)]
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
