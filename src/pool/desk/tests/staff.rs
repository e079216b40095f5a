//! When workers start and end.

use super::*;

#[test]
fn there_are_workers_for_the_calls_that_wait_between_least_and_most() {
    let mut scene = scene(rules(1, 3));
    scene.start();
    assert_eq!(scene.counts(), [1, 1, 0, 0], "the least");
    scene.calls(1..=2);
    assert_eq!(scene.start(), [(1, 1), (2, 2)]);
    scene.calls(3..=9);
    assert_eq!(scene.start(), [(3, 3)]);
    assert_eq!(scene.counts(), [3, 0, 6, 3], "the most");
}

#[test]
fn a_worker_that_starts_is_counted_on() {
    let mut scene = scene(rules(0, 4));
    scene.call(1);
    scene.act();
    scene.act();
    assert_eq!(scene.starting, [1]);
    scene.call(2);
    scene.act();
    assert_eq!(scene.starting, [1, 2]);
}

#[test]
fn those_above_the_least_end_when_they_are_idle_the_last_place_first() {
    let mut scene = scene(Rules {
        idle: 10 * MS,
        ..rules(1, 3)
    });
    scene.calls(1..=3);
    scene.start();
    for worker in 1..=3 {
        scene.answer(worker);
    }
    scene.pass(9 * MS);
    scene.act();
    assert!(scene.ended.is_empty());
    assert_eq!(scene.wake(), MS);
    scene.act();
    assert_eq!(scene.ended, [3, 2]);
    scene.pass(LEAVE_AT_MOST);
    scene.act();
    assert_eq!(scene.killed, [2, 3], "they did not end");
    scene.act();
    assert_eq!(scene.killed.len(), 2, "once");
}

const LEAVE_AT_MOST: Duration = Duration::from_secs(5);

#[test]
fn after_so_many_calls_another_takes_over() {
    let mut scene = scene(Rules {
        calls: Some(2),
        ..rules(0, 1)
    });
    scene.calls(1..=5);
    let mut all = scene.start();
    for worker in [1, 1, 2, 2, 3] {
        all.extend(scene.answer(worker));
        all.extend(scene.start());
    }
    assert_eq!(all, [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5)]);
    assert_eq!(scene.ended, [1, 2]);
}

#[test]
fn with_one_call_for_each_there_are_never_more_than_the_most_that_run() {
    let mut scene = scene(Rules {
        calls: Some(1),
        ..rules(0, 2)
    });
    scene.calls(1..=4);
    assert_eq!(scene.start(), [(1, 1), (2, 2)]);
    assert_eq!(scene.answer(2), []);
    assert_eq!(scene.starting, [3], "one has ended its call");
    assert_eq!(scene.start(), [(3, 3)]);
}

#[test]
fn old_workers_are_replaced_one_at_a_time_and_never_missed() {
    let mut scene = scene(Rules {
        age: Some(640 * MS),
        ..rules(2, 2)
    });
    scene.start();
    scene.pass(2000 * MS);
    scene.act();
    assert_eq!(scene.starting, [3], "for the first, and not for both");
    assert!(scene.ended.is_empty());
    scene.start();
    assert_eq!(scene.ended, [1, 2]);
    assert_eq!(scene.desk.ready().0, 2);
}

#[test]
fn one_that_is_large_from_the_start_has_not_grown() {
    let mut scene = scene(Rules {
        memory: Some(50),
        ..rules(2, 2)
    });
    scene.start();
    scene.call(1);
    let [(worker, 1)] = scene.act()[..] else {
        panic!("one call");
    };
    scene.pass(1001 * MS);
    scene.measured.clear();
    scene.desk.answered(worker, scene.now);
    scene.act();
    assert_eq!(scene.measured, [worker]);
    scene.desk.measured(worker, Some(150), scene.now);
    scene.act();
    assert!(scene.starting.is_empty());
    scene.desk.measured(worker, Some(151), scene.now);
    scene.act();
    assert_eq!(scene.starting.len(), 1);
}

#[test]
fn a_reload_replaces_busy_workers_too() {
    let mut scene = scene(rules(2, 2));
    scene.start();
    scene.calls(1..=2);
    scene.act();
    let generation = scene.desk.renew();
    scene.act();
    for next in [3, 4] {
        assert_eq!(scene.starting, [next]);
        scene.starting.clear();
        scene.started(next, generation);
        scene.act();
        scene.answer(next - 2);
        assert_eq!(scene.ended.last(), Some(&(next - 2)));
    }
    assert!(scene.starting.is_empty(), "all are new");
    scene.call(3);
    assert_eq!(scene.act(), [(3, 3)]);
}

