//! For measurements of the start: nothing, without the library.

include!("../../startup_plain/src/nothing.rs");
