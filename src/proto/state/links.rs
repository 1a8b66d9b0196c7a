//! Connections: from dial or accept to peer, and their end.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::State;
use crate::proto::bucket::Bucket;
use crate::proto::codec::{line, native};
use crate::proto::{
    Class, CloseHow, Event, Hello, HelloNative, Intent, Level, LinkId, Moment, NodeId, Outgoing,
    Output, Payload, PeerAddress, Reject, RemoveReason, Target, Timer,
};

/// How often silent links are looked for.
pub(super) const HEARTBEAT_CHECK: Duration = Duration::from_secs(1);
/// After this long without sending anything, a heartbeat (overlay design, failure detection).
const HEARTBEAT_AFTER: Duration = Duration::from_secs(2);
/// After this long without hearing anything a native peer is dead (overlay design).
const DEAD_AFTER: Duration = Duration::from_secs(6);
/// A link whose score falls to this is not believed and nothing of it is passed on, except native
/// broadcasts, whose gaps others would have to repair (overlay design, abuse).
const MUTE_SCORE: i32 = -50;
/// A link whose score falls to this is closed (overlay design, abuse).
const DROP_SCORE: i32 = -80;

/// Forward joins that a native peer may hand us.
const WALKS_PER_SECOND: f64 = 100.0;

/// What a peer's requests for repair are counted in, each as one at least.
pub(super) const REPAIR_UNIT: usize = 4 << 10;
/// 64 MiB at once, twice what is cached: an honest peer never asks for so much.
const REPAIR_BURST: f64 = 16_384.0;
/// 4 MiB a second.
const REPAIRS_PER_SECOND: f64 = 1024.0;

/// Unknown origins that a peer may tell of at once: twice what it tells when a link comes up.
const CLAIM_BURST: f64 = 8192.0;
/// The same per second. In a network of 10 000 nodes that all begin to speak at once, most of them
/// are heard before a lazy peer tells of them.
const CLAIMS_PER_SECOND: f64 = 1024.0;

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    /// The other end, once there is one.
    pub(super) remote: Option<SocketAddr>,
    pub(super) phase: Phase,
    pub(super) level: Level,
    pub(super) last_heard: Moment,
    pub(super) last_sent: Moment,
    score: i32,
    blamed_at: Moment,
}

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// The TCP connection is being made.
    Dialing(Purpose),
    /// We have sent a handshake.
    AwaitingAck(Dial),
    /// We have written all we had to say (entry, pong); the other side closes. The seed, if we asked
    /// one for peers.
    Courier(Option<usize>),
    /// A native node does not want us as a peer; it tells of others, and closes.
    Refused,
    /// Accepted; has not said who it is.
    Unconnected,
    /// Accepted, has said who it is, and waits for the outcome of our own dial to it.
    Held(Hello),
    /// A peer.
    Peer(Peer),
}

/// What a dial is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// To become peers.
    Peer(Dial),
    /// To deliver a line and leave it at that; to a seed, if we ask one for peers.
    Courier(bytes::Bytes, Option<usize>),
}

/// A dial to somebody who shall become a peer.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    pub(super) target: Target,
    /// Whom we expect there, if we know.
    pub(super) expected: Option<NodeId>,
    /// The application's request, if it was the application's.
    request: Option<u32>,
    /// What a native node there shall do for us.
    pub(super) intent: Intent,
    /// The seed that is dialled, if it is one.
    pub(super) seed: Option<usize>,
}

/// How a dial ended that made no peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DialEnd {
    /// There was no connection.
    Unreachable,
    /// Our handshake was not answered in time.
    Unanswered,
    /// The other side reset the connection: a native node with too many strangers.
    Reset,
    /// The other side closed the connection.
    Refused,
}

impl Dial {
    pub(super) fn to(target: Target) -> Self {
        Self {
            target,
            expected: None,
            request: None,
            intent: Intent::Peer,
            seed: None,
        }
    }

    /// To a node we have heard of.
    pub(super) fn to_node(who: &PeerAddress, intent: Intent) -> Self {
        Self {
            expected: Some(who.id.clone()),
            intent,
            ..Self::to(SocketAddr::new(who.address, who.port).into())
        }
    }

    /// To a seed.
    pub(super) fn to_seed(seed: usize, target: Target, intent: Intent) -> Self {
        Self {
            seed: Some(seed),
            intent,
            ..Self::to(target)
        }
    }
}

