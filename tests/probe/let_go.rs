//! Workers that nobody has a handle of, when the program executes another one.

use super::{probe::group, *};

/// Workers without handles, of templates that were told to end; then another
/// program takes this one's place.
pub(super) fn lets_go() {
    let (sender, receiver) = zygote::channel::<u32>().unwrap();
    let task = || nest::task(1, sender.try_clone().unwrap());
    let taken = || Process::<()>::from_fd(Process::new().unwrap().into_fd().unwrap()).unwrap();
    let (fresh, own) = (Process::fresh().unwrap(), Process::new().unwrap());
    let workers = [
        rest::spawn().unwrap(),
        nest::spawn(1, sender.try_clone().unwrap()).unwrap(),
        fresh.fork().unwrap().run(task()).unwrap(),
        fresh.fork().unwrap().fork().unwrap().run(task()).unwrap(),
        Process::fresh().unwrap().run(task()).unwrap(),
        own.fork().unwrap().run(task()).unwrap(),
        taken().fork().unwrap().run(task()).unwrap(),
        taken().run(task()).unwrap(),
    ];
    for _ in 0..14 {
        receiver.recv_timeout(LIMIT).unwrap();
    }
    drop((workers, fresh, own));
    let fresh = Process::fresh().unwrap().run(rest::task()).unwrap();
    let detached = fresh.id();
    fresh.detach().unwrap();
    zygote::renew_template();
    rest::spawn().unwrap();
    zygote::renew_template();
    say("ready", detached);
    hear();
    panic!("{}", Command::new("sleep").arg("60").exec());
}

#[test]
fn workers_without_handles_end_when_the_program_executes_another() {
    let mut probe = Probe::start("lets_go");
    let detached: u32 = probe.expect("ready").parse().unwrap();
    let program = probe.id();
    // 16 workers, and 6 templates.
    assert!(at_rest(program).len() >= 22, "{:?}", group(program));
    probe.tell("exec");
    let is_alone = until(LIMIT, || {
        let mut left = living(program);
        left.retain(|pid| *pid != program);
        left == [detached]
    });
    assert!(is_alone, "{:?}, detached {detached}", group(program));
    let comm = fs::read_to_string(format!("/proc/{program}/comm")).unwrap();
    assert_eq!(comm.trim(), "sleep");
    probe.kill();
    probe.end();
    send(detached, libc::SIGKILL);
}
