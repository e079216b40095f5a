//! What is in the attribute's parentheses.

use syn::{
    Error, Ident, Path, Result, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
};

/// The options of an attribute.
pub(crate) struct Args {
    /// `entry` or `preload`.
    pub(crate) attribute: &'static str,
    /// `raw`
    pub(crate) raw: bool,
    /// `type = Name`
    pub(crate) ty: Option<Ident>,
    /// `crate = path`
    pub(crate) krate: Option<Path>,
}

impl Args {
    pub(crate) fn entry(input: ParseStream<'_>) -> Result<Self> {
        Self::parse(input, "entry")
    }

    pub(crate) fn preload(input: ParseStream<'_>) -> Result<Self> {
        Self::parse(input, "preload")
    }

    fn parse(input: ParseStream<'_>, attribute: &'static str) -> Result<Self> {
        let mut args = Self {
            attribute,
            raw: false,
            ty: None,
            krate: None,
        };
        while !input.is_empty() {
            args.option(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }

    fn option(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name = input.call(Ident::parse_any)?;
        let again = match name.to_string().as_str() {
            "raw" if self.attribute == "entry" => std::mem::replace(&mut self.raw, true),
            "type" => {
                let ty = value(&name, "Name", input, Ident::parse)?;
                self.ty.replace(ty).is_some()
            }
            "crate" => {
                let krate = value(&name, "path", input, Path::parse_mod_style)?;
                self.krate.replace(krate).is_some()
            }
            _ => return Err(Error::new(name.span(), self.unknown(&name))),
        };
        if again {
            return Err(Error::new(name.span(), format!("`{name}` is given twice")));
        }
        if self.raw && self.ty.is_some() {
            let reason = "a raw entry has no type: it is run by its name, `process.run_raw(..)`";
            return Err(Error::new(name.span(), reason));
        }
        Ok(())
    }

    fn unknown(&self, name: &Ident) -> String {
        let known = match self.attribute {
            "entry" => "`raw`, `type = Name` and `crate = path`",
            _ => "`type = Name` and `crate = path`",
        };
        format!("unknown option `{name}`; there are {known}")
    }
}

/// Reads the value of an option.
pub(crate) fn value<T>(
    name: &Ident,
    what: &str,
    input: ParseStream<'_>,
    parse: fn(ParseStream<'_>) -> Result<T>,
) -> Result<T> {
    let wrong = || Error::new(name.span(), format!("write `{name} = {what}`"));
    input.parse::<Token![=]>().map_err(|_| wrong())?;
    input.call(parse).map_err(|_| wrong())
}