#[test]
fn a_worker_that_started_from_the_old_process_meanwhile_is_replaced() {
    let mut scene = scene(rules(1, 1));
    scene.act();
    let generation = scene.desk.renew();
    scene.starting.clear();
    scene.started(1, generation - 1);
    scene.act();
    assert_eq!(scene.starting, [2]);
}

#[test]
fn starts_that_fail_have_pauses_and_calls_fail_when_there_is_no_hope() {
    let mut scene = scene(rules(0, 2));
    scene.call(1);
    for round in 1..=TRIES {
        scene.act();
        assert_eq!(scene.fail_starts(false), 1, "{round}");
        scene.act();
        assert!(scene.starting.is_empty(), "there is a pause");
        if round < TRIES {
            assert!(scene.unserved.is_empty());
            assert!(scene.wake() >= MS);
        }
    }
    assert_eq!(scene.unserved, [1]);
    // The next call tries once more when the pause is over.
    scene.pass(1000 * MS);
    scene.call(2);
    scene.act();
    assert_eq!((scene.starting.len(), scene.unserved.len()), (1, 1));
    assert_eq!(scene.start(), [(6, 2)]);
}

#[test]
fn while_a_worker_lives_no_call_fails_for_want_of_another() {
    let mut scene = scene(rules(0, 2));
    scene.call(1);
    scene.start();
    scene.call(2);
    for _ in 0..10 {
        scene.act();
        scene.fail_starts(false);
        scene.wake();
    }
    assert!(scene.unserved.is_empty());
    assert_eq!(scene.answer(1), [(1, 2)]);
}

#[test]
fn when_nothing_can_be_started_any_more_calls_fail_at_once_until_a_reload() {
    let mut scene = scene(rules(1, 2));
    scene.act();
    scene.fail_starts(true);
    scene.call(1);
    scene.act();
    assert_eq!(scene.unserved, [1]);
    assert_eq!(scene.desk.wake(scene.now), None);
    scene.desk.renew();
    scene.call(2);
    assert_eq!(scene.start(), [(2, 2)]);
}

#[test]
fn another_starts_when_a_worker_has_ended_and_before_its_end_is_reported() {
    let mut scene = scene(Rules {
        depth: 2,
        ..rules(1, 1)
    });
    scene.start();
    scene.calls(1..=3);
    assert_eq!(scene.act(), [(1, 1), (1, 2)]);
    scene.desk.dying(1);
    assert_eq!(scene.act(), []);
    assert!(scene.starting.is_empty(), "it was killed, and may be there");
    let first = scene.first(1);
    scene.desk.gone(1, |number| number != first);
    let given = scene.start();
    assert_eq!(given, [(2, 2), (2, 3)], "what it had not begun comes first");
    assert_eq!(scene.die(1), [1]);
}

#[test]
fn a_closed_desk_finishes_what_it_has() {
    let mut scene = scene(rules(1, 2));
    scene.start();
    scene.calls(1..=3);
    assert_eq!(scene.act(), [(1, 1)]);
    scene.desk.close();
    assert_eq!(scene.start(), [(2, 2)]);
    assert_eq!(scene.answer(1), [(1, 3)]);
    assert_eq!(scene.answer(2), []);
    assert_eq!(scene.answer(1), []);
    assert_eq!(scene.ended, [2, 1]);
    assert!(!scene.desk.is_over());
    for worker in 1..=2 {
        scene.die(worker);
    }
    assert_eq!(scene.act(), []);
    assert!(scene.desk.is_over() && scene.starting.is_empty());
}

#[test]
fn another_size_ends_those_that_are_too_many_after_their_calls() {
    let mut scene = scene(rules(3, 3));
    scene.start();
    scene.calls(1..=3);
    scene.act();
    scene.desk.resize(&(1..=1));
    scene.act();
    assert!(scene.ended.is_empty());
    for worker in 1..=3 {
        scene.answer(worker);
    }
    scene.ended.sort_unstable();
    assert_eq!(scene.ended, [2, 3]);
    scene.desk.resize(&(2..=2));
    scene.act();
    assert_eq!(scene.starting.len(), 1);
}
