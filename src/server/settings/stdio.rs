//! What 0, 1 and 2 are.

use std::io;

use crate::{
    settings::{INHERIT, NULL, PASSED, Setting},
    sys::fd,
};

pub(super) fn set(stream: i32, setting: &Setting) -> io::Result<()> {
    match (setting.numbers.first(), setting.fds.first()) {
        (Some(&INHERIT), None) => Ok(()),
        (Some(&NULL), None) => fd::put_null(stream),
        (Some(&PASSED), Some(fd)) => fd::put(stream, fd),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
