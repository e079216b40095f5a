//! What a worker finds around it: arguments, title, output.

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    process::id,
    thread,
    time::Duration,
};

use zygote::Process;

use crate::util::{self, alone, watchdog};

#[zygote::entry]
fn arguments() -> Vec<OsString> {
    env::args_os().collect()
}

#[zygote::entry]
fn variable(name: String) -> Option<OsString> {
    env::var_os(name)
}

#[zygote::entry]
fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[test]
#[cfg(target_env = "gnu")]
fn a_worker_has_the_programs_arguments() {
    let _limit = watchdog(30);
    let own: Vec<OsString> = env::args_os().collect();
    assert!(!own.is_empty());
    for process in [Process::new().unwrap(), Process::fresh().unwrap()] {
        assert_eq!(process.run(arguments::task()).unwrap().join().unwrap(), own);
    }
}

#[test]
fn a_worker_has_the_programs_environment() {
    let _limit = watchdog(30);
    let path = variable::spawn("PATH".to_owned()).unwrap().join().unwrap();
    assert_eq!(path, env::var_os("PATH"));
    let server = concat!(
        "ZYGOTE_",
        env!("CARGO_PKG_VERSION_MAJOR"),
        "_",
        env!("CARGO_PKG_VERSION_MINOR"),
        "_SERVER"
    );
    let asked = variable::spawn(server.to_owned()).unwrap().join().unwrap();
    assert_eq!(asked, None);
}

#[test]
fn ps_shows_what_each_process_is() {
    let _limit = watchdog(30);
    let own = id();
    let template = util::template();
    assert_eq!(util::title(template), format!("zygote: template of {own}"));
    let worker = sleep::spawn().unwrap().kill_on_drop(true);
    let name = concat!(module_path!(), "::sleep");
    let wanted = format!("zygote: {name} of {own}");
    util::until("the worker has its title", || {
        util::title(worker.id()) == wanted
    });
}

#[zygote::entry]
fn writes(text: String) {
    // Without an end of line, so that it stays in the buffers.
    let text = format!("<{text}");
    io::stdout().write_all(text.as_bytes()).unwrap();
    write_by_c();
}

#[allow(unsafe_code, reason = "C's buffer is only reached by C")]
fn write_by_c() {
    // SAFETY: a format without a directive takes no more arguments.
    unsafe { libc::printf(c"|by C>".as_ptr()) };
}

#[test]
fn output_is_there_before_join_returns() {
    let _limit = watchdog(60);
    let output = alone(|| {
        for n in 0..20 {
            writes::spawn(n.to_string()).unwrap().join().unwrap();
            let mut own = io::stdout();
            own.write_all(format!("[joined {n}]").as_bytes()).unwrap();
            own.flush().unwrap();
        }
    });
    let Some(output) = output else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    for n in 0..20 {
        let wanted = format!("<{n}|by C>[joined {n}]");
        assert_eq!(text.matches(&wanted).count(), 1, "{text}");
    }
}

#[zygote::preload]
fn mutters(text: String) {
    let mut out = io::stdout();
    out.write_all(format!("<{text}").as_bytes()).unwrap();
    write_by_c();
}

#[test]
fn output_of_a_preload_is_there_once() {
    let _limit = watchdog(60);
    let output = alone(|| {
        let task = mutters::task("preload".into());
        let process = Process::new().unwrap().preload(task).unwrap();
        let mut own = io::stdout();
        own.write_all(b"[loaded]").unwrap();
        own.flush().unwrap();
        for _ in 0..3 {
            let worker = process.fork().unwrap().run(writes::task("w".into()));
            worker.unwrap().join().unwrap();
        }
    });
    let Some(output) = output else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("<preload|by C>[loaded]").count(), 1, "{text}");
    assert_eq!(text.matches("<preload").count(), 1, "{text}");
}
