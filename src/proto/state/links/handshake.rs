//! Handshakes: which node becomes a peer, and which dial wins when two nodes dial each other.

use std::net::{IpAddr, SocketAddr};

use super::dial::control;
use super::fields::{Dial, Link, Peer, Phase, Window};
use crate::proto::codec::native;
use crate::proto::legacy::line;
use crate::proto::membership::count;
use crate::proto::state::State;
use crate::proto::state::beacons::Part;
use crate::proto::{
    CloseHow, Config, Event, Hello, HelloNative, Intent, LinkId, NodeId, Output, PeerAddress,
    Place, RemoveReason, Target, Timer, Why, membership, publish,
};

impl State {
    pub(in crate::proto::state) fn accepted(&mut self, link: LinkId, remote: SocketAddr) {
        tracing::debug!(%link, %remote, "incoming connection");
        self.links
            .insert(link, Link::new(Some(remote), Phase::Unconnected, self.now));
        self.set_timer(Timer::Handshake(link), self.config.handshake_timeout);
    }

    pub(in crate::proto::state) fn on_handshake(&mut self, link: LinkId, hello: Hello) {
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        if !matches!(state.phase, Phase::Unconnected) {
            return self.blame(link, -10, "a handshake out of turn");
        }
        let remote = state.remote;
        if let Some(why) = self.objection_to(&hello) {
            return self.object(link, &hello, why);
        }
        if self.is_for_shortcut(&hello) {
            return self.answer_shortcut(link, &hello);
        }
        let twin = self.look_for_twin(&hello, remote);
        self.answer_handshake(link, hello, remote);
        if let Some(twin) = twin {
            self.introduce_twins(link, twin);
        }
    }

    fn answer_handshake(&mut self, link: LinkId, hello: Hello, remote: Option<SocketAddr>) {
        if self.config.native && hello.intent().is_some_and(Intent::only_asks) {
            // Probes and checks get an answer even while both nodes dial each other.
            let _ = self.admit(link, hello);
            return;
        }
        match self.rival_dial(&hello, remote) {
            // Two native nodes that dial each other need no negotiation: the dial of the lower id
            // wins.
            Some(rival) if hello.native.is_some() && self.config.native && hello.id < self.me => {
                let request = self
                    .links
                    .get(&rival)
                    .and_then(Link::dial)
                    .and_then(|d| d.request);
                self.forget_link(rival, CloseHow::Abort);
                let outcome = self.admit(link, hello);
                self.dialed(request, outcome);
                self.admit_held();
            }
            Some(rival) => {
                tracing::debug!(%link, %rival, id = %hello.id, "holding a handshake during a dial");
                if let Some(state) = self.links.get_mut(&link) {
                    state.phase = Phase::Held(hello);
                }
            }
            None => {
                let _ = self.admit(link, hello);
            }
        }
    }

    pub(in crate::proto::state) fn on_ack(&mut self, link: LinkId, hello: Hello) {
        let Some(state) = self.links.get(&link) else {
            return;
        };
        if let Phase::AwaitingShortcut(member) = &state.phase {
            let member = member.clone();
            return self.on_shortcut_ack(link, member, &hello);
        }
        let Phase::AwaitingAck(dial) = &state.phase else {
            return self.blame(link, -10, "an ack out of turn");
        };
        let dial = dial.clone();
        if let Some(why) = self.objection_to(&hello).or(self.objection_of(&hello)) {
            return self.objected(link, &dial, &hello, why);
        }
        self.look_for_twin_behind(&dial, &hello);
        let is_refused = self.config.native && hello.intent() == Some(Intent::Refuse);
        if let Some(seed) = dial.seed.filter(|_| hello.id != self.me) {
            let remote = self.links.get(&link).and_then(|state| state.remote);
            let who = contact(&hello, remote);
            self.seed_is(seed, &hello, who.as_ref(), (dial.intent, !is_refused));
        }
        match is_refused {
            true => self.on_refusal(link, &dial, &hello),
            false => self.on_acceptance(link, &dial, hello),
        }
    }

