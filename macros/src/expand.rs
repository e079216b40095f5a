//! What all expansions have in common.
//!
//! The tokens of an expansion are placed where the function's name is, so that an error
//! or a debugger points there, but they are not the user's, so lints leave them alone.
//! Local variables cannot be confused with the user's (`mixed_site`), but the user's
//! function is called where they are, and items have no hygiene: so all names begin
//! with `__zygote`, and a test looks for others. Everything is named through the
//! crate's `__private`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, Error, Item, ItemFn, Meta, Result, Type, Visibility, ext::IdentExt, parse_quote,
    parse_quote_spanned, spanned::Spanned,
};

use crate::{
    args::Args,
    signature::{Param, Signature},
};

/// Expands what is under the attribute. The function itself stays even when it does not
/// qualify, because the code that calls it is not at fault.
pub(crate) fn function(
    args: &Args,
    item: TokenStream,
    expand: fn(&Expansion<'_>) -> Result<TokenStream>,
) -> TokenStream {
    let expanded = match syn::parse2(item.clone()) {
        Ok(Item::Fn(function)) => Expansion::new(args, &function).and_then(|it| expand(&it)),
        Ok(_) => Err(Error::new(
            Span::call_site(),
            format!(
                "`#[zygote::{}]` goes on a function that has a body",
                args.attribute
            ),
        )),
        Err(error) => Err(error),
    };
    expanded.unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#error #item)
    })
}

/// A function that qualifies, about to be expanded.
pub(crate) struct Expansion<'a> {
    args: &'a Args,
    pub(crate) function: &'a ItemFn,
    pub(crate) signature: Signature,
    /// Where the expansion's own tokens are.
    pub(crate) at: Span,
    /// The path of `__private`.
    pub(crate) private: TokenStream,
    /// The item that is put into the registry.
    pub(crate) element: Ident,
    /// The function that decodes, calls and encodes.
    pub(crate) run: Ident,
}

