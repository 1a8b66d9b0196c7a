//! The state machine of one node: it reacts to each [`Input`].
//!
//! Each part is an `impl State` and keeps its fields in its own file `fields.rs`. Imports point one
//! way: from the parts to [`State`], and from there to the fields.
//!
//! - [`links`]: connections, from dial or accept to peer to close;
//! - [`entry`]: entry into a network through seeds, for this node and for legacy nodes;
//! - [`beacons`]: the beacons of seeds, their trees, and the parts of the network;
//! - [`seeds`]: netsplits: seeds that are unreachable or in another part of the network;
//! - [`legacy`]: packets, pings and peer requests of legacy nodes;
//! - [`views`]: connects the state of membership, [`membership`], to the links;
//! - [`broadcasts`]: connects the state of broadcasts, [`publish`], to the links;
//! - [`nodes`]: members of the network, and messages to any of them;
//! - [`shortcuts`]: links of their own for pairs of members that exchange much.

mod beacons;
mod broadcasts;
mod entry;
mod legacy;
mod links;
mod nodes;
mod seeds;
mod shortcuts;
#[cfg(test)]
mod tests;
mod views;

use std::collections::BTreeMap;
use std::time::Duration;

use super::members::FIRST_HANDLE;
use super::stats::Counters;
use super::{
    CloseHow, Config, Event, Input, LinkId, Message, Moment, Native, NodeId, Origin, Outgoing,
    Output, Timer, membership, publish,
};
use beacons::Beacons;
use entry::Entry;
use legacy::Legacy;
use links::{Link, Phase, Twins};
use nodes::Nodes;
use shortcuts::Shortcuts;

/// Interval between checks for silent links.
const HEARTBEAT_CHECK: Duration = Duration::from_secs(1);

/// The state machine of one node, from start to stop.
#[derive(Debug)]
pub struct State {
    config: Config,
    me: NodeId,
    rng: fastrand::Rng,
    now: Moment,
    running: bool,
    next_link: u32,
    links: BTreeMap<LinkId, Link>,
    /// The peers, oldest first.
    peers: Vec<LinkId>,
    /// Time of the last check for silent links.
    heartbeat_at: Option<Moment>,
    entry: Entry,
    membership: membership::State,
    beacons: Beacons,
    legacy: Legacy,
    twins: Twins,
    publish: publish::State,
    /// Whether [`Timer::Window`] is set.
    watches_windows: bool,
    /// Members and routing. `None` while the node is stopped or members are switched off.
    nodes: Option<Nodes>,
    shortcuts: Shortcuts,
    counters: Counters,
    out: Vec<Output>,
    /// Reused buffer: saves an allocation per input.
    publish_out: Vec<publish::Output>,
    /// The same.
    membership_out: Vec<membership::Output>,
}

/// How much data other nodes make a node hold. Every count has a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Footprint {
    /// Connections, of any kind.
    pub links: usize,
    /// Addresses of other nodes.
    pub addresses: usize,
    /// Seeds whose beacons this node relays.
    pub beacons: usize,
    /// Origins with a stream.
    pub streams: usize,
    /// Bytes of broadcasts cached for peers that missed them.
    pub cached_bytes: usize,
    /// Bytes of broadcasts held behind gaps.
    pub held_bytes: usize,
    /// Origins with broadcasts that some receiver has not consumed yet.
    pub flowing: usize,
    /// Records of members.
    pub records: usize,
    /// Approximate bytes of those records.
    pub members_bytes: usize,
    /// Members that this node has sent letters to or received letters from.
    pub pairs: usize,
    /// Bytes of letters that wait for a record.
    pub waiting_bytes: usize,
    /// Bytes of letters that wait for earlier ones on another path.
    pub early_bytes: usize,
    /// Shortcuts, those being dialled included.
    pub shortcuts: usize,
    /// Members that a dial for a shortcut failed to.
    pub failed_shortcuts: usize,
}

