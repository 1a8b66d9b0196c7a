//! Identity: nodes of another network, and two nodes with one id or one address.

use std::net::SocketAddr;

use super::fields::Dial;
use super::fields::{Link, Phase};
use super::handshake::contact;
use crate::proto::codec::native;
use crate::proto::state::State;
use crate::proto::state::seeds::Came;
use crate::proto::{
    CloseHow, Event, Hello, Intent, LinkId, NodeId, PeerAddress, RemoveReason, Why,
};

impl State {
    /// Why the sender of `hello` can be no peer of this node.
    pub(super) fn objection_to(&self, hello: &Hello) -> Option<Why> {
        let native = hello.native.as_ref();
        let network = native.and_then(|native| native.place.network.as_ref());
        if network != self.config.network.as_ref() {
            return Some(Why::Network);
        }
        self.is_twin(hello).then_some(Why::Id)
    }

    /// Why its sender says that we can be no peer of it.
    pub(super) fn objection_of(&self, hello: &Hello) -> Option<Why> {
        let why = hello.native.as_ref()?.place.why;
        why.filter(|why| {
            matches!(why, Why::Network | Why::Id) && hello.intent() == Some(Intent::Refuse)
        })
    }

    /// Whether `hello` is another node's that has our id.
    fn is_twin(&self, hello: &Hello) -> bool {
        let epoch = hello.native.as_ref().map(|native| native.epoch);
        hello.id == self.me && epoch.is_none_or(|epoch| epoch != self.publish.origin().epoch)
    }

    /// Whether a peer that is alive, and somewhere else, has the id of the sender of `hello`.
    pub(super) fn is_taken(&self, hello: &Hello, link: LinkId) -> bool {
        let remote = self.links.get(&link).and_then(|state| state.remote);
        let (Some(native), Some(who)) = (&hello.native, contact(hello, remote)) else {
            return false;
        };
        let other = self.peer_link(&hello.id).and_then(|other| self.peer(other));
        let is_taken = other.is_some_and(|other| {
            let has_moved = other.listens.is_some_and(|listens| listens != who.socket());
            has_moved && other.epoch.is_some_and(|epoch| epoch != native.epoch)
        });
        if is_taken {
            tracing::warn!(id = %hello.id, at = %who.socket(), "two nodes have one id");
        }
        is_taken
    }

    /// Turns away a node that has connected.
    pub(super) fn object(&mut self, link: LinkId, hello: &Hello, why: Why) {
        self.tell_objection(link, hello, why);
        if hello.native.is_some() && self.config.native {
            self.refuse(link, hello, Some(why));
        }
        self.forget_link(link, CloseHow::Flush);
    }

    /// The node that we have dialled can be no peer.
    pub(super) fn objected(&mut self, link: LinkId, dial: &Dial, hello: &Hello, why: Why) {
        self.tell_objection(link, hello, why);
        let code = match why {
            Why::Network => "NETWORK",
            _ => "ID",
        };
        match self.links.get_mut(&link) {
            // It tells which node has our id.
            Some(state) if why == Why::Id && hello.id != self.me => {
                state.phase = Phase::Refused(false);
            }
            _ => self.forget_link(link, CloseHow::Flush),
        }
        self.dialed(dial.request, Err(code));
        if let Some(id) = &dial.expected {
            self.forget_known(id);
        }
        if let Some(seed) = dial.seed {
            self.seed_came_to(seed, Came::of(code));
        }
        self.admit_held();
    }

    /// A node whose id none can have: it would wait for an answer, and think that it has a peer.
    pub(super) fn turn_away_nameless(&mut self, link: LinkId) {
        let Some(remote) = self.links.get(&link).and_then(|state| state.remote) else {
            return;
        };
        if self.peer(link).is_some() {
            return;
        }
        if self.twins.told.take(self.now) {
            tracing::warn!(%remote, "refused a node: its id is no text, or too long, or empty");
            self.emit(Event::Refused {
                remote,
                reason: Why::Id.name(),
            });
        }
        let (how, reason) = (CloseHow::Flush, RemoveReason::Local);
        self.end_link(link, how, reason, "ID");
    }

