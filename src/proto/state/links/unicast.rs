//! Unicast: direct messages to one peer, and their windows.

use std::time::Duration;

use bytes::Bytes;

use crate::proto::codec::native;
use crate::proto::publish::DETACH_BELOW;
use crate::proto::state::State;
use crate::proto::{Event, LinkId, Mark, Output, Payload};

/// A link is busy if it received a message within this time.
const BUSY_WITHIN: Duration = Duration::from_secs(1);

impl State {
    pub(in crate::proto::state) fn direct(&mut self, link: LinkId, payload: &Payload) {
        if self.peer(link).is_none() {
            return;
        }
        self.counters.direct_sent += u64::from(payload.count());
        for data in self.legacy.translator.direct(link, payload) {
            self.send(link, data);
        }
        self.note_direct(link, payload.count(), payload.body().len());
    }

    pub(in crate::proto::state) fn line(&mut self, link: LinkId, text: &Bytes) {
        if let Some(data) = self.legacy.translator.line(link, text) {
            self.send(link, data);
            self.note_direct(link, 1, text.len());
        }
    }

    pub(in crate::proto::state) fn on_direct(&mut self, link: LinkId, payload: &Payload) {
        self.counters.direct_received += u64::from(payload.count());
        let mark = self.note_received(link, payload.count());
        let payload = payload.detached(DETACH_BELOW);
        self.emit(Event::Direct {
            link,
            payload,
            mark,
        });
    }

    pub(in crate::proto::state) fn on_line(&mut self, link: LinkId, text: &Bytes) {
        let mark = self.note_received(link, 1);
        let text = Bytes::copy_from_slice(text);
        self.emit(Event::Line { link, text, mark });
    }

    fn note_received(&mut self, link: LinkId, count: u32) -> Option<Mark> {
        let now = self.now;
        let peer = self.peer_mut(link).filter(|peer| peer.windows)?;
        let mark = peer.direct.receive(count, now);
        self.watch_windows();
        Some(mark)
    }

    fn note_direct(&mut self, link: LinkId, count: u32, bytes: usize) {
        let now = self.now;
        let waits = self.config.waits_for_receivers;
        let Some(peer) = self.peer_mut(link).filter(|peer| peer.windows && waits) else {
            return;
        };
        peer.direct.send(count, bytes, now);
        self.watch_windows();
        self.update_direct_window(link);
    }

    fn update_direct_window(&mut self, link: LinkId) {
        let size = self.config.link_queue;
        if let Some(peer) = self.peer(link) {
            let outstanding = peer.direct.awaited();
            self.out.push(Output::Window {
                link: Some(link),
                outstanding,
                size,
            });
        }
    }

    /// The application has consumed a peer's messages.
    pub(in crate::proto::state) fn direct_consumed_here(&mut self, mark: &Mark) {
        if self.member_consumed(mark.stream, mark.last) {
            return;
        }
        let is_meant = |link: &LinkId| {
            let peer = self.peer(*link);
            peer.is_some_and(|peer| peer.direct.mark == mark.stream)
        };
        let Some(link) = self.peers.iter().copied().find(is_meant) else {
            return;
        };
        if let Some(peer) = self.peer_mut(link) {
            let direct = &mut peer.direct;
            if mark.last <= direct.consumed && direct.consumed < direct.received {
                // The application is busy with other messages: repeat the report as a sign of life.
                let consumed = direct.consumed;
                return self.send(link, native::direct_consumed(consumed));
            }
            direct.consumed = mark.last.clamp(direct.consumed, direct.received);
        }
        self.tell_direct_consumed(link);
    }

    fn tell_direct_consumed(&mut self, link: LinkId) {
        let Some(peer) = self.peer_mut(link) else {
            return;
        };
        let consumed = peer.direct.consumed;
        if std::mem::replace(&mut peer.direct.told, consumed) != consumed {
            self.send(link, native::direct_consumed(consumed));
        }
    }

    /// Repeats the report on a busy link if the application has consumed all messages. More
    /// messages may lie in buffers of the system; the report tells their sender to keep waiting.
    pub(in crate::proto::state) fn repeat_direct_consumed(&mut self, link: LinkId) {
        let now = self.now;
        let Some(state) = self.links.get(&link) else {
            return;
        };
        let is_busy = now.since(state.last_heard) < BUSY_WITHIN;
        let direct = state.peer().map(|peer| &peer.direct);
        if let Some(direct) = direct.filter(|direct| is_busy && direct.repeats(now)) {
            let consumed = direct.consumed;
            self.send(link, native::direct_consumed(consumed));
        }
    }

    /// A peer has consumed messages up to `count`. A peer whose application hangs sends no report,
    /// so the same count again is progress, too.
    pub(in crate::proto::state) fn on_direct_consumed(&mut self, link: LinkId, count: u64) {
        let now = self.now;
        let Some(peer) = self.peer_mut(link) else {
            return;
        };
        let count = count.min(peer.direct.sent);
        peer.direct.outstanding.consumed(count);
        (peer.direct.since, peer.direct.is_stalled) = (now, false);
        self.update_direct_window(link);
    }

    /// The queue of a peer has made progress.
    pub(in crate::proto::state) fn direct_moves(&mut self, link: LinkId) {
        let now = self.now;
        if let Some(peer) = self.peer_mut(link) {
            peer.direct.since = now;
        }
    }

    /// Stops waiting for peers that have consumed nothing for too long; returns whether any windows
    /// remain to check.
    pub(in crate::proto::state) fn look_after_directs(&mut self) -> bool {
        let (now, patience) = (self.now, self.config.slow_receiver_timeout);
        let mut is_waiting = self.nodes_wait();
        for link in self.peers.clone() {
            let Some(peer) = self.peer_mut(link).filter(|peer| peer.windows) else {
                continue;
            };
            let direct = &mut peer.direct;
            is_waiting |= direct.outstanding.bytes() > 0 || direct.consumed < direct.received;
            let is_late = direct.awaited() > 0 && now.since(direct.since) >= patience;
            if !is_late {
                continue;
            }
            direct.is_stalled = true;
            let id = peer.id.clone();
            tracing::warn!(%id, "slow receiver: direct messages no longer wait for this peer");
            self.counters.slow_receivers += 1;
            self.emit(Event::SlowReceiver { id });
            self.update_direct_window(link);
        }
        is_waiting
    }
}
