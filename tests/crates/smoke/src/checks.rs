//! The checks.

use std::{
    fmt::Debug,
    fs,
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt,
    time::Duration,
};

use zygote::{Command, Error, Exit, Process, Worker};

use crate::{
    Outcome, entries,
    phases::{self, PHASES, Trap},
    slices,
};

/// A check and what it shows.
type Check = (&'static str, fn() -> Outcome);

/// In the order they run.
pub(crate) const ALL: &[Check] = &[
    ("every entry is registered", registered),
    ("slices of the same names", slices),
    ("an entry", entry),
    ("an entry in a function", entry_in_function),
    ("entries in a dependency", dependency),
    ("the program's arguments", arguments),
    ("descriptors", descriptors),
    ("a panic", panic),
    ("a panic in each phase", panic_in_each_phase),
    ("calls on a live worker", calls),
    ("an exit code", exit_code),
    ("an abort", abort),
    ("an abort in a template", abort_in_template),
    ("a deep stack", deep_stack),
    ("a stack overflow", stack_overflow),
    ("a preload and &T", preload),
    ("a fork of a fork", fork_of_fork),
    ("a raw entry", raw),
    ("a worker's workers", nested),
    ("threads in a worker", threads),
    ("a fresh image", fresh),
    ("kill", kill),
    ("detach", detach),
    ("a channel", channel),
    ("another program", program),
    ("a program that is not there", no_program),
    ("constructors", constructors),
    ("the title", title),
    ("what a worker used", rusage),
];

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

fn same<T: PartialEq + Debug>(is: T, should: T) -> Outcome {
    if is == should {
        return Ok(String::new());
    }
    Err(format!("{is:?}, not {should:?}").into())
}

/// What must be true, or its text is the failure.
fn must(is: bool, text: impl FnOnce() -> String) -> Outcome {
    if is {
        Ok(String::new())
    } else {
        Err(text().into())
    }
}

/// The error of a worker that gives no result.
fn failure<R: Debug>(worker: Worker<R>) -> Result<Error, String> {
    match worker.join() {
        Ok(result) => Err(format!("it gave {result:?}")),
        Err(error) => Ok(error),
    }
}

fn signal(exit: Option<&Exit>) -> Option<i32> {
    exit?.status()?.signal()
}

fn registered() -> Outcome {
    same(zygote::__private::ENTRIES.len(), entries::COUNT)
}

fn slices() -> Outcome {
    same(slices::all(), vec![1, 2])
}

fn entry() -> Outcome {
    same(entries::add::spawn(2, 3)?.join()?, 5)
}

fn entry_in_function() -> Outcome {
    same(entries::add_inside(2, 3)?, 5)
}

fn run_raw(process: Process, name: &str) -> Result<String, Box<dyn std::error::Error>> {
    let (worker, mut conn) = process.run_raw(name)?;
    conn.set_nonblocking(false)?;
    let mut text = String::new();
    conn.read_to_string(&mut text)?;
    // To its end: its template may be asked to run something itself, then.
    worker.wait()?;
    worker.join()?;
    Ok(text)
}

fn dependency() -> Outcome {
    let process = Process::new()?.send_arg("by its ").send_arg("name");
    same(run_raw(process, "dep::shout")?.as_str(), "BY ITS NAME")?;
    same(run_raw(Process::new()?, "inner")?.as_str(), "inner")
}

fn arguments() -> Outcome {
    let there = entries::arguments::spawn()?.join()?;
    if cfg!(target_env = "musl") {
        same(there, Vec::new())?;
        return Ok("none with musl".to_owned());
    }
    let count = there.len();
    same(there, std::env::args_os().collect())?;
    Ok(format!("{count}"))
}

fn descriptors() -> Outcome {
    let (from, mut near) = io::pipe()?;
    let (mut back, to) = io::pipe()?;
    let worker = entries::copy::spawn(from, to)?;
    near.write_all(b"through a worker")?;
    drop(near);
    let mut text = String::new();
    back.read_to_string(&mut text)?;
    same(text.as_str(), "through a worker")?;
    let mut null = worker.join()??;
    same(null.read(&mut [0; 8])?, 0)
}

fn panic() -> Outcome {
    let error = failure(entries::fail::spawn("why".to_owned())?)?;
    let text = error.to_string();
    must(error.is_panic(), || format!("not a panic: {error:?}"))?;
    must(text.contains("it says why"), || {
        format!("no message: {text}")
    })?;
    must(text.contains("entries.rs:"), || format!("no place: {text}"))?;
    let worker = entries::fail::spawn("it again".to_owned())?;
    let exit = worker.wait()?;
    is_by_panic(&exit)?;
    must(failure(worker)?.is_panic(), || {
        "no panic after the end".to_owned()
    })?;
    Ok(exit.to_string())
}

fn calls() -> Outcome {
    let service = Process::new()?.serve()?;
    let first = service.call(entries::add::task(1, 2));
    let fails = service.call(entries::fail::task("why".to_owned()));
    let last = service.call(entries::add::task(3, 4));
    same(first.join()?, 3)?;
    let error = fails.join().err().ok_or("it gave a result")?;
    must(error.is_panic() && !error.is_unstarted(), || {
        format!("not a panic: {error:?}")
    })?;
    match last.join() {
        Err(error) if cfg!(panic = "abort") && error.is_unstarted() => Ok(error.to_string()),
        other => same(other?, 7),
    }
}

fn is_by_panic(exit: &Exit) -> Outcome {
    if cfg!(panic = "abort") {
        return same(signal(Some(exit)), Some(SIGABRT));
    }
    same(exit.status().and_then(|status| status.code()), Some(101))
}

/// With the message, whatever the strategy; and only before the entry can it be
/// said that nothing of it ran.
fn panic_in_each_phase() -> Outcome {
    for phase in PHASES {
        let worker = phases::trapped::spawn(Trap::new(phase))?;
        is_by_panic(&worker.wait()?).map_err(|error| format!("{phase}: {error}"))?;
        let error = failure(worker)?;
        let is_told = error.to_string().contains(&format!("trapped in {phase}"));
        let is_right = error.is_panic() && is_told && (phase == "decode" || !error.is_unstarted());
        must(is_right, || format!("{phase}: {error:?}"))?;
    }
    Ok(String::new())
}

fn exit_code() -> Outcome {
    let error = failure(entries::leave::spawn(3)?)?;
    must(error.is_exit(), || format!("not an exit: {error:?}"))?;
    let code = error
        .exit()
        .and_then(Exit::status)
        .and_then(|status| status.code());
    same(code, Some(3))
}

fn abort() -> Outcome {
    let error = failure(entries::abort::spawn()?)?;
    must(error.is_signal(), || format!("not a signal: {error:?}"))?;
    same(signal(error.exit()), Some(SIGABRT))
}

/// The process aborts while it is a template, with its signals blocked.
fn abort_in_template() -> Outcome {
    let process = Process::new()?.fork()?;
    let error = match process.preload(entries::abort_here::task()) {
        Ok(_) => return Err("the preload returned".into()),
        Err(error) => error,
    };
    must(error.is_signal(), || format!("not a signal: {error:?}"))?;
    same(signal(error.exit()), Some(SIGABRT))
}

/// The stack grows as a program's does, up to the limit (8 MiB by default).
fn deep_stack() -> Outcome {
    const DEEP: usize = 4 << 20;
    let depth = entries::recurse::spawn(DEEP)?.join()?;
    must(depth >= DEEP, || format!("{depth} bytes"))
}

fn stack_overflow() -> Outcome {
    match entries::overflow::spawn()?.join() {
        Ok(depth) => Ok(format!("{} MiB, and no limit", depth >> 20)),
        Err(error) if error.is_signal() => {
            Ok(error.exit().map_or_else(String::new, ToString::to_string))
        }
        Err(error) => Err(error.into()),
    }
}

fn preload() -> Outcome {
    let words = Process::new()?.preload(entries::words::task("to be or not".to_owned()))?;
    let sorted = words.fork()?.preload(entries::sort::task())?;
    let text = |process| entries::word::spawn(process, 0)?.join();
    same(text(&words)?.as_deref(), Some("to"))?;
    same(text(&sorted)?.as_deref(), Some("be"))
}

fn fork_of_fork() -> Outcome {
    let first = Process::new()?.send_arg("one ");
    let second = first.fork()?.send_arg("two ");
    let third = second.fork()?.send_arg("three");
    same(run_raw(third, "echo")?.as_str(), "one two three")?;
    same(run_raw(second, "echo")?.as_str(), "one two ")?;
    same(run_raw(first, "echo")?.as_str(), "one ")
}

fn raw() -> Outcome {
    let (from, mut to) = io::pipe()?;
    to.write_all(b"descriptor")?;
    drop(to);
    let process = Process::new()?.send_arg("a ").send_fd(from);
    same(run_raw(process, "echo")?.as_str(), "a descriptor")?;
    match Process::new()?.run_raw("no such entry") {
        Ok(_) => Err("an entry that there is not".into()),
        Err(error) => must(error.is_invalid(), || format!("{error:?}")),
    }
}

fn nested() -> Outcome {
    same(entries::nested::spawn(2)?.join()??, 2)
}

fn threads() -> Outcome {
    same(entries::threads::spawn()?.join()?, 6)
}

fn fresh() -> Outcome {
    let one = Process::fresh()?.run(entries::places::task())?.join()?;
    let two = Process::fresh()?.run(entries::places::task())?.join()?;
    if !is_randomised() {
        return Ok("addresses are not randomised here".to_owned());
    }
    must(one.1 != two.1, || {
        format!("the same stack: {one:x?}, {two:x?}")
    })?;
    // A program that is not position-independent has its code in one place.
    Ok(if one.0 == two.0 {
        "code in one place"
    } else {
        "code elsewhere"
    }
    .to_owned())
}

/// By the system, for this process.
fn is_randomised() -> bool {
    const ADDR_NO_RANDOMIZE: u32 = 0x004_0000;
    let system = fs::read_to_string("/proc/sys/kernel/randomize_va_space");
    let own = fs::read_to_string("/proc/self/personality")
        .ok()
        .and_then(|text| u32::from_str_radix(text.trim(), 16).ok());
    system.is_ok_and(|text| text.trim() != "0")
        && own.is_none_or(|flags| flags & ADDR_NO_RANDOMIZE == 0)
}

fn kill() -> Outcome {
    let worker = entries::sleep::spawn()?;
    worker.kill()?;
    same(signal(Some(&worker.wait()?)), Some(SIGKILL))?;
    must(failure(worker)?.is_signal(), || "not a signal".to_owned())
}

fn detach() -> Outcome {
    let (from, mut near) = io::pipe()?;
    let (mut back, to) = io::pipe()?;
    entries::answer::spawn(from, to)?.detach()?;
    near.write_all(b"?")?;
    let mut text = String::new();
    back.read_to_string(&mut text)?;
    same(text.as_str(), "!")
}

fn channel() -> Outcome {
    let (jobs, for_worker) = zygote::channel()?;
    let (from_worker, results) = zygote::channel()?;
    let worker = entries::squares::spawn(for_worker, from_worker)?;
    for n in 0..10 {
        jobs.send(n)?;
    }
    drop(jobs);
    let all = results.collect::<zygote::Result<Vec<(u64, u64)>>>()?;
    worker.join()??;
    same(all, (0..10).map(|n| (n, n * n)).collect())
}

fn program() -> Outcome {
    // More than once from the same launcher.
    for n in 0..3 {
        let script = format!("echo $GREETING {n}; exit {n}");
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("GREETING", "hello")
            .output()?;
        same(String::from_utf8(output.stdout)?, format!("hello {n}\n"))?;
        same(output.status.code(), Some(n))?;
    }
    Ok(String::new())
}

fn no_program() -> Outcome {
    match Command::new("no-such-program").spawn() {
        Ok(child) => Err(format!("it is {}", child.id()).into()),
        Err(error) => must(error.is_unstarted(), || format!("{error:?}")),
    }
}

fn constructors() -> Outcome {
    let own = std::process::id();
    same(constructors::runs().to_vec(), vec![(1, own); 3])?;
    let (there, worker, template) = entries::constructed::spawn()?.join()?;
    let counts: Vec<u32> = there.iter().map(|(count, _)| *count).collect();
    same(counts, vec![1; 3])?;
    // Before the program's template was forked from it (or, without `early!()`,
    // from a process that is gone), or in the template; never in a worker.
    let mut places = Vec::new();
    for (name, (_, pid)) in ["Rust", "C", "late C"].into_iter().zip(there) {
        let place = match pid {
            _ if pid == template => "template",
            _ if pid == worker => return Err(format!("{name} ran in the worker").into()),
            _ if cfg!(feature = "early") && pid != own => {
                return Err(format!("{name} ran in {pid}, not in {own} or {template}").into());
            }
            _ => "before",
        };
        places.push(format!("{name} {place}"));
    }
    must(places[2] == "late C template", || format!("{places:?}"))?;
    Ok(places.join(", "))
}

fn title() -> Outcome {
    let text = entries::title::spawn()?.join()??;
    let text = text.trim_end_matches('\0');
    // Cut to the room there is.
    let whole = format!("zygote: smoke::entries::title of {}", std::process::id());
    must(text.len() > 7 && whole.starts_with(text), || {
        format!("{text:?}")
    })?;
    Ok(text.to_owned())
}

fn rusage() -> Outcome {
    let worker = entries::add::spawn(1, 1)?;
    let exit = match worker.wait_timeout(Duration::from_secs(10))? {
        Some(exit) => exit,
        None => return Err("it does not end".into()),
    };
    let used = exit.rusage().ok_or("nothing is known")?;
    must(exit.success() && used.max_rss > 0, || format!("{exit:?}"))?;
    Ok(format!("{} KiB at most", used.max_rss / 1024))
}
