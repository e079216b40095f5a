//! A deserializer that gives each type what it wrote, or an error.

mod elements;
mod parts;
mod reader;

use serde::{Deserializer, de::Visitor};

pub(super) use self::reader::Reader;
use self::{
    elements::Track,
    parts::Variant,
    reader::{Arrived, Result, wrong},
};
use super::{
    fault::Fault,
    shape::{Form, What},
};

macro_rules! plain {
    ($($method:ident, $visit:ident($ty:ty) is $form:ident;)*) => { $(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.want(Form::$form)?;
            visitor.$visit(self.take::<$ty>()?)
        }
    )* };
}

macro_rules! refused {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
            Err(self.fail(Fault::any()))
        }
    )* };
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Fault;

    fn is_human_readable(&self) -> bool {
        false
    }

    plain! {
        deserialize_bool, visit_bool(bool) is Bool;
        deserialize_i8, visit_i8(i8) is I8;
        deserialize_i16, visit_i16(i16) is I16;
        deserialize_i32, visit_i32(i32) is I32;
        deserialize_i64, visit_i64(i64) is I64;
        deserialize_i128, visit_i128(i128) is I128;
        deserialize_u8, visit_u8(u8) is U8;
        deserialize_u16, visit_u16(u16) is U16;
        deserialize_u32, visit_u32(u32) is U32;
        deserialize_u64, visit_u64(u64) is U64;
        deserialize_u128, visit_u128(u128) is U128;
        deserialize_f32, visit_f32(f32) is F32;
        deserialize_f64, visit_f64(f64) is F64;
        deserialize_char, visit_char(char) is Char;
        deserialize_str, visit_borrowed_str(&'de str) is Str;
        deserialize_string, visit_borrowed_str(&'de str) is Str;
    }

    refused! { deserialize_any deserialize_ignored_any deserialize_identifier }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.next == Form::Seq {
            // Each of its elements is one byte, too.
            self.next = Form::None;
            match self.track()? {
                Track::All(Form::U8) => {}
                _ => return Err(self.refuse("a sequence was written where bytes are to be read")),
            }
        } else {
            self.want(Form::Bytes)?;
        }
        visitor.visit_borrowed_bytes(self.take::<&'de [u8]>()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.want(Form::Option)?;
        let byte: u8 = self.take()?;
        let Some(byte) = byte.checked_sub(1) else {
            return visitor.visit_none();
        };
        match Form::from_byte(byte) {
            None | Some(Form::None) => Err(self.fail(wrong("an option"))),
            Some(form) => {
                self.next = form;
                visitor.visit_some(self)
            }
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.want(Form::Unit)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let track = if self.next == Form::Bytes {
            self.next = Form::None;
            Track::All(Form::U8)
        } else {
            self.want(Form::Seq)?;
            self.track()?
        };
        let mut elements = self.elements(Track::All(Form::None), track)?;
        let value = visitor.visit_seq(&mut elements)?;
        elements.close().map(|()| value)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.want(Form::Map)?;
        let (keys, values) = (self.track()?, self.track()?);
        let mut elements = self.elements(keys, values)?;
        let value = visitor.visit_map(&mut elements)?;
        elements.close().map(|()| value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_tuple_struct("", count, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        owner: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.want(Form::Tuple)?;
        let number = self.shape()?;
        self.counted(number, What::Tuple, count)?;
        self.parts(owner, number, &[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        owner: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.want(Form::Struct)?;
        let number = self.shape()?;
        self.named(number, What::Struct, fields)?;
        self.parts(owner, number, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        owner: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.expect(Form::Enum)?;
        let number = self.shape()?;
        let Arrived { shape, fits } = &self.shapes[number];
        // A struct variant is compared with its fields as well, and its `fits` may be
        // those.
        let alone = shape.what != What::StructVariant;
        if !(alone && fits.is_some_and(|it| std::ptr::eq(it, variants))) {
            self.known(owner, number, variants)?;
        }
        visitor.visit_enum(Variant {
            from: self,
            owner,
            number,
        })
    }
}
