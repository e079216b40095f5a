//! Applies settings, in the new process, and says which one failed.

use std::{fmt, io};

#[cfg(feature = "confine")]
use super::confine;
use super::{
    Setting, Settings, What, detached, identity, init, limits,
    namespaces::{self, EnterPid},
    place, raw_arg,
    setting::quoted,
    stdio, surroundings, tree, variables,
    what::table,
};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::fork,
};

#[cfg(not(feature = "confine"))]
mod confine {
    use super::{Setting, Settings, io};

    /// Nothing can ask for it.
    pub(super) fn apply(_: &Setting, _: &Settings) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}

type Apply = fn(&Setting, &Settings) -> io::Result<()>;
type Show = fn(&Setting) -> io::Result<String>;

macro_rules! functions {
    ($($what:ident $name:literal $is_plain:literal $apply:path $(, $show:path)?;)+) => {
        impl What {
            /// Gives what applies it.
            fn apply(self) -> Apply {
                match self {
                    $(Self::$what => $apply,)+
                }
            }

            /// Gives what shows its values.
            fn show(self) -> Show {
                match self {
                    $($(Self::$what => $show,)?)+
                    _ => show_values,
                }
            }
        }
    };
}

table!(functions);

impl Settings {
    /// Applies the settings that come before the hooks, in their order. Allocates
    /// nothing for plain ones, unless one fails.
    pub(crate) fn apply(&self, enter_pid: EnterPid) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        // The parent is asked for while this process still ends with it: it may have
        // ended by the time that everything is applied.
        let mut parent = fork::parent();
        for setting in self.iter().filter(|it| it.what < What::Init) {
            setting.apply(self)?;
            let entered = match setting.what {
                What::Tree => tree::enter_pid(self, parent, enter_pid),
                What::Namespaces => namespaces::enter_pid(self, parent, enter_pid),
                _ => continue,
            };
            entered.map_err(|error| setting.failure(&error))?;
            // This may now be another process, which is inside and has another parent.
            parent = fork::parent();
        }
        detached::stay_attached(self, parent)
    }

    /// Applies what comes after the hooks, last of all.
    pub(crate) fn apply_last(&self) -> Result<()> {
        self.of(What::Confine)
            .try_for_each(|setting| setting.apply(self))
    }
}

impl Setting {
    fn apply(&self, all: &Settings) -> Result<()> {
        self.what.apply()(self, all).map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &io::Error) -> Error {
        let text = match error.raw_os_error() {
            Some(_) => format!("{self} failed in the new process"),
            None => format!("{self} failed in the new process: {error}"),
        };
        // A NUL in a string, which the kernel is not even asked about.
        let is_invalid = error.kind() == io::ErrorKind::InvalidInput;
        let code = error.raw_os_error().or(is_invalid.then_some(libc::EINVAL));
        let failure = Error::new(ErrorKind::Setting, text).unstarted();
        match code {
            Some(code) => failure.with_source(io::Error::from_raw_os_error(code)),
            None => failure,
        }
    }
}

/// Shows its name, and its value unless that may be secret or long.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}", self.what.name())?;
        match self.what.show()(self).unwrap_or_default() {
            values if values.is_empty() => f.write_str("`"),
            values => write!(f, "({values})`"),
        }
    }
}

/// Shows the numbers, then the texts.
fn show_values(setting: &Setting) -> io::Result<String> {
    let numbers = setting.numbers.iter().map(ToString::to_string);
    let texts = setting.texts.iter().map(|text| quoted(text));
    Ok(numbers.chain(texts).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_text_names_the_setting_and_no_secret() {
        let shown = |what, say: fn(&mut Settings)| {
            let mut settings = Settings::default();
            say(&mut settings);
            settings.of(what).next().unwrap().to_string()
        };
        assert_eq!(shown(What::Umask, |all| all.umask(0o22)), "`umask(18)`");
        assert_eq!(
            shown(What::Environment, |all| all.env("KEY", "secret")),
            r#"`env("KEY")`"#
        );
        let variables = || [("KEY".into(), "secret".into())].into_iter();
        let mut settings = Settings::default();
        settings.settle_variables(variables());
        let whole = settings.of(What::Variables).next().unwrap();
        assert_eq!(whole.to_string(), "`environment`");
        assert_eq!(
            shown(What::CurrentDir, |all| all.current_dir("/a b")),
            r#"`current_dir("/a b")`"#
        );
        assert_eq!(shown(What::Session, Settings::session), "`session`");
        assert_eq!(
            shown(What::IoPriority, |all| all
                .io_priority(crate::settings::IoPriority::Idle)),
            "`io_priority(Idle)`"
        );
        // What cannot be understood is named all the same.
        assert_eq!(Setting::new(What::Rlimit).to_string(), "`rlimit`");
    }

    #[test]
    fn a_failure_names_the_setting_and_keeps_the_errno() {
        let setting = Setting::new(What::Nice).number(5);
        let of = |error: io::Error| {
            let failure = setting.failure(&error);
            assert!(failure.is_setting() && failure.is_unstarted());
            let source = failure.source().map(|it| it.to_string());
            (failure.to_string(), source.unwrap_or_default())
        };
        let (text, source) = of(io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(text, "`nice(5)` failed in the new process");
        assert!(source.contains("os error 1)"), "{source}");
        let (text, source) = of(io::Error::new(io::ErrorKind::InvalidInput, "why"));
        assert_eq!(text, "`nice(5)` failed in the new process: why");
        assert!(source.contains("os error 22"), "{source}");
        let (text, source) = of(io::Error::other("why"));
        assert_eq!(text, "`nice(5)` failed in the new process: why");
        assert!(source.is_empty());
    }

    /// The functions of the table are those of the kinds: a setting without values is
    /// an error of its own, and changes nothing here.
    #[test]
    fn the_first_that_fails_is_the_error() {
        let mut settings = Settings::default();
        settings.add(Setting::new(What::Nice));
        settings.add(Setting::new(What::Umask));
        let error = settings.clone().sorted().apply(|_, _| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("`nice` failed"), "{error}");
        settings.remove(What::Nice);
        let error = settings.apply(|_, _| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("`umask` failed"), "{error}");
        assert!(settings.apply_last().is_ok());
        settings.put(Setting::new(What::Confine));
        assert!(settings.apply_last().is_err());
    }
}
