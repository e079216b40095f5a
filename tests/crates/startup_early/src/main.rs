//! For measurements of the start: nothing, with a template made before it.

zygote::early!();

include!("../../startup_plain/src/nothing.rs");
