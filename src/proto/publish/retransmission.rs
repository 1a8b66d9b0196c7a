//! Retransmission: answers to a GRAFT from the cache.

use std::time::Duration;

use super::peer::REPAIR_UNIT;
use super::state::State;
use super::stream::{Stream, cost};
use crate::proto::codec::native;
use crate::proto::{Class, Level, LinkId, Moment, Origin, Publish, Range, Watermark};

/// Maximum bytes in the answer to one graft. A peer that lacks more sends another graft.
const GRAFT_BYTES: usize = 512 << 10;
/// Runs that are skipped as too old, for the price of one repair unit.
const OLD_PER_UNIT: usize = 64;

/// The cached runs that answer a graft.
struct Answer {
    runs: Vec<Publish>,
    /// The last requested number that this node has.
    upto: u64,
    /// Whether the runs reach that number.
    is_complete: bool,
    /// How many runs were left out as too old.
    old: usize,
}

impl Stream {
    /// The answer to a graft of `range` from `link`: runs no older than `max_age`.
    fn answer(&self, link: LinkId, range: &Range, max_age: Duration, now: Moment) -> Answer {
        let is_lazy = self.seen_view(link).is_some_and(|view| view.lazy);
        let mut answer = Answer {
            runs: Vec::new(),
            // A lazy peer gets only watermarks, so it has also missed the runs after the range.
            upto: match is_lazy {
                true => self.high(),
                false => range.last.min(self.high()),
            },
            is_complete: true,
            old: 0,
        };
        let mut bytes = 0;
        for (at, run) in self.cached_from(range.first) {
            if run.first > answer.upto {
                break;
            }
            if now.since(*at) > max_age {
                answer.old += 1;
                continue;
            }
            if bytes > GRAFT_BYTES {
                answer.is_complete = false;
                break;
            }
            bytes += cost(run);
            answer.runs.push(run.clone());
        }
        answer
    }

    /// Notes that a peer gets `answer`. Returns its price in units of [`REPAIR_UNIT`]. The first
    /// repeat of a number is free: a push would have cost the same.
    fn note_answer(&mut self, link: LinkId, answer: &Answer) -> usize {
        let view = self.view(link);
        let served = view.served;
        let repeated = answer.runs.iter().filter(|run| run.first <= served);
        let repeated: usize = repeated.map(cost).sum();
        let last = answer.runs.last().map_or(served, Publish::last);
        view.served = last.max(served);
        view.lazy &= !answer.is_complete;
        view.sent = view.sent.max(view.served);
        repeated / REPAIR_UNIT + answer.old / OLD_PER_UNIT
    }
}

impl State {
    pub(super) fn on_graft(&mut self, link: LinkId, range: Range, max_age_ms: u32) {
        let now = self.now;
        let max_age = self.max_age(link, max_age_ms);
        let peer = self.peer_mut(link);
        if !peer.is_some_and(|peer| peer.repairs.take(now)) {
            return self.blame(link, "it asks for more repairs than it can have missed");
        }
        if self
            .peer(link)
            .is_some_and(|peer| peer.level == Level::Full)
        {
            // The peer gets the watermark when its queue has room, and then asks again.
            return self.fall_behind(link);
        }
        let Some(stream) = self.streams.get_mut(&range.origin) else {
            return self.send(link, native::gone(&range));
        };
        // A peer that asks for a number has neither received nor consumed it.
        let view = stream.view(link);
        view.high = view.high.min(range.first - 1);
        view.has_only(range.first - 1);
        let answer = stream.answer(link, &range, max_age, now);
        let units = stream.note_answer(link, &answer);
        if let Some(peer) = self.peer_mut(link) {
            peer.repairs.spend(units as f64);
        }
        self.send_answer(link, range, answer);
    }

    fn send_answer(&mut self, link: LinkId, range: Range, answer: Answer) {
        if let Some(run) = answer.runs.first() {
            self.await_receiver(link, &range.origin, run.first);
        }
        let mut next = range.first;
        for run in answer.runs {
            self.tell_gone(link, &range.origin, next, run.first);
            next = run.last() + 1;
            self.counters.forwarded += u64::from(run.payload.count());
            let run = Publish {
                repair: true,
                hops: run.hops.saturating_add(1),
                ..run
            };
            if !self.is_oversized(link, &run, Class::Own) {
                self.send(link, native::publish(&run, Class::Own));
            }
        }
        if answer.is_complete {
            return self.tell_gone(link, &range.origin, next, answer.upto + 1);
        }
        // The watermark makes the peer ask again. It goes behind the runs, not before them.
        let origin = range.origin;
        let high = self.streams.get(&origin).map_or(0, Stream::high);
        let mut marker = native::i_have(&[Watermark { origin, high }]);
        marker.class = Class::Own;
        self.send(link, marker);
    }

    /// The age of the oldest broadcast to repeat. A newcomer asks for everything sent since it
    /// joined, counted from the time of its graft. The graft may arrive late, but the newcomer had
    /// joined when its link to us opened.
    fn max_age(&self, link: LinkId, max_age_ms: u32) -> Duration {
        if max_age_ms == u32::MAX {
            return Duration::MAX;
        }
        let asked = Duration::from_millis(u64::from(max_age_ms));
        let link_age = self.peer(link).map(|peer| self.now.since(peer.began));
        asked.max(link_age.unwrap_or_default())
    }

    /// Sends a GONE for the numbers from `first` to before `end`.
    fn tell_gone(&mut self, link: LinkId, origin: &Origin, first: u64, end: u64) {
        if first < end {
            let origin = origin.clone();
            let last = end - 1;
            let mut gone = native::gone(&Range {
                origin,
                first,
                last,
            });
            gone.class = Class::Own;
            self.send(link, gone);
        }
    }
}
