//! `Command` beside `std::process::Command`: the same lines, once with each.
//!
//! Each situation gives what could be seen of it as text, or an error. Both must
//! give the same, or differ for the reason that stands in the documentation of
//! `Command`. What was compared is printed.

#![allow(clippy::print_stdout, reason = "what was compared is said")]

mod errors;
mod methods;
mod place;
mod program;
mod streams;
mod waits;

use std::{
    fmt, io,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Output},
};

/// An error, as far as code that handles `io::Error` looks at it.
#[derive(Clone, Copy)]
pub(crate) struct Failed {
    kind: io::ErrorKind,
    code: Option<i32>,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        let (kind, code) = (error.kind(), error.raw_os_error());
        Self { kind, code }
    }
}

impl From<zygote::Error> for Failed {
    fn from(error: zygote::Error) -> Self {
        assert!(error.is_unstarted(), "{error:?}");
        io::Error::from(error).into()
    }
}

impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl PartialEq for Failed {
    /// Where std's says a number, ours must say the same.
    fn eq(&self, own: &Self) -> bool {
        self.kind == own.kind && (self.code.is_none() || self.code == own.code)
    }
}

/// What could be seen.
pub(crate) type Seen = Result<String, Failed>;

/// A status, and what was written.
pub(crate) fn all_of(output: &Output) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    format!("{}; {out}; {err}", how(output.status))
}

/// A status, without whether there was a core, which is the limits' choice.
pub(crate) fn how(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => format!("{status}"),
    }
}

#[track_caller]
pub(crate) fn check_same(name: &str, std: &Seen, own: &Seen) {
    println!("same: {name}");
    assert_eq!(std, own, "{name}: std's is on the left");
}

/// The same lines with std's `Command` and with ours: both must show the same.
macro_rules! same {
    ($name:expr, $body:block) => {{
        let std = {
            #[allow(unused_imports, reason = "not each situation needs all")]
            use std::{
                os::unix::process::CommandExt as _,
                process::{Command, Stdio},
            };
            let run = || -> $crate::suite::beside_std::Seen { $body };
            run()
        };
        let own = {
            #[allow(unused_imports, reason = "not each situation needs all")]
            use zygote::{Command, Stdio};
            let run = || -> $crate::suite::beside_std::Seen { $body };
            run()
        };
        $crate::suite::beside_std::check_same($name, &std, &own);
    }};
}

/// What differs on purpose: it must differ still, and the reason is printed.
macro_rules! differs {
    ($name:expr, $why:expr, $std:expr, $own:expr) => {{
        let (std, own): (
            $crate::suite::beside_std::Seen,
            $crate::suite::beside_std::Seen,
        ) = ($std, $own);
        println!(
            "differs: {}: {}: {std:?} with std, {own:?} with ours",
            $name, $why
        );
        assert_ne!(std, own, "{}", $name);
    }};
}

pub(crate) use {differs, same};
