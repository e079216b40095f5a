//! The numbers of an environment's settings: what is done with the names and
//! values that follow.

/// Names, each with its value behind it.
pub(crate) const SET: i64 = 0;
/// Names.
pub(crate) const REMOVE: i64 = 1;
/// Nothing follows: all variables go.
pub(crate) const CLEAR: i64 = 2;
