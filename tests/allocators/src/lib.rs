//! What a program's allocator must bear: blocks from before the fork are freed
//! after it, threads are started in workers, and many workers allocate much.

use std::{collections::BTreeMap, hint::black_box, thread, time::Instant};

use zygote::Process;

/// How many workers there are, and how much each allocates.
const WORKERS: u32 = 1000;
const BYTES: usize = 10 << 20;

type Blocks = BTreeMap<usize, Vec<u8>>;

/// Blocks of every size class, and holes between them.
#[zygote::preload]
fn blocks(count: usize) -> Blocks {
    let mut blocks: Blocks = (0..count).map(|n| (n, filled(size(n), n))).collect();
    blocks.retain(|n, _| n % 3 != 0);
    blocks
}

fn size(n: usize) -> usize {
    1 + (n * 37) % 70_000
}

fn filled(size: usize, n: usize) -> Vec<u8> {
    black_box(vec![n as u8; size])
}

/// Frees what it inherited, on several threads, and allocates in its place.
#[zygote::entry]
fn free(blocks: &mut Blocks) -> usize {
    let before = blocks.len();
    let mut parts = vec![Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    while let Some((n, block)) = blocks.pop_first() {
        parts[n % 4].push((n, block));
    }
    let threads: Vec<_> = parts
        .into_iter()
        .map(|part| {
            thread::spawn(move || {
                part.into_iter()
                    .map(|(n, mut block)| {
                        assert!(
                            block.len() == size(n) && block.iter().all(|byte| *byte == n as u8)
                        );
                        block.resize(block.len() * 2, 1);
                        drop(block);
                        drop(filled(size(n + 1), n));
                        1
                    })
                    .sum::<usize>()
            })
        })
        .collect();
    let after: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(before, after);
    after
}

/// Allocates and frees ten megabytes, in blocks of many sizes.
#[zygote::entry]
fn use_much() -> usize {
    let mut blocks = Vec::new();
    let mut total = 0;
    while total < BYTES {
        let block = filled(size(blocks.len()), blocks.len());
        total += block.len();
        blocks.push(block);
    }
    drop(black_box(blocks));
    total
}

#[zygote::entry]
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.count()
}

/// Whether this process has a thread of that name.
pub fn has_thread(name: &str) -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap())
        .any(|comm| comm.trim_end() == name)
}

/// Everything, with whatever allocator the program has.
pub fn check(name: &str) {
    let start = Instant::now();
    // The program goes on allocating on other threads.
    let busy = thread::spawn(|| {
        (0..200_000)
            .map(|n| filled(size(n) / 16 + 1, n).len())
            .sum::<usize>()
    });
    let process = Process::new().unwrap().preload(blocks::task(3000)).unwrap();
    for _ in 0..20 {
        assert_eq!(free::spawn(&process).unwrap().join().unwrap(), 2000);
    }
    let fork = process.fork().unwrap();
    assert_eq!(free::spawn(&fork).unwrap().join().unwrap(), 2000);
    for _ in 0..WORKERS / 20 {
        let workers: Vec<_> = (0..20).map(|_| use_much::spawn().unwrap()).collect();
        for worker in workers {
            assert!(worker.join().unwrap() >= BYTES);
        }
    }
    assert_eq!(threads::spawn().unwrap().join().unwrap(), 1);
    assert!(busy.join().unwrap() > 0);
    println!(
        "{name}: {WORKERS} workers of {} MB, {} ms",
        BYTES >> 20,
        start.elapsed().as_millis()
    );
}
