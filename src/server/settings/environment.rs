//! Environment, directory, umask, names.

use std::io;

use crate::{
    settings::{
        Setting,
        environment::{CLEAR, REMOVE, WHOLE, pairs},
    },
    sys::{environment, image},
};

pub(super) fn variables(setting: &Setting) -> io::Result<()> {
    match setting.numbers[..] {
        [CLEAR] => environment::clear(),
        [WHOLE] => {
            environment::clear()?;
            for (key, value) in setting.texts.iter().flat_map(|block| pairs(block)) {
                // What the program itself could not set is no variable.
                let _ = environment::set(key, value);
            }
            Ok(())
        }
        [REMOVE] => setting
            .texts
            .iter()
            .try_for_each(|key| environment::remove(key)),
        _ => setting.texts.chunks(2).try_for_each(|pair| match pair {
            [key, value] => environment::set(key, value),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }),
    }
}

pub(super) fn current_dir(setting: &Setting) -> io::Result<()> {
    match (&setting.fds[..], &setting.texts[..]) {
        ([dir], []) => environment::current_dir_of(dir),
        ([from], [path]) => {
            environment::current_dir_of(from)?;
            environment::current_dir(path)
        }
        ([], [path]) => environment::current_dir(path),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

pub(super) fn umask(setting: &Setting) -> io::Result<()> {
    environment::umask(setting.first()?);
    Ok(())
}

pub(super) fn title(setting: &Setting) -> io::Result<()> {
    image::write_title(&[&setting.texts.concat()]);
    Ok(())
}

pub(super) fn thread_name(setting: &Setting) -> io::Result<()> {
    environment::thread_name(&setting.texts.concat())
}