impl State {
    /// Creates a stopped node. `seed` determines all its random choices, its epoch included.
    pub fn new(config: Config, me: NodeId, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let origin = Origin {
            id: me.clone(),
            epoch: rng.u64(..),
        };
        Self {
            entry: Entry::new(&config),
            membership: membership::State::new(&config, me.clone()),
            beacons: Beacons::new(),
            legacy: Legacy::new(&config),
            twins: Twins::new(),
            publish: publish::State::new(&config, origin),
            watches_windows: false,
            nodes: None,
            shortcuts: Shortcuts::default(),
            config,
            me,
            rng,
            now: Moment::default(),
            running: false,
            next_link: 0,
            links: BTreeMap::new(),
            peers: Vec::new(),
            heartbeat_at: None,
            counters: Counters::default(),
            out: Vec::new(),
            publish_out: Vec::new(),
            membership_out: Vec::new(),
        }
    }

    /// Returns an unused id for a connection that the driver accepted.
    pub fn next_link(&mut self) -> LinkId {
        loop {
            // Numbers from `FIRST_HANDLE` on are handles of members.
            self.next_link = (self.next_link % (FIRST_HANDLE - 1)) + 1;
            let link = LinkId(self.next_link);
            // After two billion connections the ids start over while old links may still be open.
            if !self.links.contains_key(&link) {
                return link;
            }
        }
    }

    /// The counters so far.
    pub fn counters(&self) -> Counters {
        let mut counters = self
            .counters
            .plus(self.publish.counters())
            .plus(self.membership.counters())
            .plus(self.legacy.translator.counters());
        if let Some(Nodes { members, routing }) = &self.nodes {
            counters.members = members.len() as u64;
            counters.records = members.records() as u64;
            counters.records_refused = members.counters().refused;
            counters.records_forged = members.counters().forged;
            let routing = routing.counters();
            counters.routed = routing.routed;
            counters.routed_sent = routing.sent;
            counters.routed_received = routing.received;
            counters.routed_forged = routing.forged;
            counters.undelivered = routing.undelivered;
            counters.routed_lost = routing.missed + routing.dropped;
            counters.shortcuts = self.shortcuts().count() as u64;
        }
        counters
    }

    /// The known members of the network, in order: this node and every node with a record.
    pub fn members(&self) -> Vec<NodeId> {
        let nodes = self.nodes.as_ref();
        nodes.map_or_else(Vec::new, |nodes| nodes.members.list())
    }

    /// A hash of the set of [`Self::members`].
    pub fn members_hash(&self) -> u64 {
        let nodes = self.nodes.as_ref();
        nodes.map_or(0, |nodes| nodes.members.hash())
    }

    /// The record that this node floods of itself.
    pub fn record(&self) -> Option<super::members::Raw> {
        self.nodes.as_ref()?.members.own_raw().cloned()
    }

    /// The handle that addresses messages to a member.
    pub fn handle_of(&self, id: &NodeId) -> Option<LinkId> {
        let nodes = self.nodes.as_ref()?;
        nodes.members.handle_of_id(id).map(LinkId)
    }

    /// Whether `id` is a known member.
    pub fn has_member(&self, id: &NodeId) -> bool {
        let nodes = self.nodes.as_ref();
        nodes.is_some_and(|nodes| nodes.members.has(id))
    }

    /// Measures the data that other nodes make this node hold.
    pub fn footprint(&self) -> Footprint {
        let [streams, cached_bytes, held_bytes] = self.publish.footprint();
        let nodes = self.nodes.as_ref();
        let (pairs, waiting_bytes) = nodes.map_or((0, 0), |nodes| nodes.routing.footprint());
        Footprint {
            links: self.links.len(),
            addresses: self.membership.footprint(),
            beacons: self.beacons(),
            streams,
            cached_bytes,
            held_bytes,
            flowing: self.publish.flowing(),
            records: nodes.map_or(0, |nodes| nodes.members.records()),
            members_bytes: nodes.map_or(0, |nodes| nodes.members.footprint()),
            pairs,
            waiting_bytes,
            early_bytes: nodes.map_or(0, |nodes| nodes.routing.early_bytes()),
            shortcuts: self.all_shortcuts().count(),
            failed_shortcuts: self.shortcuts.failed(),
        }
    }

