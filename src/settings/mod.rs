//! What a process is made of: settings, recorded in the program, sent with the
//! task, applied in the worker.
//!
//! A setting is a [`What`] with its values; the order of [`What`] is the order
//! in which they are applied. Nothing here makes a system call.

mod capability;
#[cfg(feature = "confine")]
mod confine;
pub(crate) mod environment;
mod limits;
mod namespaces;
mod place;
mod stdio;
mod what;

use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

pub use self::capability::Capability;
#[cfg(feature = "confine")]
pub use self::confine::Confine;
use self::environment::WHOLE;
pub use self::limits::{IoPriority, Resource, Scheduler};
pub use self::namespaces::{Namespaces, UserMap};
pub use self::place::Cgroup;
pub(crate) use self::place::{CHROOT, Directory, PIVOT};
pub use self::stdio::Stdio;
pub(crate) use self::stdio::{INHERIT, NULL, PASSED, PIPED, Stream};
pub(crate) use self::what::What;
use crate::{
    error::Result,
    parcel::{Decoder, Encoder},
};

/// One setting and its values. What they mean is between the method that
/// records it and the function that applies it.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) what: What,
    pub(crate) numbers: Vec<i64>,
    pub(crate) texts: Vec<Vec<u8>>,
    pub(crate) fds: Vec<Arc<OwnedFd>>,
}

impl Setting {
    pub(crate) fn new(what: What) -> Self {
        Self {
            what,
            numbers: Vec::new(),
            texts: Vec::new(),
            fds: Vec::new(),
        }
    }

    pub(crate) fn number(mut self, number: impl Into<i64>) -> Self {
        self.numbers.push(number.into());
        self
    }

    pub(crate) fn text(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.texts.push(text.into());
        self
    }

    /// The first number, as what it was.
    pub(crate) fn first<T: TryFrom<i64>>(&self) -> io::Result<T> {
        let first = self.numbers.first().copied();
        first
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// All numbers, as what they were.
    pub(crate) fn all<T: TryFrom<i64>>(&self) -> io::Result<Vec<T>> {
        let all: Result<_, _> = self.numbers.iter().copied().map(T::try_from).collect();
        all.map_err(|_| io::ErrorKind::InvalidInput.into())
    }

    pub(crate) fn fd(mut self, fd: Arc<OwnedFd>) -> Self {
        self.fds.push(fd);
        self
    }
}

/// Its name, and its value unless that may be secret or long.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = match self.what {
            // Names only: values may be secret.
            What::Environment if self.numbers == [WHOLE] => Vec::new(),
            What::Environment => self.texts.iter().step_by(2).map(lossy).collect(),
            // The numbers are the kernel's, the texts are their names.
            What::IoPriority | What::Scheduler | What::Rlimit | What::Capabilities => {
                let names = self.texts.iter();
                names
                    .map(|name| String::from_utf8_lossy(name).into())
                    .collect()
            }
            _ => {
                let numbers = self.numbers.iter().map(ToString::to_string);
                numbers.chain(self.texts.iter().map(lossy)).collect()
            }
        };
        write!(f, "`{}", self.what.name())?;
        if !values.is_empty() {
            write!(f, "({})", values.join(", "))?;
        }
        f.write_str("`")
    }
}

fn lossy(text: impl AsRef<[u8]>) -> String {
    format!("{:?}", String::from_utf8_lossy(text.as_ref()))
}

/// All settings of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(Vec<Setting>);

impl Settings {
    /// Records a setting in place of any other of its kind.
    pub(crate) fn put(&mut self, setting: Setting) {
        self.remove(setting.what);
        self.0.push(setting);
    }

    /// Records a setting in place of the one of its kind and first number.
    pub(crate) fn put_numbered(&mut self, setting: Setting) {
        let is_same =
            |it: &Setting| it.what == setting.what && it.numbers.first() == setting.numbers.first();
        self.0.retain(|it| !is_same(it));
        self.0.push(setting);
    }

    /// Records a setting beside others of its kind.
    pub(crate) fn add(&mut self, setting: Setting) {
        self.0.push(setting);
    }

    /// As if nothing of this kind had been recorded.
    pub(crate) fn remove(&mut self, what: What) {
        self.0.retain(|setting| setting.what != what);
    }

