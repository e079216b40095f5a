//! The standard streams of this program and much data.

use std::{
    io::{Read, Write},
    os::fd::{AsRawFd, BorrowedFd},
    thread,
};

use super::{all_of, differs, how, same};
use crate::util::{alone, watchdog};

#[test]
fn much_on_all_streams() {
    let _limit = watchdog(120);
    let much = "head -c 10000000 /dev/zero >&2 & head -c 10000000 /dev/zero; wait";
    same!("10 MB on both streams", {
        let output = Command::new("sh").args(["-c", much]).output()?;
        Ok(format!(
            "{} {} {}",
            output.status,
            output.stdout.len(),
            output.stderr.len()
        ))
    });
    same!("10 MB there and back", {
        let mut cat = Command::new("cat");
        let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().unwrap();
        let writer = thread::spawn(move || stdin.write_all(&[b'x'; 10_000_000]));
        let mut back = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut back)?;
        writer.join().unwrap()?;
        Ok(format!("{} {}", back.len(), how(child.wait()?)))
    });
}

#[test]
fn what_is_said_and_what_is_not() {
    let _limit = watchdog(60);
    let names =
        "readlink /proc/self/fd/0 | sed 's/[0-9].*//'; [ -p /dev/fd/1 ]; echo $?; echo e >&2";
    same!("output, nothing said", {
        Ok(all_of(&Command::new("sh").args(["-c", names]).output()?))
    });
    same!("output, stderr said to be null", {
        Ok(all_of(
            &Command::new("sh")
                .args(["-c", names])
                .stderr(Stdio::null())
                .output()?,
        ))
    });
    same!("output, stdin said to be inherited", {
        Ok(all_of(
            &Command::new("sh")
                .args(["-c", names])
                .stdin(Stdio::inherit())
                .output()?,
        ))
    });
    same!("spawn, nothing said: no pipe here", {
        let mut child = Command::new("true").spawn()?;
        let none = child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none();
        Ok(format!("{none} {}", how(child.wait()?)))
    });
    // A copy without close-on-exec, as C libraries make them.
    let open = nix::unistd::dup(std::io::stdin()).unwrap();
    let show = [format!("/proc/self/fd/{}", open.as_raw_fd())];
    differs!(
        "a descriptor that is open for programs",
        "descriptors are exactly 0, 1, 2 and those given by `fd`",
        (|| Ok(how(std::process::Command::new("test")
            .arg("-e")
            .args(&show)
            .status()?)))(),
        (|| Ok(how(zygote::Command::new("test")
            .arg("-e")
            .args(&show)
            .status()?)))()
    );
}

/// What a program finds at the numbers that are given to `Command` as pipes or
/// inherited, after this one has closed some.
#[test]
#[allow(unsafe_code, reason = "no safe function closes what nobody owns")]
fn standard_streams_that_are_closed() {
    let _limit = watchdog(60);
    alone(|| {
        let open = "for n in 0 1 2; do [ -e /proc/$$/fd/$n ] && echo $n >&9; done; :";
        let show = format!("exec 9>$OUT; {open}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        for closed in [0, 2, 1] {
            // SAFETY: a standard stream lives as long as the program.
            let stream = unsafe { BorrowedFd::borrow_raw(closed) };
            let kept = stream.try_clone_to_owned().unwrap();
            // SAFETY: nothing in this program owns a standard stream.
            assert_eq!(unsafe { libc::close(closed) }, 0);
            let text = || std::fs::read_to_string(&path).unwrap();
            let mut std = std::process::Command::new("sh");
            let std = std.args(["-c", &show]).env("OUT", &path).status();
            let std = std.map(|status| how(status) + &text()).map_err(Into::into);
            let mut own = zygote::Command::new("sh");
            let own = own.args(["-c", &show]).env("OUT", &path).status();
            let own = own.map(|status| how(status) + &text()).map_err(Into::into);
            // SAFETY: both are numbers, and it is put back where it was.
            assert_eq!(unsafe { libc::dup2(kept.as_raw_fd(), closed) }, closed);
            differs!(
                format!("{closed} closed in this program"),
                "a program finds /dev/null there, so that no file it opens becomes a stream",
                std,
                own
            );
        }
    });
}
