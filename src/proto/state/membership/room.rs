//! Room: whose link is given up for whose.
//!
//! Nobody gives up a peer that has no other: it would be outside, and would make somebody else give
//! one up. So links move from nodes that have many to nodes that have few, until none has two more
//! than the one that asks, and then the network is at rest.

use crate::proto::codec::native;
use crate::proto::state::State;
use crate::proto::state::links::{Dial, Peer, count};
use crate::proto::{CloseHow, Hello, Intent, LinkId, PeerAddress, RemoveReason};

/// A node that accepts no more peers than this leads nowhere, or only on: it is a leaf.
const LEAF: usize = 2;
/// Links that a node keeps for nodes that are no leaves, as far as others need them.
const TRUNK: usize = 2;
/// How many peers an older node is taken to have, which does not say it.
const USUAL: u16 = 3;

impl State {
    /// Whether this node accepts only a few peers.
    pub(in crate::proto::state) fn is_leaf(&self) -> bool {
        self.config.max_peers <= LEAF
    }

    /// Whether the sender of `hello` does.
    pub(in crate::proto::state) fn says_leaf(hello: &Hello) -> bool {
        let native = hello.native.as_ref();
        let max = native.and_then(|native| native.place.max_peers);
        max.is_some_and(|max| usize::from(max) <= LEAF)
    }

    /// Whether the sender of `hello` has room for a peer.
    pub(super) fn says_room(hello: &Hello) -> bool {
        let place = hello.native.as_ref().map(|native| &native.place);
        place.is_some_and(|place| place.max_peers.is_some_and(|max| place.peers < max))
    }

    /// Whether a peer accepts only a few peers.
    pub(super) fn is_leaf_peer(&self, link: LinkId) -> bool {
        let max = self.peer(link).and_then(|peer| peer.max_peers);
        max.is_some_and(|max| usize::from(max) <= LEAF)
    }

    /// The same, and it has as many as it accepts.
    pub(super) fn is_full_leaf(&self, link: LinkId) -> bool {
        let is_full = |peer: &Peer| peer.max_peers.is_some_and(|max| peer.has >= max);
        self.is_leaf_peer(link) && self.peer(link).is_some_and(is_full)
    }

    /// Whether all its peers are leaves without room.
    fn has_full_leaves_only(&self) -> bool {
        self.peers.iter().all(|link| self.is_full_leaf(*link))
    }

    /// Whether addresses of leaves are of use to this node and its peers: only where there is nobody
    /// else. All that others could do with them is to find them full.
    pub(in crate::proto::state) fn tells_of_leaves(&self) -> bool {
        self.is_leaf()
            && self
                .native_peers()
                .iter()
                .all(|link| self.is_leaf_peer(*link))
    }

    /// How many of that one's peers have others, and how many peers it has, as far as it has said.
    fn riches_of(&self, link: LinkId) -> (u16, u16) {
        match self.peer(link) {
            Some(peer) if peer.max_peers.is_some() => (peer.ways, peer.has),
            _ => (USUAL, USUAL),
        }
    }

    /// Lets a native peer go for the sake of a node that has only so many peers.
    pub(in crate::proto::state) fn make_room(&mut self, for_one_with: u16) -> bool {
        self.let_go_of_one_with(for_one_with.saturating_add(2), None)
    }

    /// The same for the sender of `hello`, which listens at `instead`.
    pub(in crate::proto::state) fn make_room_for(
        &mut self,
        hello: &Hello,
        instead: Option<&PeerAddress>,
    ) -> bool {
        let native = hello.native.as_ref();
        let has = native.map_or(0, |native| native.place.peers);
        // What holds the network together is not given up for one that leads nowhere; and where leaves
        // have taken that place, one of them has to go.
        let hangers = self.hangers().len();
        let is_trunk = match Self::says_leaf(hello) {
            // Among leaves there is nobody else.
            true if self.is_leaf() => false,
            true => hangers >= self.most_hangers(),
            false => hangers > self.most_hangers(),
        };
        let least = match hello.intent() {
            Some(Intent::Rejoin) => 2,
            _ => has.saturating_add(2),
        };
        // A leaf that gives up a link cuts its part in two. Nobody else need be cut off where
        // another node waits.
        let is_spared = self.is_leaf() && self.has_waiting_for(hello);
        !is_trunk && !is_spared && self.let_go_of_one_with(least, instead)
    }

    /// Makes room for a node of another part of the network that we have dialled.
    pub(in crate::proto::state) fn make_room_for_bridge(&mut self, to: &PeerAddress) -> bool {
        self.displace(to) || self.let_go_of_one_with(2, Some(to))
    }

