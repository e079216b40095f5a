// No name that is nearly right leads to one that is hidden.

use zygote::{
    Call, Pool,
    pool::{Builder, Histogram, Info, Map, Permit, Queue, Ready, Stats, Template, With},
};

#[zygote::entry]
fn double(n: u64) -> u64 {
    2 * n
}

fn pool(pool: Pool, queue: Queue, with: With) {
    pool.cal(double::task(1));
    pool.share();
    pool.encode();
    queue.lenght();
    queue.wiht();
    with.plays(double::task(1));
    with.promise(double::task(1));
    with.time_limits();
}

fn build(builder: Builder, template: Template<()>) {
    builder.worker(1..=2);
    builder.biuld();
    template.prepares();
    template.forks();
}

fn room(ready: Ready, permit: Permit, call: Call<u64>) {
    ready.wiat();
    ready.turns();
    permit.cal(double::task(1));
    call.kill_on_dorp(true);
    call.ask();
}

fn told(stats: Stats, times: Histogram, info: Info) {
    stats.lots();
    times.not(std::time::Duration::ZERO);
    times.quantiles(0.5);
    info.pids();
}

fn map(map: Map<u64, (), std::iter::Empty<()>>) {
    map.unorderd();
}

fn main() {}