/// What we know of a peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: NodeId,
    /// Where it can be dialled: where we did, or where it says.
    target: Option<Target>,
    pub(super) native: bool,
    /// The same, as an address to tell others.
    pub(super) listens: Option<SocketAddr>,
    pub(super) since: Moment,
    /// It has said goodbye, and whether it wants to be remembered.
    pub(super) leaving: Option<bool>,
    /// Its epoch, if it is native.
    pub(super) epoch: Option<u64>,
    /// Whether broadcasts were held back because its queue was too full.
    pub(super) behind: bool,
    /// What a legacy peer's own broadcasts tell of its generation.
    pub(super) generation: Generation,
    pub(super) requests: Bucket,
    /// What it may ask to be repeated, in units of [`REPAIR_UNIT`].
    pub(super) repairs: Bucket,
    /// Origins that it may tell of and that nobody has heard of.
    pub(super) claims: Bucket,
}

/// The generations of legacy nodes: what one's `data` crashes the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Generation {
    /// It has not broadcast yet.
    Unknown,
    /// It broadcasts events and has not yet been sent a stream chunk: 0.1, as far as we know. A
    /// chunk would crash it.
    Events,
    /// It has sent us a stream chunk, or been sent one, or asked for peers while it had some: no
    /// 0.1 does the first or the last, or lives after the second.
    Streams,
}

impl Link {
    fn new(remote: Option<SocketAddr>, phase: Phase, now: Moment) -> Self {
        Self {
            remote,
            phase,
            level: Level::Low,
            last_heard: now,
            last_sent: now,
            score: 0,
            blamed_at: now,
        }
    }

    /// The score, with a point forgiven a second.
    fn score(&self, now: Moment) -> i32 {
        let forgiven = now.since(self.blamed_at).as_secs().min(1 << 20) as i32;
        self.score.saturating_add(forgiven).min(0)
    }

    pub(super) fn is_muted(&self, now: Moment) -> bool {
        self.score < 0 && self.score(now) <= MUTE_SCORE
    }

    pub(super) fn peer(&self) -> Option<&Peer> {
        match &self.phase {
            Phase::Peer(peer) => Some(peer),
            _ => None,
        }
    }

    pub(super) fn peer_mut(&mut self) -> Option<&mut Peer> {
        match &mut self.phase {
            Phase::Peer(peer) => Some(peer),
            _ => None,
        }
    }

    pub(super) fn peer_id(&self) -> Option<&NodeId> {
        self.peer().map(|peer| &peer.id)
    }

    /// The dial that is under way on this link, if it is to become a peer.
    fn dial(&self) -> Option<&Dial> {
        match &self.phase {
            Phase::Dialing(Purpose::Peer(dial)) | Phase::AwaitingAck(dial) => Some(dial),
            _ => None,
        }
    }
}

impl State {
    pub(super) fn peer_link(&self, id: &NodeId) -> Option<LinkId> {
        self.peers()
            .find(|(_, peer)| *peer == id)
            .map(|(link, _)| link)
    }

    fn hello(&self, intent: Intent) -> Hello {
        let native = self.config.native.then(|| HelloNative {
            version: 1,
            address: self.config.address.clone(),
            port: self.config.port,
            epoch: self.publisher.origin().epoch,
            intent,
        });
        Hello {
            id: self.me.clone(),
            native,
        }
    }

    // Dialling

    pub(super) fn add_peer(&mut self, request: u32, target: Target) {
        if self.is_self(&target) {
            return self.dialed(Some(request), Err("SELF"));
        }
        if let Some(link) = self.peer_at(&target) {
            return self.dialed(Some(request), Ok(link));
        }
        self.dial_peer(Dial {
            request: Some(request),
            ..Dial::to(target)
        });
    }

    /// The peer that listens at `target`, as far as we know.
    fn peer_at(&self, target: &Target) -> Option<LinkId> {
        let is_there = |link: &LinkId| {
            let peer = self.links.get(link).and_then(Link::peer)?;
            (peer.target.as_ref() == Some(target)).then_some(*link)
        };
        self.peers.iter().find_map(is_there)
    }

    pub(super) fn dial_peer(&mut self, dial: Dial) {
        self.dial(dial.target.clone(), Purpose::Peer(dial));
    }

    /// Delivers `line` on a connection of its own.
    pub(super) fn send_courier(&mut self, target: Target, line: bytes::Bytes, seed: Option<usize>) {
        self.dial(target, Purpose::Courier(line, seed));
    }

