//! Which legacy packets have been seen: a set that forgets.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use crate::proto::Moment;

/// What is remembered of an id, which can have [`MAX_ID_LEN`](super::packet::MAX_ID_LEN) bytes.
type Hash = [u64; 2];

/// Packet ids, remembered for a time and up to a number, oldest forgotten first.
#[derive(Debug)]
pub(in crate::proto) struct Seen {
    // Only looked up, never iterated: the hashers' own seeds change nothing that can be observed,
    // and keep strangers from choosing ids that collide.
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

    /// Remembers `id`; false when it was known.
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

    /// Forgets what is old enough.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_until_it_is_forgotten() {
        let mut seen = Seen::new(Duration::from_secs(60), 10);
        assert!(seen.insert("a", Moment(0)));
        assert!(!seen.insert("a", Moment(59_999_999)));
        assert!(seen.insert("b", Moment(60_000_000)));
        assert!(seen.insert("a", Moment(60_000_000)));
    }

    #[test]
    fn the_number_of_ids_is_bounded() {
        let mut seen = Seen::new(Duration::from_secs(60), 3);
        for n in 0..100 {
            assert!(seen.insert(&n.to_string(), Moment(n)));
        }
        assert_eq!(seen.len(), 3);
        assert!(seen.insert("0", Moment(100)));
        assert!(!seen.insert("99", Moment(100)));
    }

    #[test]
    fn an_id_takes_the_same_room_however_long_it_is() {
        fn in_place<T>(_: impl IntoIterator<Item = T>) -> Option<usize> {
            (!std::mem::needs_drop::<T>()).then_some(size_of::<T>())
        }
        let mut seen = Seen::new(Duration::from_secs(60), 10);
        let long = ["a", "b"].map(|end| "x".repeat(255) + end);
        for id in &long {
            assert!(seen.insert(id, Moment(0)));
            assert!(!seen.insert(id, Moment(0)));
        }
        assert_eq!(in_place(seen.ids), Some(16));
        assert_eq!(in_place(seen.order), Some(24));
    }
}