    /// Takes the first of this kind out.
    pub(crate) fn take(&mut self, what: What) -> Option<Setting> {
        let at = self.0.iter().position(|setting| setting.what == what)?;
        Some(self.0.remove(at))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of one kind, in the order recorded.
    pub(crate) fn of(&self, what: What) -> impl Iterator<Item = &Setting> {
        self.0.iter().filter(move |setting| setting.what == what)
    }

    /// Whether a few system calls on the process itself apply them, without a
    /// look at anything else.
    pub(crate) fn are_plain(&self) -> bool {
        let is_plain = |it: &Setting| match it.what {
            What::Environment => it.numbers == [WHOLE],
            what => what.is_plain(),
        };
        self.0.iter().all(is_plain)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Setting> {
        self.0.iter_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    /// In the order in which they are applied.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort_by_key(|setting| setting.what);
        self
    }

    /// Puts all of them; their descriptors travel beside the bytes.
    pub(crate) fn encode(&self, out: &mut Encoder) {
        for setting in &self.0 {
            out.push_byte(1);
            out.push_byte(setting.what as u8);
            push_list(out, setting.numbers.iter().map(|n| n.to_le_bytes()));
            push_list(out, setting.texts.iter());
            push_list(out, setting.fds.iter().map(|_| []));
        }
        out.push_byte(0);
    }

    /// The descriptors, in the order in which they are taken out.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let all = self.0.iter().flat_map(|setting| &setting.fds);
        all.map(|fd| fd.as_fd())
    }

    /// Takes what [`encode`](Self::encode) put.
    pub(crate) fn decode(input: &mut Decoder) -> Result<Self> {
        let mut settings = Self::default();
        while input.take_byte()? != 0 {
            let mut setting = Setting::new(What::decode(input.take_byte()?)?);
            for number in take_list(input)? {
                let number = number.first_chunk().copied().unwrap_or_default();
                setting.numbers.push(i64::from_le_bytes(number));
            }
            setting.texts = take_list(input)?;
            for _ in take_list(input)? {
                setting.fds.push(Arc::new(input.take_fd()?));
            }
            settings.0.push(setting);
        }
        Ok(settings)
    }
}

/// Each element, and a byte in front of it; then a zero.
fn push_list(out: &mut Encoder, list: impl Iterator<Item = impl AsRef<[u8]>>) {
    for element in list {
        out.push_byte(1);
        out.push_bytes(element.as_ref());
    }
    out.push_byte(0);
}

fn take_list(input: &mut Decoder) -> Result<Vec<Vec<u8>>> {
    let mut list = Vec::new();
    while input.take_byte()? != 0 {
        list.push(input.take_bytes()?.to_vec());
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Settings {
        let null = Arc::new(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
        let mut settings = Settings::default();
        settings.add(Setting::new(What::Umask).number(0o22));
        settings.add(Setting::new(What::Stdout).number(-1).fd(null));
        settings.add(Setting::new(What::Environment).text("KEY").text("secret"));
        settings.add(Setting::new(What::CurrentDir).text("/a b"));
        settings
    }

    #[test]
    fn settings_come_back_and_are_applied_in_order() {
        let settings = sample();
        let mut out = Encoder::default();
        settings.encode(&mut out);
        let fds = settings.fds().map(|fd| fd.try_clone_to_owned().unwrap());
        let mut input = Decoder::new(out.bytes, fds.collect());
        let back = Settings::decode(&mut input).unwrap();
        input.finish().unwrap();
        let shown = |settings: &Settings| {
            format!(
                "{:?}",
                settings
                    .0
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            )
        };
        assert_eq!(shown(&back), shown(&settings));
        let back = back.sorted();
        let order: Vec<What> = back.0.iter().map(|setting| setting.what).collect();
        assert_eq!(
            order,
            [
                What::Stdout,
                What::CurrentDir,
                What::Umask,
                What::Environment
            ]
        );
        assert_eq!(back.of(What::Stdout).next().unwrap().fds.len(), 1);
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_an_error() {
        let mut settings = sample();
        settings.remove(What::Stdout);
        let mut out = Encoder::default();
        settings.encode(&mut out);
        let decode = |bytes: &[u8]| Settings::decode(&mut Decoder::new(bytes.into(), Vec::new()));
        for end in 0..out.bytes.len() {
            assert!(decode(&out.bytes[..end]).is_err(), "{end}");
        }
        assert!(decode(&out.bytes).is_ok());
        assert!(decode(&[1, 255, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn a_text_names_the_setting_and_no_secret() {
        let shown: Vec<String> = sample().0.iter().map(ToString::to_string).collect();
        assert_eq!(shown[0], "`umask(18)`");
        assert_eq!(shown[2], r#"`env("KEY")`"#);
        assert_eq!(shown[3], r#"`current_dir("/a b")`"#);
    }
}
