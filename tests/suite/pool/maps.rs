//! Many tasks.

use std::{
    cell::Cell,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    process::id,
};

use super::tasks::{LONG, builder, echo, log, ms, nap, noted, ran};
use crate::util::{alone, fds, watchdog};

#[zygote::entry]
fn length(file: File) -> u64 {
    file.metadata().unwrap().len()
}

#[test]
fn an_endless_iterator_is_taken_as_far_as_there_is_room() {
    let _limit = watchdog(30);
    for depth in [1, 8] {
        let pool = builder(2).depth(depth).queue(5).build().unwrap();
        let taken = Cell::new(0);
        let tasks = || (0..).inspect(|n| taken.set(n + 1)).map(echo::task);
        let map = pool.map(tasks());
        assert_eq!(taken.get(), 0);
        let got: Vec<_> = map.take(200).map(Result::unwrap).collect();
        assert_eq!(got, (0..200).collect::<Vec<_>>());
        // As many as workers have, and as many as may wait, but not more than twice …
        let most = (4 * depth).min(2 * depth + 5) as u64;
        assert!(taken.get() <= 200 + most, "{taken:?}");
        let got = pool.map(tasks()).unordered().take(200);
        let mut got: Vec<_> = got.map(Result::unwrap).collect();
        got.sort_unstable();
        assert!(got.windows(2).all(|two| two[0] < two[1]));
        assert!(taken.get() <= 200 + most, "{taken:?}");
    }
}

#[test]
fn results_come_in_order_or_as_they_are_there() {
    let _limit = watchdog(30);
    let pool = builder(2).build().unwrap();
    let naps = || [150, 0, 1, 2].map(nap::task);
    let ordered: Vec<_> = pool.map(naps()).map(Result::unwrap).collect();
    assert!(
        ordered[0] != ordered[1] && ordered[1] == ordered[3],
        "{ordered:?}"
    );
    let unordered: Vec<_> = pool.map(naps()).unordered().map(Result::unwrap).collect();
    assert!(
        unordered[3] != unordered[0] && unordered[0] == unordered[2],
        "{unordered:?}"
    );
    let none: [zygote::Task<u64>; 0] = [];
    assert!(pool.map(none.clone()).next().is_none());
    assert!(pool.map(none).unordered().next().is_none());
    // A crash is one error, and what follows is there.
    let results = pool.map([false, true, false].map(dies_if::task));
    let results: Vec<_> = results.map(|it| it.is_ok()).collect();
    assert_eq!(results, [true, false, true]);
}

#[zygote::entry]
fn dies_if(yes: bool) {
    if yes {
        std::process::abort();
    }
}

#[test]
fn what_has_not_begun_when_a_map_is_dropped_does_not_begin() {
    let _limit = watchdog(30);
    for is_ordered in [true, false] {
        let (pool, log) = (builder(1).depth(16).build().unwrap(), log());
        let tasks = (0..100).map(|n| noted::task(log.try_clone().unwrap(), n, 20));
        let mut map = pool.map(tasks);
        let first = match is_ordered {
            true => {
                let first = map.next();
                drop(map);
                first
            }
            false => map.unordered().next(),
        };
        assert_eq!(first.unwrap().unwrap(), 0);
        pool.shutdown(LONG).unwrap();
        let ran = ran(&log);
        // Of the 32 that were made.
        assert!(ran.len() < 16, "{ran:?}");
    }
}

#[test]
fn an_iterator_that_panics_costs_its_map_alone() {
    let _limit = watchdog(30);
    let (pool, log) = (builder(1).queue(4).build().unwrap(), log());
    let tasks = || {
        (0..9).map(|n| match n {
            3 => std::panic::resume_unwind(Box::new("no more")),
            n => noted::task(log.try_clone().unwrap(), n, 0),
        })
    };
    for is_ordered in [true, false] {
        let result = catch_unwind(AssertUnwindSafe(|| match is_ordered {
            true => pool.map(tasks()).count(),
            false => pool.map(tasks()).unordered().count(),
        }));
        assert!(result.is_err());
    }
    assert!(ran(&log).iter().all(|n| *n < 3));
    // All the room is there again.
    let permits: Vec<_> = (0..4)
        .map(|_| pool.ready().wait_timeout(LONG).unwrap().unwrap())
        .collect();
    drop(permits);
    assert_eq!(pool.call(echo::task(5)).join().unwrap(), 5);
}

#[test]
fn few_files_are_open_while_many_are_mapped() {
    let _limit = watchdog(60);
    alone(|| {
        let pool = builder(2).build().unwrap();
        pool.call(echo::task(1)).join().unwrap();
        let before = fds(id());
        let most = Cell::new(0);
        let files = (0..300).map(|_| {
            most.set(most.get().max(fds(id())));
            length::task(File::open("Cargo.toml").unwrap())
        });
        let sizes = pool.map(files).map(Result::unwrap);
        assert_eq!(sizes.filter(|size| *size > 0).count(), 300);
        assert!(most.get() <= before + 6, "{before} {most:?}");
        let files = (0..300).map(|_| {
            most.set(most.get().max(fds(id())));
            length::task(File::open("Cargo.toml").unwrap())
        });
        assert_eq!(pool.map(files).unordered().count(), 300);
        assert!(most.get() <= before + 6, "{before} {most:?}");
        crate::util::until("they are closed", || fds(id()) <= before);
    });
}

#[test]
fn a_map_on_a_pool_that_was_shut_down_ends() {
    let _limit = watchdog(30);
    let pool = builder(1).build().unwrap();
    pool.shutdown(LONG).unwrap();
    let tasks = || (0..5).map(echo::task);
    let ordered: Vec<_> = pool.map(tasks()).collect();
    let unordered: Vec<_> = pool.map(tasks()).unordered().collect();
    assert_eq!((ordered.len(), unordered.len()), (5, 5));
    for result in ordered.into_iter().chain(unordered) {
        let error = result.unwrap_err();
        assert!(error.is_closed() && error.is_unstarted(), "{error:?}");
    }
}

#[test]
fn a_map_ends_though_its_pool_is_shut_down_meanwhile() {
    let _limit = watchdog(30);
    for is_ordered in [true, false] {
        let pool = builder(1).queue(3).build().unwrap();
        let other = pool.clone();
        let tasks = (0..50).map(move |n| {
            if n == 10 {
                other.shutdown(ms(0)).unwrap();
            }
            nap::task(2)
        });
        let map = pool.map(tasks);
        let results: Vec<_> = match is_ordered {
            true => map.collect(),
            false => map.unordered().collect(),
        };
        assert_eq!(results.len(), 50);
        let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        assert!(errors.len() >= 40 && errors.iter().all(zygote::Error::is_closed));
    }
}
