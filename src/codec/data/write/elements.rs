//! Sequences and maps.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

use super::writer::{Result, Writer};
use crate::codec::data::{
    fault::Fault,
    shape::{Form, Shape, What},
};

/// The elements of a sequence, the keys of a map, or its values.
struct Track {
    done: usize,
    /// The form of all so far; [`Form::None`] before the first, and once they differ.
    form: Form,
    /// The form of each, once they differ.
    each: Option<Shape<'static>>,
}

/// A sequence or a map on its way out.
pub(in super::super) struct Elements<'w, 'a> {
    to: &'w mut Writer<'a>,
    /// The place for the forms.
    at: usize,
    count: usize,
    /// The keys, which only a map has.
    keys: Track,
    values: Track,
}

impl<'w, 'a> Elements<'w, 'a> {
    /// Leaves room for the forms of this many tracks.
    pub(super) fn new(to: &'w mut Writer<'a>, count: Option<usize>, tracks: usize) -> Result<Self> {
        let Some(count) = count else {
            let what = "a sequence or map does not say how many elements it has (so does a struct \
                        with serde's `flatten`)";
            return Err(to.refuse(what.to_owned()));
        };
        let at = to.bytes().len();
        for _ in 0..tracks {
            to.gap();
        }
        let length = u64::try_from(count).map_err(|_| Fault::refused("a length of 128 bits"))?;
        to.out.serialize_u64(length)?;
        Ok(Self {
            to,
            at,
            count,
            keys: Track::NEW,
            values: Track::NEW,
        })
    }
}

impl Track {
    const NEW: Self = Self {
        done: 0,
        form: Form::None,
        each: None,
    };

    #[inline(always)]
    fn note(&mut self, form: Form, count: usize) {
        if self.form != form {
            self.differ(form, count);
        }
        self.done += 1;
    }

    #[cold]
    fn differ(&mut self, form: Form, count: usize) {
        if self.done == 0 {
            self.form = form;
            return;
        }
        let (first, done) = (self.form, self.done);
        let each = self.each.get_or_insert_with(|| {
            let mut shape = Shape::new(What::Elements, "", count);
            (0..done).for_each(|at| shape.push(at, "", first));
            shape
        });
        each.push(done, "", form);
        self.form = Form::None;
    }
}

impl Elements<'_, '_> {
    #[inline(always)]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<Form> {
        match value.serialize(&mut *self.to) {
            Ok(()) => Ok(self.to.last),
            Err(fault) => Err(self.to.fail(fault)),
        }
    }

    fn out_of_step(&mut self) -> Fault {
        let text = "a map gives a key without its value, or a value without its key";
        self.to.refuse(text.to_owned())
    }

    /// Fills the gap of a track.
    fn describe(to: &mut Writer<'_>, at: usize, track: Track) -> Result {
        match track.each {
            None => {
                // A sequence without elements can also be read as bytes.
                let empty = track.form == Form::None;
                let form = if empty { Form::U8 } else { track.form };
                to.bytes()[at] = form.byte();
            }
            Some(shape) => {
                let number = to.number(shape);
                to.bytes().insert(at, Form::None.byte());
                to.fill(at + 1, number)?;
            }
        }
        Ok(())
    }

    fn close(self, form: Form) -> Result {
        let (count, done) = (self.count, self.values.done);
        if done != count {
            let text = format!("a sequence or map announces {count} elements and gives {done}");
            return Err(self.to.refuse(text));
        }
        if form == Form::Map {
            Self::describe(self.to, self.at + 1, self.values)?;
            Self::describe(self.to, self.at, self.keys)?;
        } else {
            Self::describe(self.to, self.at, self.values)?;
        }
        self.to.last = form;
        Ok(())
    }
}

impl SerializeSeq for Elements<'_, '_> {
    type Ok = ();
    type Error = Fault;

    #[inline(always)]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        let form = self.element(value)?;
        self.values.note(form, self.count);
        Ok(())
    }

    fn end(self) -> Result {
        self.close(Form::Seq)
    }
}

impl SerializeMap for Elements<'_, '_> {
    type Ok = ();
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        if self.keys.done != self.values.done {
            return Err(self.out_of_step());
        }
        let form = self.element(key)?;
        self.keys.note(form, self.count);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        if self.keys.done != self.values.done + 1 {
            return Err(self.out_of_step());
        }
        let form = self.element(value)?;
        self.values.note(form, self.count);
        Ok(())
    }

    fn end(mut self) -> Result {
        if self.keys.done != self.values.done {
            return Err(self.out_of_step());
        }
        self.close(Form::Map)
    }
}
