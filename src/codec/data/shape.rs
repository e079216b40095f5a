//! What a value is made of, as its `Serialize` said it.
//!
//! postcard writes values one after the other and nothing else: when a field is left
//! out, or read as another kind of number, everything that follows becomes other
//! values. So the forms and the names travel too, and whatever `Deserialize` asks for
//! is compared with them.
//!
//! They cost little: a number needs no form of its own, since what is around it says
//! that. A [`Shape`] is written once, and every struct, tuple and variant that has it
//! begins with its number.

use serde::{Deserialize, Serialize};

/// What serde calls a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Form {
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Str,
    Bytes,
    Option,
    Unit,
    Seq,
    Map,
    Tuple,
    Struct,
    Enum,
    /// For elements: each has its own form, and a shape says which. For the value that
    /// comes next: there is none, since it has been read.
    None,
}

impl Form {
    const ALL: [Self; 24] = [
        Self::Bool,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::I128,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::U128,
        Self::F32,
        Self::F64,
        Self::Char,
        Self::Str,
        Self::Bytes,
        Self::Option,
        Self::Unit,
        Self::Seq,
        Self::Map,
        Self::Tuple,
        Self::Struct,
        Self::Enum,
        Self::None,
    ];

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    pub(super) fn byte(self) -> u8 {
        self as u8
    }

    /// Gives its name in an error.
    pub(super) fn text(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// What has a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum What {
    Tuple,
    Struct,
    UnitVariant,
    NewtypeVariant,
    TupleVariant,
    StructVariant,
    /// A sequence whose elements are of several forms, and a map's keys or values.
    Elements,
}

/// The parts of a struct, a tuple or a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shape<'a> {
    pub(super) what: What,
    /// The name of the variant, if it is one.
    pub(super) variant: &'a str,
    /// How many parts there are.
    pub(super) count: usize,
    /// The names of the fields, if they have some.
    #[serde(borrow)]
    pub(super) names: Vec<&'a str>,
    /// The form of each part, or a single one when all have the same.
    forms: Vec<Form>,
}

impl<'a> Shape<'a> {
    /// Makes a shape whose parts are still to be pushed.
    pub(super) fn new(what: What, variant: &'a str, count: usize) -> Self {
        Self {
            what,
            variant,
            count,
            names: Vec::new(),
            forms: Vec::new(),
        }
    }

    /// Adds the part number `at`. The name is empty when parts have no names.
    pub(super) fn push(&mut self, at: usize, name: &'a str, form: Form) {
        if self.named() {
            self.names.push(name);
        }
        match self.forms[..] {
            [only] if only == form => {}
            [only] => {
                self.forms = vec![only; at];
                self.forms.push(form);
            }
            _ => self.forms.push(form),
        }
    }

    /// Makes the same shape with only its first parts.
    pub(super) fn first(&self, parts: usize) -> Self {
        let mut first = Self::new(self.what, self.variant, self.count);
        for at in 0..parts {
            let name = self.names.get(at).copied().unwrap_or_default();
            first.push(at, name, self.form(at));
        }
        first
    }

    /// Tells whether its fields have names.
    fn named(&self) -> bool {
        matches!(self.what, What::Struct | What::StructVariant)
    }

    /// Gives the form of the part number `at`.
    pub(super) fn form(&self, at: usize) -> Form {
        match self.forms[..] {
            [only] => only,
            _ => self.forms.get(at).copied().unwrap_or(Form::None),
        }
    }

    /// Tells whether the part number `at` has this name and form.
    pub(super) fn has(&self, at: usize, name: &str, form: Form) -> bool {
        let named = || self.names.get(at).is_some_and(|known| same(known, name));
        at < self.count && self.form(at) == form && (!self.named() || named())
    }

    /// Tells whether all parts are there, which is not certain for a shape that
    /// arrived.
    pub(super) fn whole(&self) -> bool {
        let names = if self.named() { self.count } else { 0 };
        self.names.len() == names
            && (self.forms.len() == self.count.min(1) || self.forms.len() == self.count)
    }

    /// Tells whether a type with these fields reads it. The type may have more fields,
    /// since an `alias` counts as one, but not in another order.
    pub(super) fn reads_as(&self, fields: &[&str]) -> bool {
        let mut fields = fields.iter();
        self.names
            .iter()
            .all(|name| fields.any(|field| field == name))
    }
}

/// Tells whether two names are equal. Nearly always they are the same text in memory.
pub(super) fn same(a: &str, b: &str) -> bool {
    std::ptr::eq(a, b) || a == b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_its_byte() {
        for (at, form) in Form::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(form.byte()), at);
            assert_eq!(Form::from_byte(form.byte()), Some(form));
        }
        assert_eq!(Form::from_byte(24), None);
    }

    #[test]
    fn parts_of_one_form_are_written_as_one() {
        let mut shape = Shape::new(What::Tuple, "", 4);
        for at in 0..3 {
            shape.push(at, "", Form::U8);
        }
        assert_eq!(shape.forms, [Form::U8]);
        assert_eq!(shape.first(2).forms, [Form::U8]);
        shape.push(3, "", Form::Str);
        let forms: Vec<_> = (0..5).map(|at| shape.form(at)).collect();
        assert_eq!(forms, [Form::U8, Form::U8, Form::U8, Form::Str, Form::None]);
        assert!(shape.whole());
        assert!(!shape.first(3).has(3, "", Form::Str) || shape.has(3, "", Form::Str));
    }

    #[test]
    fn fields_may_be_more_but_in_no_other_order() {
        let mut shape = Shape::new(What::Struct, "", 2);
        shape.push(0, "a", Form::U8);
        shape.push(1, "b", Form::U8);
        assert!(shape.reads_as(&["a", "b"]));
        assert!(shape.reads_as(&["a", "alias", "b"]));
        assert!(!shape.reads_as(&["b", "a"]));
        assert!(!shape.reads_as(&["a"]));
    }
}
