//! A serializer that refuses what would arrive as another value.

mod elements;
mod parts;
mod writer;

use serde::{Serialize, Serializer};

pub(super) use self::writer::Writer;
use self::{elements::Elements, parts::Parts, writer::Result};
use super::{
    fault::Fault,
    shape::{Form, What},
};

macro_rules! plain {
    ($($method:ident($ty:ty) is $form:ident;)*) => { $(
        #[inline]
        fn $method(self, value: $ty) -> Result {
            self.last = Form::$form;
            Ok(self.out.$method(value)?)
        }
    )* };
}

impl<'w, 'a> Serializer for &'w mut Writer<'a> {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Elements<'w, 'a>;
    type SerializeTuple = Parts<'w, 'a>;
    type SerializeTupleStruct = Parts<'w, 'a>;
    type SerializeTupleVariant = Parts<'w, 'a>;
    type SerializeMap = Elements<'w, 'a>;
    type SerializeStruct = Parts<'w, 'a>;
    type SerializeStructVariant = Parts<'w, 'a>;

    fn is_human_readable(&self) -> bool {
        false
    }

    plain! {
        serialize_bool(bool) is Bool;
        serialize_i8(i8) is I8;
        serialize_i16(i16) is I16;
        serialize_i32(i32) is I32;
        serialize_i64(i64) is I64;
        serialize_i128(i128) is I128;
        serialize_u8(u8) is U8;
        serialize_u16(u16) is U16;
        serialize_u32(u32) is U32;
        serialize_u64(u64) is U64;
        serialize_u128(u128) is U128;
        serialize_f32(f32) is F32;
        serialize_f64(f64) is F64;
        serialize_char(char) is Char;
        serialize_str(&str) is Str;
        serialize_bytes(&[u8]) is Bytes;
    }

    fn serialize_none(self) -> Result {
        self.gap();
        self.last = Form::Option;
        Ok(())
    }

    /// Writes `Some` as one byte that also says which form the value has.
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        let at = self.gap();
        value.serialize(&mut *self)?;
        let form = self.last.byte();
        self.bytes()[at] = form + 1;
        self.last = Form::Option;
        Ok(())
    }

    fn serialize_unit(self) -> Result {
        self.last = Form::Unit;
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, owner: &'static str, _: u32, variant: &'static str) -> Result {
        Parts::new(self, What::UnitVariant, owner, variant, 0).close(Form::Enum)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        owner: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        let mut parts = Parts::new(self, What::NewtypeVariant, owner, variant, 1);
        parts.part("", value)?;
        parts.close(Form::Enum)
    }

    fn serialize_seq(self, count: Option<usize>) -> Result<Elements<'w, 'a>> {
        Elements::new(self, count, 1)
    }

    fn serialize_tuple(self, count: usize) -> Result<Parts<'w, 'a>> {
        Ok(Parts::new(self, What::Tuple, "", "", count))
    }

    fn serialize_tuple_struct(self, owner: &'static str, count: usize) -> Result<Parts<'w, 'a>> {
        Ok(Parts::new(self, What::Tuple, owner, "", count))
    }

    fn serialize_tuple_variant(
        self,
        owner: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Parts<'w, 'a>> {
        Ok(Parts::new(self, What::TupleVariant, owner, variant, count))
    }

    fn serialize_map(self, count: Option<usize>) -> Result<Elements<'w, 'a>> {
        Elements::new(self, count, 2)
    }

    fn serialize_struct(self, owner: &'static str, count: usize) -> Result<Parts<'w, 'a>> {
        Ok(Parts::new(self, What::Struct, owner, "", count))
    }

    fn serialize_struct_variant(
        self,
        owner: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Parts<'w, 'a>> {
        Ok(Parts::new(self, What::StructVariant, owner, variant, count))
    }
}
