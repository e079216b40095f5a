//! `README.md` shows what the macros make, and this test keeps it true.
//!
//! Code blocks come in pairs: what a user writes, and what the compiler gets.
//! `ZYGOTE_PAGE=overwrite` writes the second block of each pair anew.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{File, Item, ItemFn, Meta, Token, parse::Parser};

use crate::{args::Args, entry, hook, hygiene::expanded, preload, raw};

const OPEN: &str = "```rust\n";
const CLOSE: &str = "```\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Gives the page in pieces; the code blocks are those with an odd number.
fn pieces(page: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    for (at, piece) in page.split(OPEN).enumerate() {
        let (code, text) = match at {
            0 => (None, piece),
            _ => {
                let (code, text) = piece.split_once(CLOSE).expect("a block has an end");
                (Some(code), text)
            }
        };
        pieces.extend(code.map(str::to_owned));
        pieces.push(text.to_owned());
    }
    pieces
}

/// Gives the tokens without what `rustfmt` changes: it adds and removes last commas and
/// the braces around one expression.
fn essence(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let last = tokens.len().saturating_sub(1);
    let mut found = Vec::new();
    for (at, token) in tokens.into_iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace | Delimiter::None => ("", ""),
                };
                found.push(open.to_owned());
                found.extend(essence(group.stream()));
                found.push(close.to_owned());
            }
            TokenTree::Punct(comma) if comma.as_char() == ',' && at == last => {}
            // `r" text"` and `" text"` are the same documentation.
            TokenTree::Literal(text) => {
                found.push(text.to_string().trim_start_matches('r').to_owned());
            }
            other => found.push(other.to_string()),
        }
    }
    found.retain(|word| !word.is_empty());
    found
}

fn tokens(code: &str) -> TokenStream {
    code.parse()
        .unwrap_or_else(|error| panic!("{error}: {code}"))
}

/// Gives what the compiler gets for what a user writes.
fn expand(written: &str) -> TokenStream {
    let file: File = syn::parse_str(written).unwrap_or_else(|error| panic!("{error}: {written}"));
    match file.items.into_iter().next() {
        Some(Item::Fn(function)) => expand_function(function),
        Some(Item::Macro(call))
            if call
                .mac
                .path
                .segments
                .last()
                .is_some_and(|it| it.ident == "early") =>
        {
            early()
        }
        _ => panic!("neither a function nor `early!()`: {written}"),
    }
}

fn expand_function(mut function: ItemFn) -> TokenStream {
    let attribute = function.attrs.remove(0);
    let args = match &attribute.meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    let name = attribute
        .path()
        .segments
        .last()
        .map(|last| last.ident.to_string());
    let item = function.into_token_stream();
    match (name.as_deref(), args.to_string().as_str()) {
        (Some("entry"), "raw") => expanded(Args::entry, args, item, raw::expand),
        (Some("entry"), _) => expanded(Args::entry, args, item, entry::expand),
        (Some("preload"), _) => expanded(Args::preload, args, item, preload::expand),
        (Some("hook"), _) => hook::expand(args, item),
        other => panic!("no macro of this crate: {other:?}"),
    }
}

/// Reads the arm of `early!` from its file, because it is not a macro of this crate.
fn early() -> TokenStream {
    let lib = fs::read_to_string(root().join("../src/lib.rs")).expect("the library is beside it");
    let file: File = syn::parse_str(&lib).expect("the library's root is Rust");
    let rules = file.items.into_iter().find_map(|item| match item {
        Item::Macro(it) if it.ident.as_ref().is_some_and(|name| name == "early") => {
            Some(it.mac.tokens)
        }
        _ => None,
    });
    let arm = |input: syn::parse::ParseStream<'_>| {
        let _matched: TokenTree = input.parse()?;
        input.parse::<Token![=>]>()?;
        let body: TokenTree = input.parse()?;
        input.parse::<Option<Token![;]>>()?;
        Ok(body)
    };
    let body = arm
        .parse2(rules.expect("`early!` stands there"))
        .expect("it has one arm");
    let TokenTree::Group(body) = body else {
        panic!("an arm has a body");
    };
    with_crate(body.stream())
}

/// Replaces `$crate` by what its user would see.
fn with_crate(stream: TokenStream) -> TokenStream {
    let mut out = TokenStream::new();
    let mut tokens = stream.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(dollar) if dollar.as_char() == '$' => {
                assert!(
                    tokens
                        .next()
                        .is_some_and(|word| word.to_string() == "crate")
                );
                out.extend(quote!(::zygote));
            }
            TokenTree::Group(group) => {
                let inner = Group::new(group.delimiter(), with_crate(group.stream()));
                out.extend([TokenTree::Group(inner)]);
            }
            other => out.extend([other]),
        }
    }
    out
}

