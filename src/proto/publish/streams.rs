//! All streams, their cache and the bounds on both.

use std::collections::{BTreeMap, VecDeque};

use super::cache::{Cache, Entry};
use super::stream::{Stream, cost};
use crate::proto::members::FIRST_HANDLE;
use crate::proto::{LinkId, Moment, Origin, Publish};

/// Payloads smaller than this are copied out of their receive buffer. Otherwise a waiting payload
/// would keep the whole buffer alive.
pub(in crate::proto) const DETACH_BELOW: usize = 32 << 10;

/// How many bytes are held back behind gaps, over all origins.
const HELD_BYTES: usize = 8 << 20;
/// How many origins are remembered; the one that was silent longest is forgotten first.
pub(in crate::proto) const MAX_STREAMS: usize = 16 << 10;
/// How many of them may be claimed but never heard; the oldest claim is forgotten first.
pub(in crate::proto) const MAX_CLAIMED: usize = 8 << 10;

/// The next free mark. Greater numbers are members' handles.
fn take_mark(next: &mut u32, is_taken: impl Fn(u32) -> bool) -> u32 {
    loop {
        *next = (*next + 1) % FIRST_HANDLE;
        if !is_taken(*next) {
            return *next;
        }
    }
}

/// All streams, their cache and the bounds on both.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// The origin of this node's own broadcasts.
    own: Option<Origin>,
    map: BTreeMap<Origin, Stream>,
    /// Origins that were only claimed when their stream was opened, oldest first.
    claimed: VecDeque<Origin>,
    /// Which cached runs go, and when.
    cache: Cache,
    held_bytes: usize,
    /// Origins by their marks.
    marks: BTreeMap<u32, Origin>,
    next_mark: u32,
}

impl Streams {
    pub(super) fn new(own: Origin, max_cache_bytes: usize) -> Self {
        let mut streams = Self {
            own: Some(own.clone()),
            cache: Cache::new(max_cache_bytes),
            ..Self::default()
        };
        streams.open(&own, 1, true, Moment::default());
        streams
    }

    /// Drops all claims of `origin` above `high`.
    pub(super) fn forget_claims(&mut self, origin: &Origin, high: u64) {
        if let Some(stream) = self.map.get_mut(origin) {
            self.held_bytes -= stream.forget_claims(high);
        }
    }

    /// Goes back to the start of the doubtful jump, or to `first`. Numbers delivered since the jump
    /// are not delivered again.
    pub(super) fn take_back(&mut self, origin: &Origin, first: u64) {
        if let Some(stream) = self.map.get_mut(origin) {
            self.held_bytes -= stream.take_back(first);
        }
    }

    pub(super) fn get(&self, origin: &Origin) -> Option<&Stream> {
        self.map.get(origin)
    }

    pub(super) fn get_mut(&mut self, origin: &Origin) -> Option<&mut Stream> {
        self.map.get_mut(origin)
    }

    /// Returns the stream of `origin`; a new one begins at `next`.
    pub(super) fn open(
        &mut self,
        origin: &Origin,
        next: u64,
        settled: bool,
        now: Moment,
    ) -> &mut Stream {
        if !self.map.contains_key(origin) {
            if self.map.len() >= MAX_STREAMS {
                self.make_room();
            }
            if self.claimed.len() >= MAX_CLAIMED {
                self.forget_claimed();
            }
            self.claimed.push_back(origin.clone());
        }
        let (marks, next_mark) = (&mut self.marks, &mut self.next_mark);
        self.map.entry(origin.clone()).or_insert_with(|| {
            let mark = take_mark(next_mark, |mark| marks.contains_key(&mark));
            marks.insert(mark, origin.clone());
            Stream::new(next, settled, now, mark)
        })
    }

    /// Returns an unused mark, for direct messages.
    pub(super) fn new_mark(&mut self) -> u32 {
        let marks = &self.marks;
        take_mark(&mut self.next_mark, |mark| marks.contains_key(&mark))
    }

    /// The origin whose stream has that mark.
    pub(super) fn marked(&self, mark: u32) -> Option<&Origin> {
        self.marks.get(&mark)
    }

    /// Forgets the oldest claimed stream, if it was never heard.
    fn forget_claimed(&mut self) {
        let Some(origin) = self.claimed.pop_front() else {
            return;
        };
        let is_unheard = |stream: &Stream| stream.heard_at.is_none();
        if self.own.as_ref() != Some(&origin)
            && self.map.get(&origin).is_some_and(is_unheard)
            && let Some(stream) = self.map.remove(&origin)
        {
            self.marks.remove(&stream.intake.mark);
            self.held_bytes -= stream.held_cost();
        }
    }

