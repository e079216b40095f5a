//! A library that uses one version of zygote. The other one differs from it in
//! its names alone.
include!("../../library.rs");
