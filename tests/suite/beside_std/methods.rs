//! Every method that says what to start.

use std::{ffi::OsStr, fs::File, os::unix::ffi::OsStrExt};

use super::{all_of, same};
use crate::util::{may_change_user, missing, watchdog};

#[test]
fn arguments() {
    let _limit = watchdog(60);
    let strange = OsStr::from_bytes(b"\xff\xfe =");
    same!("arg", {
        Ok(all_of(
            &Command::new("printf").arg("%s|").arg("a b").output()?,
        ))
    });
    same!("args, with an empty one", {
        Ok(all_of(
            &Command::new("printf").args(["%s|", "", "c", ""]).output()?,
        ))
    });
    same!("an argument that is not UTF-8", {
        Ok(all_of(
            &Command::new("printf").arg("%s|").arg(strange).output()?,
        ))
    });
    same!("an argument of 100,000 bytes", {
        let long = "x".repeat(100_000);
        Ok(all_of(
            &Command::new("printf").args(["%s", &long]).output()?,
        ))
    });
    same!("1,000 arguments", {
        let many = (0..1000).map(|n: i32| n.to_string());
        Ok(all_of(&Command::new("echo").args(many).output()?))
    });
    same!("arg0", {
        let mut sh = Command::new("sh");
        sh.arg0("other").args(["-c", "cat /proc/$$/cmdline"]);
        Ok(all_of(&sh.output()?))
    });
    same!(
        "one command, several times, with more arguments each time",
        {
            let mut echo = Command::new("echo");
            let first = echo.arg("one").output()?;
            let second = echo.arg("two").output()?;
            Ok(all_of(&first) + &all_of(&second))
        }
    );
}

#[test]
fn environment() {
    let _limit = watchdog(60);
    let strange = OsStr::from_bytes(b"\xff=\xfe");
    let show = "echo ${A-unset} ${B-unset} ${HOME-unset} ${PATH-unset}";
    same!("nothing said", {
        Ok(all_of(&Command::new("sh").args(["-c", show]).output()?))
    });
    same!("env", {
        Ok(all_of(
            &Command::new("sh")
                .args(["-c", show])
                .env("A", "1")
                .output()?,
        ))
    });
    same!("env with an empty value", {
        Ok(all_of(
            &Command::new("sh")
                .args(["-c", show])
                .env("A", "")
                .output()?,
        ))
    });
    same!("env twice", {
        Ok(all_of(
            &Command::new("sh")
                .args(["-c", show])
                .env("A", "1")
                .env("A", "2")
                .output()?,
        ))
    });
    same!("envs", {
        let pairs = [("A", "1"), ("B", "2")];
        Ok(all_of(
            &Command::new("sh").args(["-c", show]).envs(pairs).output()?,
        ))
    });
    same!("env_remove", {
        Ok(all_of(
            &Command::new("sh")
                .args(["-c", show])
                .env_remove("HOME")
                .output()?,
        ))
    });
    same!("env_remove of what was set", {
        let mut sh = Command::new("sh");
        sh.args(["-c", show])
            .env("A", "1")
            .env_remove("A")
            .env("B", "2");
        Ok(all_of(&sh.output()?))
    });
    same!("env_clear", {
        Ok(all_of(&Command::new("/usr/bin/env").env_clear().output()?))
    });
    same!("env before and after env_clear", {
        let mut env = Command::new("/usr/bin/env");
        Ok(all_of(
            &env.env("A", "1").env_clear().env("B", "2").output()?,
        ))
    });
    same!("a value that is not UTF-8", {
        let mut env = Command::new("/usr/bin/env");
        Ok(all_of(&env.env_clear().env("A", strange).output()?))
    });
    same!("a value of 100,000 bytes", {
        let long = "x".repeat(100_000);
        Ok(all_of(
            &Command::new("/usr/bin/env")
                .env_clear()
                .env("A", long)
                .output()?,
        ))
    });
}