/// Formats the code as a person reads it.
fn formatted(code: &TokenStream) -> String {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt is there");
    let mut input = rustfmt.stdin.take().expect("it is piped");
    write!(input, "{code}").expect("rustfmt reads");
    drop(input);
    let output = rustfmt.wait_with_output().expect("rustfmt ends");
    assert!(output.status.success(), "rustfmt does not accept {code}");
    let text = String::from_utf8(output.stdout).expect("code is UTF-8");
    let lines: Vec<_> = text.lines().map(readable).collect();
    let mut page = String::new();
    for (at, line) in lines.iter().enumerate() {
        let next = lines.get(at + 1).map_or("}", |next| next.trim_start());
        let item_ends = line.trim_start() == "}" && !next.starts_with(['}', ')']);
        page += &format!("{line}\n{}", if item_ends { "\n" } else { "" });
    }
    page
}

/// Gives a line with `///` for `#[doc = ..]`, in which an attribute that `rustfmt` does
/// not know is written as others are.
fn readable(line: &str) -> String {
    let code = line.trim_start();
    let indent = &line[..line.len() - code.len()];
    let text = code
        .strip_prefix("#[doc = r\"")
        .or_else(|| code.strip_prefix("#[doc = \""))
        .and_then(|rest| rest.strip_suffix("\"]"));
    match text {
        Some(text) => format!("{indent}///{text}"),
        None if code.starts_with("# [") => {
            let code = code.replace("# [", "#[").replace(" (", "(");
            indent.to_owned() + &code.replace(" :: ", "::").replace("=::", "= ::")
        }
        None => line.to_owned(),
    }
}

#[test]
fn the_page_shows_what_the_macros_make() {
    let path: PathBuf = root().join("README.md");
    let mut pieces = pieces(&fs::read_to_string(&path).expect("the page is there"));
    let overwrite = env::var_os("ZYGOTE_PAGE").is_some_and(|value| value == "overwrite");
    let mut wrong = Vec::new();
    for at in (1..pieces.len()).step_by(4) {
        let written = pieces[at].clone();
        let made = expand(&written);
        let shown = &mut pieces[at + 2];
        if essence(tokens(shown)) == essence(made.clone()) {
            continue;
        }
        if overwrite {
            *shown = formatted(&made);
        }
        wrong.push(written);
    }
    if overwrite {
        let mut page = String::new();
        for (at, piece) in pieces.iter().enumerate() {
            let block = |piece: &String| format!("{OPEN}{piece}{CLOSE}");
            page += &if at % 2 == 1 {
                block(piece)
            } else {
                piece.clone()
            };
        }
        return fs::write(&path, page).expect("the page can be written");
    }
    assert!(
        wrong.is_empty(),
        "README.md shows other expansions, `ZYGOTE_PAGE=overwrite` writes them anew: {wrong:#?}"
    );
}

#[test]
fn every_macro_is_on_the_page() {
    let page = fs::read_to_string(root().join("README.md")).expect("the page is there");
    let pieces = pieces(&page);
    let written: Vec<_> = pieces.iter().skip(1).step_by(4).collect();
    for name in [
        "entry]",
        "entry(raw)]",
        "preload]",
        "hook(worker",
        "early!()",
    ] {
        let name = format!("zygote::{name}");
        assert!(
            written.iter().any(|code| code.contains(&name)),
            "{name} is missing"
        );
    }
}

#[test]
fn hooks_differ_in_one_word() {
    let made = |when: &str| {
        let written = format!("#[zygote::hook({when})] fn hook() {{}}");
        essence(expand(&written))
    };
    for (when, variant) in [
        ("prepare", "Prepare"),
        ("parent", "Parent"),
        ("child", "Child"),
    ] {
        let others = made("worker").into_iter();
        let others: Vec<_> = others
            .map(|word| {
                if word == "Worker" {
                    variant.into()
                } else {
                    word
                }
            })
            .collect();
        assert_eq!(made(when), others);
    }
}

#[test]
fn a_change_is_seen() {
    let page = essence(tokens("fn f(a: u8,) { g(|x| { x }) }"));
    assert_eq!(page, essence(tokens("fn f(a: u8) { g(|x| x) }")));
    assert_ne!(page, essence(tokens("fn f(a: u8) { g(|y| y) }")));
    assert_ne!(page, essence(tokens("fn f(a: u8) { g(|x| (x)) }")));
}
