//! `#[zygote::entry(raw)]`

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Error, Result};

use crate::{expand::Expansion, types::Output};

/// Gives the function, and its place in the registry. There are no constructors,
/// because the entry is run by its name.
pub(crate) fn expand(it: &Expansion<'_>) -> Result<TokenStream> {
    let Expansion {
        at,
        private,
        element,
        function,
        ..
    } = it;
    let sig = &function.sig;
    let [conn, args] = &it.signature.params[..] else {
        return Err(Error::new_spanned(
            &sig.ident,
            "a raw entry takes `(conn: UnixStream, args: Args)`",
        ));
    };
    if let Output::Value(ty) = Output::of(&sig.output) {
        let text = "a raw entry returns nothing; write to its connection";
        return Err(Error::new_spanned(ty, text));
    }
    let name = it.name();
    let (conn, args) = (&conn.ty, &args.ty);
    let conn_is = quote_spanned!(it.beside(conn)=> __zygote_conn);
    let args_are = quote_spanned!(it.beside(args)=> __zygote_args);
    let register = it.register(
        "Raw",
        &quote_spanned! {*at=>
            let __zygote_conn = #private::connection(&#element, __zygote_job)?;
            let __zygote_args = #private::take_args();
            let __zygote_conn: #conn = #conn_is;
            let __zygote_args: #args = #args_are;
            #name(__zygote_conn, __zygote_args);
            #[allow(unreachable_code)]
            #private::Result::Ok(())
        },
    );
    let original = it.original("A raw entry: `Process::run_raw` runs it by its name.");
    Ok(quote! {
        #original
        const _: () = { #register };
    })
}
