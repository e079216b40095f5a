//! What a level adds to a confined worker, and nothing beside it.

use std::{
    fs::{self, File},
    io,
    net::{TcpListener, TcpStream},
    path::PathBuf,
};

use zygote::{Process, settings::Confine};

use super::{compute, confined, has_landlock};
use crate::util::watchdog;

const EPERM: i32 = libc::EPERM;
/// An error without an errno.
const ANY: i32 = -1;

#[zygote::entry]
fn read_all(paths: Vec<PathBuf>) -> Vec<Result<usize, i32>> {
    let read = |path| fs::read(path).map(|bytes| bytes.len());
    let code = |error: io::Error| error.raw_os_error().unwrap_or(ANY);
    paths
        .into_iter()
        .map(|path| read(path).map_err(code))
        .collect()
}

#[zygote::entry]
fn write_and_remove(path: PathBuf) -> [i32; 3] {
    let made = File::create(path.with_extension("new")).map(drop);
    let opened = File::options().write(true).open(&path).map(drop);
    let removed = fs::remove_file(&path);
    [made, opened, removed].map(|result| result.err().and_then(|e| e.raw_os_error()).unwrap_or(0))
}

#[test]
fn readable_is_what_was_said_and_nothing_beside_it() {
    if !has_landlock() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("in")).unwrap();
    for name in ["in/a", "out", "alone"] {
        fs::write(path(name), name).unwrap();
    }
    std::os::unix::fs::symlink(path("out"), path("in/link")).unwrap();
    let confine = Confine::compute().read(path("in")).read(path("alone"));
    let root = PathBuf::from("/proc/self/root").join(path("out").strip_prefix("/").unwrap());
    let paths = vec![
        path("in/a"),
        path("alone"),
        path("out"),
        path("in/../out"),
        path("in/link"),
        root,
    ];
    let worker = confined(confine.clone()).run(read_all::task(paths.clone()));
    let denied = Err(libc::EACCES);
    assert_eq!(
        worker.unwrap().join().unwrap(),
        [Ok(4), Ok(5), denied, denied, denied, denied]
    );
    let worker = Process::new().unwrap().run(read_all::task(paths)).unwrap();
    assert!(worker.join().unwrap().iter().all(Result::is_ok));

    let worker = confined(confine)
        .run(write_and_remove::task(path("in/a")))
        .unwrap();
    assert_eq!(worker.join().unwrap(), [EPERM; 3]);
    let worker = Process::new()
        .unwrap()
        .run(write_and_remove::task(path("in/a")))
        .unwrap();
    assert_eq!(worker.join().unwrap(), [0; 3]);
}

#[zygote::entry]
fn accept_one(listener: TcpListener) -> Result<String, i32> {
    let answer = || {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        io::copy(&mut &b"hello"[..], &mut stream)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        io::read_to_string(stream)
    };
    answer().map_err(|error: io::Error| error.raw_os_error().unwrap_or(ANY))
}

#[test]
fn sockets_accept_only_where_that_was_said() {
    let _limit = watchdog(30);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let task = accept_one::task(listener);
    let mut client = TcpStream::connect(at).unwrap();
    let worker = compute().run(task.clone()).unwrap();
    assert_eq!(worker.join().unwrap(), Err(EPERM));

    let worker = confined(Confine::compute().sockets()).run(task).unwrap();
    io::Write::write_all(&mut client, b"you, too").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(io::read_to_string(client).unwrap(), "hello");
    assert_eq!(worker.join().unwrap().unwrap(), "you, too");
}
