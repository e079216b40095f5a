//! Distributed slices whose names belong to this crate only.
//!
//! The linker puts slices with the same name together, whichever crate declares them.
//! So two versions of this crate, or another crate with a slice called `HOOKS`, would
//! see each other's elements.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{format_ident, quote};

/// Makes `static NAME: [T];` a slice that the linker knows by this crate's name and
/// version, and Rust as `NAME`.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    let is_static = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word == "static");
    let at = tokens.iter().position(is_static).map(|at| at + 1);
    let Some(TokenTree::Ident(name)) = at.and_then(|at| tokens.get_mut(at)) else {
        return quote!(::core::compile_error!("a slice is `static NAME: [T];`"););
    };
    let short = name.clone();
    *name = versioned(&short);
    let long = name.clone();
    quote! {
        #[::linkme::distributed_slice]
        #(#tokens)*
        pub use self::#long as #short;
    }
}

fn versioned(name: &Ident) -> Ident {
    let (major, minor) = (
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
    );
    format_ident!("ZYGOTE_{major}_{minor}_{name}", span = name.span())
}
