//! What a process is made of: recorded, kept by forks, applied in the worker.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs::{self, File},
    io::{Read, Write},
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    path::PathBuf,
};

use zygote::{Fd, Process, Stdio};

use crate::util::{Census, alone};

#[zygote::entry]
fn variables() -> Vec<(String, String)> {
    env::vars().collect()
}

fn seen(process: Process) -> BTreeMap<String, String> {
    let worker = process.run(variables::task()).unwrap();
    worker.join().unwrap().into_iter().collect()
}

#[zygote::entry]
fn bytes_of(key: OsString) -> Option<OsString> {
    env::var_os(key)
}

#[zygote::entry]
fn place_and_mask() -> std::io::Result<(PathBuf, u32)> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let mask = u32::from_str_radix(mask.unwrap_or_default().trim(), 8);
    Ok((env::current_dir()?, mask.map_err(std::io::Error::other)?))
}

/// Writes down that it ran.
#[zygote::entry]
fn mark(path: PathBuf) -> std::io::Result<()> {
    fs::write(path, "ran")
}

#[zygote::entry]
fn shout() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    writeln!(std::io::stdout(), "out {text}")?;
    writeln!(std::io::stderr(), "err {text}")?;
    Ok(text)
}

#[zygote::entry]
fn write_much(length: usize) -> std::io::Result<()> {
    std::io::stdout().write_all(&vec![b'x'; length])
}

#[zygote::preload]
fn home_of_template() -> Option<String> {
    env::var("ZYGOTE_TEST_HOME").ok()
}

#[zygote::entry]
fn both_homes(home: &Option<String>) -> (Option<String>, Option<String>) {
    (home.clone(), env::var("ZYGOTE_TEST_HOME").ok())
}

#[test]
fn variables_are_set_removed_cleared_and_replaced_in_the_order_of_the_calls() {
    let process = || Process::new().unwrap();
    let set = seen(process().env("A", "1").env("B", "2").env("A", "3"));
    assert_eq!((&*set["A"], &*set["B"]), ("3", "2"));
    let inherited = set.len() - 2;
    assert!(inherited > 0, "the template's own are there, too");
    let gone = seen(process().env("A", "1").env_remove("A"));
    assert_eq!(gone.len(), inherited);
    let cleared = seen(process().env("A", "1").env_clear().env("B", "2"));
    assert_eq!(cleared, BTreeMap::from([("B".into(), "2".into())]));
    let several = seen(
        process()
            .env_clear()
            .envs([("X", "1"), ("Y", ""), ("Z", "a=b")]),
    );
    assert_eq!(several.len(), 3);
    assert_eq!((&*several["Y"], &*several["Z"]), ("", "a=b"));
}

#[test]
fn variables_of_any_bytes_and_size_arrive() {
    let odd = OsString::from_vec(vec![0xff, b'x', 0x80]);
    let process = Process::new().unwrap().env("ODD", &odd);
    let got = process.run(bytes_of::task("ODD".into())).unwrap().join();
    assert_eq!(got.unwrap(), Some(odd));
    let long = "v".repeat(200_000);
    let process = Process::new().unwrap().env("LONG", &long);
    let got = process.run(bytes_of::task("LONG".into())).unwrap().join();
    assert_eq!(got.unwrap(), Some(long.into()));
    let many = (0..5_000).map(|n| (format!("N{n}"), n.to_string()));
    assert_eq!(
        seen(Process::new().unwrap().env_clear().envs(many)).len(),
        5_000
    );
}

#[test]
fn a_variable_that_cannot_be_is_an_error_without_its_value() {
    for key in ["", "a=b", "nul\0"] {
        let process = Process::new().unwrap().env(key, "hidden");
        let error = process.run(variables::task()).unwrap_err();
        assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
        assert!(error.to_string().contains("`env("), "{error}");
        assert!(!format!("{error:?}").contains("hidden"));
    }
}

#[test]
fn settings_are_kept_by_forks_and_preloads_and_never_reach_a_template() {
    let process = Process::new().unwrap().env("ZYGOTE_TEST_HOME", "set");
    let process = process.preload(home_of_template::task()).unwrap();
    let fork = process.fork().unwrap();
    for process in [fork.fork().unwrap(), fork, process] {
        let homes = process.run(both_homes::task()).unwrap().join().unwrap();
        assert_eq!(homes, (None, Some("set".to_owned())));
    }
    let process = Process::new().unwrap().env("ZYGOTE_TEST_HOME", "each");
    for worker in process.spawn_all(vec![bytes_of::task("ZYGOTE_TEST_HOME".into()); 3]) {
        assert_eq!(worker.unwrap().join().unwrap(), Some("each".into()));
    }
}

#[test]
fn a_process_with_settings_is_not_given_away() {
    let process = || Process::new().unwrap();
    for process in [process().env("A", "1"), process().send_arg("1")] {
        let error = process.into_fd().unwrap_err();
        assert!(error.is_invalid(), "{error:?}");
    }
}

#[test]
fn directory_and_mask_are_those_given() {
    let process = Process::new().unwrap().current_dir("/proc").umask(0o027);
    let worker = process.run(place_and_mask::task()).unwrap();
    assert_eq!(worker.join().unwrap().unwrap(), ("/proc".into(), 0o027));
}

