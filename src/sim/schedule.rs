//! The schedule of the simulation.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::proto::Moment;

/// One slot of the wheel is 2^10 µs long.
const SLOT_BITS: u32 = 10;
/// Slots of the wheel. They reach 16 s ahead, further than nearly all timers.
const SLOTS: u64 = 1 << 14;

/// Entries in order of time; entries of the same time in order of insertion.
///
/// A timer wheel: it sorts only the current slot and the entries too far ahead for the wheel. With
/// a million entries, a single sorted heap would miss the processor's caches at every step.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    /// The slot of `current`.
    slot: u64,
    current: BinaryHeap<Reverse<Due<T>>>,
    /// The later slots, in a ring.
    wheel: Vec<Vec<Due<T>>>,
    /// The number of entries in the wheel.
    turning: usize,
    /// Entries beyond the wheel.
    far: BinaryHeap<Reverse<Due<T>>>,
    next_number: u64,
}

/// An entry.
#[derive(Debug)]
pub(super) struct Due<T> {
    pub(super) at: Moment,
    /// Unique and increasing.
    pub(super) number: u64,
    pub(super) what: T,
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<T> Eq for Due<T> {}
impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

fn slot_of(at: Moment) -> u64 {
    at.0 >> SLOT_BITS
}

fn index_of(slot: u64) -> usize {
    (slot % SLOTS) as usize
}

impl<T> Schedule<T> {
    /// An empty schedule.
    pub(super) fn new() -> Self {
        Self {
            slot: 0,
            current: BinaryHeap::new(),
            wheel: std::iter::repeat_with(Vec::new)
                .take(SLOTS as usize)
                .collect(),
            turning: 0,
            far: BinaryHeap::new(),
            next_number: 0,
        }
    }

    /// Adds an entry at `at`; a past entry comes next. Returns its number.
    pub(super) fn add(&mut self, at: Moment, what: T) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.sort_in(Due { at, number, what });
        number
    }

    fn sort_in(&mut self, due: Due<T>) {
        let slot = slot_of(due.at);
        if slot <= self.slot {
            self.current.push(Reverse(due));
        } else if slot < self.slot + SLOTS {
            self.wheel[index_of(slot)].push(due);
            self.turning += 1;
        } else {
            self.far.push(Reverse(due));
        }
    }

    /// Takes the next entry at or before `until`.
    pub(super) fn pop_until(&mut self, until: Moment) -> Option<Due<T>> {
        while self.current.is_empty() && self.slot < slot_of(until) {
            self.turn(slot_of(until));
        }
        if self
            .current
            .peek()
            .is_none_or(|Reverse(due)| due.at > until)
        {
            return None;
        }
        self.current.pop().map(|Reverse(due)| due)
    }

    /// Moves to the next slot, or, if the wheel is empty, straight to the next entry, at most to
    /// `last`.
    fn turn(&mut self, last: u64) {
        let next_far = self.far.peek().map(|Reverse(due)| slot_of(due.at));
        self.slot = match self.turning {
            0 => last.min(next_far.unwrap_or(last)),
            _ => self.slot + 1,
        };
        let arrived = &mut self.wheel[index_of(self.slot)];
        self.turning -= arrived.len();
        self.current.extend(arrived.drain(..).map(Reverse));
        while let Some(Reverse(due)) = self.far.peek()
            && slot_of(due.at) < self.slot + SLOTS
            && let Some(Reverse(due)) = self.far.pop()
        {
            self.sort_in(due);
        }
    }
}
