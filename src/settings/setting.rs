//! One setting, and all of a process: as they are recorded, and as they travel.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use super::What;
use crate::{
    error::{Error, Result},
    parcel::{Decoder, Encoder},
    sys::poll::Deadline,
};

/// One setting and its values. What they mean is known to two functions of its topic,
/// the one that records it and the one that applies it.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(super) what: What,
    pub(super) numbers: Vec<i64>,
    pub(super) texts: Vec<Vec<u8>>,
    pub(super) fds: Vec<Arc<OwnedFd>>,
}

impl Setting {
    pub(super) fn new(what: What) -> Self {
        Self {
            what,
            numbers: Vec::new(),
            texts: Vec::new(),
            fds: Vec::new(),
        }
    }

    pub(super) fn number(mut self, number: impl Into<i64>) -> Self {
        self.numbers.push(number.into());
        self
    }

    pub(super) fn text(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.texts.push(text.into());
        self
    }

    pub(super) fn fd(mut self, fd: Arc<OwnedFd>) -> Self {
        self.fds.push(fd);
        self
    }

    /// Gives the only number, as the type that it was. Allocates nothing.
    pub(super) fn one<T: TryFrom<i64>>(&self) -> io::Result<T> {
        match self.numbers[..] {
            [number] => T::try_from(number).map_err(|_| io::ErrorKind::InvalidInput.into()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Gives all numbers, as the type that they were.
    pub(super) fn all<T: TryFrom<i64>>(&self) -> io::Result<Vec<T>> {
        let all: Result<_, _> = self.numbers.iter().copied().map(T::try_from).collect();
        all.map_err(|_| io::ErrorKind::InvalidInput.into())
    }
}

/// Quotes a text as in a program's source.
pub(super) fn quoted(text: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(text))
}

/// All settings of a process, and how long its start may take.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    all: Vec<Setting>,
    /// How long a start may take. It is no setting of the new process, and stays in the
    /// program.
    patience: Option<Duration>,
    /// Whether preloads use huge pages. It is sent with them.
    huge_pages: bool,
    /// The error of the first that could not be recorded.
    refused: Option<Error>,
    /// Stays in the program, too: it is for what comes back.
    result_limit: Option<u64>,
}

impl Settings {
    pub(crate) fn start_timeout(&mut self, patience: Duration) {
        self.patience = Some(patience);
    }

    pub(crate) fn huge_pages(&mut self) {
        self.huge_pages = true;
    }

    pub(crate) fn result_limit(&mut self, octets: u64) {
        self.result_limit = Some(octets);
    }

    /// Gives the most bytes that a result may have.
    pub(crate) fn longest_result(&self) -> u64 {
        self.result_limit.unwrap_or(u64::MAX)
    }

    pub(crate) fn wants_huge_pages(&self) -> bool {
        self.huge_pages
    }

    /// Notes that a setting cannot be recorded; the start will fail with this error.
    pub(crate) fn refuse(&mut self, error: Error) {
        self.refused.get_or_insert(error);
    }

    /// Gives the error of a setting that could not be recorded.
    pub(crate) fn check(&self) -> Result<()> {
        self.refused.clone().map_or(Ok(()), Err)
    }

    /// Gives the deadline of a start that begins now, which has this time unless
    /// another was set.
    pub(crate) fn until(&self, default: Duration) -> Deadline {
        Deadline::after(self.patience.unwrap_or(default))
    }

    /// Records a setting in place of any other of its kind.
    pub(super) fn put(&mut self, setting: Setting) {
        self.remove(setting.what);
        self.all.push(setting);
    }

    /// Records a setting in place of the one of its kind and first number.
    pub(super) fn put_numbered(&mut self, setting: Setting) {
        let is_same =
            |it: &Setting| it.what == setting.what && it.numbers.first() == setting.numbers.first();
        self.all.retain(|it| !is_same(it));
        self.all.push(setting);
    }

    /// Records a setting beside others of its kind.
    pub(super) fn add(&mut self, setting: Setting) {
        self.all.push(setting);
    }

    /// Removes all of this kind, as if none had been recorded.
    pub(super) fn remove(&mut self, what: What) {
        self.all.retain(|setting| setting.what != what);
    }

    /// Takes the first of this kind out.
    pub(super) fn take(&mut self, what: What) -> Option<Setting> {
        let at = self.all.iter().position(|setting| setting.what == what)?;
        Some(self.all.remove(at))
    }

