//! Room: which peer a full node closes for which newcomer.
//!
//! A node never closes a peer that has no other: that peer would be outside and make another node
//! close one. So links move from nodes with many peers to nodes with few, until no node has two
//! more than the node that asks. Then the network is stable.

use super::context::Context;
use super::event::{Dial, Output};
use super::peer::{LEAF, Peer};
use super::state::{State, count, is_leaf};
use crate::proto::codec::native;
use crate::proto::{Config, Hello, Intent, LinkId, PeerAddress};

/// Links that a node reserves for peers with other peers.
const TRUNK: usize = 2;

impl Hello {
    /// Whether the sender is a leaf.
    pub(in crate::proto) fn is_leaf(&self) -> bool {
        let native = self.native.as_ref();
        let max = native.and_then(|native| native.place.max_peers);
        max.is_some_and(|max| usize::from(max) <= LEAF)
    }

    /// Whether the sender has room for a peer.
    pub(super) fn has_room(&self) -> bool {
        let place = self.native.as_ref().map(|native| &native.place);
        place.is_some_and(|place| place.max_peers.is_some_and(|max| place.peers < max))
    }
}

impl State {
    /// Makes room for the sender of `hello`, which listens at `instead`; returns whether there is
    /// room now.
    pub(in crate::proto) fn make_room_for(
        &mut self,
        hello: &Hello,
        instead: Option<&PeerAddress>,
        context: &mut Context<'_>,
    ) -> bool {
        let native = hello.native.as_ref();
        let has = native.map_or(0, |native| native.place.peers);
        // A peer that leads on is not closed for a leaf. Where dependents hold too many links, one
        // of them has to go.
        let dependents = self.dependents().count();
        let most = max_dependents(context.config);
        let is_trunk = match hello.is_leaf() {
            // Where all are leaves, a leaf may take any place.
            true if is_leaf(context.config) => false,
            true => dependents >= most,
            false => dependents > most,
        };
        let least = match hello.intent() {
            Some(Intent::Rejoin) => 2,
            _ => has.saturating_add(2),
        };
        // A leaf that closes a link cuts its part in two. It keeps the link while another node
        // waits that the sender can join instead.
        let is_spared = is_leaf(context.config) && self.has_waiting_for(hello, context.now);
        !is_trunk && !is_spared && self.close_one_with(least, instead, context)
    }

    /// Makes room for a node of another part of the network that this node has dialled.
    pub(in crate::proto) fn make_room_for_bridge(
        &mut self,
        to: &PeerAddress,
        context: &mut Context<'_>,
    ) -> bool {
        self.displace(to, context) || self.close_one_with(2, Some(to), context)
    }

    /// Whether this node has or can make room for a link to another part of the network.
    pub(in crate::proto) fn has_room_for_bridge(&self, config: &Config) -> bool {
        !self.is_full(config)
            || !self.closable(2).is_empty()
            || self.has_dependents_to_spare(config)
    }

    /// Closes a peer without other peers for a node that accepts dials and has room, which the
    /// closed peer can join. Otherwise a node with only leaves as peers would be closed to all
    /// others.
    pub(in crate::proto) fn displace(
        &mut self,
        newcomer: &PeerAddress,
        context: &mut Context<'_>,
    ) -> bool {
        if !self.has_dependents_to_spare(context.config) || !self.room.take(context.now) {
            return false;
        }
        let dependents: Vec<LinkId> = self.dependents().map(|peer| peer.link).collect();
        let Some(link) = context.one_of(&dependents) else {
            return false;
        };
        self.close(link, Some(newcomer), context);
        true
    }

    /// Names nodes that the refused sender of `hello` should ask instead, waiting nodes first;
    /// returns how many of them wait.
    pub(in crate::proto) fn alternatives(
        &mut self,
        hello: &Hello,
        who: Option<&PeerAddress>,
        context: &mut Context<'_>,
    ) -> (u32, Vec<PeerAddress>) {
        let mut contacts = self.name_waiting(hello, context.now);
        let waiting = u32::from(count(contacts.len()));
        contacts.append(&mut self.sample(Some(&hello.id), context));
        let Some(who) = who else {
            return (waiting, contacts);
        };
        self.note_refused(hello, who, context.now);
        let enters = hello.intent() == Some(Intent::Join)
            && (!hello.is_leaf() || self.tells_of_leaves(context.config));
        let bridges = hello.intent() == Some(Intent::Rejoin) && hello.has_room();
        if enters || bridges {
            self.send_walks(who, None, false, context);
        }
        if enters {
            self.meet(who.clone(), context);
        }
        self.try_displacing(hello, who, context);
        (waiting, contacts)
    }

