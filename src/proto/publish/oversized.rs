//! Broadcasts above a peer's message limit: an OVERSIZED in their place keeps the peer from asking
//! for them.

use super::repair::GRAFT_HOLE_AFTER;
use super::state::State;
use crate::proto::codec::native;
use crate::proto::{Class, Event, LinkId, Publish, Range};

/// Bytes that the largest message takes besides its text or bytes: its length fields.
const SINGLE_OVERHEAD: usize = 8;

impl State {
    /// Returns whether a run exceeds the peer's limit; if it does, the peer gets an OVERSIZED
    /// instead.
    pub(super) fn is_oversized(&mut self, link: LinkId, run: &Publish, class: Class) -> bool {
        let size = run.payload.body().len();
        let Some(peer) = self.peer(link) else {
            return false;
        };
        let limit = peer.max_message;
        if run.payload.count() > 1 || size <= limit.saturating_add(SINGLE_OVERHEAD) {
            return false;
        }
        let id = peer.id.clone();
        self.counters.oversized += 1;
        tracing::warn!(peer = %id, origin = %run.origin.id, size, limit, "a broadcast exceeds a peer's message limit");
        let range = Range {
            origin: run.origin.clone(),
            first: run.first,
            last: run.last(),
        };
        self.send(link, native::oversized(&range, class));
        if run.origin == self.own {
            self.emit(Event::Oversized { id, size, limit });
        }
        true
    }

    /// A peer holds a broadcast above our limit. No other peer will send it either.
    pub(super) fn on_oversized(&mut self, link: LinkId, range: &Range, lazy: &[LinkId]) {
        let known = self.streams.get(&range.origin).is_some();
        if !known && !self.takes_claim(link) {
            return self.blame(link, "it announces more origins than plausible");
        }
        if range.origin == self.own {
            return;
        }
        let stream = self.open_stream(&range.origin, 1, range.first == 1, lazy);
        let view = stream.view(link);
        view.high = view.high.max(range.last);
        view.gone = view.gone.max(range.last);
        self.note_awaited(link, &range.origin, false);
        self.note_gap(&range.origin, range.last, GRAFT_HOLE_AFTER);
    }
}
