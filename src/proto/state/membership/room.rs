//! Room: which peer a full node closes for which newcomer.
//!
//! A node never closes a peer that has no other: that peer would be outside and make another node
//! close one. So links move from nodes with many peers to nodes with few, until no node has two
//! more than the node that asks. Then the network is stable.

use crate::proto::codec::native;
use crate::proto::state::State;
use crate::proto::state::links::{Dial, Peer, count};
use crate::proto::{CloseHow, Hello, Intent, LinkId, PeerAddress, RemoveReason};

/// A node that accepts at most this many peers is a leaf: it ends the network or extends a chain.
const LEAF: usize = 2;
/// Links that a node reserves for peers with other peers.
const TRUNK: usize = 2;
/// Assumed number of peers of an older node, which does not report it.
const USUAL: u16 = 3;

impl State {
    /// Whether this node is a leaf.
    pub(in crate::proto::state) fn is_leaf(&self) -> bool {
        self.config.max_peers <= LEAF
    }

    /// Whether the sender of `hello` is a leaf.
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

    /// Whether a peer is a leaf.
    pub(super) fn is_leaf_peer(&self, link: LinkId) -> bool {
        let max = self.peer(link).and_then(|peer| peer.max_peers);
        max.is_some_and(|max| usize::from(max) <= LEAF)
    }

    /// Whether a peer is a leaf without room.
    pub(super) fn is_full_leaf(&self, link: LinkId) -> bool {
        let is_full = |peer: &Peer| peer.max_peers.is_some_and(|max| peer.has >= max);
        self.is_leaf_peer(link) && self.peer(link).is_some_and(is_full)
    }

    /// Whether all peers of this node are leaves without room.
    fn has_full_leaves_only(&self) -> bool {
        self.peers.iter().all(|link| self.is_full_leaf(*link))
    }

    /// Whether this node passes on addresses of leaves: only if it and its peers are all leaves.
    /// Elsewhere a leaf is usually full, and its address useless.
    pub(in crate::proto::state) fn tells_of_leaves(&self) -> bool {
        self.is_leaf()
            && self
                .native_peers()
                .iter()
                .all(|link| self.is_leaf_peer(*link))
    }

    /// How many peers of a peer have other peers, and how many peers it has, as far as it reports.
    fn riches_of(&self, link: LinkId) -> (u16, u16) {
        match self.peer(link) {
            Some(peer) if peer.max_peers.is_some() => (peer.ways, peer.has),
            _ => (USUAL, USUAL),
        }
    }

    /// Closes a native peer to make room for a node with `for_one_with` peers.
    pub(in crate::proto::state) fn make_room(&mut self, for_one_with: u16) -> bool {
        self.let_go_of_one_with(for_one_with.saturating_add(2), None)
    }

    /// Makes room for the sender of `hello`, which listens at `instead`.
    pub(in crate::proto::state) fn make_room_for(
        &mut self,
        hello: &Hello,
        instead: Option<&PeerAddress>,
    ) -> bool {
        let native = hello.native.as_ref();
        let has = native.map_or(0, |native| native.place.peers);
        // A peer that leads on is not closed for a leaf. Where leaves hold too many links, one of
        // them has to go.
        let hangers = self.hangers().len();
        let is_trunk = match Self::says_leaf(hello) {
            // Where all are leaves, a leaf may take any place.
            true if self.is_leaf() => false,
            true => hangers >= self.most_hangers(),
            false => hangers > self.most_hangers(),
        };
        let least = match hello.intent() {
            Some(Intent::Rejoin) => 2,
            _ => has.saturating_add(2),
        };
        // A leaf that closes a link cuts its part in two. It keeps the link while another node
        // waits that the sender can join instead.
        let is_spared = self.is_leaf() && self.has_waiting_for(hello);
        !is_trunk && !is_spared && self.let_go_of_one_with(least, instead)
    }

    /// Makes room for a node of another part of the network that this node has dialled.
    pub(in crate::proto::state) fn make_room_for_bridge(&mut self, to: &PeerAddress) -> bool {
        self.displace(to) || self.let_go_of_one_with(2, Some(to))
    }

    /// Most peers without other peers before those that lead on run short of room.
    fn most_hangers(&self) -> usize {
        self.config.max_peers.saturating_sub(TRUNK)
    }

    /// Whether this node has or can make room for a link to another part of the network.
    pub(in crate::proto::state) fn has_room_for_bridge(&self) -> bool {
        !self.is_full() || !self.rich(2).is_empty() || self.has_hangers_to_spare()
    }

    /// The native peers with at least `least` peers that also lead on to others.
    fn rich(&self, least: u16) -> Vec<LinkId> {
        // A node must not close its only peer for a node without any.
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

    /// Closes a peer with a goodbye, keeps its address, and tells it about `instead`.
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
                // Two full leaves that become peers each close one peer. The two closed nodes can
                // join each other.
                self.note_waiting(&who, Vec::new(), true);
            }
            self.meet(who);
        }
    }

    /// The native peers that have no peer besides this node.
    fn hangers(&self) -> Vec<LinkId> {
        let mut peers = self.native_peers();
        peers.retain(|link| self.riches_of(*link).0 <= 1);
        peers
    }

    fn has_hangers_to_spare(&self) -> bool {
        self.hangers().len() > self.most_hangers()
    }

    /// Closes a peer without other peers for a node that accepts dials and has room, which the
    /// closed peer can join. Otherwise a node with only leaves as peers would be closed to all
    /// others.
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

    /// Names nodes that the refused sender of `hello` should ask instead, waiting nodes first;
    /// returns how many of them wait.
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

    /// Dials a node that needs room if only a peer without other peers could give it: the dial
    /// tests that others can reach the node. [`State::displace`] follows when it answers.
    fn try_displacing(&mut self, hello: &Hello, who: &PeerAddress) {
        let intent = match hello.intent() {
            Some(intent @ (Intent::Urgent | Intent::Rejoin)) => intent,
            // This node has no other node to name.
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