    /// Closes a native peer to make room for a node with `for_one_with` peers.
    pub(super) fn make_room(&mut self, for_one_with: u16, context: &mut Context<'_>) -> bool {
        self.close_one_with(for_one_with.saturating_add(2), None, context)
    }

    /// Whether this node passes on addresses of leaves: only if it and its peers are all leaves.
    /// Elsewhere a leaf is usually full, and its address useless.
    pub(super) fn tells_of_leaves(&self, config: &Config) -> bool {
        is_leaf(config) && self.native_peers().all(Peer::is_leaf)
    }

    /// Dials a node that needs room if only a peer without other peers could give it: the dial
    /// tests that others can reach the node. [`State::displace`] follows when it answers.
    fn try_displacing(&mut self, hello: &Hello, who: &PeerAddress, context: &mut Context<'_>) {
        let intent = match hello.intent() {
            Some(intent @ (Intent::Urgent | Intent::Rejoin)) => intent,
            // This node has no other node to name.
            Some(Intent::Join) if self.peers.iter().all(Peer::is_full_leaf) => Intent::Urgent,
            _ => return,
        };
        if hello.is_leaf()
            || !self.is_full(context.config)
            || !self.has_dependents_to_spare(context.config)
            || context.is_dialing(who)
            || !self.may_dial_for(who, context)
        {
            return;
        }
        context.out.push(Output::Dial(Dial {
            who: who.clone(),
            intent,
            displaces: true,
        }));
    }

    /// Closes a random native peer with at least `least` peers that also leads on to others.
    fn close_one_with(
        &mut self,
        least: u16,
        instead: Option<&PeerAddress>,
        context: &mut Context<'_>,
    ) -> bool {
        let Some(link) = context.one_of(&self.closable(least)) else {
            return false;
        };
        if !self.room.take(context.now) {
            return false;
        }
        self.close(link, instead, context);
        true
    }

    /// Closes a peer with a goodbye, keeps its address, and tells it about `instead`.
    fn close(&mut self, link: LinkId, instead: Option<&PeerAddress>, context: &mut Context<'_>) {
        tracing::debug!(%link, "making room");
        if let Some(who) = instead {
            context.send(link, native::contacts(0, std::slice::from_ref(who)));
        }
        context.send(link, native::goodbye(true));
        context.out.push(Output::Close(link));
        let who = self.peer_gone(link).and_then(|peer| peer.contact);
        let Some(who) = who else { return };
        if is_leaf(context.config) {
            // Two full leaves that become peers each close one peer. The two closed nodes can join
            // each other.
            self.note_waiting(&who, Vec::new(), true, context.now);
        }
        self.meet(who, context);
    }

    /// The native peers with at least `least` peers that also lead on to others.
    fn closable(&self, least: u16) -> Vec<LinkId> {
        // A node must not close its only peer for a node without any.
        if self.peers.len() < 2 {
            return Vec::new();
        }
        let peers = self.native_peers();
        let peers = peers.filter(|peer| peer.peers_that_lead_on() >= 2 && peer.peers() >= least);
        peers.map(|peer| peer.link).collect()
    }

    /// The native peers that depend on this node: no other peer of theirs leads on.
    fn dependents(&self) -> impl Iterator<Item = &Peer> {
        self.native_peers()
            .filter(|peer| peer.peers_that_lead_on() <= 1)
    }

    fn has_dependents_to_spare(&self, config: &Config) -> bool {
        self.dependents().count() > max_dependents(config)
    }
}

/// Most dependents before the peers that lead on run short of room.
fn max_dependents(config: &Config) -> usize {
    config.max_peers.saturating_sub(TRUNK)
}