    fn on_refusal(&mut self, link: LinkId, dial: &Dial, hello: &Hello) {
        tracing::debug!(%link, id = %hello.id, "refused");
        let is_other = self.part_of(hello) == Part::Other;
        // Dial the nodes that a seed names, but not the nodes that those name.
        let is_seed = dial.seed.is_some() && !self.peers.is_empty();
        let bridges = dial.intent == Intent::Rejoin && is_other && is_seed;
        if let Some(state) = self.links.get_mut(&link) {
            state.phase = Phase::Refused(bridges);
        }
        let code = if hello.id == self.me {
            if let Some(seed) = dial.seed {
                self.dialed_itself(seed);
            }
            "SELF"
        } else {
            "REFUSED"
        };
        if hello.is_leaf() {
            self.membership(membership::Input::Useless(hello.id.clone()));
        }
        self.admit_held();
        self.dialed(dial.request, self.peer_link(&hello.id).ok_or(code));
    }

    fn on_acceptance(&mut self, link: LinkId, dial: &Dial, hello: Hello) {
        if let Some(stale) = self.stale_link(link, &hello) {
            tracing::debug!(%link, %stale, id = %hello.id, "closing the older link of a peer");
            self.end_link(stale, CloseHow::Flush, RemoveReason::Remote, "CLOSED");
        }
        let mut verdict = self.may_add(&hello.id);
        if verdict == Err("FULL") && self.makes_way(link, dial, &hello) {
            verdict = Ok(());
        }
        if let Err(code) = verdict {
            tracing::debug!(%link, id = %hello.id, code, "handshake ack refused");
            self.say_goodbye_to(link, hello.native.is_some(), true);
            self.forget_link(link, CloseHow::Flush);
            let existing = self.peer_link(&hello.id);
            self.dialed(dial.request, existing.ok_or(code));
            return self.admit_held();
        }
        self.add(link, hello);
        self.dialed(dial.request, Ok(link));
    }

    /// The earlier link to a legacy peer that has accepted a dial on `link`. A legacy node accepts
    /// only nodes without a link to it, so it will close the earlier link when the ack arrives
    /// there.
    fn stale_link(&self, link: LinkId, hello: &Hello) -> Option<LinkId> {
        if !self.config.native || hello.native.is_some() {
            return None;
        }
        let host = |link| Some(self.links.get(&link)?.remote?.ip());
        let stale = self.peer_link(&hello.id)?;
        (!self.is_native(stale) && host(stale) == host(link)).then_some(stale)
    }

    /// Closes a peer, if allowed, for a dialled node that accepts this one.
    fn makes_way(&mut self, link: LinkId, dial: &Dial, hello: &Hello) -> bool {
        if dial.intent != Intent::Rejoin && !dial.displaces {
            return false;
        }
        let remote = self.links.get(&link).and_then(|state| state.remote);
        let Some(who) = contact(hello, remote) else {
            return false;
        };
        match dial.intent {
            Intent::Rejoin => self.make_room_for_bridge(&who),
            _ => self.displace(&who),
        }
    }

    pub(in crate::proto::state) fn on_handshake_timeout(&mut self, link: LinkId) {
        if self.links.get(&link).is_some_and(|l| l.peer().is_none()) {
            self.counters.handshake_timeouts += 1;
            tracing::debug!(%link, "no handshake in time");
            self.out.push(Output::Close {
                link,
                how: CloseHow::Abort,
            });
            self.drop_link(link, "TIMEOUT");
        }
    }

    /// A dial has ended: answers the held handshakes that no other dial holds back.
    pub(super) fn admit_held(&mut self) {
        if !self.running {
            return;
        }
        let is_decided = |hello: &Hello, remote| self.rival_dial(hello, remote).is_none();
        for link in self.held(is_decided) {
            // The previous one may have decided this one, too.
            let Some(state) = self.links.get_mut(&link) else {
                continue;
            };
            if let Phase::Held(hello) = &state.phase {
                let hello = hello.clone();
                state.phase = Phase::Unconnected;
                let _ = self.admit(link, hello);
            }
        }
    }

