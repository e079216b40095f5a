// No name that is nearly right leads to one that is hidden.

use zygote::{
    Bytes, Error, Exit, Fd, Receiver, Rusage, Sender, Stdio,
    raw::{Arg, Args},
    tokio::Join,
};

fn functions() {
    let _ = Bytes::form(vec![1]);
    let _ = Bytes::decode();
    let _ = Error::nev();
    let _ = Exit::nev();
    let _ = Rusage::nev();
    let _ = Fd::<std::fs::File>::nev();
    let _ = Fd::<std::fs::File>::decode();
    let _ = Sender::<u64>::new();
    let _ = Receiver::<u64>::new();
    let _ = Args::new();
    let _ = Arg::Octets(vec![1]);
    let _ = Stdio::pipe();
    let _ = Join::<u64>::new();
    let _ = zygote::spwan();
    let _ = zygote::raw::take_arg();
    let _ = zygote::chanel::<u64>();
}

fn values(bytes: Bytes, error: Error, exit: Exit, fd: Fd<std::fs::File>) {
    bytes.encode();
    bytes.into_memory();
    error.is_panicked();
    error.encode();
    error.unstart();
    exit.cod();
    fd.encode();
    fd.into_iner();
}

fn handles(sender: Sender<u64>, receiver: Receiver<u64>, args: Args, join: Join<u64>) {
    sender.sned(1);
    sender.encode();
    receiver.recieve();
    receiver.decode();
    args.nxt();
    join.wroker();
}

/// Traits that are not in scope are suggested by their methods' names, also for types of
/// the user and of std.
struct Own;

fn own(own: Own, text: String, none: (), result: Result<u64, String>) {
    own.encode();
    own.codec();
    own.split();
    own.outcome();
    let _ = Own::never();
    let _ = Own::decode();
    text.encode();
    text.codec();
    none.outcome();
    result.outcome();
}

fn main() {}
