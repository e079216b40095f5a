// No name that is nearly right leads to one that is hidden.

use zygote::{Allocator, Call, Child, Command, Preload, Process, Service, Task, Worker};

#[zygote::entry]
fn double(n: u64) -> u64 {
    2 * n
}

#[zygote::preload]
fn words(text: String) -> Vec<String> {
    vec![text]
}

fn functions() {
    let _ = Process::<()>::spwan();
    let _ = Worker::<u64>::now();
    let _ = Task::<u64>::nev();
    let _ = Task::<u64>::new();
    let _ = Preload::<u64>::new();
    let _ = double::tusk(1);
    let _ = words::spawn(String::new());
    let _ = words::run();
}

fn process(process: Process, child: Child, mut command: Command) {
    process.spawn_on(double::task(1));
    process.span(double::task(1));
    process.run_now(double::task(1));
    process.encode();
    command.spwan();
    command.task();
    child.wiat();
}

fn worker(worker: Worker<u64>, task: Task<u64>, preload: Preload<u64>) {
    worker.jion();
    task.laod();
    task.decode_result();
    task.codec();
    preload.loed();
    preload.outcome();
}

fn service(service: Service, call: Call<u64>) {
    service.cal(double::task(1));
    service.send(double::task(1));
    call.jion();
    call.encode();
    let _ = Service::<()>::new();
    let _ = Allocator::knew(std::alloc::System);
}

fn main() {}
