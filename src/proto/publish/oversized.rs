//! Broadcasts that are larger than a peer takes: told in their place, so that it need not ask for
//! them.

use super::repair::GRAFT_HOLE_AFTER;
use super::state::State;
use crate::proto::codec::native;
use crate::proto::{Class, Event, LinkId, Publish, Range};

/// Bytes that the largest message takes besides its text or bytes: its lengths.
const SINGLE_OVERHEAD: usize = 8;

impl State {
    /// If a peer does not take a run because of its size, tells it so in place of the run; whether
    /// that is so.
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
        tracing::warn!(peer = %id, origin = %run.origin.id, size, limit, "a broadcast is larger than a peer takes");
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

    /// A peer holds a broadcast that is too large for us: no other peer will send it either.
    pub(super) fn on_oversized(&mut self, link: LinkId, range: &Range, lazy: &[LinkId]) {
        let known = self.streams.get(&range.origin).is_some();
        if !known && !self.takes_claim(link) {
            return self.blame(link, "it tells of more origins than there can be");
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
