//! The end of links.

use super::fields::{DialEnd, Phase, Purpose};
use crate::proto::codec::native;
use crate::proto::state::State;
use crate::proto::{CloseHow, Event, LinkId, Output, RemoveReason, Timer, membership, publish};

impl State {
    pub(in crate::proto::state) fn close_peer(&mut self, link: LinkId) {
        if self.peer(link).is_some() {
            self.say_goodbye(link, false);
            self.end_link(link, CloseHow::Flush, RemoveReason::Local, "CLOSED");
            self.peers_changed();
        }
    }

    /// Tells a native peer that this node closes the link. `keep`: the peer may keep the address.
    pub(in crate::proto::state) fn say_goodbye(&mut self, link: LinkId, keep: bool) {
        self.say_goodbye_to(link, self.is_native(link), keep);
    }

    pub(super) fn say_goodbye_to(&mut self, link: LinkId, native: bool, keep: bool) {
        if native && self.config.native {
            self.send(link, native::goodbye(keep));
        }
    }

    /// The driver has closed a link.
    pub(in crate::proto::state) fn closed(&mut self, link: LinkId, reason: &str) {
        tracing::debug!(%link, reason, "link closed");
        let code = if reason == "FIN" { "REFUSED" } else { reason };
        self.drop_link(link, code);
    }

    /// Closes a link and ends everything that waits for it; returns whether it was a peer.
    pub(in crate::proto::state) fn end_link(
        &mut self,
        link: LinkId,
        how: CloseHow,
        reason: RemoveReason,
        code: &str,
    ) -> bool {
        self.out.push(Output::Close { link, how });
        let was_dial = self.links.get(&link).is_some_and(|l| l.dial().is_some());
        let was_peer = self.forget(link, reason, code);
        if was_dial {
            self.admit_held();
        }
        was_peer
    }

    /// Forgets a link that the driver has closed or the caller tells it to close.
    pub(super) fn drop_link(&mut self, link: LinkId, code: &str) {
        let removed = if code == "SLOW" {
            RemoveReason::Slow
        } else {
            RemoveReason::Remote
        };
        let was_peer = self.forget(link, removed, code);
        self.admit_held();
        if was_peer {
            self.peers_changed();
        }
    }

    /// Closes a link that never became a peer, without an event.
    pub(in crate::proto::state) fn forget_link(&mut self, link: LinkId, how: CloseHow) {
        self.out.push(Output::Close { link, how });
        self.cancel_timer(Timer::Handshake(link));
        self.links.remove(&link);
    }

    /// Forgets a link; returns whether it was a peer.
    fn forget(&mut self, link: LinkId, reason: RemoveReason, code: &str) -> bool {
        let Some(state) = self.links.remove(&link) else {
            return false;
        };
        self.cancel_timer(Timer::Handshake(link));
        if let Some(dial) = state.dial() {
            self.dialed(dial.request, Err(code));
            let end = match state.phase {
                Phase::Dialing(_) => DialEnd::Unreachable,
                _ if code == "TIMEOUT" => DialEnd::Unanswered,
                _ if code == "ECONNRESET" => DialEnd::Reset,
                _ => DialEnd::Refused,
            };
            self.dial_came_to_nothing(dial, end, code);
        }
        match state.phase {
            Phase::Courier(Some(seed)) => self.request_delivered(seed, code),
            Phase::Dialing(Purpose::Courier(_, Some(seed))) => self.seed_failed(seed, code),
            Phase::Dialing(Purpose::Shortcut(_))
            | Phase::AwaitingShortcut(_)
            | Phase::Shortcut(_) => self.shortcut_broke(link, &state),
            _ => {}
        }
        let Some(peer) = state.peer() else {
            return false;
        };
        self.peers.retain(|other| *other != link);
        self.legacy.translator.peer_down(link);
        self.publish(publish::Input::PeerDown(link));
        self.nodes_link_down(link);
        self.beacon_link_lost(link);
        self.membership(membership::Input::PeerDown { link, reason });
        tracing::info!(%link, id = %peer.id, ?reason, "removed peer");
        self.emit(Event::PeerRemoved { link, reason });
        true
    }
}
