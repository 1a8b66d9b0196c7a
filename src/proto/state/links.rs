//! Connections: from dial or accept to peer, and their end.

mod close;
mod dial;
mod fields;
mod handshake;
mod heartbeat;
mod score;
mod twins;
mod unicast;

use super::State;
use crate::proto::{Level, LinkId, NodeId, publish};
pub(super) use dial::{control, is_dialing, own_dials};
pub(super) use fields::{Dial, DialEnd, Link, Member, Peer, Phase, Purpose, Shortcut, Twins};
pub(super) use heartbeat::{DEAD_AFTER, HEARTBEAT_AFTER};

impl State {
    pub(super) fn peer(&self, link: LinkId) -> Option<&Peer> {
        self.links.get(&link)?.peer()
    }

    pub(super) fn peer_mut(&mut self, link: LinkId) -> Option<&mut Peer> {
        self.links.get_mut(&link)?.peer_mut()
    }

    pub(super) fn is_native(&self, link: LinkId) -> bool {
        self.peer(link).is_some_and(|peer| peer.native)
    }

    pub(super) fn peer_link(&self, id: &NodeId) -> Option<LinkId> {
        self.peers()
            .find(|(_, peer)| *peer == id)
            .map(|(link, _)| link)
    }

    pub(super) fn pressure(&mut self, link: LinkId, level: Level) {
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        state.level = level;
        self.publish(publish::Input::Pressure { link, level });
        self.nodes_pressure();
    }
}
