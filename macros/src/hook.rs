//! `#[zygote::hook(..)]`

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Error, Item, ItemFn, LitInt, Path, Result, ReturnType, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    spanned::Spanned,
};

use crate::{args::value, signature};

const MISSING: &str = "say when it runs: `#[zygote::hook(worker)]`, `prepare`, `parent` or `child`";

/// What is in the attribute's parentheses.
struct Args {
    /// The variant of `When`.
    when: Ident,
    /// `order = number`
    order: i32,
    /// `crate = path`
    krate: Option<Path>,
}

/// Expands what is under the attribute. The function itself stays even when something
/// is wrong, because the code that calls it is not at fault.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = syn::parse2::<Args>(args).and_then(|args| match syn::parse2(item.clone())? {
        Item::Fn(function) => {
            signature::check_hook(&function)?;
            Ok(register(&args, &function))
        }
        _ => Err(Error::new(
            Span::call_site(),
            "`#[zygote::hook]` goes on a function that has a body",
        )),
    });
    let added = expanded.unwrap_or_else(Error::into_compile_error);
    quote!(#item #added)
}

/// Makes the hook's place in the registry.
fn register(args: &Args, function: &ItemFn) -> TokenStream {
    let name = &function.sig.ident;
    let at = Span::mixed_site().located_at(name.span());
    let private = match &args.krate {
        Some(path) => {
            let path = path.to_token_stream();
            quote_spanned!(at=> #path::__private)
        }
        None => quote_spanned!(at=> ::zygote::__private),
    };
    let cfgs = function
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("cfg"));
    let (when, order, text) = (&args.when, args.order, name.unraw().to_string());
    let mut call = name.clone();
    call.set_span(at);
    // This is the place of the return type, so that an error about it points there.
    let returned = match &function.sig.output {
        ReturnType::Type(_, ty) => at.located_at(ty.span()),
        ReturnType::Default => at,
    };
    let outcome = quote_spanned!(returned=> #private::outcome(__zygote_returned));
    quote_spanned! {at=>
        #(#cfgs)*
        const _: () = {
            #[allow(deprecated, clippy::let_unit_value)]
            fn __zygote_hook() -> ::core::result::Result<(), #private::String> {
                let __zygote_returned = #call();
                #outcome
            }

            #[#private::linkme::distributed_slice(#private::HOOKS)]
            #[linkme(crate = #private::linkme)]
            static __ZYGOTE_HOOK: #private::Hook = #private::Hook::new(
                ::core::concat!(::core::module_path!(), "::", #text),
                ::core::line!(),
                ::core::column!(),
                #order,
                #private::When::#when,
                __zygote_hook,
            );
        };
    }
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Err(Error::new(Span::call_site(), MISSING));
        }
        let name = input.call(Ident::parse_any)?;
        let when = match name.to_string().as_str() {
            "worker" => "Worker",
            "prepare" => "Prepare",
            "parent" => "Parent",
            "child" => "Child",
            "order" | "crate" => return Err(Error::new(name.span(), MISSING)),
            other => {
                let text = format!(
                    "a hook does not run at `{other}`; there are `worker`, `prepare`, `parent` \
                     and `child`"
                );
                return Err(Error::new(name.span(), text));
            }
        };
        let when = Ident::new(when, Span::mixed_site().located_at(name.span()));
        let (mut order, mut krate) = (None, None);
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let name = input.call(Ident::parse_any)?;
            let again = match name.to_string().as_str() {
                "order" => order.replace(number(&name, input)?).is_some(),
                "crate" => {
                    let path = value(&name, "path", input, Path::parse_mod_style)?;
                    krate.replace(path).is_some()
                }
                other => {
                    let text = format!(
                        "unknown option `{other}`; there are `order = 10` and `crate = path`"
                    );
                    return Err(Error::new(name.span(), text));
                }
            };
            if again {
                return Err(Error::new(name.span(), format!("`{name}` is given twice")));
            }
        }
        let order = order.unwrap_or(0);
        Ok(Self { when, order, krate })
    }
}

/// Reads an `i32`, negative or not.
fn number(name: &Ident, input: ParseStream<'_>) -> Result<i32> {
    let equals = input.parse::<Token![=]>();
    equals.map_err(|_| Error::new(name.span(), "write `order = 10`"))?;
    let wrong = |at| Error::new(at, "an order is an `i32`, as in `order = -10`");
    let at = input.span();
    let minus = input.parse::<Option<Token![-]>>()?;
    let literal: LitInt = input.parse().map_err(|_| wrong(at))?;
    let sign = minus.map_or("", |_| "-");
    match (
        format!("{sign}{}", literal.base10_digits()).parse(),
        literal.suffix(),
    ) {
        (Ok(number), "" | "i32") => Ok(number),
        _ => Err(wrong(literal.span())),
    }
}