    /// Takes all of this kind out, in the order in which they were recorded.
    pub(crate) fn take_all(&mut self, what: What) -> Self {
        let all = self.all.extract_if(.., |it| it.what == what);
        Self {
            all: all.collect(),
            ..Self::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Tells whether there is one of this kind.
    pub(crate) fn has(&self, what: What) -> bool {
        self.of(what).next().is_some()
    }

    /// Gives those of one kind, in the order in which they were recorded.
    pub(super) fn of(&self, what: What) -> impl Iterator<Item = &Setting> {
        self.iter().filter(move |setting| setting.what == what)
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = Setting> {
        self.all.into_iter()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.all.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Setting> {
        self.all.iter_mut()
    }

    /// Tells whether a launch can carry all of them.
    pub(crate) fn are_plain(&self) -> bool {
        self.iter().all(|setting| setting.what.is_plain())
    }

    /// Sorts them into the order in which they are applied.
    pub(crate) fn sorted(mut self) -> Self {
        self.all.sort_by_key(|setting| setting.what);
        self
    }

    /// Puts all of them; their descriptors travel beside the bytes.
    pub(crate) fn encode(&self, out: &mut Encoder) {
        for setting in &self.all {
            out.push_byte(1);
            out.push_byte(setting.what as u8);
            push_list(out, setting.numbers.iter().map(|n| n.to_le_bytes()));
            push_list(out, setting.texts.iter());
            push_list(out, setting.fds.iter().map(|_| []));
        }
        out.push_byte(0);
    }

    /// Gives the descriptors, in the order in which they are taken out.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let all = self.all.iter().flat_map(|setting| &setting.fds);
        all.map(|fd| fd.as_fd())
    }

    /// Takes what [`encode`](Self::encode) put.
    pub(crate) fn decode(input: &mut Decoder) -> Result<Self> {
        let texts = |input: &mut Decoder| input.take_list(|input| Ok(input.take_bytes()?.to_vec()));
        let mut settings = Self::default();
        while input.take_byte()? != 0 {
            let mut setting = Setting::new(What::decode(input.take_byte()?)?);
            for number in texts(input)? {
                let number = number.first_chunk().copied().unwrap_or_default();
                setting.numbers.push(i64::from_le_bytes(number));
            }
            setting.texts = texts(input)?;
            for _ in texts(input)? {
                setting.fds.push(Arc::new(input.take_fd()?));
            }
            settings.all.push(setting);
        }
        Ok(settings)
    }
}

/// Puts each element with a byte in front of it, and a zero at the end.
fn push_list(out: &mut Encoder, list: impl Iterator<Item = impl AsRef<[u8]>>) {
    for element in list {
        out.push_byte(1);
        out.push_bytes(element.as_ref());
    }
    out.push_byte(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of every kind, the last first.
    fn sample() -> Settings {
        let null = Arc::new(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
        let mut settings = Settings::default();
        for what in What::ALL.iter().rev() {
            settings.add(Setting::new(*what).number(-1).text("/a b"));
        }
        settings.put(Setting::new(What::Stdout).number(2).fd(null));
        settings
    }

    fn shown(settings: &Settings) -> Vec<String> {
        let all = settings.iter();
        all.map(|it| {
            format!(
                "{:?} {:?} {:?} {}",
                it.what,
                it.numbers,
                it.texts,
                it.fds.len()
            )
        })
        .collect()
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
        assert_eq!(shown(&back), shown(&settings));
        let order: Vec<What> = back.sorted().iter().map(|setting| setting.what).collect();
        assert_eq!(order, What::ALL);
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
    fn one_takes_the_place_of_another_or_stands_beside_it() {
        let of = |number: i64| Setting::new(What::Rlimit).number(number);
        let mut settings = Settings::default();
        settings.put_numbered(of(1).number(5));
        settings.put_numbered(of(2).number(6));
        settings.put_numbered(of(1).number(7));
        assert_eq!(
            shown(&settings),
            ["Rlimit [2, 6] [] 0", "Rlimit [1, 7] [] 0"]
        );
        settings.add(of(1));
        assert_eq!(settings.of(What::Rlimit).count(), 3);
        settings.put(of(3));
        assert_eq!(shown(&settings), ["Rlimit [3] [] 0"]);
        assert!(settings.has(What::Rlimit) && !settings.has(What::Nice));
        assert!(settings.take(What::Rlimit).is_some() && settings.is_empty());
        assert!(settings.take(What::Rlimit).is_none());
    }

    #[test]
    fn the_time_that_was_set_counts_and_is_no_setting() {
        let mut settings = Settings::default();
        assert!(settings.until(Duration::ZERO).passed());
        settings.start_timeout(Duration::from_secs(60));
        assert!(!settings.until(Duration::ZERO).passed() && settings.is_empty());
        settings.start_timeout(Duration::ZERO);
        assert!(settings.clone().until(Duration::from_secs(60)).passed());
    }

    #[test]
    fn one_that_is_not_plain_makes_all_of_them_so() {
        let mut settings = Settings::default();
        assert!(settings.are_plain());
        settings.add(Setting::new(What::Umask));
        assert!(settings.are_plain());
        settings.add(Setting::new(What::Nice));
        assert!(!settings.are_plain());
    }

    #[test]
    fn numbers_are_what_they_were_or_an_error() {
        let setting = Setting::new(What::Nice).number(-3);
        assert_eq!(setting.one::<i32>().unwrap(), -3);
        assert!(setting.one::<u32>().is_err());
        assert_eq!(setting.all::<i8>().unwrap(), [-3]);
        assert!(setting.all::<u8>().is_err());
        assert!(setting.number(1).one::<i32>().is_err());
        assert!(Setting::new(What::Nice).one::<i32>().is_err());
    }
}