    fn dial(&mut self, target: Target, purpose: Purpose) {
        let link = self.next_link();
        self.counters.dials += 1;
        tracing::debug!(%link, host = target.host, port = target.port, "dialling");
        self.links
            .insert(link, Link::new(None, Phase::Dialing(purpose), self.now));
        self.out.push(Output::Dial { link, target });
    }

    /// Whether a dial to `id`, or to where it listens, is under way.
    pub(super) fn is_dialing(&self, who: &PeerAddress) -> bool {
        self.links.values().filter_map(Link::dial).any(|dial| {
            dial.expected.as_ref() == Some(&who.id)
                || dial.target.port == who.port
                    && dial
                        .target
                        .host
                        .parse::<IpAddr>()
                        .is_ok_and(|ip| ip == who.address)
        })
    }

    /// How many dials were begun less than `age` ago and are under way.
    pub(super) fn recent_dials(&self, age: Duration) -> usize {
        let recent = |link: &&Link| self.now.since(link.last_heard) < age;
        self.links
            .values()
            .filter(recent)
            .filter(|link| link.dial().is_some_and(|d| d.request.is_none()))
            .count()
    }

    pub(super) fn dials_under_way(&self) -> usize {
        self.links
            .values()
            .filter(|link| link.dial().is_some_and(|d| d.request.is_none()))
            .count()
    }

    /// Whether a dial to that seed is under way.
    pub(super) fn is_dialing_seed(&self, seed: usize) -> bool {
        self.links
            .values()
            .filter_map(Link::dial)
            .any(|dial| dial.seed == Some(seed))
    }

    pub(super) fn connected(&mut self, link: LinkId, remote: SocketAddr) {
        let Some(state) = self.links.get_mut(&link) else {
            return self.out.push(Output::Close {
                link,
                how: CloseHow::Abort,
            });
        };
        state.remote = Some(remote);
        match std::mem::replace(&mut state.phase, Phase::Courier(None)) {
            Phase::Dialing(Purpose::Courier(line, seed)) => {
                state.phase = Phase::Courier(seed);
                self.send(link, control(line));
                self.out.push(Output::Close {
                    link,
                    how: CloseHow::HalfClose,
                });
                self.set_timer(Timer::Handshake(link), self.config.handshake_timeout);
            }
            Phase::Dialing(Purpose::Peer(dial)) => {
                let intent = dial.intent;
                state.phase = Phase::AwaitingAck(dial);
                let hello = self.hello(intent);
                self.send(link, control(line::handshake(&hello)));
                self.set_timer(Timer::Handshake(link), self.config.handshake_timeout);
            }
            other => state.phase = other,
        }
    }

    pub(super) fn dial_failed(&mut self, link: LinkId, code: &str) {
        tracing::debug!(%link, code, "dial failed");
        self.drop_link(link, code);
    }

    fn dialed(&mut self, request: Option<u32>, result: Result<LinkId, &str>) {
        if let Some(request) = request {
            let result = result.map_err(str::to_owned);
            self.emit(Event::Dialed { request, result });
        }
    }

    // Handshakes

    pub(super) fn accepted(&mut self, link: LinkId, remote: SocketAddr) {
        tracing::debug!(%link, %remote, "incoming connection");
        self.links
            .insert(link, Link::new(Some(remote), Phase::Unconnected, self.now));
        self.set_timer(Timer::Handshake(link), self.config.handshake_timeout);
    }

    pub(super) fn on_handshake(&mut self, link: LinkId, hello: Hello) {
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        if !matches!(state.phase, Phase::Unconnected) {
            return self.blame(link, -10, "a handshake out of turn");
        }
        let remote = state.remote;
        match self.rival_dial(&hello, remote) {
            // Two new nodes that dial each other agree without a word: the lower id's dial wins.
            Some(rival) if hello.native.is_some() && self.config.native && hello.id < self.me => {
                let request = self
                    .links
                    .get(&rival)
                    .and_then(Link::dial)
                    .and_then(|d| d.request);
                self.forget_link(rival, CloseHow::Abort);
                let outcome = self.admit(link, hello);
                self.dialed(request, outcome);
            }
            Some(rival) => {
                tracing::debug!(%link, %rival, id = %hello.id, "holding a handshake: we dial it too");
                if let Some(state) = self.links.get_mut(&link) {
                    state.phase = Phase::Held(hello);
                }
            }
            None => {
                let _ = self.admit(link, hello);
            }
        }
    }

