//! For measurements of the start: nothing, with the library linked.

use zygote as _;

include!("../../startup_plain/src/nothing.rs");
