//! `#[zygote::preload]`

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Error, Result, ReturnType, Type, parse_quote_spanned};

use crate::{
    expand::Expansion,
    types::{self, Output},
};

/// What a preload leaves in the template.
struct Value {
    ty: Type,
    /// Whether the function returns a `Result`.
    fallible: bool,
    /// Whether it changes the value that is there.
    in_place: bool,
}

/// Gives the function, and a type with its name that has `task`.
pub(crate) fn expand(it: &Expansion<'_>) -> Result<TokenStream> {
    let value = value(it)?;
    let name = &it.function.sig.ident;
    let original = it.original(&format!(
        "`{name}::task(…)` is for `Process::preload`, which runs it in a template."
    ));
    let constructors = it.constructors(&task(it, &value));
    Ok(quote!(#original #constructors))
}

fn value(it: &Expansion<'_>) -> Result<Value> {
    let (at, sig) = (it.at, &it.function.sig);
    let (ty, fallible) = match Output::of(&sig.output) {
        Output::Never => {
            return Err(Error::new_spanned(
                &sig.output,
                "a preload returns; its value stays in the template",
            ));
        }
        Output::Nothing => (parse_quote_spanned!(at=> ()), false),
        Output::Value(ty) if types::is_result(ty) => match types::first_generic(ty) {
            Some(inner) => (inner.clone(), true),
            None => {
                let text = "the value's type is not in sight; write `Result<T, E>`";
                return Err(Error::new_spanned(ty, text));
            }
        },
        Output::Value(ty) => (ty.clone(), false),
    };
    match &it.signature.state {
        Some(state) if state.mutability.is_some() => {
            if !types::is_unit(&ty) {
                return Err(Error::new_spanned(
                    &sig.output,
                    "a preload that changes the value in place returns `()` or `Result<(), E>`",
                ));
            }
            let ty = state.elem.as_ref().clone();
            Ok(Value {
                ty,
                fallible,
                in_place: true,
            })
        }
        _ => Ok(Value {
            ty,
            fallible,
            in_place: false,
        }),
    }
}

fn task(it: &Expansion<'_>, value: &Value) -> TokenStream {
    let Expansion {
        at,
        private,
        element,
        ..
    } = it;
    let (at, task, ty) = (*at, it.constructor("task"), &value.ty);
    let (params, place) = (it.params(), it.place());
    let (codecs, deprecated) = (it.codecs(), it.deprecated());
    let register = it.register("Preload", &run(it, value));
    let put = it.put();
    quote_spanned! {at=>
        /// The preload with these arguments.
        #deprecated
        pub fn #task(#(#params),*) -> #private::Preload<#ty, #place> {
            #codecs
            #register
            #private::preload(&#element, #put)
        }
    }
}

/// Makes the body that decodes the arguments, calls the function and keeps its value.
fn run(it: &Expansion<'_>, value: &Value) -> TokenStream {
    let Expansion { at, private, .. } = it;
    let (take, call) = it.call();
    let ty = &value.ty;
    let result = match &it.function.sig.output {
        ReturnType::Type(_, ty) => quote_spanned!(it.beside(ty)=> __zygote_result),
        ReturnType::Default => quote_spanned!(*at=> __zygote_result),
    };
    let value_of = if value.fallible {
        quote_spanned!(*at=> #private::loaded(#result)?)
    } else {
        result
    };
    let keep = if value.in_place {
        quote_spanned!(*at=> #value_of;)
    } else {
        quote_spanned!(*at=> __zygote_job.keep::<#ty>(#value_of);)
    };
    quote_spanned! {*at=>
        #take
        let __zygote_result = #call;
        #keep
        #private::Result::Ok(())
    }
}
