//! What travels between processes: bytes and descriptors only, no types.
//!
//! `frame` is pure; `link` sends and receives frames on one socket. The
//! protocol is drawn in `README.md` beside this file.

pub(crate) mod frame;
pub(crate) mod link;