    /// How many peers may have no other before those that have are short of room.
    fn most_hangers(&self) -> usize {
        self.config.max_peers.saturating_sub(TRUNK)
    }

    /// Whether there would be room for a link to another part of the network.
    pub(in crate::proto::state) fn has_room_for_bridge(&self) -> bool {
        !self.is_full() || !self.rich(2).is_empty() || self.has_hangers_to_spare()
    }

    /// The native peers that have at least so many peers, and others to lead on.
    fn rich(&self, least: u16) -> Vec<LinkId> {
        // Whoever has one peer only must not leave it to become the peer of one that has none.
        if self.peers.len() < 2 {
            return Vec::new();
        }
        let mut peers = self.native_peers();
        peers.retain(|link| {
            let (ways, has) = self.riches_of(*link);
            ways >= 2 && has >= least
        });
        peers
    }

    fn let_go_of_one_with(&mut self, least: u16, instead: Option<&PeerAddress>) -> bool {
        let candidates = self.rich(least);
        let Some(link) = candidates.get(self.rng.usize(..candidates.len().max(1))) else {
            return false;
        };
        if !self.membership.room.take(self.now) {
            return false;
        }
        self.let_go(*link, instead);
        true
    }

    /// Says goodbye to a peer, which may come back, and tells it of `instead`.
    fn let_go(&mut self, link: LinkId, instead: Option<&PeerAddress>) {
        tracing::debug!(%link, "making room");
        if let Some(who) = instead {
            self.send(link, native::contacts(0, std::slice::from_ref(who)));
        }
        self.say_goodbye(link, true);
        let who = self.peer_contact(link);
        self.end_link(link, CloseHow::Flush, RemoveReason::Local, "ROOM");
        if let Some(who) = who {
            if self.is_leaf() {
                // Two leaves that join each other leave two others behind, which can do the same.
                self.note_waiting(&who, Vec::new(), true);
            }
            self.meet(who);
        }
    }

    /// The native peers that nothing but we leads on from.
    fn hangers(&self) -> Vec<LinkId> {
        let mut peers = self.native_peers();
        peers.retain(|link| self.riches_of(*link).0 <= 1);
        peers
    }

    fn has_hangers_to_spare(&self) -> bool {
        self.hangers().len() > self.most_hangers()
    }

    /// Gives the place of a peer that has no other to a node that can be dialled and has room itself,
    /// for that peer as well. Otherwise a node that nothing but leaves hang on would be closed to all.
    pub(in crate::proto::state) fn displace(&mut self, newcomer: &PeerAddress) -> bool {
        if !self.has_hangers_to_spare() || !self.membership.room.take(self.now) {
            return false;
        }
        let hangers = self.hangers();
        let Some(link) = hangers.get(self.rng.usize(..hangers.len().max(1))) else {
            return false;
        };
        self.let_go(*link, Some(newcomer));
        true
    }

    /// Whom else the sender of `hello` should ask, which is refused: first those that wait as it does;
    /// how many these are.
    pub(in crate::proto::state) fn alternatives(
        &mut self,
        hello: &Hello,
        who: Option<&PeerAddress>,
    ) -> (u32, Vec<PeerAddress>) {
        let mut contacts = self.name_waiting(hello);
        let waiting = u32::from(count(contacts.len()));
        contacts.append(&mut self.sample(Some(&hello.id)));
        let Some(who) = who else {
            return (waiting, contacts);
        };
        self.note_refused(hello, who);
        let enters = hello.intent() == Some(Intent::Join)
            && (!Self::says_leaf(hello) || self.tells_of_leaves());
        let bridges = hello.intent() == Some(Intent::Rejoin) && Self::says_room(hello);
        if enters || bridges {
            self.send_walks(who, None, false);
        }
        if enters {
            self.meet(who.clone());
        }
        self.try_displacing(hello, who);
        (waiting, contacts)
    }

    /// A node presses for room and there is none but a hanger's: dials it, to see whether others
    /// could, too. [`State::displace`] follows when it answers.
    fn try_displacing(&mut self, hello: &Hello, who: &PeerAddress) {
        let intent = match hello.intent() {
            Some(intent @ (Intent::Urgent | Intent::Rejoin)) => intent,
            // There is nobody to tell it of.
            Some(Intent::Join) if self.has_full_leaves_only() => Intent::Urgent,
            _ => return,
        };
        if Self::says_leaf(hello)
            || !self.is_full()
            || !self.has_hangers_to_spare()
            || self.is_dialing(who)
            || !self.may_dial_for(who)
        {
            return;
        }
        let mut dial = Dial::to_node(who, intent);
        dial.displaces = true;
        self.dial_peer(dial);
    }
}