    pub(in crate::proto::state) fn hello(&self, intent: Intent) -> Hello {
        let native = self.config.native.then(|| HelloNative {
            version: 1,
            address: self.config.address.clone(),
            port: self.config.port,
            epoch: self.publish.origin().epoch,
            intent,
            windows: true,
            max_message: u32::try_from(self.config.max_message).ok(),
            place: Place {
                max_peers: Some(count(self.config.max_peers)),
                peers: count(self.peers.len()),
                ways: self.membership.ways(),
                part: self.marks(),
                network: self.config.network.clone(),
                why: None,
                members: self.config.records(),
                shortcut: false,
            },
        });
        Hello {
            id: self.me.clone(),
            native,
        }
    }

    /// The dial of this node to the sender of `hello`, if one is under way.
    fn rival_dial(&self, hello: &Hello, remote: Option<SocketAddr>) -> Option<LinkId> {
        let is_there = |dial: &Dial| remote.is_some_and(|remote| dial.is_to(remote.ip()));
        let is_rival = |dial: &Dial| match (&dial.expected, &hello.native) {
            (Some(expected), _) => *expected == hello.id,
            (None, Some(native)) => {
                let target = &dial.target;
                target.port == native.port && (target.host == native.address || is_there(dial))
            }
            // A legacy handshake does not give its sender's port: only the address can be compared.
            (None, None) => is_there(dial),
        };
        self.links
            .iter()
            .find(|(_, l)| l.dial().is_some_and(is_rival))
            .map(|(link, _)| *link)
    }

    /// Accepts the sender of `hello` as a peer, or closes the link.
    fn admit(&mut self, link: LinkId, hello: Hello) -> Result<LinkId, &'static str> {
        let intent = hello.intent().filter(|_| self.config.native);
        if matches!(intent, Some(Intent::Join | Intent::Rejoin | Intent::Probe)) {
            self.become_seed();
        }
        let mut verdict = self.may_add(&hello.id);
        let has_room = match intent {
            _ if verdict != Err("FULL") => false,
            Some(Intent::Urgent | Intent::Rejoin) => {
                let remote = self.links.get(&link).and_then(|state| state.remote);
                self.make_room_for(&hello, contact(&hello, remote).as_ref())
            }
            _ => false,
        };
        if has_room {
            verdict = Ok(());
        }
        if verdict.is_ok() && intent.is_some_and(Intent::only_asks) {
            verdict = Err("PROBE");
        }
        if let Err(code) = verdict {
            tracing::debug!(%link, id = %hello.id, code, "handshake refused");
            if intent.is_some() {
                let why = match code {
                    "FULL" => Some(Why::Full),
                    "EXISTS" if self.is_taken(&hello, link) => Some(Why::Id),
                    _ => None,
                };
                self.refuse(link, &hello, why);
            }
            self.forget_link(link, CloseHow::Flush);
            return self.peer_link(&hello.id).ok_or(code);
        }
        let ack = line::handshake_ack(&self.hello(Intent::Peer));
        self.send(link, control(ack));
        let joins = intent == Some(Intent::Join);
        self.add(link, hello);
        if joins {
            self.membership(membership::Input::Entered(link));
        }
        Ok(link)
    }

    /// Refuses a native node: tells it why, and which nodes to ask instead.
    pub(in crate::proto::state) fn refuse(
        &mut self,
        link: LinkId,
        hello: &Hello,
        why: Option<Why>,
    ) {
        let mut answer = self.hello(Intent::Refuse);
        if let Some(native) = &mut answer.native {
            native.place.why = why;
        }
        self.send(link, control(line::handshake_ack(&answer)));
        let intent = hello.intent();
        let (mut contacts, mut waiting) = (Vec::new(), 0);
        let is_new = hello.id != self.me && self.peer_link(&hello.id).is_none();
        if why == Some(Why::Id) {
            // Let it find the node that has its id.
            let other = self.peer_link(&hello.id);
            contacts.extend(other.and_then(|other| self.peer(other)?.contact()));
        } else if !intent.is_some_and(Intent::only_asks) && is_new && why != Some(Why::Network) {
            let remote = self.links.get(&link).and_then(|state| state.remote);
            let who = contact(hello, remote);
            (waiting, contacts) = self.alternatives(hello, who.as_ref());
        }
        self.send(link, native::contacts(waiting, &contacts));
    }

    fn may_add(&self, id: &NodeId) -> Result<(), &'static str> {
        if *id == self.me {
            Err("SELF")
        } else if self.peer_link(id).is_some() {
            Err("EXISTS")
        } else if self.is_full() {
            Err("FULL")
        } else {
            Ok(())
        }
    }

    fn add(&mut self, link: LinkId, hello: Hello) {
        let native = hello.native.as_ref().filter(|_| self.config.native);
        let mark = self.publish.new_mark();
        let is_other = self.part_of(&hello) == Part::Other;
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        let Some(remote) = state.remote else { return };
        let (id, level, began) = (hello.id.clone(), state.level, state.began);
        let mut publishing = publish::Peer::new(link, id, level, began, self.now);
        let (mut windows, mut max_message) = (false, None);
        let keeps_records = native.is_some_and(|said| said.place.members == self.config.records());
        if let Some(said) = native {
            (windows, max_message) = (said.windows, said.max_message);
            publishing = publishing.into_native(said.epoch, windows, max_message);
        }
        let peer = Peer::new(state, &hello, remote, mark, &self.config);
        let active = membership::Peer::new(link, &hello, peer.contact(), &self.config, self.now);
        state.phase = Phase::Peer(Box::new(peer));
        self.peers.push(link);
        self.cancel_timer(Timer::Handshake(link));
        let native = native.is_some();
        tracing::info!(%link, id = %hello.id, native, "added new peer");
        self.emit(Event::PeerAdded {
            link,
            id: hello.id.clone(),
            remote,
            native,
            windows,
            max_message,
        });
        let translator = &mut self.legacy.translator;
        translator.peer_up(link, hello.id.clone(), native);
        self.publish(publish::Input::PeerUp(Box::new(publishing)));
        self.nodes_link_up(link, keeps_records);
        self.release_held(&hello.id);
        self.seed_added(link);
        self.membership(membership::Input::PeerUp(Box::new(active)));
        if is_other {
            self.tell_beacons(link);
        }
        self.admit_held();
        self.peers_changed();
    }

    /// The dial to `id` has won: closes the handshakes held for it.
    fn release_held(&mut self, id: &NodeId) {
        for link in self.held(|hello, _| hello.id == *id) {
            self.forget_link(link, CloseHow::Flush);
        }
    }

    /// The links with a held handshake that satisfies `is_meant`, by its sender and remote address.
    fn held(&self, is_meant: impl Fn(&Hello, Option<SocketAddr>) -> bool) -> Vec<LinkId> {
        let is_held = |link: &Link| match &link.phase {
            Phase::Held(hello) => is_meant(hello, link.remote),
            _ => false,
        };
        let held = self.links.iter().filter(|(_, link)| is_held(link));
        held.map(|(link, _)| *link).collect()
    }
}

