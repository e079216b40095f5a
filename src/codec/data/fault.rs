//! What goes wrong while serde's code runs.

use std::{any::type_name, fmt};

use crate::error::Error;

/// What a user can do when a type cannot travel by serde.
const ADVICE: &str =
    "encode such a value yourself, for example with `serde_json`, and pass the bytes";

/// An error in the middle of a value. It is one pointer, because every number that is
/// written returns a `Fault` or nothing.
#[derive(Clone, Debug)]
pub(super) struct Fault(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    what: What,
    /// The innermost field, and the type that has it.
    place: Option<(String, String)>,
}

#[derive(Clone, Debug)]
enum What {
    /// The type's own code gave this error.
    Custom(String),
    /// The type does something that cannot be sent.
    Refused(String),
    /// The type asks what a value is, and the bytes do not say.
    Any,
    /// There are too few bytes.
    Short,
}

impl Fault {
    #[cold]
    fn new(what: What) -> Self {
        Self(Box::new(Inner { what, place: None }))
    }

    #[cold]
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self::new(What::Refused(text.into()))
    }

    #[cold]
    pub(super) fn any() -> Self {
        Self::new(What::Any)
    }

    /// Says where it happened, unless something inside has said it.
    #[cold]
    pub(super) fn within(mut self, owner: &str, field: &str) -> Self {
        if !field.is_empty() {
            let place = || (owner.to_owned(), field.to_owned());
            self.0.place.get_or_insert_with(place);
        }
        self
    }

    /// Makes the error for the user who sent or asked for a `T`.
    pub(super) fn into_error<T>(self) -> Error {
        let name = type_name::<T>();
        let place = self.0.place;
        let place = place.map_or_else(String::new, |(owner, field)| {
            format!(" in the field `{field}` of `{owner}`")
        });
        Error::invalid(match self.0.what {
            What::Custom(text) => format!("serde's code for `{name}` failed{place}: {text}"),
            What::Refused(text) => format!("`{name}` cannot travel{place}: {text}; {ADVICE}"),
            What::Any => format!(
                "`{name}` needs a format that describes itself{place}, as serde's `untagged`, \
                 `flatten`, `tag` and `deserialize_any` do; {ADVICE}"
            ),
            What::Short => format!("the bytes of a `{name}` end too early{place}"),
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.what {
            What::Custom(text) | What::Refused(text) => f.write_str(text),
            What::Any => f.write_str("the format does not describe itself"),
            What::Short => f.write_str("the bytes end too early"),
        }
    }
}

impl std::error::Error for Fault {}

impl serde::ser::Error for Fault {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(What::Custom(text.to_string()))
    }
}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(What::Custom(text.to_string()))
    }
}

impl From<postcard::Error> for Fault {
    #[cold]
    fn from(error: postcard::Error) -> Self {
        Self::new(match error {
            postcard::Error::DeserializeUnexpectedEnd => What::Short,
            error => What::Custom(error.to_string()),
        })
    }
}