#[test]
fn a_failed_setting_names_itself_and_runs_nothing() {
    alone(|| {
        let census = Census::take();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ran");
        for _ in 0..20 {
            let process = Process::new().unwrap().current_dir("/no/such/place");
            let error = process.run(mark::task(path.clone())).unwrap_err();
            assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
            let text = format!("{error:?}");
            assert!(
                text.contains("/no/such/place") && text.contains("os error 2"),
                "{text}"
            );
            assert!(error.entry().unwrap().ends_with("mark"));
        }
        assert!(!path.exists());
        // The same task runs where it may.
        let worker = Process::new()
            .unwrap()
            .run(mark::task(path.clone()))
            .unwrap();
        worker.join().unwrap().unwrap();
        assert!(path.exists());
        drop(dir);
        census.check();
    });
}

#[test]
fn pipes_carry_the_standard_streams() {
    let process = Process::new()
        .unwrap()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut worker = process.run(shout::task()).unwrap();
    let mut stdin = worker.take_stdin().unwrap();
    assert!(worker.take_stdin().is_none());
    stdin.write_all(b"hey").unwrap();
    drop(stdin);
    let (mut out, mut err) = (String::new(), String::new());
    worker
        .take_stdout()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    worker
        .take_stderr()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!((&*out, &*err), ("out hey\n", "err hey\n"));
    assert_eq!(worker.join().unwrap().unwrap(), "hey");
}

#[test]
fn join_closes_a_piped_stdin() {
    let process = Process::new().unwrap().stdin(Stdio::piped());
    let process = process.stdout(Stdio::null()).stderr(Stdio::null());
    let worker = process.run(shout::task()).unwrap();
    assert_eq!(worker.join().unwrap().unwrap(), "");
}

#[test]
fn each_worker_of_a_process_has_pipes_of_its_own() {
    let process = Process::new().unwrap().stdout(Stdio::piped());
    let mut workers: Vec<_> = process
        .spawn_all([1_usize, 100_000, 3].map(write_much::task))
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let lengths: Vec<usize> = workers
        .iter_mut()
        .map(|worker| {
            let mut all = Vec::new();
            worker.take_stdout().unwrap().read_to_end(&mut all).unwrap();
            all.len()
        })
        .collect();
    assert_eq!(lengths, [1, 100_000, 3]);
}

#[test]
fn a_stream_can_be_a_file_and_is_written_before_join_returns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let process = Process::new().unwrap().stdout(File::create(&path).unwrap());
    for _ in 0..2 {
        let fork = process.fork().unwrap();
        fork.run(write_much::task(10))
            .unwrap()
            .join()
            .unwrap()
            .unwrap();
    }
    // One open file, one offset.
    assert_eq!(fs::read(&path).unwrap().len(), 20);
}

#[zygote::entry]
fn count_descriptors(_passed: Vec<Fd<OwnedFd>>) -> usize {
    // The listing's own does not count.
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

#[test]
fn streams_add_no_descriptor_to_a_worker() {
    let process = Process::new()
        .unwrap()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::open("/dev/null").unwrap());
    let worker = process.run(count_descriptors::task(Vec::new())).unwrap();
    // 0, 1, 2 and its own socket.
    assert_eq!(worker.join().unwrap(), 4);
}

/// What `ps` and `top` show.
#[zygote::entry]
fn names() -> std::io::Result<(Vec<u8>, String)> {
    let shown = fs::read("/proc/self/cmdline")?;
    Ok((shown, fs::read_to_string("/proc/self/comm")?))
}

#[test]
fn the_names_are_those_given_and_cut_where_there_is_no_room() {
    let of = |process: Process| process.run(names::task()).unwrap().join().unwrap().unwrap();
    let named = Process::new()
        .unwrap()
        .title("a decoder")
        .thread_name("decodes");
    for process in [named.fork().unwrap(), named] {
        let (title, name) = of(process);
        assert!(title.starts_with(b"a decoder\0"), "{title:?}");
        assert_eq!(name, "decodes\n");
    }
    let long = Process::new()
        .unwrap()
        .title("t".repeat(1 << 20))
        .thread_name("n".repeat(1 << 20));
    let (title, name) = of(long);
    assert!(title.starts_with(b"ttt"));
    assert_eq!(name, format!("{}\n", "n".repeat(15)));
    let error = Process::new().unwrap().thread_name("a\0b");
    let error = error.run(names::task()).unwrap_err();
    assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
    assert!(error.to_string().contains("`thread_name("), "{error}");
}

#[test]
#[allow(unsafe_code, reason = "the environment is changed")]
fn the_environment_of_now_replaces_the_templates() {
    alone(|| {
        let ask = |process: Process| {
            let names = ["ZYGOTE_TEST_LATE", "ZYGOTE_TEST_GONE", "SET"];
            let seen = seen(process);
            names.map(|name| seen.get(name).cloned())
        };
        let text = |text: &str| Some(text.to_owned());
        let process = || Process::new().unwrap();
        // SAFETY: this program has no other thread that reads it.
        unsafe { env::set_var("ZYGOTE_TEST_GONE", "1") };
        // The template begins, if it has not begun before `main`.
        process().id().unwrap();
        // SAFETY: as above.
        unsafe { env::remove_var("ZYGOTE_TEST_GONE") };
        // SAFETY: as above.
        unsafe { env::set_var("ZYGOTE_TEST_LATE", "2") };
        assert_eq!(ask(process())[0], None, "the template's own");
        let now = process().env("SET", "3").inherit_env();
        assert_eq!(ask(now), [text("2"), None, None]);
        let now = process().inherit_env().env("SET", "3");
        // As it was at the call.
        // SAFETY: as above.
        unsafe { env::remove_var("ZYGOTE_TEST_LATE") };
        assert_eq!(ask(now), [text("2"), None, text("3")]);
    });
}
