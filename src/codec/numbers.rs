//! Vectors of numbers, which travel as the plain memory that they are: one copy, with
//! no cost for each element, also in a program that is built without optimisation.

#[cfg(feature = "serde")]
use std::any::Any;
use std::any::type_name;

use bytemuck::Pod;

use super::Hand;
use crate::{
    error::{Error, Result},
    parcel::{Decoder, Encoder},
};

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Hand for Vec<$number> {
            fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
                out.push_bytes(bytemuck::cast_slice(&self));
                Ok(())
            }

            fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
                collect(input.take_bytes()?)
            }
        })*

        /// Gives the memory of a value that is `Some` vector of numbers.
        #[cfg(feature = "serde")]
        pub(super) fn memory(value: &dyn Any) -> Option<&[u8]> {
            $(if let Some(Some(numbers)) = value.downcast_ref::<Option<Vec<$number>>>() {
                return Some(bytemuck::cast_slice(numbers));
            })*
            None
        }

        /// Makes the value of what [`memory`] gave. Tells whether it is for a vector of
        /// numbers.
        #[cfg(feature = "serde")]
        pub(super) fn fill(value: &mut dyn Any, memory: &[u8]) -> Result<bool> {
            $(if let Some(slot) = value.downcast_mut::<Option<Vec<$number>>>() {
                *slot = Some(collect(memory)?);
                return Ok(true);
            })*
            Ok(false)
        }
    };
}

numbers!(i8 i16 i32 i64 i128 isize u16 u32 u64 u128 usize f32 f64);

fn collect<T: Pod>(memory: &[u8]) -> Result<Vec<T>> {
    if !memory.len().is_multiple_of(size_of::<T>()) {
        let (length, name) = (memory.len(), type_name::<T>());
        let text = format!("{length} bytes arrived, which are no whole number of `{name}`");
        return Err(Error::invalid(text));
    }
    Ok(bytemuck::pod_collect_to_vec(memory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::hand::tests::there_and_back;

    #[test]
    fn numbers_come_back_bit_by_bit() -> Result<()> {
        assert_eq!(there_and_back(vec![u64::MAX, 0, 1])?, [u64::MAX, 0, 1]);
        assert_eq!(there_and_back(vec![i128::MIN, -1])?, [i128::MIN, -1]);
        assert_eq!(there_and_back(Vec::<f32>::new())?, []);
        assert_eq!(there_and_back(Some(vec![-3_i8]))?, Some(vec![-3]));
        let odd = [
            f64::NAN,
            -f64::NAN,
            -0.0,
            f64::from_bits(0x7FF0_0000_0000_0001),
        ];
        let bits = |numbers: &[f64]| -> Vec<u64> { numbers.iter().map(|n| n.to_bits()).collect() };
        assert_eq!(bits(&there_and_back(odd.to_vec())?), bits(&odd));
        Ok(())
    }

    #[test]
    fn where_they_begin_does_not_matter() -> Result<()> {
        let mut out = Encoder::default();
        out.push_byte(1);
        vec![1.5_f64, 2.5].encode_by_hand(&mut out)?;
        let mut input = Decoder::new(out.bytes, out.fds);
        input.take_byte()?;
        assert_eq!(Vec::<f64>::decode_by_hand(&mut input)?, [1.5, 2.5]);
        input.finish()
    }

    #[test]
    fn half_a_number_is_an_error() {
        let mut out = Encoder::default();
        out.push_bytes(&[0; 12]);
        let mut input = Decoder::new(out.bytes, out.fds);
        let error = Vec::<u64>::decode_by_hand(&mut input).unwrap_err();
        assert!(error.is_invalid());
        assert!(error.to_string().contains("12 bytes"), "{error}");
    }
}
