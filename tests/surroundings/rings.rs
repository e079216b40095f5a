//! An `io_uring` of the program, and one of a template.

use std::io::{PipeReader, Write};

use io_uring::{IoUring, opcode, types::Fd as RingFd};

use super::*;

pub(crate) const ROLES: Roles = &[("ring", ring)];

const READ: u64 = 1 << 40;

/// A read that waits and a request in each round, while a thousand workers come
/// and go: each is completed once, here.
fn ring() {
    let mut ring = IoUring::new(64).unwrap();
    let (reader, mut writer) = io::pipe().unwrap();
    let mut buffer = [0_u8; 8];
    let read = |reader: &PipeReader, buffer: &mut [u8; 8]| {
        opcode::Read::new(RingFd(reader.as_raw_fd()), buffer.as_mut_ptr(), 8)
            .build()
            .user_data(READ)
    };
    let mut read_left = 0;
    let push = |ring: &mut IoUring, entry: io_uring::squeue::Entry| {
        // SAFETY: the buffer lives until the end of the test, and what the
        // entry names stays open.
        unsafe { ring.submission().push(&entry) }.unwrap();
        ring.submit().unwrap();
    };
    push(&mut ring, read(&reader, &mut buffer));
    for round in 0..1000_u64 {
        if round == 500 {
            end_early();
        }
        push(&mut ring, opcode::Nop::new().build().user_data(round));
        assert_eq!(settled(|| echo::spawn(3)?.join()).unwrap(), 3);
        let is_written = round % 100 == 99;
        if is_written {
            writer.write_all(&round.to_ne_bytes()).unwrap();
        }
        ring.submit_and_wait(1 + usize::from(is_written)).unwrap();
        let done: Vec<(u64, i32)> = ring
            .completion()
            .map(|entry| (entry.user_data(), entry.result()))
            .collect();
        let mut wanted = vec![(round, 0)];
        if is_written {
            wanted.push((READ, 8));
            assert_eq!(u64::from_ne_bytes(buffer), round);
            read_left += 1;
            push(&mut ring, read(&reader, &mut buffer));
        }
        assert_eq!(done, wanted);
    }
    assert_eq!(read_left, 10);
    drop((ring, reader, writer));
    // One of a preload is kept by the forks of its template.
    let template = Process::new().unwrap().preload(makes_ring::task()).unwrap();
    for _ in 0..10 {
        let worker = template.fork().unwrap().run(has_ring::task()).unwrap();
        assert!(worker.join().unwrap());
    }
}

#[zygote::preload]
fn makes_ring() -> IoUring {
    IoUring::new(8).unwrap()
}

#[zygote::entry]
fn has_ring(ring: &IoUring) -> bool {
    let path = format!("/proc/self/fd/{}", ring.as_raw_fd());
    fs::read_link(path)
        .unwrap()
        .to_string_lossy()
        .contains("io_uring")
}

#[test]
fn rings_of_the_program_and_of_preloads_are_whole() {
    if let Err(error) = IoUring::new(8) {
        println!("not tried with io_uring: {error}");
        return;
    }
    run("ring");
}
