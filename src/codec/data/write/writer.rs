//! What a value is written into.

use postcard::ser_flavors::Flavor;

use crate::codec::data::{
    fault::Fault,
    shape::{Form, Shape},
};

pub(super) type Result<T = (), E = Fault> = std::result::Result<T, E>;

/// Appends to bytes.
pub(super) struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// How many shapes are found without a search.
pub(super) const SLOTS: usize = 64;

/// Writes one value.
pub(in crate::codec::data) struct Writer<'a> {
    pub(super) out: postcard::Serializer<Append<'a>>,
    /// The form of the value that was written last.
    pub(super) last: Form,
    pub(super) shapes: Vec<Shape<'static>>,
    /// For each slot, the shape of the last type whose name belongs in it.
    pub(super) slots: [u32; SLOTS],
    /// The first error. It is kept because a type that goes on after an error has
    /// written half a value.
    failed: Option<Fault>,
}

impl<'a> Writer<'a> {
    pub(in crate::codec::data) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out: postcard::Serializer {
                output: Append(out),
            },
            last: Form::None,
            shapes: Vec::new(),
            slots: [0; SLOTS],
            failed: None,
        }
    }

    /// Gives what the value was made of.
    pub(in crate::codec::data) fn finish(self) -> Result<(Form, Vec<Shape<'static>>)> {
        match self.failed {
            Some(fault) => Err(fault),
            None => Ok((self.last, self.shapes)),
        }
    }

    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        self.out.output.0
    }

    #[cold]
    pub(super) fn fail(&mut self, fault: Fault) -> Fault {
        self.failed.get_or_insert_with(|| fault.clone());
        fault
    }

    #[cold]
    pub(super) fn refuse(&mut self, text: String) -> Fault {
        self.fail(Fault::refused(text))
    }

    /// Leaves a byte free for something that is known later.
    pub(super) fn gap(&mut self) -> usize {
        let at = self.bytes().len();
        self.bytes().push(0);
        at
    }

    /// Fills a gap with the number of a shape, and makes room for a number of two
    /// bytes.
    pub(super) fn fill(&mut self, at: usize, number: usize) -> Result {
        match u8::try_from(number) {
            Ok(byte @ 0..128) => self.bytes()[at] = byte,
            _ => {
                let number = postcard::to_stdvec(&number)?;
                self.bytes().splice(at..=at, number);
            }
        }
        Ok(())
    }

    /// Gives the number of a shape: a new one if the shape was not met before.
    pub(super) fn number(&mut self, shape: Shape<'static>) -> usize {
        let known = self.shapes.iter().position(|known| *known == shape);
        known.unwrap_or_else(|| {
            self.shapes.push(shape);
            self.shapes.len() - 1
        })
    }
}
