//! Retransmission: what answers a GRAFT, from the cache.

use std::time::Duration;

use super::State;
use super::peer::REPAIR_UNIT;
use super::stream::cost;
use crate::proto::codec::native;
use crate::proto::{Class, LinkId, Origin, Publish, Range, Watermark};

/// At most so many bytes answer one graft; whoever lacks more asks again, from where it got to.
const GRAFT_BYTES: usize = 512 << 10;
/// So many runs that are too old are passed over for the price of one unit that is repeated.
const OLD_PER_UNIT: usize = 64;

impl State {
    pub(super) fn on_graft(&mut self, link: LinkId, range: Range, max_age_ms: u32) {
        let now = self.now;
        let max_age = self.max_age(link, max_age_ms);
        let peer = self.peer_mut(link);
        if !peer.is_some_and(|peer| peer.repairs.take(now)) {
            return self.blame(link, "it asks for more than anybody could have missed");
        }
        let Some(stream) = self.streams.get_mut(&range.origin) else {
            return self.send(link, native::gone(&range));
        };
        let high = stream.high();
        // Who asks for a number does not have it, whatever it said before.
        let view = stream.view(link);
        view.high = view.high.min(range.first - 1);
        // A peer that got watermarks only has missed what came after the range, too.
        let upto = match stream.view(link).lazy {
            true => high,
            false => range.last.min(high),
        };
        let mut runs = Vec::new();
        let mut bytes = 0;
        let mut complete = true;
        let mut old = 0;
        for (at, run) in stream.cached_from(range.first) {
            if run.first > upto {
                break;
            }
            if now.since(*at) > max_age {
                old += 1;
                continue;
            }
            if bytes > GRAFT_BYTES {
                complete = false;
                break;
            }
            bytes += cost(run);
            runs.push(run.clone());
        }
        // What it asks for once is what it would have been pushed.
        let view = stream.view(link);
        let served = view.served;
        view.served = runs.last().map_or(served, |run| run.last().max(served));
        let again = runs.iter().filter(|run| run.first <= served);
        let repeated: usize = again.map(cost).sum();
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.link == link) {
            let units = repeated / REPAIR_UNIT + old / OLD_PER_UNIT;
            peer.repairs.spend(units as f64);
        }
        let view = stream.view(link);
        view.lazy &= !complete;
        view.sent = view.sent.max(view.served);
        if let Some(run) = runs.first().filter(|_| complete) {
            self.await_receiver(link, &range.origin, run.first);
        }
        let mut next = range.first;
        for run in runs {
            self.tell_gone(link, &range.origin, next, run.first);
            next = run.last() + 1;
            self.counters.forwarded += u64::from(run.payload.count());
            let hops = run.hops.saturating_add(1);
            let repair = true;
            let run = Publish {
                repair,
                hops,
                ..run
            };
            if self.is_oversized(link, &run, Class::Own) {
                continue;
            }
            self.send(link, native::publish(&run, Class::Own));
        }
        if complete {
            return self.tell_gone(link, &range.origin, next, upto + 1);
        }
        // "Ask again": behind the runs, not before them.
        let origin = range.origin;
        let mut marker = native::i_have(&[Watermark { origin, high }]);
        marker.class = Class::Own;
        self.send(link, marker);
    }

    /// The age of the oldest broadcast that a peer wants repeated.
    ///
    /// A newcomer asks for what was sent since it joined, counted from when it asks. The question may
    /// arrive late, but whoever asks had joined when its link to us began.
    fn max_age(&self, link: LinkId, max_age_ms: u32) -> Duration {
        if max_age_ms == u32::MAX {
            return Duration::MAX;
        }
        let asked = Duration::from_millis(u64::from(max_age_ms));
        let link_age = self.peer(link).map(|peer| self.now.since(peer.began));
        asked.max(link_age.unwrap_or_default())
    }

    /// Says that nothing from `first` to before `end` is held here any more.
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
