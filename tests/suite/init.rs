//! What runs in each worker first.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use zygote::{Process, Result};

use crate::util::{Census, alone, watchdog};

/// Set in the program, and missing in workers.
static CONFIG: OnceLock<String> = OnceLock::new();

static RUNS: AtomicU32 = AtomicU32::new(0);

static ORDER: Mutex<String> = Mutex::new(String::new());

#[zygote::entry]
fn configure(config: String) -> io::Result<()> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    CONFIG
        .set(config)
        .map_err(|_| io::Error::other("it is set already"))
}

#[zygote::entry]
fn config() -> (Option<String>, u32) {
    (CONFIG.get().cloned(), RUNS.load(Ordering::Relaxed))
}

#[zygote::entry]
fn append(word: String) -> io::Result<()> {
    ORDER.lock().unwrap().push_str(&word);
    Ok(())
}

#[zygote::entry]
fn order() -> String {
    ORDER.lock().unwrap().clone()
}

#[test]
fn it_runs_once_in_each_worker_and_in_no_other() -> Result<()> {
    let _watchdog = watchdog(20);
    CONFIG.get_or_init(|| "the program's".into());
    assert_eq!(config::spawn()?.join()?, (None, 0));
    let process = Process::new()?.init(configure::task("a worker's".into()));
    let expected = (Some("a worker's".to_owned()), 1);
    for _ in 0..3 {
        assert_eq!(process.spawn(config::task())?.join()?, expected);
    }
    for worker in process.spawn_all((0..20).map(|_| config::task())) {
        assert_eq!(worker?.join()?, expected);
    }
    assert_eq!(
        process.fork()?.fork()?.run(config::task())?.join()?,
        expected
    );
    assert_eq!(config::spawn()?.join()?, (None, 0));
    assert_eq!(process.run(config::task())?.join()?, expected);
    Ok(())
}

#[test]
fn several_run_in_their_order() -> Result<()> {
    let _watchdog = watchdog(20);
    let process = ["one ", "two ", "three"]
        .into_iter()
        .fold(Process::new()?, |process, word| {
            process.init(append::task(word.into()))
        });
    assert_eq!(process.spawn(order::task())?.join()?, "one two three");
    Ok(())
}

#[zygote::preload]
fn numbers(count: usize) -> Vec<usize> {
    (0..count).collect()
}

#[zygote::entry]
fn push(numbers: &mut Vec<usize>, number: usize) -> io::Result<()> {
    numbers.push(number);
    Ok(())
}

#[zygote::entry]
fn are(numbers: &Vec<usize>) -> Vec<usize> {
    numbers.clone()
}

#[test]
fn what_it_does_to_the_preloaded_value_the_entry_sees() -> Result<()> {
    let _watchdog = watchdog(20);
    let process = Process::new()?
        .preload(numbers::task(2))?
        .init(push::task(77));
    for _ in 0..2 {
        assert_eq!(are::spawn(&process)?.join()?, [0, 1, 77]);
    }
    Ok(())
}

#[test]
fn one_for_another_value_is_an_error_of_the_spawn() -> Result<()> {
    let _watchdog = watchdog(20);
    let process = Process::new()?
        .preload(numbers::task(2))?
        .init(push::task(77));
    let process = process.preload(text::task())?;
    let error = process.spawn(order::task()).unwrap_err();
    assert!(error.is_unstarted(), "{error:?}");
    assert!(error.to_string().contains("push"), "{error}");
    assert!(
        error.to_string().contains("preloaded value of type"),
        "{error}"
    );
    Ok(())
}

#[zygote::preload]
fn text() -> String {
    String::new()
}

#[zygote::entry]
#[allow(clippy::exit, reason = "it fails in each way")]
fn fails(how: String) -> io::Result<()> {
    match &*how {
        "error" => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
        "panic" => panic!("no configuration"),
        "exit" => std::process::exit(9),
        _ => std::process::abort(),
    }
}

/// Leaves a trace.
#[zygote::entry]
fn mark(mut file: File) -> io::Result<()> {
    file.write_all(b"ran")
}

#[test]
fn one_that_fails_is_the_error_of_the_spawn_and_no_entry_runs() {
    alone(|| {
        let _watchdog = watchdog(30);
        let mut trace = tempfile::tempfile().unwrap();
        let census = Census::take();
        for how in ["error", "panic", "exit", "abort"] {
            let process = Process::new().unwrap().init(fails::task(how.into()));
            let error = process
                .spawn(mark::task(trace.try_clone().unwrap()))
                .unwrap_err();
            assert!(error.is_unstarted(), "{how}: {error:?}");
            let text = error.to_string();
            match how {
                "error" => {
                    assert!(error.is_setting(), "{error:?}");
                    assert!(text.contains("the initialiser `"), "{text}");
                    assert!(text.contains("fails` failed: No space left"), "{text}");
                }
                "panic" => {
                    assert!(error.is_panic(), "{error:?}");
                    assert!(text.contains("no configuration"), "{text}");
                }
                "exit" => {
                    assert!(error.exit().is_some_and(|exit| {
                        exit.status().and_then(|status| status.code()) == Some(9)
                    }))
                }
                _ => assert!(error.is_signal(), "{error:?}"),
            }
        }
        let mut text = String::new();
        trace.rewind().unwrap();
        trace.read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
        census.check();
    });
}

#[zygote::entry]
fn read_first(mut file: File) -> io::Result<()> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    ORDER.lock().unwrap().push_str(&text);
    Ok(())
}

#[test]
fn its_descriptors_are_there_in_each_worker() -> Result<()> {
    alone(|| {
        let _watchdog = watchdog(20);
        let census = Census::take();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"from a file").unwrap();
        let open = File::open(file.path()).unwrap();
        let process = Process::new().unwrap().init(read_first::task(open));
        // Both share the offset, as duplicates do.
        for expected in ["from a file", ""] {
            let worker = process.spawn(order::task()).unwrap();
            assert_eq!(worker.join().unwrap(), expected);
        }
        drop((process, file));
        census.check();
    });
    Ok(())
}

#[zygote::entry]
fn long(bytes: Vec<u8>) -> io::Result<()> {
    RUNS.store(u32::try_from(bytes.len()).unwrap(), Ordering::Relaxed);
    Ok(())
}

#[test]
fn its_arguments_may_be_long() -> Result<()> {
    let _watchdog = watchdog(20);
    let process = Process::new()?.init(long::task(vec![7; 300_000]));
    assert_eq!(process.spawn(config::task())?.join()?, (None, 300_000));
    Ok(())
}

#[zygote::entry]
fn reads_hostname() -> io::Result<()> {
    ORDER
        .lock()
        .unwrap()
        .push_str(&std::fs::read_to_string("/proc/sys/kernel/hostname")?);
    Ok(())
}

#[cfg(feature = "confine")]
#[test]
fn it_runs_before_confinement() -> Result<()> {
    let _watchdog = watchdog(20);
    let process = Process::new()?
        .confine(zygote::settings::Confine::compute())
        .init(reads_hostname::task());
    assert!(!process.spawn(order::task())?.join()?.is_empty());
    Ok(())
}

#[zygote::entry]
fn spawns() -> io::Result<()> {
    let (config, runs) = config::spawn().and_then(|worker| worker.join())?;
    ORDER
        .lock()
        .unwrap()
        .push_str(&format!("{config:?} {runs}"));
    Ok(())
}

#[test]
fn it_may_spawn_what_has_none() -> Result<()> {
    let _watchdog = watchdog(30);
    let process = Process::new()?.init(spawns::task());
    assert_eq!(process.spawn(order::task())?.join()?, "None 0");
    Ok(())
}
