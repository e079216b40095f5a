//! One socket: a frame and its descriptors arrive whole, or there is an error.
//!
//! A frame is always one message, whatever its size: a body that is too long for a
//! message is put into a sealed memory file, and descriptors that are too many are put
//! into the queue of a socket that is itself passed along. So several receivers can
//! share one queue, and no receiver ever holds half a frame.

mod receive;
mod send;
mod trouble;

pub(crate) use self::{
    receive::{receive, receive_within},
    send::{send, send_between, send_kept, send_until},
    trouble::Trouble,
};
use super::frame::{Head, Kind};

/// Makes the head of an empty frame, for code that can only send bytes. Its number, the
/// second of three words, is 0.
pub(crate) fn empty(kind: Kind) -> [u8; Head::LENGTH] {
    Head::new(kind, 0).encode()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::IoSlice,
        os::{
            fd::{AsFd, OwnedFd},
            unix::fs::MetadataExt,
        },
    };

    use super::{
        receive::KEEP,
        send::{DIRECT_FDS, INLINE, Kept},
        *,
    };
    use crate::sys::{poll::Deadline, socket};

    fn round_trip(length: usize, count: usize) {
        let (a, b) = socket::pair().unwrap();
        let file = File::open("/dev/null").unwrap();
        let body: Vec<u8> = (0..=250).cycle().take(length).collect();
        let fds = vec![file.as_fd(); count];
        let head = Head::new(Kind::Message, 9);
        let (first, second) = body.split_at(length / 2);
        send(a.as_fd(), head, &[first, second], &fds, false).unwrap();
        let frame = receive(b.as_fd(), false).unwrap();
        assert_eq!((frame.kind, frame.number), (Kind::Message, 9));
        assert!(frame.body == body, "{length} bytes differ");
        assert_eq!(frame.fds.len(), count);
        let inode = file.metadata().unwrap().ino();
        for fd in frame.fds {
            assert_eq!(File::from(fd).metadata().unwrap().ino(), inode);
        }
    }

    #[test]
    fn the_number_of_an_empty_frame_is_its_second_word() {
        let mut bytes = empty(Kind::Starved);
        bytes[8..16].copy_from_slice(&(u64::MAX - 1).to_ne_bytes());
        assert_eq!(
            Head::decode(&bytes),
            Some(Head::new(Kind::Starved, u64::MAX - 1))
        );
    }

    #[test]
    fn bodies_of_every_size_arrive_whole() {
        for length in [0, 1, KEEP - 1, KEEP, INLINE, INLINE + 1, 300_000, 64 << 20] {
            round_trip(length, 0);
        }
    }

    #[test]
    fn a_body_that_is_kept_is_written_once() {
        let (a, b) = socket::pair().unwrap();
        let kept = Kept::new();
        let head = Head::new(Kind::Message, 0);
        let now = Deadline::NOW;
        let send = |body| send_kept(a.as_fd(), head, &[body], &kept, &[], now).unwrap();
        send(&[7; INLINE][..]);
        assert!(kept.get().is_none(), "it went inside of the message");
        receive(b.as_fd(), false).unwrap();
        let inodes = [(); 3].map(|()| {
            send(&[7; INLINE + 1]);
            let mut head = [0; Head::LENGTH];
            let got = socket::receive(b.as_fd(), &mut head, &mut [], &mut Vec::new(), false);
            let [memory] = <[OwnedFd; 1]>::try_from(got.unwrap().fds).unwrap();
            File::from(memory).metadata().unwrap().ino()
        });
        let own = kept.into_inner().map(File::from).unwrap();
        assert_eq!(inodes, [own.metadata().unwrap().ino(); 3]);
    }

    #[test]
    fn descriptors_of_every_number_arrive_whole() {
        for count in [1, DIRECT_FDS, DIRECT_FDS + 1, 253, 254, 1_000] {
            round_trip(10, count);
            round_trip(100_000, count);
        }
    }

    #[test]
    fn what_is_not_a_frame_is_refused() {
        let (a, b) = socket::pair().unwrap();
        let mut lies = Head::new(Kind::Message, 0);
        lies.length = 5;
        let mut memory = Head::new(Kind::Message, 0);
        memory.in_memory = true;
        let mut carrier = Head::new(Kind::Message, 0);
        carrier.in_carrier = true;
        carrier.fds = 3;
        for bytes in [
            &lies.encode()[..],
            &memory.encode(),
            &carrier.encode(),
            b"x",
            &[0; 100],
        ] {
            socket::send(a.as_fd(), &[IoSlice::new(bytes)], &[], false).unwrap();
            assert!(matches!(
                receive(b.as_fd(), false),
                Err(Trouble::Foreign(_))
            ));
        }
        let file = File::open("/dev/null").unwrap();
        let parts = [IoSlice::new(&memory.encode())].map(|part| part.to_vec());
        socket::send(
            a.as_fd(),
            &[IoSlice::new(&parts[0])],
            &[file.as_fd()],
            false,
        )
        .unwrap();
        assert!(receive(b.as_fd(), false).is_err(), "unsealed memory");
    }

    #[test]
    fn a_result_beyond_the_limit_is_not_taken_in_and_the_next_one_is() {
        let (a, b) = socket::pair().unwrap();
        let get = || receive_within(b.as_fd(), false, 100);
        for length in [101, INLINE + 1] {
            let head = Head::new(Kind::Value, 3);
            send(a.as_fd(), head, &[&vec![0; length]], &[a.as_fd()], false).unwrap();
            let got = get();
            assert!(matches!(got, Err(Trouble::Lost { number: 3, .. })));
        }
        for (kind, length) in [(Kind::Value, 100), (Kind::Failed, 101)] {
            send(
                a.as_fd(),
                Head::new(kind, 3),
                &[&vec![0; length]],
                &[],
                false,
            )
            .unwrap();
            assert_eq!(get().unwrap().body.len(), length);
        }
    }

    #[test]
    fn no_kind_has_more_than_it_needs() {
        let (a, b) = socket::pair().unwrap();
        for (kind, count, is_taken) in [
            (Kind::Hello, 1, true),
            (Kind::Hello, 2, false),
            (Kind::Exits, 300, false),
            (Kind::Value, 2, true),
        ] {
            let fds = vec![a.as_fd(); count];
            send(a.as_fd(), Head::new(kind, 1), &[], &fds, false).unwrap();
            assert_eq!(receive(b.as_fd(), false).is_ok(), is_taken, "{kind:?}");
        }
        let long = vec![0; INLINE + 1];
        send(a.as_fd(), Head::new(Kind::Exits, 1), &[&long], &[], false).unwrap();
        assert!(matches!(
            receive(b.as_fd(), false),
            Err(Trouble::Foreign(_))
        ));
    }

    #[test]
    fn what_was_said_before_the_end_comes_after_the_reset() {
        let (a, b) = socket::pair().unwrap();
        send(a.as_fd(), Head::new(Kind::Run, 0), &[], &[], false).unwrap();
        send(b.as_fd(), Head::new(Kind::Failed, 5), &[], &[], false).unwrap();
        drop(b);
        let reset = receive(a.as_fd(), false);
        assert!(matches!(reset, Err(Trouble::Closed { unread: true })));
        assert_eq!(receive(a.as_fd(), false).unwrap().number, 5);
        let end = receive(a.as_fd(), false);
        assert!(matches!(end, Err(Trouble::Closed { unread: false })));
    }

    #[test]
    fn a_closed_end_says_whether_something_was_unread() {
        let (a, b) = socket::pair().unwrap();
        send(a.as_fd(), Head::new(Kind::Close, 0), &[], &[], false).unwrap();
        drop(b);
        assert!(matches!(
            receive(a.as_fd(), false),
            Err(Trouble::Closed { unread: true })
        ));
        assert!(matches!(
            receive(a.as_fd(), false),
            Err(Trouble::Closed { unread: false })
        ));
    }
}
