//! Identity: nodes of another network, and twins: two nodes with the same id or address.

use std::net::SocketAddr;

use super::fields::{Dial, Link, Peer, Phase};
use super::handshake::contact;
use crate::proto::codec::native;
use crate::proto::state::State;
use crate::proto::state::seeds::EntryOutcome;
use crate::proto::{CloseHow, Event, Hello, Intent, LinkId, NodeId, RemoveReason, Why, membership};

impl State {
    /// Why this node cannot accept the sender of `hello` as a peer.
    pub(in crate::proto::state) fn objection_to(&self, hello: &Hello) -> Option<Why> {
        let native = hello.native.as_ref();
        let network = native.and_then(|native| native.place.network.as_ref());
        if network != self.config.network.as_ref() {
            return Some(Why::Network);
        }
        self.is_twin(hello).then_some(Why::Id)
    }

    /// Why the sender of `hello` cannot accept this node.
    pub(super) fn objection_of(&self, hello: &Hello) -> Option<Why> {
        let why = hello.native.as_ref()?.place.why;
        why.filter(|why| {
            matches!(why, Why::Network | Why::Id) && hello.intent() == Some(Intent::Refuse)
        })
    }

    /// Whether the sender of `hello` is another node with this node's id.
    fn is_twin(&self, hello: &Hello) -> bool {
        let epoch = hello.native.as_ref().map(|native| native.epoch);
        hello.id == self.me && epoch.is_none_or(|epoch| epoch != self.publish.origin().epoch)
    }

    /// Whether a peer at another address has the id of the sender of `hello`, in another epoch.
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
            tracing::warn!(id = %hello.id, at = %who.socket(), "two nodes claim one id");
        }
        is_taken
    }

    /// Refuses a node that has connected.
    pub(super) fn object(&mut self, link: LinkId, hello: &Hello, why: Why) {
        self.tell_objection(link, hello, why);
        if hello.native.is_some() && self.config.native {
            self.refuse(link, hello, Some(why));
        }
        self.forget_link(link, CloseHow::Flush);
    }

    /// A dialled node cannot be a peer.
    pub(super) fn objected(&mut self, link: LinkId, dial: &Dial, hello: &Hello, why: Why) {
        self.tell_objection(link, hello, why);
        let code = match why {
            Why::Network => "NETWORK",
            _ => "ID",
        };
        match self.links.get_mut(&link) {
            // The refusal names the node that has this node's id.
            Some(state) if why == Why::Id && hello.id != self.me => {
                state.phase = Phase::Refused(false);
            }
            _ => self.forget_link(link, CloseHow::Flush),
        }
        self.dialed(dial.request, Err(code));
        if let Some(id) = &dial.expected {
            self.membership(membership::Input::Useless(id.clone()));
        }
        if let Some(seed) = dial.seed {
            self.note_entry_outcome(seed, EntryOutcome::from_code(code));
        }
        self.admit_held();
    }

    /// Closes a link whose handshake has an invalid id. An unanswered node would believe that it
    /// has a peer.
    pub(super) fn turn_away_nameless(&mut self, link: LinkId) {
        let Some(remote) = self.links.get(&link).and_then(|state| state.remote) else {
            return;
        };
        if self.peer(link).is_some() {
            return;
        }
        if self.twins.told.take(self.now) {
            tracing::warn!(%remote, "refused a node: its id is not a string, too long or empty");
            self.emit(Event::Refused {
                remote,
                reason: Why::Id.name(),
            });
        }
        let (how, reason) = (CloseHow::Flush, RemoveReason::Local);
        self.end_link(link, how, reason, "ID");
    }

    /// Closes a link to a seed that sends data that is not a message.
    pub(super) fn heard_nonsense(&mut self, link: LinkId) {
        let leads_to_seed = |state: &Link| {
            let has_seed = |dial: &Dial| dial.seed.is_some();
            matches!(state.phase, Phase::Courier(Some(_))) || state.dial().is_some_and(has_seed)
        };
        if self.links.get(&link).is_some_and(leads_to_seed) {
            self.end_link(link, CloseHow::Abort, RemoveReason::Local, "EPROTO");
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

    /// Reports a sender of `hello` that claims this node's address; returns the peer that has the
    /// sender's address, if any.
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
        tracing::warn!(%other, id = %who.id, at = %who.socket(), "two nodes claim one address");
        Some(other)
    }

    /// Names two nodes with the same address to each other: at least one of them can dial the other
    /// there.
    pub(super) fn introduce_twins(&mut self, one: LinkId, other: LinkId) {
        for (link, twin) in [(one, other), (other, one)] {
            let who = self.peer(twin).and_then(Peer::contact);
            if let Some(who) = who.filter(|_| self.is_native(link)) {
                self.send(link, native::contacts(0, &[who]));
            }
        }
    }

    /// Reports another node that answers at this node's address.
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
        tracing::warn!(%id, %remote, "another node claims this node's address");
        let (what, id) = (Why::Address, id.clone());
        self.emit(Event::Conflict { what, id, remote });
    }
}

fn place_of(hello: &Hello, remote: SocketAddr) -> SocketAddr {
    contact(hello, Some(remote)).map_or(remote, |who| who.socket())
}
