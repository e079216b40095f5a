// No name that is nearly right leads to one that is hidden.

use zygote::{
    Command, Process,
    settings::{
        Capability, Cgroup, Confine, IoPriority, Namespaces, Resource, Scheduler, UserMap,
    },
};

fn functions() {
    let _ = Capability::Cown;
    let _ = Capability::number();
    let _ = Cgroup::nev();
    let _ = Confine::nev();
    let _ = IoPriority::Low;
    let _ = Namespaces::nev();
    let _ = Resource::OpenFile;
    let _ = Scheduler::Normal;
    let _ = UserMap::nev();
}

fn methods(process: Process, mut command: Command) {
    process.envs_clear();
    process.curent_dir("/");
    process.settings();
    process.with_settings();
    command.envs_clear();
    command.curent_dir("/");
    command.setup();
}

fn values(confine: Confine, namespaces: Namespaces, map: UserMap, cgroup: Cgroup) {
    confine.raed("/");
    confine.encode();
    namespaces.pids();
    map.uid(0, 0, 1);
    cgroup.jion();
    cgroup.dir();
}

fn main() {}
