//! What is made of the figures: the tables, the plots, and where they stand.

pub mod plots;
pub mod tables;

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// Puts a text between a document's markers of this name, in place of what
/// stands there.
///
/// # Errors
///
/// There is no such document, or it has no such markers.
pub fn put(document: &Path, name: &str, text: &str) -> Result<()> {
    let before = fs::read_to_string(document).with_context(|| document.display().to_string())?;
    let [begin, end] = ["begin", "end"].map(|side| format!("<!-- {name}: {side} -->"));
    let no_marker = || format!("{} has no markers {name}", document.display());
    let (head, rest) = before.split_once(&begin).with_context(no_marker)?;
    let (_, tail) = rest.split_once(&end).with_context(no_marker)?;
    let text = text.trim_end();
    fs::write(document, format!("{head}{begin}\n{text}\n{end}{tail}"))?;
    Ok(())
}
