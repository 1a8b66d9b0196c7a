//! Which legacy packets have been seen: a set that forgets.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Moment;

/// Packet ids, remembered for a time and up to a number, oldest forgotten first.
#[derive(Debug)]
pub(super) struct Seen {
    // Only looked up, never iterated: the hasher's own seed changes nothing that can be observed,
    // and keeps strangers from choosing ids that collide.
    ids: HashSet<Arc<str>>,
    order: VecDeque<(Moment, Arc<str>)>,
    keep_for: Duration,
    keep_max: usize,
}

impl Seen {
    pub(super) fn new(keep_for: Duration, keep_max: usize) -> Self {
        Self {
            ids: HashSet::new(),
            order: VecDeque::new(),
            keep_for,
            keep_max,
        }
    }

    /// Remembers `id`; false when it was known.
    pub(super) fn insert(&mut self, id: &str, now: Moment) -> bool {
        if self.ids.contains(id) {
            return false;
        }
        self.sweep(now);
        if self.order.len() >= self.keep_max {
            self.forget_oldest();
        }
        let id: Arc<str> = id.into();
        self.ids.insert(id.clone());
        self.order.push_back((now, id));
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
        if let Some((_, id)) = self.order.pop_front() {
            self.ids.remove(&id);
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
}
