//! Where a program is looked for. Each test is a process of its own: it changes the
//! directory or `PATH`.

use std::{
    env,
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{all_of, how, same};
use crate::util::{alone, watchdog};

/// A directory with programs that say where they are, in which this process is then.
/// The template began before that.
fn directory() -> tempfile::TempDir {
    assert!(zygote::Command::new("true").status().unwrap().success());
    let dir = tempfile::tempdir().unwrap();
    for (place, name) in [
        ("", "tell"),
        ("one", "tell"),
        ("two", "tell"),
        ("two", "only"),
    ] {
        say_where(&dir.path().join(place), name, 0o755);
    }
    say_where(&dir.path().join("closed"), "tell", 0o644);
    fs::create_dir_all(dir.path().join("dirs/tell")).unwrap();
    env::set_current_dir(&dir).unwrap();
    dir
}

fn say_where(dir: &Path, name: &str, mode: u32) {
    fs::create_dir_all(dir).unwrap();
    let mut file = File::create(dir.join(name)).unwrap();
    let place = dir.file_name().unwrap().to_str().unwrap();
    let place = if place.starts_with('.') {
        "here"
    } else {
        place
    };
    writeln!(file, "#!/bin/sh\necho {place}").unwrap();
    file.set_permissions(Permissions::from_mode(mode)).unwrap();
}

#[allow(unsafe_code, reason = "the environment is changed")]
fn set_path(path: Option<&str>) {
    match path {
        // SAFETY: no other thread of this process reads it.
        Some(path) => unsafe { env::set_var("PATH", path) },
        // SAFETY: as above.
        None => unsafe { env::remove_var("PATH") },
    }
}

#[test]
fn relative_programs_and_directories() {
    let _limit = watchdog(60);
    alone(|| {
        let dir = directory();
        same!("a relative program after chdir", {
            Ok(all_of(&Command::new("one/tell").output()?))
        });
        same!("one that begins with a dot", {
            Ok(all_of(&Command::new("./tell").output()?))
        });
        same!("a relative directory after chdir", {
            Ok(all_of(&Command::new("pwd").current_dir("one").output()?))
        });
        same!("a dot as the directory", {
            Ok(all_of(&Command::new("pwd").current_dir(".").output()?))
        });
        same!("the directory above", {
            Ok(all_of(
                &Command::new("pwd").current_dir("one/../..").output()?,
            ))
        });
        same!("a relative program and directory", {
            Ok(all_of(&Command::new("./tell").current_dir("two").output()?))
        });
        same!("a relative program that is in the other directory only", {
            Ok(all_of(&Command::new("./only").current_dir("one").output()?))
        });
        same!("no such relative directory", {
            Ok(all_of(&Command::new("pwd").current_dir("three").output()?))
        });
        same!("a relative directory for another user of the settings", {
            let mut pwd = Command::new("pwd");
            Ok(all_of(
                &pwd.current_dir("one")
                    .env("A", "1")
                    .process_group(0)
                    .output()?,
            ))
        });
        same!("after a second chdir", {
            env::set_current_dir(dir.path().join("two"))?;
            let output = Command::new("pwd").current_dir("../one").output();
            env::set_current_dir(&dir)?;
            Ok(all_of(&output?))
        });
        same!("a directory that is gone", {
            let gone = dir.path().join("gone");
            fs::create_dir(&gone)?;
            env::set_current_dir(&gone)?;
            fs::remove_dir(&gone)?;
            let status = Command::new("true").status();
            let inside = Command::new("true").current_dir("x").status();
            env::set_current_dir(&dir)?;
            Ok(how(status?) + &how(inside?))
        });
    });
}

#[test]
fn names_that_are_looked_for_in_path() {
    let _limit = watchdog(60);
    alone(|| {
        let dir = directory();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let usual = env::var("PATH").unwrap();
        let paths: [(&str, Option<String>); 10] = [
            ("PATH of this program, changed", Some(at("one"))),
            ("the first of two", Some(at("two") + ":" + &at("one"))),
            ("relative", Some("two:one".to_owned())),
            (
                "one that may not be executed, then one that may",
                Some("closed:one".to_owned()),
            ),
            (
                "only one that may not be executed",
                Some("closed".to_owned()),
            ),
            (
                "a directory of that name, then the program",
                Some("dirs:one".to_owned()),
            ),
            (
                "places that are not there",
                Some("/no:one/tell:two".to_owned()),
            ),
            ("an empty place", Some("/no:".to_owned())),
            ("empty", Some(String::new())),
            ("none", None),
        ];
        for (name, path) in paths {
            set_path(path.as_deref());
            same!(&format!("PATH: {name}"), {
                Ok(all_of(&Command::new("tell").output()?))
            });
            same!(&format!("PATH: {name}, for `true`"), {
                Ok(all_of(&Command::new("true").output()?))
            });
            set_path(Some(&usual));
            let Some(path) = path else { continue };
            same!(&format!("env PATH: {name}"), {
                Ok(all_of(&Command::new("tell").env("PATH", &path).output()?))
            });
        }
        same!("PATH removed", {
            Ok(all_of(&Command::new("true").env_remove("PATH").output()?))
        });
        same!("PATH cleared, a name of this directory", {
            Ok(all_of(&Command::new("tell").env_clear().output()?))
        });
        same!("PATH and a relative directory", {
            let mut tell = Command::new("tell");
            Ok(all_of(&tell.env("PATH", ".").current_dir("two").output()?))
        });
    });
}

#[test]
fn a_script_found_in_path_knows_where_it_is() {
    let _limit = watchdog(60);
    alone(|| {
        let dir = directory();
        let path: PathBuf = dir.path().join("two/own");
        fs::write(&path, "#!/bin/sh\necho $0\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        same!("found by a relative place", {
            Ok(all_of(&Command::new("own").env("PATH", "two").output()?))
        });
    });
}