#[test]
fn directory_group_and_user() {
    let _limit = watchdog(60);
    same!("current_dir", {
        Ok(all_of(&Command::new("pwd").current_dir("/proc").output()?))
    });
    same!("process_group(0)", {
        let mut sh = Command::new("sh");
        sh.args(["-c", "read -r p c s q g rest < /proc/$$/stat; [ $$ = $g ]"]);
        Ok(all_of(&sh.process_group(0).output()?))
    });
    same!("process_group of another child", {
        let mut leader = Command::new("sleep").arg("100").process_group(0).spawn()?;
        let group = i32::try_from(leader.id()).unwrap();
        let mut cut = Command::new("cut");
        let output = cut
            .args(["-d ", "-f5", "/proc/self/stat"])
            .process_group(group)
            .output()?;
        leader.kill()?;
        leader.wait()?;
        Ok(format!(
            "{}",
            output.stdout == format!("{group}\n").as_bytes()
        ))
    });
    same!("process_group that is not there", {
        Ok(all_of(
            &Command::new("true").process_group(i32::MAX).output()?,
        ))
    });
    same!("process_group below zero", {
        Ok(all_of(&Command::new("true").process_group(-1).output()?))
    });
    if missing("the right to change users", may_change_user()) {
        return;
    }
    same!("uid and gid", {
        Ok(all_of(
            &Command::new("id").uid(54_321).gid(54_322).output()?,
        ))
    });
    same!("gid", {
        Ok(all_of(&Command::new("id").gid(54_322).output()?))
    });
}

#[zygote::entry]
fn go_to_proc() -> std::io::Result<()> {
    std::env::set_current_dir("/proc")
}

#[zygote::entry]
fn fail(code: i32) -> std::io::Result<()> {
    Err(std::io::Error::from_raw_os_error(code))
}

#[test]
#[allow(unsafe_code, reason = "std's `pre_exec` is")]
fn steps_before_the_program() {
    use std::os::unix::process::CommandExt;

    use super::{Seen, check_same};
    let _limit = watchdog(60);
    let steps = [
        ("pre_exec", go_to_proc::task(), 0),
        ("pre_exec that fails", fail::task(libc::EBUSY), libc::EBUSY),
    ];
    for (name, task, code) in steps {
        let step = move || match code {
            0 => std::env::set_current_dir("/proc"),
            code => Err(std::io::Error::from_raw_os_error(code)),
        };
        let mut std = std::process::Command::new("pwd");
        // SAFETY: what it calls makes one system call each.
        unsafe { std.pre_exec(step) };
        let std: Seen = std
            .output()
            .map(|output| all_of(&output))
            .map_err(Into::into);
        let own = zygote::Command::new("pwd").before_exec(task).output();
        let own = own.map(|output| all_of(&output));
        // It did run something.
        let own = own.map_err(|error| std::io::Error::from(error).into());
        check_same(name, &std, &own);
    }
}

#[test]
fn files_as_streams() {
    let _limit = watchdog(60);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let read = || std::fs::read_to_string(&path).unwrap();
    same!("stdin from a file", {
        Ok(all_of(
            &Command::new("head")
                .arg("-c5")
                .stdin(File::open("/proc/version")?)
                .output()?,
        ))
    });
    same!("stdout to a file", {
        let status = Command::new("echo")
            .arg("x")
            .stdout(File::create(&path)?)
            .status()?;
        Ok(format!("{status} {}", read()))
    });
    same!("stdout and stderr to one file", {
        let (out, mut sh) = (File::create(&path)?, Command::new("sh"));
        sh.args(["-c", "echo o; echo e >&2; echo o"])
            .stderr(out.try_clone()?)
            .stdout(out);
        Ok(format!("{} {}", sh.status()?, read()))
    });
    same!("stdin and stdout null", {
        let mut cat = Command::new("cat");
        Ok(all_of(
            &cat.stdin(Stdio::null()).stdout(Stdio::null()).output()?,
        ))
    });
    same!("one program's stdout as another's stdin", {
        let mut first = Command::new("printf");
        let mut first = first.arg("a\nb\n").stdout(Stdio::piped()).spawn()?;
        let stdout = first.stdout.take().unwrap();
        let output = Command::new("tail").arg("-n1").stdin(stdout).output()?;
        Ok(all_of(&output) + &first.wait()?.to_string())
    });
}