impl Peer {
    /// A new peer, from its link and handshake. `mark` names its direct messages.
    fn new(link: &Link, hello: &Hello, remote: SocketAddr, mark: u32, config: &Config) -> Self {
        let said = hello.native.as_ref();
        let native = said.is_some() && config.native;
        let listens = match &link.phase {
            Phase::AwaitingAck(_) => Some(remote),
            _ => contact(hello, Some(remote)).map(|who| who.socket()),
        };
        let dialed = link.dial().map(|dial| dial.target.clone());
        Self {
            id: hello.id.clone(),
            target: dialed.or(said.map(|native| Target {
                host: native.address.clone(),
                port: native.port,
            })),
            native,
            listens,
            epoch: said.map(|native| native.epoch),
            windows: native && said.is_some_and(|native| native.windows),
            max_message: said
                .filter(|_| native)
                .and_then(|native| native.max_message)
                .map_or(usize::MAX, |max| max as usize),
            direct: Window::new(mark),
        }
    }
}

/// Where the sender of `hello` can be dialled, if it is native: the address it gives, or the remote
/// address if that is a name or unusable.
pub(super) fn contact(hello: &Hello, remote: Option<SocketAddr>) -> Option<PeerAddress> {
    let native = hello.native.as_ref()?;
    let given = native.address.parse().ok();
    let usable = |ip: &IpAddr| !ip.is_unspecified() && !ip.is_multicast();
    let address = given
        .filter(usable)
        .or(remote.map(|remote| remote.ip()))?
        .to_canonical();
    Some(PeerAddress {
        id: hello.id.clone(),
        address,
        port: native.port,
    })
}
