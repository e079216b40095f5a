//! Implementation detail of the `zygote` crate.

mod args;
mod entry;
mod expand;
mod hook;
#[cfg(test)]
mod hygiene;
#[cfg(test)]
mod page;
mod preload;
mod raw;
mod signature;
mod slice;
mod types;

use proc_macro::TokenStream;
use syn::parse_macro_input;

use self::args::Args;

/// Makes a function an entry, which runs in a process of its own.
#[proc_macro_attribute]
pub fn entry(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args with Args::entry);
    let expand = if args.raw { raw::expand } else { entry::expand };
    expand::function(&args, item.into(), expand).into()
}

/// Makes a function a hook, which runs in every worker before its entry, or around
/// every fork of a template.
#[proc_macro_attribute]
pub fn hook(args: TokenStream, item: TokenStream) -> TokenStream {
    hook::expand(args.into(), item.into()).into()
}

/// Makes a function a preload, which runs in a template and leaves a value there.
#[proc_macro_attribute]
pub fn preload(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args with Args::preload);
    expand::function(&args, item.into(), preload::expand).into()
}

/// Declares a distributed slice for the `zygote` crate itself.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn slice(_: TokenStream, item: TokenStream) -> TokenStream {
    slice::expand(item.into()).into()
}
