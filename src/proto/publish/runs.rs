//! Runs of broadcasts: sent, received, delivered and forwarded.

use std::time::Duration;

use super::repair::{GRAFT_HOLE_AFTER, GRAFT_PATIENCE};
use super::state::State;
use super::stream::{Doubt, RunPlace};
use super::streams::DETACH_BELOW;
use super::window::ACTIVE_FOR;
use crate::proto::{Class, Event, LinkId, Origin, Payload, Publish};

/// The run with this sequence number is pushed to every peer, so that a busy origin gets a tree of
/// its own.
const EXPLORE_AT: u64 = 32;

impl State {
    pub(super) fn broadcast(&mut self, payload: Payload, lazy: &[LinkId]) {
        let now = self.now;
        let own = self.own.clone();
        let stream = self.open_stream(&own, 1, true, lazy);
        let is_beginning = stream.next == 1 || now.since(stream.last_active) >= ACTIVE_FOR;
        let first = stream.next;
        stream.next += u64::from(payload.count());
        stream.last_active = now;
        if (first..stream.next).contains(&EXPLORE_AT) {
            stream.plant(&[]);
        }
        if is_beginning {
            self.begin_window();
        }
        self.counters.sent += u64::from(payload.count());
        let run = Publish {
            origin: own,
            first,
            hops: 0,
            repair: false,
            payload,
        };
        self.streams.cache(&run, now);
        self.push(&run, None, Class::Own);
        self.translate(&run, None, Class::Own);
        self.note_sent(&run);
    }

    pub(super) fn on_publish(&mut self, link: LinkId, run: Publish, lazy: &[LinkId]) {
        let native = self.is_native(link);
        let count = u64::from(run.payload.count());
        if run.origin == self.own {
            return self.on_echo(link, run, native);
        }
        if !self.admit(link, &run, native, lazy) {
            self.counters.relays_refused += count;
            return self.waive(link, &run.origin);
        }
        let Some(stream) = self.streams.get(&run.origin) else {
            return;
        };
        let place = stream.place(run.first, run.last());
        if native {
            self.note_awaited(link, &run.origin, place == RunPlace::Known);
        }
        let is_pushed = native && !run.repair;
        match place {
            RunPlace::Known => {
                self.counters.duplicates += count;
                if is_pushed {
                    self.on_duplicate(link, run.origin);
                }
            }
            RunPlace::Next => self.on_next(link, run, is_pushed),
            RunPlace::Ahead => self.on_ahead(link, run),
        }
    }

    /// A peer sends this node's own broadcasts back. Their numbers do not matter: only this node
    /// numbers them.
    fn on_echo(&mut self, link: LinkId, run: Publish, native: bool) {
        self.counters.duplicates += u64::from(run.payload.count());
        self.waive(link, &run.origin);
        if native && !run.repair {
            self.prune(link, run.origin);
        }
    }

    /// Opens the stream of a run, if the peer may bring one more, and updates the peer's view and
    /// any doubt. Returns false if the run is refused.
    fn admit(&mut self, link: LinkId, run: &Publish, native: bool, lazy: &[LinkId]) -> bool {
        let is_new = self.streams.get(&run.origin).is_none();
        if is_new && !self.takes_origin(link) {
            return false;
        }
        // A legacy link repeats no earlier broadcasts: the stream begins here.
        let (next, settled) = match native {
            true => (1, run.first == 1),
            false => (run.first, true),
        };
        let stream = self.open_stream(&run.origin, next, settled, lazy);
        if is_new && next > 1 {
            stream.doubt = Some(Doubt::new(None, next));
        }
        if native {
            let view = stream.view(link);
            view.high = view.high.max(run.last());
        }
        if stream.is_refuted_by(run.first, run.last()) {
            self.take_back(&run.origin, run.first);
        }
        true
    }