    /// The peers' links and ids, oldest first.
    pub fn peers(&self) -> impl Iterator<Item = (LinkId, &NodeId)> {
        self.peers
            .iter()
            .filter_map(|id| Some((*id, self.links.get(id)?.peer_id()?)))
    }

    /// The links of the shortcuts, and the ids of the members that they lead to.
    pub fn shortcuts(&self) -> impl Iterator<Item = (LinkId, &NodeId)> {
        let links = self.links.iter();
        links.filter_map(|(link, state)| Some((*link, &state.shortcut()?.member.origin.id)))
    }

    /// Handles `input` and appends the resulting actions to `out`, in order.
    ///
    /// `now` must not go backwards.
    pub fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Output>) {
        self.now = now;
        std::mem::swap(&mut self.out, out);
        self.dispatch(input);
        std::mem::swap(&mut self.out, out);
    }

    fn dispatch(&mut self, input: Input) {
        match input {
            Input::Started { port } => self.start(port),
            Input::Stop => self.stop(),
            _ if !self.running => {}
            Input::Accepted { link, remote } => self.accepted(link, remote),
            Input::Connected { link, remote } => self.connected(link, remote),
            Input::DialFailed { link, code } => self.dial_failed(link, &code),
            Input::Received { link, message } => self.received(link, message),
            Input::Closed { link, reason } => self.closed(link, &reason),
            Input::Pressure { link, level } => self.pressure(link, level),
            Input::TimerFired(timer) => self.timer(timer),
            Input::Broadcast(payload) => self.publish(publish::Input::Broadcast(payload)),
            Input::Consumed(marks) => self.on_consumed_here(marks),
            Input::Moving(links) => self.on_moving(links),
            Input::Direct { link, payload } if link.0 >= FIRST_HANDLE => {
                self.send_to(vec![link.0], payload);
            }
            Input::Direct { link, payload } => self.direct(link, &payload),
            Input::SendTo { members, payload } => self.send_to(members, payload),
            Input::Body(body) => self.set_body(body),
            Input::Line { link, text } => self.line(link, &text),
            Input::AddPeer { request, target } => self.add_peer(request, target),
            Input::ClosePeer { link } => self.close_peer(link),
            Input::Reconfigure {
                max_peers,
                seeds,
                address,
            } => {
                self.config.address = address;
                self.reconfigure(max_peers, &seeds);
            }
        }
    }

    fn start(&mut self, port: u16) {
        self.running = true;
        self.config.port = port;
        self.emit(Event::Listening { port });
        self.set_timer(Timer::Heartbeat, HEARTBEAT_CHECK);
        self.start_nodes();
        self.start_entry();
        self.start_membership();
    }

    fn stop(&mut self) {
        if !std::mem::replace(&mut self.running, false) {
            return;
        }
        self.stop_nodes();
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.say_goodbye(link, false);
            self.end_link(link, CloseHow::Flush, super::RemoveReason::Local, "STOPPED");
        }
        for timer in [
            Timer::Tick,
            Timer::Refill,
            Timer::LazyPush,
            Timer::Repair,
            Timer::Heartbeat,
            Timer::Seek,
            Timer::Shuffle,
            Timer::Watch,
            Timer::Window,
            Timer::Roam,
        ] {
            self.cancel_timer(timer);
        }
        self.stop_entry();
    }

    fn received(&mut self, link: LinkId, message: Message) {
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        state.last_heard = self.now;
        let is_peer = matches!(state.phase, Phase::Peer(_));
        match message {
            Message::Handshake(hello) => self.on_handshake(link, hello),
            Message::HandshakeAck(hello) => self.on_ack(link, hello),
            Message::PeerRequest(who) if !is_peer => self.on_entry_request(link, who),
            Message::Pong(pong) if !is_peer => self.on_pong(link, &pong),
            Message::Rejected(reject) => self.on_reject(link, reject),
            message if state.shortcut().is_some() => self.on_shortcut(link, message),
            Message::Native(Native::Contacts { nonce, contacts })
                if matches!(state.phase, Phase::Refused(_)) =>
            {
                let bridges = matches!(state.phase, Phase::Refused(true));
                self.on_named(contacts, nonce as usize, bridges);
            }
            _ if !is_peer => tracing::debug!(%link, "ignoring a message before the handshake"),
            Message::PeerRequest(_) | Message::Pong(_) => {}
            Message::Packet(packet) => self.on_packet(link, packet),
            Message::Direct(payload) => self.on_direct(link, &payload),
            Message::Line(text) => self.on_line(link, &text),
            Message::Native(native) => self.on_native(link, native),
        }
    }

    fn on_native(&mut self, link: LinkId, native: Native) {
        match native {
            Native::Publish(_)
            | Native::IHave(_)
            | Native::Graft { .. }
            | Native::Gone(_)
            | Native::Prune(_)
            | Native::Consumed(_)
            | Native::Stalled { .. }
            | Native::Oversized(_) => self.publish(publish::Input::Received { link, native }),
            Native::DirectConsumed(count) => self.on_direct_consumed(link, count),
            Native::Heartbeat => {}
            Native::Peers { .. }
            | Native::ForwardJoin { .. }
            | Native::Shuffle { .. }
            | Native::Contacts { .. }
            | Native::Goodbye { .. } => {
                let muted = self.is_muted(link);
                self.membership(membership::Input::Received {
                    link,
                    native,
                    muted,
                });
            }
            Native::Members(frame) => self.on_members_frame(link, frame),
            Native::Routing(frame) => self.on_routing_frame(link, frame),
            Native::Beacon(beacon) => self.on_beacon(link, beacon),
            Native::BeaconTree { seed, wanted } => self.on_beacon_tree(link, &seed, wanted),
        }
    }

    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::Tick => self.on_tick(),
            Timer::Handshake(link) => self.on_handshake_timeout(link),
            Timer::Ping(number) => self.on_ping_timeout(number),
            Timer::Refill => self.on_refill(),
            Timer::LazyPush | Timer::Repair => self.publish(publish::Input::TimerFired(timer)),
            Timer::Heartbeat => self.on_heartbeat(),
            Timer::Seek | Timer::Shuffle => self.membership(membership::Input::TimerFired(timer)),
            Timer::Watch => self.on_watch(),
            Timer::Window => self.on_window(),
            Timer::Join(seed) => self.on_join(seed),
            Timer::Probe(seed) => self.on_probe(seed),
            Timer::Roam => self.on_roam(),
            Timer::Members => self.on_members_timer(),
            Timer::Routing => self.on_routing_timer(),
        }
    }

    /// The links of native peers, oldest first.
    fn native_peers(&self) -> Vec<LinkId> {
        let native = |link: &LinkId| self.is_native(*link);
        self.peers.iter().copied().filter(native).collect()
    }

    fn is_full(&self) -> bool {
        self.membership.is_full(&self.config)
    }

    fn is_sufficiently_filled(&self) -> bool {
        self.membership.has_enough_peers(&self.config)
    }

    fn send(&mut self, link: LinkId, data: Outgoing) {
        if let Some(state) = self.links.get_mut(&link) {
            state.last_sent = self.now;
            self.out.push(Output::Send { link, data });
        }
    }

    fn emit(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    fn set_timer(&mut self, timer: Timer, after: Duration) {
        self.out.push(Output::SetTimer { timer, after });
    }

    fn cancel_timer(&mut self, timer: Timer) {
        self.out.push(Output::CancelTimer(timer));
    }
}
