//! What becomes of calls.

use super::*;

#[test]
fn calls_go_in_their_order_to_the_worker_that_has_the_least_to_do() {
    let mut scene = scene(Rules {
        depth: 2,
        ..rules(2, 2)
    });
    assert_eq!(scene.start(), []);
    scene.calls(1..=6);
    assert_eq!(scene.act(), [(1, 1), (2, 2), (1, 3), (2, 4)]);
    assert_eq!(scene.counts(), [2, 0, 2, 4]);
    assert_eq!(scene.answer(2), [(2, 5)]);
    assert_eq!(scene.answer(2), [(2, 6)]);
    assert_eq!(scene.desk.wake(scene.now), None, "nothing is to be done");
}

#[test]
fn what_a_dead_worker_had_not_begun_runs_elsewhere_before_all_else() {
    let mut scene = scene(Rules {
        depth: 3,
        ..rules(1, 1)
    });
    scene.start();
    scene.calls(1..=4);
    assert_eq!(scene.act(), [(1, 1), (1, 2), (1, 3)]);
    assert_eq!(scene.die(1), [1], "it ran");
    assert_eq!(scene.start(), [(2, 2), (2, 3), (2, 4)]);
}

#[test]
fn a_call_that_each_worker_dies_of_before_it_begins_ends_at_last() {
    let mut scene = scene(rules(0, 1));
    scene.call(1);
    for round in 1..=TRIES {
        assert_eq!(scene.start().len(), 1);
        let lost = scene.desk.ended(u64::from(round), |_| true);
        assert_eq!(lost.len(), usize::from(round == TRIES));
        assert!(lost.iter().all(|lost| lost.is_unstarted));
    }
    assert_eq!(scene.start(), []);
}

#[test]
fn a_call_may_run_again_as_often_as_its_caller_says() {
    let mut scene = scene(rules(0, 1));
    scene.call_with(1, limits(|it| it.retries = 2));
    for worker in 1..=3 {
        assert_eq!(scene.start(), [(worker, 1)]);
        let expected: &[u32] = if worker == 3 { &[1] } else { &[] };
        assert_eq!(scene.die(worker), expected);
    }
}

#[test]
fn higher_priorities_come_first_and_equal_ones_in_order() {
    let mut scene = scene(rules(1, 1));
    for (call, priority) in [(1, 0), (2, 5), (3, -1), (4, 5)] {
        scene.call_with(call, limits(|it| it.priority = priority));
    }
    scene.start();
    let mut all: Vec<u32> = Vec::new();
    while let Some((_, number)) = scene.desk.first(1) {
        let given = scene.desk.settle(1, number).unwrap();
        all.push(given.call);
        scene.answer(1);
    }
    assert_eq!(all, [2, 4, 1, 3]);
}

#[test]
fn queues_take_turns_and_keep_to_their_concurrency() {
    let mut scene = scene(rules(2, 2));
    let slow = scene.desk.queue("slow");
    assert_eq!(
        (slow, scene.desk.queue("slow"), scene.desk.queue("")),
        (1, 1, 0)
    );
    scene.desk.set_concurrency(slow, 1);
    for call in 1..=3 {
        scene.call_in(slow, call, Limits::default());
    }
    scene.calls(11..=13);
    assert_eq!(scene.start(), [(1, 11), (2, 1)]);
    assert_eq!(scene.answer(1), [(1, 12)], "one slow call runs");
    assert_eq!(scene.answer(1), [(1, 13)]);
    assert_eq!(scene.answer(1), []);
    assert_eq!(scene.desk.waiting(slow), 2);
    scene.desk.set_concurrency(slow, 2);
    assert_eq!(scene.act(), [(1, 2)]);
    scene.desk.set_concurrency(slow, 0);
    assert_eq!(scene.answer(1), []);
}

#[test]
fn a_full_queue_does_not_hold_up_another() {
    let mut scene = scene(rules(1, 1));
    scene.calls(1..=100);
    let other = scene.desk.queue("other");
    scene.start();
    scene.call_in(other, 500, Limits::default());
    assert_eq!(scene.answer(1), [(1, 500)]);
}

#[test]
fn calls_of_a_key_run_in_one_place_one_after_the_other() {
    let mut scene = scene(Rules {
        depth: 2,
        ..rules(2, 2)
    });
    scene.start();
    let key = |key| limits(|it: &mut Limits| it.key = Some(key));
    for call in 1..=3 {
        scene.call_with(call, key(1));
    }
    scene.call_with(10, key(0));
    assert_eq!(scene.act(), [(1, 10), (2, 1), (2, 2)]);
    // Its place is taken over, and what had not begun comes first.
    assert_eq!(scene.die(2), [1]);
    assert_eq!(scene.start(), [(3, 2), (3, 3)]);
}

