//! Skips broadcasts that no peer holds, and goes back when the claim was false.

use std::time::Duration;

use super::repair::{GRAFT_AGAIN, GRAFT_AGAIN_MAX};
use super::state::State;
use super::stream::Doubt;
use crate::proto::codec::native;
use crate::proto::{Event, Origin, Range};

/// An origin heard within this time is active: one other node's claim does not cause a skip.
const LIVE_FOR: Duration = Duration::from_secs(10);

/// A node that has lost peers soon finds others, which may hold what the rest does not. It skips
/// nothing within this time from the latest progress.
const FIND_WITHIN: Duration = Duration::from_millis(750);

impl State {
    /// Skips the numbers below `upto`, unless there is reason to doubt that they exist.
    ///
    /// Any peer can claim numbers that do not exist; only the origin knows. With a link to the
    /// origin, this node skips nothing beyond the origin's own claim. It believes other peers if
    /// all agree, or if the origin has been silent for long. It remembers the jump, and goes back
    /// when the origin's real broadcasts continue before it.
    pub(super) fn may_skip(&mut self, origin: &Origin, upto: u64, witnesses: usize, overdue: bool) {
        let now = self.now;
        let natives = self.native_peers().len();
        let source = self.source(origin);
        let Some(stream) = self.streams.get_mut(origin) else {
            return;
        };
        let gap = stream.gap.as_ref();
        let waits_since = gap.map_or(now, |gap| gap.since);
        let may_find = natives < self.config.min_peers && now.since(waits_since) < FIND_WITHIN;
        if stream.settled && may_find {
            return stream.ask_later(now.after(GRAFT_AGAIN));
        }
        let from_source = source.map(|link| stream.seen_view(link).map_or(0, |view| view.high));
        if let Some(high) = from_source.filter(|high| *high < upto - 1) {
            if !overdue {
                return stream.ask_later(now.after(GRAFT_AGAIN_MAX));
            }
            tracing::warn!(origin = %origin.id, high, claimed = upto - 1, "false claims about a peer's broadcasts");
            self.streams.forget_claims(origin, high);
            return self.close_gap(origin);
        }
        let is_live = stream.heard_at.is_some_and(|at| now.since(at) < LIVE_FOR);
        let is_disputed = source.is_none() && witnesses < natives;
        // A node that joined later answers GONE for everything before; other peers may still hold
        // it.
        if (is_live || stream.settled) && is_disputed && !overdue {
            return stream.ask_later(now.after(GRAFT_AGAIN_MAX));
        }
        if is_disputed && stream.settled {
            let next = stream.next;
            stream.add_doubt(Doubt::new(Some(next), upto));
        }
        self.skip(origin, upto);
    }

    /// Goes back to `first`: a run shows that a jump on a peer's claim was false.
    pub(super) fn take_back(&mut self, origin: &Origin, first: u64) {
        self.close_gap(origin);
        self.streams.take_back(origin, first);
        tracing::warn!(origin = %origin.id, first, "broadcasts continue before a jump: the claims of later ones were false");
        // Peers believe that we are further on.
        let range = Range {
            origin: origin.clone(),
            first,
            last: first,
        };
        for link in self.native_peers() {
            self.send(link, native::graft(&range, u32::MAX));
        }
    }

    /// Gives up everything of a stream below `upto`.
    fn skip(&mut self, origin: &Origin, upto: u64) {
        let Some(stream) = self.streams.get_mut(origin) else {
            return;
        };
        let count = upto.saturating_sub(stream.next);
        let mark = stream.intake.mark;
        stream.advance(upto);
        // Broadcasts sent before this node joined are no loss.
        let missed = std::mem::replace(&mut stream.settled, true);
        let waited = stream.gap.as_ref().map(|gap| (gap.since, gap.known));
        if missed {
            // Hostile numbers can be arbitrarily large.
            self.counters.skipped = self.counters.skipped.saturating_add(count);
            tracing::warn!(origin = %origin.id, count, "skipped broadcasts that no peer holds");
            let stream = mark;
            self.emit(Event::Skipped {
                origin: origin.id.clone(),
                count,
                stream,
            });
        }
        self.accept_held(origin);
        let Some(stream) = self.streams.get_mut(origin) else {
            return;
        };
        let next = stream.next;
        let Some(gap) = stream.gap.as_mut() else {
            return;
        };
        if gap.target < next {
            return self.close_gap(origin);
        }
        // Numbers missing as long as the skipped ones have waited long enough.
        let waited = waited.filter(|(_, known)| next <= *known);
        (gap.since, gap.known) = waited.unwrap_or((self.now, gap.target));
        (gap.at, gap.tries) = (self.now.after(GRAFT_AGAIN), 0);
    }
}