    /// Delivers a run that continues its stream, and the runs held behind it.
    fn on_next(&mut self, link: LinkId, run: Publish, is_pushed: bool) {
        let Some(stream) = self.streams.get_mut(&run.origin) else {
            return;
        };
        self.counters.duplicates += stream.next - run.first;
        if is_pushed {
            stream.fed_by(link);
        }
        let (origin, first) = (run.origin.clone(), run.first);
        self.accept_new(link, run);
        self.accept_held(&origin);
        if is_pushed {
            self.look_for_faster(link, origin, first);
        }
    }

    /// Holds a run until the gap before it is repaired.
    fn on_ahead(&mut self, link: LinkId, run: Publish) {
        let settled = self.streams.get(&run.origin).is_some_and(|it| it.settled);
        let wait = match settled {
            true => GRAFT_HOLE_AFTER,
            false => Duration::ZERO,
        };
        let count = u64::from(run.payload.count());
        // A run is held only if a repair will release it.
        if self.note_gap(&run.origin, run.last(), wait) && self.streams.hold(link, run) {
            self.counters.held += count;
        }
    }

    /// Whether a peer may bring one more unknown origin. The peer is not blamed: it may only
    /// forward.
    fn takes_origin(&mut self, link: LinkId) -> bool {
        let now = self.now;
        self.peer_mut(link)
            .is_some_and(|peer| peer.origins.take(now))
    }

    /// Delivers and forwards the new part of a run that continues its stream.
    fn accept_new(&mut self, link: LinkId, run: Publish) {
        let Some(stream) = self.streams.get(&run.origin) else {
            return;
        };
        let known = (stream.next - run.first) as u32;
        let overlaps = |(start, end): &(u64, u64)| run.first < *end && run.last() >= *start;
        let Some((start, end)) = stream.island().filter(overlaps) else {
            return self.accept(link, run, known);
        };
        let before = start.saturating_sub(run.first) as u32;
        if before > known
            && let Some(payload) = run.payload.take(before)
        {
            let run = Publish {
                payload,
                ..run.clone()
            };
            self.accept(link, run, known);
        } else if let Some(stream) = self.streams.get_mut(&run.origin) {
            stream.advance(stream.next.max(start));
        }
        if run.last() >= end {
            let known = (end - run.first) as u32;
            self.accept(link, run, known);
        }
    }

    /// Delivers and forwards a run without its first `known` messages.
    fn accept(&mut self, link: LinkId, run: Publish, known: u32) {
        let now = self.now;
        let Some(payload) = run.payload.skip(known) else {
            return;
        };
        let run = Publish {
            first: run.first + u64::from(known),
            repair: false,
            payload: payload.detached(DETACH_BELOW),
            ..run
        };
        let Some(stream) = self.streams.get_mut(&run.origin) else {
            return;
        };
        stream.advance(run.last() + 1);
        stream.parent = Some(link);
        stream.last_active = now;
        stream.heard_at = Some(now);
        stream.settled = true;
        if (run.first..=run.last()).contains(&EXPLORE_AT) {
            stream.plant(&[]);
        }
        let progress = stream.gap.as_mut().map(|gap| {
            (gap.since, gap.known) = (now, gap.target);
            gap.tries = 0;
            gap.at = now.after(GRAFT_PATIENCE);
            gap.target < stream.next
        });
        if progress == Some(true) {
            self.counters.repaired += 1;
            self.close_gap(&run.origin);
        }
        self.counters.delivered += u64::from(run.payload.count());
        self.streams.cache(&run, now);
        self.push(&run, Some(link), Class::Forward);
        self.translate(&run, Some(link), Class::Forward);
        let mark = self.note_given(&run.origin, run.first, run.last());
        self.emit(Event::Broadcast {
            payload: run.payload,
            mark,
        });
    }

    pub(super) fn accept_held(&mut self, origin: &Origin) {
        while let Some((link, run)) = self.streams.unhold(origin) {
            let Some(stream) = self.streams.get_mut(origin) else {
                return;
            };
            if run.last() >= stream.next {
                if !run.repair {
                    stream.fed_by(link);
                }
                self.accept_new(link, run);
            }
        }
    }
}
