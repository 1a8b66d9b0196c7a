//! A queue of timers for the driver of the state machine.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use super::{Moment, Timer};

/// The pending timers, each at most once.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeSet<(Moment, Timer)>,
    at: HashMap<Timer, Moment>,
}

impl Timers {
    /// Sets `timer`, or moves it.
    pub fn set(&mut self, timer: Timer, at: Moment) {
        self.cancel(timer);
        self.due.insert((at, timer));
        self.at.insert(timer, at);
    }

    /// Forgets `timer`.
    pub fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.due.remove(&(at, timer));
        }
    }

    /// When the next timer is due.
    pub fn next(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes a timer that is due at `now`.
    pub fn pop(&mut self, now: Moment) -> Option<Timer> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }

    /// The number of pending timers.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether no timer is pending.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}