    /// A seed sends something that is no message at all.
    pub(super) fn heard_nonsense(&mut self, link: LinkId) {
        let dial = self.links.get(&link).and_then(Link::dial);
        if let Some(seed) = dial.and_then(|dial| dial.seed) {
            self.seed_came_to(seed, Came::of("EPROTO"));
            let (how, reason) = (CloseHow::Abort, RemoveReason::Local);
            self.end_link(link, how, reason, "EPROTO");
        }
    }

    fn tell_objection(&mut self, link: LinkId, hello: &Hello, why: Why) {
        let Some(remote) = self.links.get(&link).and_then(|state| state.remote) else {
            return;
        };
        if !self.twins.told.take(self.now) {
            return;
        }
        tracing::warn!(%remote, id = %hello.id, reason = why.name(), "refused a node");
        let reason = why.name();
        self.emit(Event::Refused { remote, reason });
        if why == Why::Id && hello.id == self.me {
            self.emit(Event::Conflict {
                what: why,
                id: hello.id.clone(),
                remote: place_of(hello, remote),
            });
        }
    }

    /// Tells if the sender of `hello` says that it listens where we do; the peer that listens where
    /// it does, if there is one.
    pub(super) fn look_for_twin(
        &mut self,
        hello: &Hello,
        remote: Option<SocketAddr>,
    ) -> Option<LinkId> {
        let who = contact(hello, remote)?;
        if who.id == self.me {
            return None;
        }
        if Some(who.socket()) == self.own_address().map(|own| own.socket()) {
            self.tell_twin(&who.id, remote?);
            return None;
        }
        let is_taken = |link: &LinkId| {
            let Some(state) = self.links.get(link) else {
                return false;
            };
            let peer = state.peer();
            peer.is_some_and(|peer| peer.listens == Some(who.socket()) && peer.id != who.id)
        };
        let other = self.peers.iter().copied().find(is_taken)?;
        tracing::warn!(%other, id = %who.id, at = %who.socket(), "two nodes give one address");
        Some(other)
    }

    /// Tells two nodes that give one address of each other: one of them at least can dial the other
    /// there.
    pub(super) fn introduce_twins(&mut self, one: LinkId, other: LinkId) {
        for (link, twin) in [(one, other), (other, one)] {
            if let Some(who) = self.peer_contact(twin).filter(|_| self.is_native(link)) {
                self.send(link, native::contacts(0, &[who]));
            }
        }
    }

    /// Whether the node that answers at our own address is another one.
    pub(super) fn look_for_twin_behind(&mut self, dial: &Dial, hello: &Hello) {
        let own = self.own_address().map(|own| own.socket());
        let is_own = own.is_some_and(|own| dial.target == own.into());
        if let Some(own) = own.filter(|_| is_own && hello.id != self.me) {
            self.tell_twin(&hello.id, own);
        }
    }

    fn tell_twin(&mut self, id: &NodeId, remote: SocketAddr) {
        if !self.twins.told.take(self.now) {
            return;
        }
        tracing::warn!(%id, %remote, "another node says that it listens at this node's address");
        let (what, id) = (Why::Address, id.clone());
        self.emit(Event::Conflict { what, id, remote });
    }

    /// Others know a node that has our id or our address, but not both: dials it to find out,
    /// unless it was this node itself in an earlier life.
    pub(in crate::proto::state) fn suspect_twin(&mut self, who: &PeerAddress) {
        let Some(own) = self.own_contact() else {
            return;
        };
        let is_twin = (who.id == self.me) != (who.socket() == own.socket());
        if !is_twin || !self.config.allows(who.address) || !self.twins.checks.take(self.now) {
            return;
        }
        self.dial_peer(Dial::to_node(who, Intent::Check));
    }
}

fn place_of(hello: &Hello, remote: SocketAddr) -> SocketAddr {
    contact(hello, Some(remote)).map_or(remote, |who| who.socket())
}
