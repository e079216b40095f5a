//! What cannot be started, and why.

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::Write,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use super::{all_of, differs, same};
use crate::util::watchdog;

/// Writes a file that may be executed.
fn script(dir: &Path, name: &str, text: &[u8]) -> PathBuf {
    let path = dir.join(name);
    let mut file = File::create(&path).unwrap();
    file.write_all(text).unwrap();
    file.set_permissions(Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn what_is_not_there() {
    let _limit = watchdog(60);
    let dir = tempfile::tempdir().unwrap();
    let loops = dir.path().join("loop");
    symlink(&loops, &loops).unwrap();
    same!("no such path", {
        Ok(all_of(&Command::new("/no/such/program").output()?))
    });
    same!("no such name", {
        Ok(all_of(&Command::new("no-such-program").output()?))
    });
    same!("no name", { Ok(all_of(&Command::new("").output()?)) });
    same!("a directory", {
        Ok(all_of(&Command::new(dir.path()).output()?))
    });
    same!("a directory, relative", {
        Ok(all_of(&Command::new("./src").output()?))
    });
    same!("a path through a file", {
        Ok(all_of(&Command::new("/bin/sh/x").output()?))
    });
    same!("a program with a slash behind it", {
        Ok(all_of(&Command::new("/bin/sh/").output()?))
    });
    same!("a link to itself", {
        Ok(all_of(&Command::new(&loops).output()?))
    });
    same!("a name of 300 bytes", {
        Ok(all_of(&Command::new("x".repeat(300)).output()?))
    });
    same!("a path of 5,000 bytes", {
        Ok(all_of(&Command::new("/x".repeat(2500)).output()?))
    });
    same!("no such directory to be in", {
        Ok(all_of(
            &Command::new("true")
                .current_dir("/no/such/place")
                .output()?,
        ))
    });
    same!("a file to be in", {
        Ok(all_of(
            &Command::new("true").current_dir("/bin/sh").output()?,
        ))
    });
    same!("no name for the directory", {
        Ok(all_of(&Command::new("true").current_dir("").output()?))
    });
    same!("neither the directory nor the program", {
        Ok(all_of(
            &Command::new("/no/such/program")
                .current_dir("/bin/sh")
                .output()?,
        ))
    });
}

#[test]
#[allow(unsafe_code, reason = "std's `pre_exec` is")]
fn files_that_are_no_programs() {
    let _limit = watchdog(60);
    let dir = tempfile::tempdir().unwrap();
    let file = |name, text: &[u8]| script(dir.path(), name, text);
    let good = file("good", b"#!/bin/sh\necho $0 $1 | sed 's/.*good/good/'\n");
    let with_argument = file("with-argument", b"#!/bin/echo two words\n");
    let no_interpreter = file("no-interpreter", b"#!/no/such/interpreter\n");
    let directory = file("directory", b"#!/usr\n");
    let nothing_said = file("nothing-said", b"#!\n");
    let no_line = file("no-line", b"echo no line\n");
    let empty = file("empty", b"");
    let garbage = file("garbage", b"\x7fELF\x02\x01\x01 and nothing more");
    let no_right = file("no-right", b"#!/bin/sh\n");
    fs::set_permissions(&no_right, Permissions::from_mode(0o644)).unwrap();
    same!("a script", {
        Ok(all_of(&Command::new(&good).arg("x").output()?))
    });
    same!("a script whose interpreter has an argument", {
        Ok(all_of(&Command::new(&with_argument).output()?)
            .replace(dir.path().to_str().unwrap(), ""))
    });
    same!("a script without its interpreter", {
        Ok(all_of(&Command::new(&no_interpreter).output()?))
    });
    same!("a script whose interpreter is a directory", {
        Ok(all_of(&Command::new(&directory).output()?))
    });
    same!("a script that names no interpreter", {
        Ok(all_of(&Command::new(&nothing_said).output()?))
    });
    same!("a script without a first line", {
        Ok(all_of(&Command::new(&no_line).output()?))
    });
    #[cfg(target_env = "gnu")]
    {
        use std::os::unix::process::CommandExt;
        let mut forked = std::process::Command::new(&no_line);
        differs!(
            "the same, after a step before it",
            "a file that is no program is always an error; std's is given to a shell where \
             std must fork and the C library is glibc",
            // SAFETY: it does nothing.
            (|| Ok(all_of(&unsafe { forked.pre_exec(|| Ok(())) }.output()?)))(),
            (|| Ok(all_of(
                &zygote::Command::new(&no_line).title("own").output()?
            )))()
        );
    }
    same!("an empty file", {
        Ok(all_of(&Command::new(&empty).output()?))
    });
    same!("a broken executable", {
        Ok(all_of(&Command::new(&garbage).output()?))
    });
    same!("no right to execute it", {
        Ok(all_of(&Command::new(&no_right).output()?))
    });
    same!("one that is open for writing", {
        let _writer = File::options().append(true).open(&good)?;
        Ok(all_of(&Command::new(&good).output()?))
    });
}

#[test]
fn too_much_and_impossible() {
    let _limit = watchdog(60);
    let nul = OsStr::from_bytes(b"a\0b");
    same!("an argument of 200,000 bytes", {
        Ok(all_of(
            &Command::new("true").arg("x".repeat(200_000)).output()?,
        ))
    });
    same!("a variable of 200,000 bytes", {
        Ok(all_of(
            &Command::new("true")
                .env("A", "x".repeat(200_000))
                .output()?,
        ))
    });
    same!("arguments of 12 MB", {
        let many = (0..120).map(|_| "x".repeat(100_000));
        Ok(all_of(&Command::new("true").args(many).output()?))
    });
    same!("a NUL byte in the program", {
        Ok(all_of(&Command::new(nul).output()?))
    });
    same!("a NUL byte in an argument", {
        Ok(all_of(&Command::new("true").arg(nul).output()?))
    });
    same!("a NUL byte in arg0", {
        Ok(all_of(&Command::new("true").arg0(nul).output()?))
    });
    same!("a NUL byte in the directory", {
        Ok(all_of(&Command::new("true").current_dir(nul).output()?))
    });
    same!("a NUL byte in a variable", {
        Ok(all_of(&Command::new("true").env("A", nul).output()?))
    });
    same!("a NUL byte in a variable's name", {
        Ok(all_of(&Command::new("true").env(nul, "1").output()?))
    });
    for name in ["", "A=B"] {
        differs!(
            format!("a variable of the name {name:?}"),
            "a name that is empty or has a `=` is refused: nothing could look it up",
            (|| Ok(all_of(
                &std::process::Command::new("true").env(name, "1").output()?
            )))(),
            (|| Ok(all_of(
                &zygote::Command::new("true").env(name, "1").output()?
            )))()
        );
    }
}
