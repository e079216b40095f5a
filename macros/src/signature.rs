//! What a function must look like, and what the expansion needs to know of it.
//!
//! Every mistake gives one error, at the user's own token, with the remedy.

use std::fmt::Display;

use proc_macro2::{Ident, Span};
use quote::{ToTokens, format_ident};
use syn::{
    Error, FnArg, Generics, ItemFn, Pat, PatType, Result, ReturnType, Type, TypeReference,
    ext::IdentExt, spanned::Spanned,
};

use crate::types::{self, Output};

/// What is between the parentheses of a function.
pub(crate) struct Signature {
    /// A first parameter `&T` or `&mut T`: the preloaded value.
    pub(crate) state: Option<TypeReference>,
    /// The other parameters.
    pub(crate) params: Vec<Param>,
}

/// A parameter that is passed.
pub(crate) struct Param {
    /// Its name, or one made up for a pattern.
    pub(crate) ident: Ident,
    /// What an error calls it.
    pub(crate) label: String,
    pub(crate) ty: Type,
}

impl Signature {
    /// Checks a function that is to be an `attribute`: `entry` or `preload`.
    pub(crate) fn of(function: &ItemFn, attribute: &'static str) -> Result<Self> {
        let mut check = Check {
            what: if attribute == "entry" {
                "an entry"
            } else {
                "a preload"
            },
            attribute,
            errors: None,
        };
        check.qualifiers(function);
        let signature = check.parameters(function);
        check.output(&function.sig.output);
        check.generics(&function.sig.generics);
        check.errors.map_or(Ok(signature), Err)
    }
}

/// Checks a function that is to be a hook.
pub(crate) fn check_hook(function: &ItemFn) -> Result<()> {
    let mut check = Check {
        what: "a hook",
        attribute: "hook",
        errors: None,
    };
    check.qualifiers(function);
    for input in &function.sig.inputs {
        match input {
            FnArg::Receiver(_) => check.cannot(input, "be a method; make it a free function"),
            FnArg::Typed(_) => check.cannot(
                input,
                "have parameters; what it works on stands in a `static`",
            ),
        }
    }
    check.generics(&function.sig.generics);
    if let Output::Never = Output::of(&function.sig.output) {
        check.error(
            &function.sig.output,
            "a hook returns; what comes after it is waiting",
        );
    }
    check.errors.map_or(Ok(()), Err)
}

/// The errors found so far.
struct Check {
    what: &'static str,
    attribute: &'static str,
    errors: Option<Error>,
}

