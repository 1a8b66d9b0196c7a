//! Recently seen legacy packets.

#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use crate::proto::Moment;

/// The stored form of an id; an id itself may have [`MAX_ID_LEN`](super::packet::MAX_ID_LEN) bytes.
type Hash = [u64; 2];

/// Packet ids, kept for a limited time and up to a limited number. The oldest is forgotten first.
#[derive(Debug)]
pub(in crate::proto) struct Seen {
    // Only for look-ups, so random seeds have no observable effect, and keep attackers from
    // choosing colliding ids.
    hashers: [RandomState; 2],
    ids: HashSet<Hash>,
    order: VecDeque<(Moment, Hash)>,
    keep_for: Duration,
    keep_max: usize,
}

impl Seen {
    pub(in crate::proto) fn new(keep_for: Duration, keep_max: usize) -> Self {
        Self {
            hashers: [RandomState::new(), RandomState::new()],
            ids: HashSet::new(),
            order: VecDeque::new(),
            keep_for,
            keep_max,
        }
    }

    /// Remembers `id`. Returns false if it is known.
    pub(in crate::proto) fn insert(&mut self, id: &str, now: Moment) -> bool {
        let hash = [0, 1].map(|one: usize| self.hashers[one].hash_one(id));
        if self.ids.contains(&hash) {
            return false;
        }
        self.sweep(now);
        if self.order.len() >= self.keep_max {
            self.forget_oldest();
        }
        self.ids.insert(hash);
        self.order.push_back((now, hash));
        true
    }

    /// Forgets the ids that are too old.
    fn sweep(&mut self, now: Moment) {
        while self
            .order
            .front()
            .is_some_and(|(at, _)| now.since(*at) >= self.keep_for)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, hash)) = self.order.pop_front() {
            self.ids.remove(&hash);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.order.len()
    }
}