impl<'a> Expansion<'a> {
    fn new(args: &'a Args, function: &'a ItemFn) -> Result<Self> {
        let at = Span::mixed_site().located_at(function.sig.ident.span());
        let krate = match &args.krate {
            Some(path) => path.to_token_stream(),
            None => quote_spanned!(at=> ::zygote),
        };
        Ok(Self {
            args,
            function,
            signature: Signature::of(function, args.attribute)?,
            at,
            private: quote_spanned!(at=> #krate::__private),
            element: Ident::new("__ZYGOTE_ELEMENT", at),
            run: Ident::new("__zygote_run", at),
        })
    }

    /// Makes the static for the registry, and the function to which it leads.
    pub(crate) fn register(&self, role: &str, body: &TokenStream) -> TokenStream {
        let Self {
            at,
            private,
            element,
            run,
            ..
        } = self;
        let role = Ident::new(role, *at);
        let name = self.function.sig.ident.unraw().to_string();
        let signature = self.function.sig.to_token_stream().to_string();
        let allow = self
            .inherited(&["deprecated"])
            .into_iter()
            .map(|_| quote_spanned!(*at=> #[allow(deprecated)]));
        quote_spanned! {*at=>
            #(#allow)*
            fn #run(__zygote_job: &mut #private::Job) -> #private::Result<()> {
                #body
            }

            #[#private::linkme::distributed_slice(#private::ENTRIES)]
            #[linkme(crate = #private::linkme)]
            static #element: #private::Entry = #private::Entry::new(
                ::core::concat!(::core::module_path!(), "::", #name),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
                #signature,
                #private::Role::#role,
                #run,
            );
        }
    }

    /// Makes a function that chooses how a type travels. It is the only place that
    /// asks, so that a type that cannot travel is one error, at the type.
    pub(crate) fn codec(&self, name: &Ident, ty: &Type) -> TokenStream {
        let private = &self.private;
        let at = self.beside(ty);
        quote_spanned! {at=>
            fn #name() -> impl #private::Codec<#ty> {
                use #private::via::*;
                (&&&&&#private::Way::<#ty>::NEW).codec_of_way()
            }
        }
    }

    /// Makes the codecs of the parameters.
    pub(crate) fn codecs(&self) -> TokenStream {
        let params = self.signature.params.iter().zip(self.names());
        params
            .map(|(param, name)| self.codec(&name, &param.ty))
            .collect()
    }

    fn names(&self) -> impl Iterator<Item = Ident> {
        (0..self.signature.params.len())
            .map(|at| format_ident!("__zygote_codec_{at}", span = self.at))
    }

    /// Makes the closure that puts the arguments into a task.
    pub(crate) fn put(&self) -> TokenStream {
        let Self { at, private, .. } = self;
        let puts = self
            .signature
            .params
            .iter()
            .zip(self.names())
            .map(|(param, name)| {
                let (ident, label) = (&param.ident, &param.label);
                quote_spanned!(*at=> #private::put(&#name(), #label, #ident, __zygote_out))
            });
        quote_spanned!(*at=> move |__zygote_out| #private::all([#(#puts),*]))
    }

    /// Takes the arguments out, then calls the user's function.
    pub(crate) fn call(&self) -> (TokenStream, TokenStream) {
        let Self {
            at,
            private,
            element,
            ..
        } = self;
        let idents: Vec<_> = (0..self.signature.params.len())
            .map(|n| format_ident!("__zygote_argument_{n}", span = *at))
            .collect();
        let takes = self
            .signature
            .params
            .iter()
            .zip(self.names())
            .map(|(param, name)| {
                let label = &param.label;
                quote_spanned!(*at=> #private::take(&#name(), #label, __zygote_input)?)
            });
        let take = quote_spanned! {*at=>
            let (#(#idents,)*) = #private::arguments(&#element, __zygote_job, |__zygote_input| {
                #private::Result::Ok((#(#takes,)*))
            })?;
        };
        let state = self.signature.state.iter().map(|reference| {
            let ty = &reference.elem;
            quote_spanned!(*at=> #private::state::<#ty>(&#element, __zygote_job)?)
        });
        let name = self.name();
        (take, quote_spanned!(*at=> #name(#(#state,)* #(#idents),*)))
    }

    /// Gives the function's name, for a call.
    pub(crate) fn name(&self) -> Ident {
        let mut name = self.function.sig.ident.clone();
        name.set_span(self.at);
        name
    }

    /// Gives the place of the user's tokens, for tokens of the expansion.
    pub(crate) fn beside(&self, tokens: &impl Spanned) -> Span {
        self.at.located_at(tokens.span())
    }

    /// Gives the user's function. If it has docs they get one more line; if it has
    /// none, `missing_docs` may report that. Clippy does not complain about what is
    /// demanded of the function here.
    pub(crate) fn original(&self, line: &str) -> ItemFn {
        let mut function = self.function.clone();
        if function
            .attrs
            .iter()
            .any(|attr| attr.path().is_ident("doc"))
        {
            function.attrs.push(parse_quote!(#[doc = ""]));
            function.attrs.push(parse_quote!(#[doc = #line]));
        }
        let allow = parse_quote_spanned! {self.at=>
            #[allow(
                clippy::needless_pass_by_value,
                clippy::ptr_arg,
                clippy::trivially_copy_pass_by_ref
            )]
        };
        // This goes in front, so that the user's own attributes have the last word.
        function.attrs.insert(0, allow);
        function
    }

    /// Makes the type that carries the constructors. It has the function's name and
    /// span, so that an editor that looks for `f` in `f::task` finds the function.
    pub(crate) fn constructors(&self, constructors: &TokenStream) -> TokenStream {
        let at = self.at;
        let ty = self.ty();
        let attrs = self.inherited(&["allow", "warn", "deny", "expect"]);
        let vis = match &self.function.vis {
            Visibility::Public(_) => quote_spanned!(at=> pub),
            vis => vis.to_token_stream(),
        };
        quote_spanned! {at=>
            #(#attrs)*
            #[doc(hidden)]
            #[allow(non_camel_case_types)]
            #vis enum #ty {}

            #(#attrs)*
            impl #ty {
                #constructors
            }
        }
    }

    pub(crate) fn ty(&self) -> &Ident {
        self.args.ty.as_ref().unwrap_or(&self.function.sig.ident)
    }

    /// Makes an identifier that belongs to the function: it has the span of the
    /// function's name.
    pub(crate) fn constructor(&self, name: &str) -> Ident {
        Ident::new(name, self.function.sig.ident.span())
    }

    /// Gives the parameters as a constructor repeats them.
    pub(crate) fn params(&self) -> Vec<TokenStream> {
        let params = self.signature.params.iter();
        params
            .map(|Param { ident, ty, .. }| quote_spanned!(self.at=> #ident: #ty))
            .collect()
    }

    /// Tells where the task may run, as a type.
    pub(crate) fn place(&self) -> TokenStream {
        let Self { at, private, .. } = self;
        match &self.signature.state {
            Some(reference) => {
                let ty = &reference.elem;
                quote_spanned!(*at=> #private::On<#ty>)
            }
            None => quote_spanned!(*at=> #private::Anywhere),
        }
    }

    /// Makes the attributes that warn a user of a deprecated function's constructor.
    /// The expansion itself, which uses the function, is not warned.
    pub(crate) fn deprecated(&self) -> TokenStream {
        let attrs = self.inherited(&["deprecated"]);
        if attrs.is_empty() {
            return TokenStream::new();
        }
        quote_spanned!(self.at=> #(#attrs)* #[allow(deprecated)])
    }

    /// Gives the user's attributes with these names, for what is made from the
    /// function.
    fn inherited(&self, names: &[&str]) -> Vec<Attribute> {
        let attrs = self.function.attrs.iter();
        attrs
            .filter(|attr| names.iter().any(|name| attr.path().is_ident(name)))
            .map(|attr| match &attr.meta {
                // What is expected of the function need not be true of what is made
                // from it.
                Meta::List(list) if list.path.is_ident("expect") => {
                    let lints = &list.tokens;
                    parse_quote!(#[allow(#lints)])
                }
                _ => attr.clone(),
            })
            .collect()
    }
}
