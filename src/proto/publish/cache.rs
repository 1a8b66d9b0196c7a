//! The order in which cached runs are dropped, and the bound on them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::proto::{Moment, Origin};

/// How long a payload is kept for repair.
pub(super) const CACHE_FOR: Duration = Duration::from_secs(30);

/// A cached run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) origin: Origin,
    /// Its first and its last sequence number.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Its cost in bytes.
    pub(super) bytes: usize,
    /// When it was cached.
    pub(super) at: Moment,
}

/// The cached runs of all streams, in the order in which they are dropped.
///
/// A run goes when it is old, or, oldest first, when there is no room. A run that an awaited
/// receiver still needs stays in both cases, in up to half of the room: the windows of the origins
/// add up to that. Beyond that, the oldest needed run goes, so that new runs have the other half.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Oldest first.
    recent: VecDeque<Entry>,
    /// Runs that were needed when their turn to go came, by origin, oldest first. Receivers consume
    /// a stream in order, so those in front cease to be needed first.
    needed: VecDeque<VecDeque<Entry>>,
    needed_bytes: usize,
    bytes: usize,
    max_bytes: usize,
}

impl Cache {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            ..Self::default()
        }
    }

    /// How many bytes are cached.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += entry.bytes;
        self.recent.push_back(entry);
    }

    /// Removes the next run that has to go, if there is one.
    pub(super) fn expire(
        &mut self,
        now: Moment,
        is_needed: impl Fn(&Entry) -> bool,
    ) -> Option<Entry> {
        let goes = self.next_to_go(now, is_needed)?;
        self.bytes -= goes.bytes;
        Some(goes)
    }

    fn next_to_go(&mut self, now: Moment, is_needed: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let is_full = self.bytes > self.max_bytes;
        let is_due = |entry: &Entry| is_full || now.since(entry.at) >= CACHE_FOR;
        // One stream per call: the price does not grow with the number of streams.
        self.needed
            .rotate_left(usize::from(!self.needed.is_empty()));
        let oldest = self.needed.front().and_then(VecDeque::front);
        if oldest.is_some_and(|oldest| is_due(oldest) && !is_needed(oldest)) {
            return self.pop_needed(0);
        }
        while self.recent.front().is_some_and(is_due) {
            let entry = self.recent.pop_front()?;
            if !is_needed(&entry) {
                return Some(entry);
            }
            self.keep(entry);
            if is_full && self.needed_bytes > self.max_bytes / 2 {
                return self.pop_oldest_needed();
            }
        }
        is_full.then(|| self.pop_oldest_needed()).flatten()
    }

    fn pop_oldest_needed(&mut self) -> Option<Entry> {
        let oldest = |queue: &VecDeque<Entry>| queue.front().map(|entry| entry.at);
        let index = (0..self.needed.len()).min_by_key(|index| oldest(&self.needed[*index]))?;
        self.pop_needed(index)
    }

    fn keep(&mut self, entry: Entry) {
        self.needed_bytes += entry.bytes;
        let is_same = |queue: &&mut VecDeque<Entry>| {
            let front = queue.front();
            front.is_some_and(|front| front.origin == entry.origin)
        };
        match self.needed.iter_mut().find(is_same) {
            Some(queue) => queue.push_back(entry),
            None => self.needed.push_back(VecDeque::from([entry])),
        }
    }

    fn pop_needed(&mut self, index: usize) -> Option<Entry> {
        let queue = self.needed.get_mut(index)?;
        let entry = queue.pop_front()?;
        if queue.is_empty() {
            self.needed.remove(index);
        }
        self.needed_bytes -= entry.bytes;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::NodeId;

    const MAX: usize = 100;

    fn entry(id: &str, number: u64, at: Moment) -> Entry {
        Entry {
            origin: Origin {
                id: NodeId::parse(id).unwrap(),
                epoch: 1,
            },
            first: number,
            last: number,
            bytes: 10,
            at,
        }
    }

    /// Pushes an entry; returns the numbers that go.
    fn push(cache: &mut Cache, entry: Entry, is_needed: impl Fn(&Entry) -> bool) -> Vec<u64> {
        let now = entry.at;
        cache.push(entry);
        let goes = std::iter::from_fn(|| cache.expire(now, &is_needed));
        let goes = goes.map(|entry| entry.first).collect();
        assert!(cache.bytes() <= MAX, "{}", cache.bytes());
        goes
    }

    #[test]
    fn above_the_limit_the_oldest_runs_go() {
        let mut cache = Cache::new(MAX);
        for number in 1..100 {
            let goes = push(&mut cache, entry("a", number, Moment::default()), |_| false);
            let expected: Vec<u64> = number
                .checked_sub(10)
                .filter(|n| *n > 0)
                .into_iter()
                .collect();
            assert_eq!(goes, expected);
        }
    }

    #[test]
    fn needed_runs_stay_however_much_comes_after_them() {
        let mut cache = Cache::new(MAX);
        let needs = |entry: &Entry| entry.origin.id.as_str() == "slow";
        for number in 1..=5 {
            push(&mut cache, entry("slow", number, Moment::default()), needs);
        }
        for number in 100..1000 {
            let goes = push(&mut cache, entry("fast", number, Moment::default()), needs);
            assert!(goes.iter().all(|gone| *gone >= 100), "{goes:?}");
        }
        // They go as they are consumed, in order.
        let goes = push(
            &mut cache,
            entry("fast", 1000, Moment::default()),
            |entry| needs(entry) && entry.first > 5,
        );
        assert_eq!(goes, [1]);
    }

    #[test]
    fn needed_runs_take_half_of_the_room_at_most() {
        let mut cache = Cache::new(MAX);
        let needs = |entry: &Entry| entry.origin.id.as_str() == "slow";
        let mut kept = Vec::new();
        for number in 1..1000 {
            let id = if number % 2 == 0 { "slow" } else { "fast" };
            let at = Moment::default().after(Duration::from_millis(number));
            kept.push(number);
            let goes = push(&mut cache, entry(id, number, at), needs);
            kept.retain(|number| !goes.contains(number));
            // The latest five are there, needed or not.
            let latest = kept.iter().rev().take(5);
            assert!(
                latest.eq((1..=number).rev().take(5).collect::<Vec<_>>().iter()),
                "{kept:?}"
            );
        }
    }

    #[test]
    fn when_all_are_needed_the_oldest_goes() {
        let mut cache = Cache::new(MAX);
        for number in 1..=10 {
            let id = if number % 2 == 0 { "even" } else { "odd" };
            push(
                &mut cache,
                entry(
                    id,
                    number,
                    Moment::default().after(Duration::from_millis(number)),
                ),
                |_| true,
            );
        }
        for number in 11..30 {
            let at = Moment::default().after(Duration::from_millis(number));
            assert_eq!(
                push(&mut cache, entry("even", number, at), |_| true),
                [number - 10]
            );
        }
    }

    #[test]
    fn old_runs_go_unless_they_are_needed() {
        let mut cache = Cache::new(MAX);
        for (number, id) in [(1, "slow"), (2, "fast"), (3, "slow")] {
            push(&mut cache, entry(id, number, Moment::default()), |_| false);
        }
        let needs = |entry: &Entry| entry.origin.id.as_str() == "slow";
        let late = Moment::default().after(CACHE_FOR);
        assert_eq!(push(&mut cache, entry("fast", 4, late), needs), [2]);
        let mut goes = push(&mut cache, entry("fast", 5, late), |_| false);
        goes.sort_unstable();
        assert_eq!(goes, [1, 3]);
    }
}
