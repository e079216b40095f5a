//! `#[zygote::entry]`

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Result, Type, parse_quote_spanned};

use crate::{expand::Expansion, types::Output};

/// Gives the function, and a type with its name that has `task` and `spawn`.
pub(crate) fn expand(it: &Expansion<'_>) -> Result<TokenStream> {
    let name = &it.function.sig.ident;
    let original = it.original(&format!(
        "`{name}::spawn(…)` runs it in a new process; `{name}::task(…)` is for `Process::run`."
    ));
    let returned = returned(it);
    let task = task(it, &returned);
    let spawn = spawn(it, &returned);
    let constructors = it.constructors(&quote!(#task #spawn));
    Ok(quote!(#original #constructors))
}

/// Gives the type of the result.
fn returned(it: &Expansion<'_>) -> Type {
    let (at, private) = (it.at, &it.private);
    match Output::of(&it.function.sig.output) {
        Output::Nothing => parse_quote_spanned!(at=> ()),
        Output::Never => parse_quote_spanned!(at=> #private::Infallible),
        Output::Value(ty) => ty.clone(),
    }
}

fn task(it: &Expansion<'_>, returned: &Type) -> TokenStream {
    let Expansion {
        at,
        private,
        element,
        ..
    } = it;
    let (at, task) = (*at, it.constructor("task"));
    let (params, place) = (it.params(), it.place());
    let result = Ident::new("__zygote_result", at);
    let (codecs, deprecated) = (it.codecs(), it.deprecated());
    let codec = result_codec(it, &result, returned);
    let state = it.signature.state.as_ref();
    let changes = state.is_some_and(|state| state.mutability.is_some());
    let role = if changes { "Changing" } else { "Typed" };
    let register = it.register(role, &run(it, &result));
    let put = it.put();
    quote_spanned! {at=>
        /// The task to run it with these arguments.
        #deprecated
        pub fn #task(#(#params),*) -> #private::Task<#returned, #place> {
            #codecs
            #codec
            #register
            #private::task(&#element, #put, |__zygote_input| {
                #private::returned(&#result(), __zygote_input)
            })
        }
    }
}

/// Makes the body that decodes the arguments, calls the function and encodes its
/// result.
fn run(it: &Expansion<'_>, result: &Ident) -> TokenStream {
    let Expansion { at, private, .. } = it;
    let (take, call) = it.call();
    match Output::of(&it.function.sig.output) {
        Output::Never => quote!(#take #call),
        _ => quote_spanned! {*at=>
            #take
            #private::put(&#result(), "the result", #call, __zygote_job.reply())
        },
    }
}

/// Does what [`Expansion::codec`] does; a `Result` travels as two types.
fn result_codec(it: &Expansion<'_>, name: &Ident, ty: &Type) -> TokenStream {
    let private = &it.private;
    let at = it.beside(ty);
    quote_spanned! {at=>
        fn #name() -> impl #private::Codec<#ty> {
            use #private::via::*;
            let __zygote_ways = (&&#private::Way::<#ty>::NEW).split_way();
            __zygote_ways.join(
                (&&&&&__zygote_ways.ok()).codec_of_way(),
                (&&&&&__zygote_ways.err()).codec_of_way(),
            )
        }
    }
}

fn spawn(it: &Expansion<'_>, returned: &Type) -> TokenStream {
    let Expansion { at, private, .. } = it;
    let (at, spawn, task) = (*at, it.constructor("spawn"), it.constructor("task"));
    let (params, deprecated) = (it.params(), it.deprecated());
    let idents = it.signature.params.iter().map(|param| &param.ident);
    let task = quote_spanned!(at=> Self::#task(#(#idents),*));
    let (process, start) = match &it.signature.state {
        None => (None, quote_spanned!(at=> #private::spawn(#task))),
        Some(reference) => {
            let (ty, process) = (&reference.elem, process(it));
            (
                Some(quote_spanned!(at=> #process: &#private::Process<#ty>,)),
                quote_spanned!(at=> #private::Process::spawn(#process, #task)),
            )
        }
    };
    quote_spanned! {at=>
        /// Runs it in a new process.
        ///
        /// # Errors
        ///
        /// When the process cannot be started or an argument cannot be encoded.
        #deprecated
        pub fn #spawn(#process #(#params),*) -> #private::Result<#private::Worker<#returned>> {
            #start
        }
    }
}

/// Makes a name for the parameter that no parameter of the user has. The docs of the
/// constructor show it, so it is a plain one.
fn process(it: &Expansion<'_>) -> Ident {
    let mut name = Ident::new("process", it.at);
    while it.signature.params.iter().any(|param| param.ident == name) {
        name = format_ident!("_{name}", span = it.at);
    }
    name
}
