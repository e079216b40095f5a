//! Which names the expansions make.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::quote;
use syn::{Result, parse::Parser};

use crate::{
    args::Args,
    entry,
    expand::{self, Expansion},
    hook, preload, raw,
};

/// Names that a user sees, in places where no user code is called.
const SEEN: [&str; 3] = ["task", "spawn", "process"];

/// Collects all names that are bound in the tokens: variables, parameters, functions,
/// statics.
fn bound(tokens: TokenStream, names: &mut BTreeSet<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut pattern = false;
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        match token {
            TokenTree::Group(group) => {
                // `let (a, b)`: each word is a name.
                let after_let = matches!(before, Some(TokenTree::Ident(word)) if word == "let");
                if after_let && group.delimiter() == Delimiter::Parenthesis {
                    let words = group.stream().into_iter().filter_map(word);
                    names.extend(words);
                }
                bound(group.stream(), names);
            }
            TokenTree::Ident(_) => {
                let keyword = ["let", "fn", "static", "const"];
                let after_keyword = matches!(
                    before,
                    Some(TokenTree::Ident(word)) if keyword.iter().any(|it| word == it)
                );
                // `name: Type`, and not `name::path`.
                let typed = matches!(
                    tokens.get(at + 1),
                    Some(TokenTree::Punct(colon))
                        if colon.as_char() == ':' && colon.spacing() == Spacing::Alone
                );
                let path = matches!(before, Some(TokenTree::Punct(it)) if it.as_char() == ':');
                if after_keyword || (typed && !path) || pattern {
                    names.extend(word(token.clone()));
                }
            }
            TokenTree::Punct(bar) if bar.as_char() == '|' => pattern = !pattern,
            _ => {}
        }
    }
}

/// Gives the word if it is a name, and not a keyword in a name's place.
fn word(token: TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(word) => {
            let word = word.to_string();
            let keyword = ["fn", "let", "mut", "static", "pub", "move", "_", "expect"];
            (!keyword.contains(&word.as_str())).then_some(word)
        }
        _ => None,
    }
}

/// Gives what an attribute makes of a function.
pub(crate) fn expanded(
    attribute: fn(syn::parse::ParseStream<'_>) -> Result<Args>,
    args: TokenStream,
    item: TokenStream,
    expand: fn(&Expansion<'_>) -> Result<TokenStream>,
) -> TokenStream {
    let args = attribute.parse2(args).expect("the options are right");
    expand::function(&args, item, expand)
}

/// Gives every kind of expansion, of functions whose own names begin with `users`.
fn all() -> Vec<TokenStream> {
    let entry = |item| expanded(Args::entry, quote!(), item, entry::expand);
    let preload = |item| expanded(Args::preload, quote!(), item, preload::expand);
    let mut all = vec![
        entry(quote!(
            fn users() {}
        )),
        entry(quote!(
            fn users() -> ! {
                loop {}
            }
        )),
        entry(quote!(
            fn users(users_a: u8, users_b: Vec<u8>) -> Result<u8, String> {
                Ok(1)
            }
        )),
        entry(quote!(
            fn users(users_state: &u8, users_a: u8) -> u8 {
                1
            }
        )),
        entry(quote!(
            #[deprecated]
            fn users(users_state: &mut u8) {}
        )),
        expanded(
            Args::entry,
            quote!(raw),
            quote!(
                fn users(users_conn: UnixStream, users_args: Args) {}
            ),
            raw::expand,
        ),
        preload(quote!(
            fn users(users_a: u8) {}
        )),
        preload(quote!(
            fn users(users_a: u8) -> u8 {
                1
            }
        )),
        preload(quote!(
            fn users() -> Result<u8, String> {
                Ok(1)
            }
        )),
        preload(quote!(
            fn users(users_state: &mut u8, users_a: u8) -> Result<(), String> {
                Ok(())
            }
        )),
    ];
    for when in [
        quote!(worker),
        quote!(prepare),
        quote!(parent),
        quote!(child),
    ] {
        all.push(hook::expand(
            when.clone(),
            quote!(
                fn users() {}
            ),
        ));
        all.push(hook::expand(
            when,
            quote!(
                fn users() -> Result<(), String> {
                    Ok(())
                }
            ),
        ));
    }
    all
}

#[test]
fn every_name_of_an_expansion_is_marked_as_ours() {
    let mut names = BTreeSet::new();
    for tokens in all() {
        let text = tokens.to_string();
        assert!(!text.contains("compile_error"), "{text}");
        bound(tokens, &mut names);
    }
    let known = |name: &&String| {
        let lower = name.to_lowercase();
        lower.starts_with("__zygote")
            || lower.starts_with("users")
            || SEEN.contains(&lower.as_str())
    };
    let others: Vec<_> = names.iter().filter(|name| !known(name)).collect();
    assert!(
        others.is_empty(),
        "{others:?} could be a name of the user's"
    );
    // The test does see names of each kind.
    for name in [
        "__zygote_job",
        "__zygote_out",
        "__ZYGOTE_ELEMENT",
        "__zygote_argument_0",
        "__zygote_ways",
    ] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
}