impl Check {
    fn error(&mut self, tokens: impl ToTokens, text: impl Display) {
        let error = Error::new_spanned(tokens, text);
        match &mut self.errors {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    /// Adds an error that says what an entry or a preload cannot be.
    fn cannot(&mut self, tokens: impl ToTokens, rest: impl Display) {
        self.error(tokens, format!("{} cannot {rest}", self.what));
    }

    fn qualifiers(&mut self, function: &ItemFn) {
        let sig = &function.sig;
        if let Some(token) = &sig.asyncness {
            let attribute = self.attribute;
            self.cannot(
                token,
                format!("be async; put `#[tokio::main]` above `#[zygote::{attribute}]`"),
            );
        }
        if let syn::Safety::Unsafe(token) = &sig.safety {
            self.cannot(token, "be unsafe; put an `unsafe` block inside");
        }
        if let Some(abi) = &sig.abi {
            self.cannot(abi, "be extern; call the extern function inside");
        }
        if let Some(dots) = &sig.variadic {
            self.cannot(dots, "be variadic; take a `Vec`");
        }
    }

    /// Checks the generics. A lifetime that something borrowed needs is not a separate
    /// mistake.
    fn generics(&mut self, generics: &Generics) {
        let params = &generics.params;
        if generics.lifetimes().count() < params.len() {
            self.cannot(
                params,
                "be generic; name the types, and call the generic function inside",
            );
        } else if !params.is_empty() && self.errors.is_none() {
            self.cannot(
                params,
                "have a lifetime; what it takes and returns is owned",
            );
        }
    }

    fn parameters(&mut self, function: &ItemFn) -> Signature {
        let mut state = None;
        let mut params = Vec::new();
        for (at, input) in function.sig.inputs.iter().enumerate() {
            match input {
                FnArg::Receiver(receiver) => {
                    self.cannot(
                        receiver,
                        "be a method; make it a function that takes the value",
                    );
                }
                FnArg::Typed(typed) => {
                    self.attributes(typed);
                    if at == 0 {
                        state = self.state(&typed.ty);
                    }
                    if state.is_none() || at > 0 {
                        self.argument(&typed.ty, at);
                        params.push(Param::new(typed, at, &function.sig));
                    }
                }
            }
        }
        Signature { state, params }
    }

    /// Refuses attributes on a parameter with which the expansion would have to know
    /// whether the parameter is there.
    fn attributes(&mut self, typed: &PatType) {
        let names = ["cfg", "cfg_attr"];
        for attr in &typed.attrs {
            if names.iter().any(|name| attr.path().is_ident(name)) {
                self.cannot(attr, "have a parameter under `cfg`; write two functions");
            }
        }
    }

    /// Takes a first parameter `&T`; `None` if it is something else.
    fn state(&mut self, ty: &Type) -> Option<TypeReference> {
        let reference = types::reference(ty)?;
        if types::unsized_owned(reference).is_some() {
            return None;
        }
        if let Some(lifetime) = &reference.lifetime {
            self.error(
                lifetime,
                "the preloaded value is borrowed for the call alone; remove the lifetime",
            );
        }
        self.concrete(&reference.elem);
        Some(reference.clone())
    }

    /// Checks a parameter that is passed.
    fn argument(&mut self, ty: &Type, at: usize) {
        if !self.concrete(ty) {
            return;
        }
        let Some(part) = types::find(ty, &types::borrows) else {
            return;
        };
        if types::is_object(part) {
            let text = "a trait object cannot travel to another process; pass the data that it \
                        needs, and call the code in the entry";
            return self.error(part, text.to_owned());
        }
        let owned = types::owned(part);
        let sized = types::reference(ty).is_some_and(|it| types::unsized_owned(it).is_none());
        if sized && at > 0 {
            let rule = "only the first parameter can be a reference, to the preloaded value";
            self.error(part, format!("{rule}; take `{owned}`"));
        } else {
            self.error(
                part,
                format!("an argument cannot be borrowed; take `{owned}`"),
            );
        }
    }

    fn output(&mut self, output: &ReturnType) {
        let Output::Value(ty) = Output::of(output) else {
            return;
        };
        if !self.concrete(ty) {
            return;
        }
        if let Some(part) = types::find(ty, &types::borrows) {
            let owned = types::owned(part);
            self.error(
                part,
                format!("a result cannot be borrowed; return `{owned}`"),
            );
        }
    }

    /// Tells whether there is no `impl Trait` in the type.
    fn concrete(&mut self, ty: &Type) -> bool {
        let opaque = types::find(ty, &types::is_opaque);
        if let Some(part) = opaque {
            self.cannot(part, "be generic; name the type instead of `impl Trait`");
        }
        opaque.is_none()
    }
}

impl Param {
    fn new(typed: &PatType, at: usize, sig: &syn::Signature) -> Self {
        let mut ident = match &*typed.pat {
            Pat::Ident(pat) => pat.ident.clone(),
            pat => {
                let mut ident = format_ident!("argument_{}", at + 1, span = pat.span());
                while names(sig).any(|name| *name == ident) {
                    ident = format_ident!("_{ident}", span = pat.span());
                }
                ident
            }
        };
        // Lints about the use of a name (that `_x` is used, for example) are for the
        // function only.
        ident.set_span(Span::call_site().located_at(ident.span()));
        Self {
            label: format!("argument `{}`", ident.unraw()),
            ident,
            ty: (*typed.ty).clone(),
        }
    }
}

/// Gives the names of a function's parameters, except those of patterns.
fn names(sig: &syn::Signature) -> impl Iterator<Item = &Ident> {
    sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(pat) => Some(&pat.ident),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    })
}
