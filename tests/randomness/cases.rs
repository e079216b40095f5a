//! Every worker has randomness of its own. What a preload drew in the template
//! is copied to all of them; then each source has its way out.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use zygote::{Process, Task, Worker};

use crate::util::watchdog;

/// How many workers are compared.
const WORKERS: usize = 100;

/// What one worker drew from each source.
type Drawn = Vec<(String, u128)>;

fn draw_all() -> Drawn {
    [
        ("HashMap", hash_of_a_constant()),
        ("rand", rand::random()),
        ("getrandom", getrandom::u64().unwrap().into()),
        ("uuid", uuid::Uuid::new_v4().as_u128()),
        ("fastrand", fastrand::u128(..)),
        ("ahash", ahash::RandomState::new().hash_one(7).into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The keys of a `HashMap` that is made now, as far as they show.
fn hash_of_a_constant() -> u128 {
    let map: HashMap<u8, u8> = HashMap::new();
    map.hasher().hash_one(7).into()
}

#[zygote::entry]
fn draw() -> Drawn {
    draw_all()
}

/// Uses every source on the template's thread.
#[zygote::preload]
fn warm_up() {
    assert_eq!(draw_all().len(), 6);
}

/// Does the same on a thread that ends: what is kept by thread is gone with it.
#[zygote::preload]
fn warm_up_beside() {
    thread::spawn(warm_up).join().unwrap();
}

/// Whether the worker's hook does what its programmer must do for `rand` and
/// `fastrand`.
static RESEED: AtomicBool = AtomicBool::new(false);

#[zygote::preload]
fn reseed_from_here_on() {
    RESEED.store(true, Ordering::Relaxed);
}

#[zygote::hook(worker)]
fn reseed() -> Result<(), String> {
    if RESEED.load(Ordering::Relaxed) {
        rand::rng().reseed().map_err(|error| error.to_string())?;
        fastrand::seed(getrandom::u64().map_err(|error| error.to_string())?);
    }
    Ok(())
}

/// A hasher with keys of the operating system, each time anew.
struct Keyed([u64; 4]);

impl Keyed {
    fn new() -> Self {
        Self(std::array::from_fn(|_| getrandom::u64().unwrap()))
    }
}

impl BuildHasher for Keyed {
    type Hasher = ahash::AHasher;

    fn build_hasher(&self) -> Self::Hasher {
        let [a, b, c, d] = self.0;
        ahash::RandomState::with_seeds(a, b, c, d).build_hasher()
    }
}

/// The ways out for `HashMap`: a thread of one's own, and one's own keys.
#[zygote::entry]
fn draw_otherwise() -> Drawn {
    let map: HashMap<u8, u8, Keyed> = HashMap::with_hasher(Keyed::new());
    let beside = thread::spawn(|| RandomState::new().hash_one(7)).join();
    vec![
        ("HashMap on a thread".to_owned(), beside.unwrap().into()),
        ("own keys".to_owned(), map.hasher().hash_one(7).into()),
    ]
}

/// How many different values there were, by source.
fn distinct(process: &Process, task: &Task<Drawn>) -> Vec<(String, usize)> {
    let mut seen: Vec<(String, BTreeSet<u128>)> = Vec::new();
    // In groups: each later one has workers from stock among them.
    for group in 0..4 {
        let tasks = (0..WORKERS / 4).map(|_| task.clone());
        for worker in process.spawn_all(tasks) {
            for (name, value) in worker.and_then(Worker::join).unwrap() {
                match seen.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, values)) => drop(values.insert(value)),
                    None => seen.push((name, BTreeSet::from([value]))),
                }
            }
        }
        assert!(!seen.is_empty(), "{group}");
    }
    let counts = seen.into_iter();
    counts.map(|(name, values)| (name, values.len())).collect()
}

fn all(names: &[&str], count: usize) -> Vec<(String, usize)> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), count))
        .collect()
}

const SOURCES: [&str; 6] = ["HashMap", "rand", "getrandom", "uuid", "fastrand", "ahash"];

#[test]
fn workers_differ_without_any_doing() {
    let _limit = watchdog(60);
    let process = Process::new().unwrap();
    assert_eq!(distinct(&process, &draw::task()), all(&SOURCES, WORKERS));
}

#[test]
fn workers_of_the_default_template_differ() {
    let _limit = watchdog(60);
    let mut seen = BTreeSet::new();
    for _ in 0..WORKERS {
        seen.extend(draw::spawn().unwrap().join().unwrap());
    }
    assert_eq!(seen.len(), SOURCES.len() * WORKERS);
}

#[test]
fn an_executed_process_of_its_own_differs() {
    let _limit = watchdog(60);
    let process = Process::fresh().unwrap();
    assert_eq!(distinct(&process, &draw::task()), all(&SOURCES, WORKERS));
}

/// What is documented. If a source should differ one day, the docs are to say
/// so.
#[test]
fn a_preload_that_drew_fixes_what_is_kept_in_memory() {
    let _limit = watchdog(60);
    let process = Process::new().unwrap().preload(warm_up::task()).unwrap();
    let counts = distinct(&process, &draw::task());
    let (kept, asked): (Vec<_>, Vec<_>) = counts
        .into_iter()
        .partition(|(name, _)| ["HashMap", "rand", "fastrand", "ahash"].contains(&&**name));
    assert_eq!(kept, all(&["HashMap", "rand", "fastrand", "ahash"], 1));
    // These ask the operating system each time.
    assert_eq!(asked, all(&["getrandom", "uuid"], WORKERS));
}

#[test]
fn a_worker_hook_reseeds_the_generators() {
    let _limit = watchdog(60);
    let process = Process::new().unwrap().preload(warm_up::task()).unwrap();
    let process = process.preload(reseed_from_here_on::task()).unwrap();
    let counts = distinct(&process, &draw::task());
    for name in ["rand", "fastrand"] {
        let count = counts.iter().find(|(known, _)| known == name).unwrap().1;
        assert_eq!(count, WORKERS, "{name}");
    }
}

#[test]
fn hash_maps_have_a_thread_or_keys_of_their_own() {
    let _limit = watchdog(60);
    let process = Process::new().unwrap().preload(warm_up::task()).unwrap();
    let names = ["HashMap on a thread", "own keys"];
    assert_eq!(
        distinct(&process, &draw_otherwise::task()),
        all(&names, WORKERS)
    );
}

#[test]
fn a_preload_that_drew_on_another_thread_fixes_less() {
    let _limit = watchdog(60);
    let process = Process::new().unwrap();
    let process = process.preload(warm_up_beside::task()).unwrap();
    let counts = distinct(&process, &draw::task());
    // ahash keeps its seeds by process.
    let expected: Vec<_> = SOURCES
        .iter()
        .map(|name| {
            let count = if *name == "ahash" { 1 } else { WORKERS };
            ((*name).to_owned(), count)
        })
        .collect();
    assert_eq!(counts, expected);
}

/// A joined thread is still seen by the kernel for a moment.
#[test]
fn a_preload_may_join_threads() {
    let _limit = watchdog(60);
    for round in 0..100 {
        let process = Process::new().unwrap().preload(warm_up_beside::task());
        assert!(process.is_ok(), "{round}: {process:?}");
    }
}