#[test]
fn a_key_waits_for_an_older_worker_in_its_place() {
    let mut scene = scene(Rules {
        calls: Some(1),
        ..rules(1, 1)
    });
    let key = limits(|it| it.key = Some(7));
    for call in 1..=2 {
        scene.call_with(call, key);
    }
    assert_eq!(scene.start(), [(1, 1)], "the next worker waits");
    assert_eq!(scene.answer(1), [(2, 2)]);
}

#[test]
fn a_call_that_waits_is_late_and_one_that_runs_is_overdue() {
    let mut scene = scene(rules(1, 1));
    scene.start();
    let timeout = limits(|it| it.timeout = Some(10 * MS));
    for call in 1..=2 {
        scene.call_with(call, timeout);
    }
    assert_eq!(scene.act(), [(1, 1)]);
    assert_eq!(scene.wake(), 10 * MS);
    scene.act();
    assert_eq!(scene.late, [2]);
    assert_eq!(scene.overdue, [(1, 1, Why::Timeout)]);
    scene.act();
    assert_eq!(scene.overdue.len(), 1, "it is told once");
    assert_eq!(scene.desk.wake(scene.now), None);
}

#[test]
fn limits_count_from_when_a_call_is_the_first_of_its_worker() {
    let mut scene = scene(Rules {
        depth: 2,
        ..rules(1, 1)
    });
    scene.start();
    let both = limits(|it| (it.soft_limit, it.time_limit) = (Some(5 * MS), Some(20 * MS)));
    for call in 1..=2 {
        scene.call_with(call, both);
    }
    scene.act();
    scene.pass(4 * MS);
    scene.answer(1);
    assert_eq!(scene.wake(), 5 * MS, "of the second");
    scene.act();
    assert_eq!(scene.overdue, [(1, 2, Why::Soft)]);
    assert_eq!(scene.wake(), 15 * MS);
    scene.act();
    assert_eq!(scene.overdue[1..], [(1, 2, Why::TimeLimit)]);
    assert!(scene.desk.has(1, 2) && scene.desk.is_first(1, 2));
    assert_eq!(scene.desk.settle(1, 2).unwrap().call, 2);
    assert!(!scene.desk.has(1, 2) && scene.desk.settle(1, 2).is_none());
    assert_eq!(scene.die(1), [], "it has an outcome");
}

#[test]
fn a_call_is_taken_back_while_it_waits_and_found_when_it_does_not() {
    let mut scene = scene(rules(1, 1));
    let [first, second] = [1, 2].map(|call| scene.call(call));
    scene.start();
    assert!(scene.desk.take_back(first).is_none());
    assert_eq!(scene.desk.find(first), Some((1, 1, 1)));
    assert_eq!(scene.desk.take_back(second).unwrap().call, 2);
    assert!(scene.desk.take_back(second).is_none() && scene.desk.find(second).is_none());
    assert_eq!(scene.answer(1), []);
}

#[test]
fn a_full_socket_is_left_alone_until_something_comes_back() {
    let mut scene = scene(Rules {
        depth: 4,
        ..rules(1, 1)
    });
    scene.start();
    scene.calls(1..=2);
    let order = |scene: &mut Scene| match scene.desk.next(scene.now) {
        Some(Act::Give { order, .. }) => order,
        other => panic!("{other:?}"),
    };
    let first = order(&mut scene);
    scene.desk.given(1, first, 1, scene.now);
    let second = order(&mut scene);
    scene.desk.not_given(1, second, scene.now);
    assert!(scene.desk.next(scene.now).is_none());
    assert_eq!(scene.wake(), FULL);
    let second = order(&mut scene);
    scene.desk.not_given(1, second, scene.now);
    assert_eq!(scene.answer(1), [(1, 2)]);
}

#[test]
fn a_silent_worker_keeps_what_it_has_begun_only() {
    let mut scene = scene(Rules {
        depth: 3,
        ..rules(1, 1)
    });
    scene.start();
    scene.calls(1..=3);
    scene.act();
    let first = scene.first(1);
    scene.desk.silent(1, |number| number != first, scene.now);
    assert_eq!(scene.counts(), [1, 0, 2, 1]);
    assert_eq!(scene.start(), [], "the first one still runs");
    assert_eq!(scene.die(1), [1]);
    assert_eq!(scene.start(), [(2, 2), (2, 3)]);
}

#[test]
fn when_all_ends_each_call_is_given_back_once() {
    let mut scene = scene(Rules {
        depth: 2,
        ..rules(1, 1)
    });
    scene.start();
    scene.calls(1..=4);
    scene.act();
    let waiting = scene.desk.take_all_back();
    assert_eq!(waiting.iter().map(|it| it.call).collect::<Vec<_>>(), [3, 4]);
    let running = scene.desk.settle_all(|_, number| number == 2);
    let running: Vec<_> = running
        .iter()
        .map(|lost| (lost.order.call, lost.is_unstarted))
        .collect();
    assert_eq!(running, [(1, false), (2, true)]);
    assert!(scene.desk.settle_all(|_, _| true).is_empty());
    assert_eq!(scene.die(1), []);
}
