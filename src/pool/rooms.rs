//! Who may put calls into a queue that has an end. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::slot::Slot;
use crate::error::{Error, Result};

/// The turn of one who waits for room. It is put when there is room, which then belongs
/// to the one who waits.
pub(super) type Turn = Slot<Result<()>>;

/// The room in each queue.
#[derive(Debug)]
pub(super) struct Rooms {
    /// How many calls may wait in one queue.
    most: usize,
    rooms: BTreeMap<usize, Room>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Room {
    /// How many have room that they have not used.
    promised: usize,
    /// Those who wait, in the order in which they came.
    turns: VecDeque<Arc<Turn>>,
}

impl Rooms {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            rooms: BTreeMap::new(),
            is_closed: false,
        }
    }

    /// Tells whether one more call may wait in a queue in which so many do. Those who
    /// came before and wait for room come first.
    pub(super) fn has_room(&self, queue: usize, waiting: usize) -> bool {
        let room = self.rooms.get(&queue);
        let promised = room.map_or(0, |room| room.promised);
        waiting + promised < self.most && room.is_none_or(|room| room.turns.is_empty())
    }

    /// Waits for room in a queue.
    pub(super) fn line_up(&mut self, queue: usize, waiting: usize) -> Arc<Turn> {
        let turn = Arc::new(Turn::default());
        if self.is_closed {
            turn.put(Err(Error::closed()));
            return turn;
        }
        let room = self.rooms.entry(queue).or_default();
        room.turns.push_back(Arc::clone(&turn));
        self.admit(queue, waiting);
        turn
    }

    /// Gives room to those who wait, as far as there is some.
    pub(super) fn admit(&mut self, queue: usize, waiting: usize) {
        let Some(room) = self.rooms.get_mut(&queue) else {
            return;
        };
        while waiting + room.promised < self.most
            && let Some(turn) = room.turns.pop_front()
        {
            room.promised += 1;
            turn.put(Ok(()));
        }
    }

    /// Takes back room that somebody had: it is used now, or not needed.
    pub(super) fn give_back(&mut self, queue: usize) {
        if let Some(room) = self.rooms.get_mut(&queue) {
            room.promised = room.promised.saturating_sub(1);
        }
    }

    /// Leaves the line. Gives back the room if there was some already.
    pub(super) fn leave(&mut self, queue: usize, turn: &Arc<Turn>) {
        if let Some(room) = self.rooms.get_mut(&queue) {
            room.turns.retain(|other| !Arc::ptr_eq(other, turn));
        }
        if let Some(Ok(())) = turn.take() {
            self.give_back(queue);
        }
    }

    /// Gives the queues for which somebody waits.
    pub(super) fn wanted(&self) -> Vec<usize> {
        let wanted = self.rooms.iter().filter(|(_, room)| !room.turns.is_empty());
        wanted.map(|(queue, _)| *queue).collect()
    }

    /// Tells all who wait that there is no room any more.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        for room in self.rooms.values_mut() {
            for turn in room.turns.drain(..) {
                turn.put(Err(Error::closed()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wait_have_room_in_their_order_and_never_more_than_there_is() {
        let mut rooms = Rooms::new(2);
        assert!(rooms.has_room(0, 1) && !rooms.has_room(0, 2));
        let turns: Vec<_> = (0..4).map(|_| rooms.line_up(0, 1)).collect();
        let ready = || turns.iter().filter(|turn| turn.is_put()).count();
        assert_eq!(ready(), 1, "one place was free");
        assert!(!rooms.has_room(0, 0), "others came before");
        rooms.admit(0, 1);
        assert_eq!(ready(), 1, "it is promised");
        rooms.give_back(0);
        rooms.admit(0, 1);
        assert_eq!(ready(), 2, "it was not needed");
        assert_eq!(rooms.wanted(), [0]);
        rooms.leave(0, &turns[2]);
        rooms.leave(0, &turns[1]);
        rooms.admit(0, 1);
        assert!(turns[3].is_put() && !turns[2].is_put());
    }

    #[test]
    fn queues_have_rooms_of_their_own() {
        let mut rooms = Rooms::new(1);
        let first = rooms.line_up(0, 1);
        assert!(rooms.line_up(1, 0).is_put() && !first.is_put());
        assert!(!rooms.has_room(1, 0) && rooms.has_room(2, 0));
    }

    #[test]
    fn when_it_is_closed_everybody_is_told() {
        let mut rooms = Rooms::new(1);
        let turn = rooms.line_up(0, 1);
        rooms.close();
        for turn in [turn, rooms.line_up(0, 0)] {
            assert!(turn.take().unwrap().unwrap_err().is_closed());
        }
    }
}