    /// Forgets a sixteenth of the streams: claimed ones first, then those silent for longest. This
    /// node's own stream stays, because its numbers must not start again.
    fn make_room(&mut self) {
        let own = self.own.as_ref();
        let others = self.map.iter().filter(|(origin, _)| own != Some(origin));
        let mut ages: Vec<_> = others.map(|(_, stream)| stream.age()).collect();
        let mut left = MAX_STREAMS / 16;
        if ages.len() <= left {
            return;
        }
        let (_, youngest, _) = ages.select_nth_unstable(left - 1);
        let youngest = *youngest;
        self.map.retain(|origin, stream| {
            let goes = left > 0 && own != Some(origin) && stream.age() <= youngest;
            if goes {
                left -= 1;
                self.marks.remove(&stream.intake.mark);
                self.held_bytes -= stream.held_cost();
            }
            !goes
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Origin, &Stream)> {
        self.map.iter()
    }

    pub(super) fn forget_link(&mut self, link: LinkId, now: Moment) {
        for stream in self.map.values_mut() {
            stream.forget_link(link, now);
        }
    }

    pub(super) fn doubt_receiver(&mut self, link: LinkId) {
        for stream in self.map.values_mut() {
            stream.doubt_receiver(link);
        }
    }

    /// Keeps a run for peers that missed it.
    pub(super) fn cache(&mut self, run: &Publish, now: Moment) {
        let Some(stream) = self.map.get_mut(&run.origin) else {
            return;
        };
        stream.cache(run.clone(), now);
        self.cache.push(Entry {
            origin: run.origin.clone(),
            first: run.first,
            last: run.last(),
            bytes: cost(run),
            at: now,
        });
        self.expire(now);
    }

    /// Drops cached runs that are old or above the limit, and that no receiver needs.
    pub(super) fn expire(&mut self, now: Moment) {
        let map = &mut self.map;
        while let Some(run) = self.cache.expire(now, |run| {
            let stream = map.get(&run.origin);
            stream.is_some_and(|stream| stream.is_awaited(run.last, now))
        }) {
            if let Some(stream) = map.get_mut(&run.origin) {
                stream.uncache(run.first);
            }
        }
    }

    /// Holds a run behind a gap. Returns false if there is no room.
    pub(super) fn hold(&mut self, link: LinkId, run: Publish) -> bool {
        let bytes = cost(&run);
        let Some(stream) = self.map.get_mut(&run.origin) else {
            return false;
        };
        let better = stream
            .held
            .get(&run.first)
            .is_none_or(|(_, old)| old.last() < run.last());
        if !better || self.held_bytes + bytes > HELD_BYTES {
            return false;
        }
        let run = Publish {
            payload: run.payload.detached(DETACH_BELOW),
            ..run
        };
        if let Some((_, old)) = stream.held.insert(run.first, (link, run)) {
            self.held_bytes -= cost(&old);
        }
        self.held_bytes += bytes;
        true
    }

    /// The number of streams, and the bytes cached and held.
    pub(super) fn footprint(&self) -> [usize; 3] {
        [self.map.len(), self.cache.bytes(), self.held_bytes]
    }

    /// Removes a held run that is deliverable now, or useless.
    pub(super) fn unhold(&mut self, origin: &Origin) -> Option<(LinkId, Publish)> {
        let stream = self.map.get_mut(origin)?;
        let entry = stream.held.first_entry()?;
        if *entry.key() > stream.next {
            return None;
        }
        let (link, run) = entry.remove();
        self.held_bytes -= cost(&run);
        Some((link, run))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::proto::{NodeId, Payload};

    #[test]
    fn no_more_is_kept_for_repair_than_the_limit() {
        let own = Origin {
            id: NodeId::parse("me").unwrap(),
            epoch: 1,
        };
        let mut streams = Streams::new(own.clone(), 1 << 20);
        for first in 1..100 {
            let run = Publish {
                origin: own.clone(),
                first,
                hops: 0,
                repair: false,
                payload: Payload::events(Bytes::from(vec![b'1'; 100_000])),
            };
            streams.cache(&run, Moment::default());
            let [_, cached, _] = streams.footprint();
            assert!(cached <= 1 << 20, "{cached}");
        }
        let [_, cached, _] = streams.footprint();
        assert!(cached > 900_000, "{cached}");
    }
}
