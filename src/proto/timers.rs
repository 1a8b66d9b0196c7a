//! A queue of timers, for whoever drives the state machine.

use std::collections::{BTreeSet, HashMap};

use super::{Moment, Timer};

/// The timers that are set, each at most once.
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

    /// When the next one is due.
    pub fn next(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes one that is due at `now`.
    pub fn pop(&mut self, now: Moment) -> Option<Timer> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_again_moves() {
        let mut timers = Timers::default();
        timers.set(Timer::Tick, Moment(10));
        timers.set(Timer::Refill, Moment(20));
        timers.set(Timer::Tick, Moment(30));
        assert_eq!(timers.next(), Some(Moment(20)));
        assert_eq!(timers.pop(Moment(19)), None);
        assert_eq!(timers.pop(Moment(30)), Some(Timer::Refill));
        assert_eq!(timers.pop(Moment(30)), Some(Timer::Tick));
        assert!(timers.is_empty());
    }
}
