//! What travels between processes: bytes and descriptors only, no types.
//!
//! `frame` is pure; `link` sends and receives frames on one socket; `page` is what an
//! owner and a live worker note about calls. The protocol is drawn in `README.md` beside
//! this file.

pub(crate) mod frame;
pub(crate) mod link;
pub(crate) mod page;
