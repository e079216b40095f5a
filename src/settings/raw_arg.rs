//! Raw arguments: octets and descriptors, one for each call of `send_arg` or `send_fd`.

use std::{io, os::fd::OwnedFd, sync::Arc};

use super::{Setting, Settings, What};
use crate::raw::{self, Arg};

impl Settings {
    pub(crate) fn send_arg(&mut self, bytes: impl AsRef<[u8]>) {
        self.add(Setting::new(What::RawArg).text(bytes.as_ref()));
    }

    pub(crate) fn send_fd(&mut self, fd: impl Into<OwnedFd>) {
        self.add(Setting::new(What::RawArg).fd(Arc::new(fd.into())));
    }
}

/// Puts them where [`take_args`](crate::raw::take_args) finds them.
pub(super) fn hold(setting: &Setting, _: &Settings) -> io::Result<()> {
    for bytes in &setting.texts {
        raw::hold(Arg::Bytes(bytes.clone()));
    }
    for fd in &setting.fds {
        raw::hold(Arg::Fd(fd.try_clone()?));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::*;

    fn sample() -> Settings {
        let null = std::fs::File::open("/dev/null").unwrap();
        let mut settings = Settings::default();
        settings.send_arg("one");
        settings.umask(0o22);
        settings.send_fd(null);
        settings.send_arg("");
        settings
    }

    #[test]
    fn they_are_held_in_order_and_close_on_exec() {
        let all = sample();
        let mut raw = all.of(What::RawArg);
        raw.try_for_each(|setting| hold(setting, &all)).unwrap();
        let args: Vec<Arg> = raw::take_args().collect();
        let [Arg::Bytes(one), Arg::Fd(fd), Arg::Bytes(none)] = &args[..] else {
            panic!("{args:?}");
        };
        assert_eq!((&one[..], &none[..]), (&b"one"[..], &b""[..]));
        let flags = fcntl(fd.as_fd(), FcntlArg::F_GETFD).unwrap();
        assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
    }

    #[test]
    fn they_are_taken_out_and_the_others_stay() {
        let mut settings = sample();
        let raw = settings.take_all(What::RawArg);
        assert_eq!(raw.of(What::RawArg).count(), 3);
        assert_eq!((raw.iter().count(), settings.iter().count()), (3, 1));
        assert!(settings.has(What::Umask) && settings.take_all(What::RawArg).is_empty());
    }

    #[test]
    fn an_error_says_nothing_of_what_they_are() {
        let settings = sample();
        assert_eq!(settings.iter().next().unwrap().to_string(), "`send_arg`");
    }
}
