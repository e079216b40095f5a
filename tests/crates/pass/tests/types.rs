//! Types that travel.

#![deny(warnings)]

use std::{
    collections::HashMap,
    convert::Infallible,
    error::Error,
    ffi::OsString,
    fs::File,
    io,
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::OwnedFd,
        unix::{
            ffi::OsStringExt,
            net::{UnixDatagram, UnixListener, UnixStream},
        },
    },
    path::PathBuf,
    process::{ChildStderr, ChildStdin, ChildStdout},
    time::{Duration, SystemTime},
};

use zygote::{Bytes, Fd};

type Boxed<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[zygote::entry]
fn descriptors(
    owned: OwnedFd,
    file: File,
    tcp: (Fd<TcpStream>, Fd<UdpSocket>),
    listener: TcpListener,
    unix: UnixStream,
    more: (Fd<UnixDatagram>, Fd<UnixListener>),
    input: ChildStdin,
    output: ChildStdout,
    error: ChildStderr,
) -> File {
    drop((owned, tcp, listener, unix, more, input, output, error));
    file
}

#[zygote::entry]
fn nested(maybe: Option<Fd<File>>, many: Vec<Fd<File>>, one: Fd<File>) -> io::Result<File> {
    let file = maybe.or(many.into_iter().next()).unwrap_or(one);
    Ok(file.into_inner())
}

#[zygote::entry]
fn octets(path: PathBuf, name: OsString, bytes: Vec<u8>, maybe: Option<Vec<u8>>) -> Vec<u8> {
    drop((path, name, maybe));
    bytes
}

#[zygote::entry]
fn shared(one: Bytes, maybe: Option<Bytes>, many: (u8, Vec<Bytes>)) -> Boxed<Bytes> {
    drop((maybe, many));
    Ok(one)
}

#[zygote::entry]
fn data(
    map: HashMap<String, [u8; 3]>,
    when: SystemTime,
    long: Duration,
    unit: (),
    last: Option<char>,
) -> Option<char> {
    drop((map, when, long, unit));
    last
}

#[zygote::entry]
fn boxed() -> Boxed<Option<Vec<u8>>> {
    Ok(None)
}

#[zygote::entry]
fn own() -> zygote::Result<PathBuf> {
    Ok(std::env::current_dir()?)
}

#[zygote::entry]
fn text() -> Result<(), String> {
    Ok(())
}

#[zygote::entry]
fn infallible() -> Result<u8, Infallible> {
    Ok(1)
}

#[zygote::entry]
fn twice() -> Option<Result<u8, String>> {
    None
}

#[zygote::entry]
fn process(process: zygote::Process) -> zygote::Process {
    process
}

#[zygote::entry]
fn process_with(process: zygote::Process<Vec<u8>>, error: io::Error) {
    drop((process, error));
}

/// It asks the data for its type, and the data does not say.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(u8),
}

#[zygote::entry]
fn loose(first: u8, loose: Loose) -> u8 {
    let Loose::Number(number) = loose;
    first + number
}

#[zygote::entry]
fn failing(kind: u8) -> Boxed<()> {
    match kind {
        0 => Err("text".into()),
        1 => Err(io::Error::from(io::ErrorKind::AddrInUse).into()),
        _ => Err(loose::spawn(1, Loose::Number(1))?
            .join()
            .unwrap_err()
            .into()),
    }
}

fn main() -> Boxed<()> {
    let null = || File::open("/dev/null");
    let many = vec![null()?.into(), null()?.into()];
    drop(nested::spawn(None, many, null()?.into())?.join()??);

    let odd = OsString::from_vec(b"\xff\0".to_vec());
    let task = octets::task(odd.clone().into(), odd, vec![0, 255], None);
    assert_eq!(zygote::Process::new()?.run(task)?.join()?, [0, 255]);
    let bytes = Bytes::new("some")?;
    let shared = shared::spawn(bytes.clone(), None, (1, vec![bytes.clone()]))?;
    assert_eq!(shared.join()??, bytes);
    assert_eq!(boxed::spawn()?.join()??, None);
    assert_eq!(own::spawn()?.join()??, std::env::current_dir()?);
    text::spawn()?.join()??;
    assert_eq!(infallible::spawn()?.join()?, Ok(1));
    assert_eq!(twice::spawn()?.join()?, None);
    assert_eq!(
        data::spawn(
            HashMap::new(),
            SystemTime::now(),
            Duration::MAX,
            (),
            Some('x')
        )?
        .join()?,
        Some('x')
    );

    let error = |kind| failing::spawn(kind).unwrap().join().unwrap().unwrap_err();
    assert_eq!(error(0).to_string(), "text");
    assert_eq!(
        error(1).downcast::<io::Error>()?.kind(),
        io::ErrorKind::AddrInUse
    );
    let error = error(2).downcast::<zygote::Error>()?;
    assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("argument `loose` could not be decoded"),
        "{error}"
    );
    Ok(())
}