    /// Our own dial to the node that says `hello`, if there is one under way.
    fn rival_dial(&self, hello: &Hello, remote: Option<SocketAddr>) -> Option<LinkId> {
        let is_rival = |dial: &Dial| match (&dial.expected, &hello.native) {
            (Some(expected), _) => *expected == hello.id,
            (None, Some(native)) => {
                dial.target.port == native.port && self.same_host(&dial.target.host, native, remote)
            }
            // A legacy handshake does not say where its sender listens: go by the address alone.
            (None, None) => remote.is_some_and(|remote| {
                dial.target
                    .host
                    .parse::<IpAddr>()
                    .is_ok_and(|ip| ip == remote.ip())
            }),
        };
        self.links
            .iter()
            .find(|(_, l)| l.dial().is_some_and(is_rival))
            .map(|(link, _)| *link)
    }

    fn same_host(&self, host: &str, native: &HelloNative, remote: Option<SocketAddr>) -> bool {
        host == native.address || host.parse::<IpAddr>().ok() == remote.map(|remote| remote.ip())
    }

    /// Takes the sender of `hello` as a peer, or closes the link.
    fn admit(&mut self, link: LinkId, hello: Hello) -> Result<LinkId, &'static str> {
        let native = hello.native.as_ref().filter(|_| self.config.native);
        let intent = native.map(|native| native.intent);
        if matches!(intent, Some(Intent::Join | Intent::Rejoin | Intent::Probe)) {
            self.become_seed();
        }
        let mut verdict = self.may_add(&hello.id);
        let presses = matches!(intent, Some(Intent::Urgent | Intent::Rejoin));
        if verdict == Err("FULL") && presses && self.make_room() {
            verdict = Ok(());
        }
        if verdict.is_ok() && intent.is_some_and(Intent::only_asks) {
            verdict = Err("PROBE");
        }
        if let Err(code) = verdict {
            tracing::debug!(%link, id = %hello.id, code, "handshake refused");
            if intent.is_some() && matches!(code, "FULL" | "PROBE" | "EXISTS") {
                self.refuse(link, &hello);
            }
            self.forget_link(link, CloseHow::Flush);
            return match self.peer_link(&hello.id) {
                Some(existing) => Ok(existing),
                None => Err(code),
            };
        }
        let ack = line::handshake_ack(&self.hello(Intent::Peer));
        self.send(link, control(ack));
        let joins = intent == Some(Intent::Join);
        self.add(link, hello);
        if joins {
            self.introduce(link);
        }
        Ok(link)
    }

    /// Tells a native node that it will not be a peer, and whom else to ask.
    fn refuse(&mut self, link: LinkId, hello: &Hello) {
        let ack = line::handshake_ack(&self.hello(Intent::Refuse));
        self.send(link, control(ack));
        let intent = hello.native.as_ref().map(|native| native.intent);
        let mut contacts = Vec::new();
        if !intent.is_some_and(Intent::only_asks) && self.peer_link(&hello.id).is_none() {
            contacts = self.sample(Some(&hello.id));
            let remote = self.links.get(&link).and_then(|state| state.remote);
            if let Some(who) = contact(hello, remote).filter(|_| intent == Some(Intent::Join)) {
                self.send_walks(&who, None, false);
                self.meet(who);
            }
        }
        self.send(link, native::contacts(0, &contacts));
    }

    pub(super) fn on_ack(&mut self, link: LinkId, hello: Hello) {
        let Some(state) = self.links.get(&link) else {
            return;
        };
        let Phase::AwaitingAck(dial) = &state.phase else {
            return self.blame(link, -10, "an ack out of turn");
        };
        let (request, seed, intent) = (dial.request, dial.seed, dial.intent);
        if let Some(seed) = seed {
            self.seed_is(seed, &hello);
        }
        let refused = |native: &HelloNative| native.intent == Intent::Refuse;
        if self.config.native && hello.native.as_ref().is_some_and(refused) {
            tracing::debug!(%link, id = %hello.id, "refused");
            if let Some(state) = self.links.get_mut(&link) {
                state.phase = Phase::Refused;
            }
            self.admit_held();
            self.dialed(request, self.peer_link(&hello.id).ok_or("REFUSED"));
            if let Some(seed) = seed {
                self.seed_refused(seed, intent);
            }
            return;
        }
        if let Err(code) = self.may_add(&hello.id) {
            tracing::debug!(%link, id = %hello.id, code, "handshake ack refused");
            self.say_goodbye_to(link, hello.native.is_some(), true);
            self.forget_link(link, CloseHow::Flush);
            let existing = self.peer_link(&hello.id);
            self.dialed(request, existing.ok_or(code));
            return self.admit_held();
        }
        self.add(link, hello);
        self.dialed(request, Ok(link));
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
        let native = hello.native.is_some() && self.config.native;
        // Walks end with one node, floods reach all.
        let rate = if native {
            WALKS_PER_SECOND
        } else {
            self.config.peer_requests_per_second
        };
        let requests = Bucket::new(rate, rate, self.now);
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        let Some(remote) = state.remote else { return };
        let said = hello.native.as_ref().map(|native| Target {
            host: native.address.clone(),
            port: native.port,
        });
        let target = state.dial().map(|dial| dial.target.clone()).or(said);
        let listens = match &state.phase {
            Phase::AwaitingAck(_) => Some(remote),
            _ => contact(&hello, Some(remote)).map(|who| SocketAddr::new(who.address, who.port)),
        };
        state.phase = Phase::Peer(Peer {
            id: hello.id.clone(),
            target,
            native,
            listens,
            since: self.now,
            leaving: None,
            epoch: hello.native.as_ref().map(|native| native.epoch),
            behind: false,
            generation: Generation::Unknown,
            requests,
            repairs: Bucket::new(REPAIR_BURST, REPAIRS_PER_SECOND, self.now),
            claims: Bucket::new(CLAIM_BURST, CLAIMS_PER_SECOND, self.now),
        });
        self.peers.push(link);
        self.cancel_timer(Timer::Handshake(link));
        tracing::info!(%link, id = %hello.id, native, "added new peer");
        self.emit(Event::PeerAdded {
            link,
            id: hello.id.clone(),
            remote,
            native,
        });
        if native {
            self.greet(link);
        }
        self.release_held(&hello.id);
        self.peer_added(link);
        self.admit_held();
        self.peers_changed();
    }

    /// Our own dial to `id` is decided: the handshakes held for it need wait no longer.
    fn release_held(&mut self, id: &NodeId) {
        let held: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, l)| matches!(&l.phase, Phase::Held(hello) if hello.id == *id))
            .map(|(link, _)| *link)
            .collect();
        for link in held {
            self.forget_link(link, CloseHow::Flush);
        }
    }

    /// A dial is decided: the handshakes that waited for it and not for another get their answer.
    fn admit_held(&mut self) {
        let held: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, l)| {
                matches!(&l.phase, Phase::Held(hello) if self.rival_dial(hello, l.remote).is_none())
            })
            .map(|(link, _)| *link)
            .collect();
        for link in held {
            // The one before may have decided this one, too.
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

    pub(super) fn on_handshake_timeout(&mut self, link: LinkId) {
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

    // The end of links

    pub(super) fn close_peer(&mut self, link: LinkId) {
        if self.links.get(&link).is_some_and(|l| l.peer().is_some()) {
            self.say_goodbye(link, false);
            self.end_link(link, CloseHow::Flush, RemoveReason::Local, "CLOSED");
            self.peers_changed();
        }
    }

    /// The driver says that the link is gone.
    pub(super) fn closed(&mut self, link: LinkId, reason: &str) {
        tracing::debug!(%link, reason, "link closed");
        let code = if reason == "FIN" { "REFUSED" } else { reason };
        self.drop_link(link, code);
    }

    /// Forgets a link that the driver has closed, or is told to close by the caller.
    fn drop_link(&mut self, link: LinkId, code: &str) {
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

    /// Closes a link that never became anything, without a report to the application.
    fn forget_link(&mut self, link: LinkId, how: CloseHow) {
        self.out.push(Output::Close { link, how });
        self.cancel_timer(Timer::Handshake(link));
        self.links.remove(&link);
    }

    /// Closes a link for `reason` and tells whoever waits for it.
    pub(super) fn end_link(
        &mut self,
        link: LinkId,
        how: CloseHow,
        reason: RemoveReason,
        code: &str,
    ) {
        self.out.push(Output::Close { link, how });
        self.forget(link, reason, code);
    }

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
            self.dial_came_to_nothing(dial, end);
        }
        match state.phase {
            Phase::Courier(Some(seed)) => self.request_delivered(seed, code),
            Phase::Dialing(Purpose::Courier(_, Some(seed))) => self.request_undelivered(seed),
            _ => {}
        }
        let Some(peer) = state.peer() else {
            return false;
        };
        self.peers.retain(|other| *other != link);
        self.publisher.forget_link(link);
        self.peer_lost(link, peer, reason);
        tracing::info!(%link, id = %peer.id, ?reason, "removed peer");
        self.emit(Event::PeerRemoved { link, reason });
        true
    }

    // Conduct

    pub(super) fn on_reject(&mut self, link: LinkId, reject: Reject) {
        self.counters.rejected += 1;
        tracing::debug!(%link, ?reject, "message refused");
        if reject == Reject::BadHash {
            self.blame(link, -1, "a wrong hash");
        }
    }

    /// Lowers a link's score, and closes it when that is low enough. A point is forgiven a second.
    pub(super) fn blame(&mut self, link: LinkId, points: i32, what: &str) {
        let now = self.now;
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        let was_muted = state.is_muted(now);
        state.score = state.score(now) + points;
        state.blamed_at = now;
        tracing::debug!(%link, score = state.score, what, "misbehaviour");
        if state.score <= DROP_SCORE {
            self.counters.misbehaved += 1;
            tracing::warn!(%link, what, "closing a misbehaving link");
            self.end_link(
                link,
                CloseHow::Abort,
                RemoveReason::Misbehaved,
                "MISBEHAVED",
            );
            self.peers_changed();
        } else if state.is_muted(now) && !was_muted {
            self.counters.muted += 1;
            tracing::warn!(%link, what, "no longer passing on what a misbehaving link floods");
        }
    }

    pub(super) fn on_heartbeat(&mut self) {
        self.set_timer(Timer::Heartbeat, HEARTBEAT_CHECK);
        let lag = self
            .now
            .since(self.entry.heartbeat_at)
            .saturating_sub(HEARTBEAT_CHECK);
        let lag = if self.entry.heartbeat_at == Moment::default() {
            Duration::ZERO
        } else {
            lag
        };
        self.entry.heartbeat_at = self.now;
        for link in self.peers.clone() {
            let Some(state) = self.links.get_mut(&link) else {
                continue;
            };
            if !state.peer().is_some_and(|peer| peer.native) {
                continue;
            }
            // Whatever kept this node from running kept it from hearing, too.
            state.last_heard = state.last_heard.after(lag);
            if self.now.since(state.last_heard) >= DEAD_AFTER {
                tracing::info!(%link, "peer fell silent");
                self.end_link(link, CloseHow::Abort, RemoveReason::Silent, "TIMEOUT");
                self.peers_changed();
            } else if self.now.since(state.last_sent) >= HEARTBEAT_AFTER {
                self.send(link, native::heartbeat());
            }
        }
        self.publisher.expire(self.now);
    }

    // What the application says to one peer

    pub(super) fn direct(&mut self, link: LinkId, payload: &Payload) {
        let Some(peer) = self.links.get(&link).and_then(Link::peer) else {
            return;
        };
        self.counters.direct_sent += u64::from(payload.count());
        if peer.native {
            return self.send(link, native::direct(payload, Class::Own));
        }
        for item in payload.items() {
            let head = super::flood::direct_line(&item);
            self.send(
                link,
                Outgoing {
                    class: Class::Own,
                    head,
                    body: bytes::Bytes::new(),
                },
            );
        }
    }

    pub(super) fn line(&mut self, link: LinkId, text: &bytes::Bytes) {
        let Some(peer) = self.links.get(&link).and_then(Link::peer) else {
            return;
        };
        let data = if peer.native {
            native::application(text, Class::Own)
        } else {
            Outgoing {
                class: Class::Own,
                head: line::application(text),
                body: bytes::Bytes::new(),
            }
        };
        self.send(link, data);
    }

    pub(super) fn pressure(&mut self, link: LinkId, level: Level) {
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        state.level = level;
        let Some(peer) = state.peer_mut() else { return };
        match level {
            Level::Full => peer.behind = true,
            Level::High => {}
            Level::Low if peer.native && std::mem::take(&mut peer.behind) => self.catch_up(link),
            Level::Low => {}
        }
    }
}

/// Where the sender of `hello` can be dialled, if it is native: at the address it gives, or else,
/// when that is a name or no address at all, at the one it comes from.
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

/// A line or frame of the protocol's own.
pub(super) fn control(head: bytes::Bytes) -> Outgoing {
    Outgoing {
        class: Class::Control,
        head,
        body: bytes::Bytes::new(),
    }
}
