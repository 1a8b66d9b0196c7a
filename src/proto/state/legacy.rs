//! Legacy nodes: their packets, pings and peer requests.
//!
//! The [`Translator`] knows their wire; this file acts on their messages.

mod peer_requests;
mod ping;

use std::collections::BTreeMap;

use super::State;
use crate::proto::bucket::Bucket;
use crate::proto::legacy::{Arrival, Sends, Translator, base36};
use crate::proto::{
    Class, Config, Event, LinkId, Moment, Native, NodeId, Packet, PeerAddress, Publish, Topic,
    publish,
};
use ping::Ping;

/// The data that a node keeps for legacy nodes.
#[derive(Debug)]
pub(super) struct Legacy {
    pub(super) translator: Translator,
    pings: BTreeMap<u32, Ping>,
    next_ping: u32,
    /// When peers were last asked for.
    asked_at: Option<Moment>,
    /// Whether [`Timer::Refill`](crate::proto::Timer::Refill) is set.
    refill_set: bool,
    /// Entry requests to flood: as many a second as a peer may pass on, and ten times as many at
    /// once, because many nodes may start together.
    floods: Bucket,
    /// When nodes asked for entry.
    askers: BTreeMap<NodeId, Moment>,
}

impl Legacy {
    pub(super) fn new(config: &Config) -> Self {
        let rate = config.peer_requests_per_second;
        Self {
            translator: Translator::new(config),
            pings: BTreeMap::new(),
            next_ping: 0,
            asked_at: None,
            refill_set: false,
            floods: Bucket::new(rate * 10.0, rate, Moment::default()),
            askers: BTreeMap::new(),
        }
    }
}

impl State {
    /// Floods a packet of our own and returns its id.
    pub(super) fn flood_new(&mut self, topic: Topic, data: &[u8]) -> String {
        let prefix = format!("{}-{}", self.me.code(), base36(self.rng.u64(..)));
        let mut sends = Sends::new();
        let translator = &mut self.legacy.translator;
        let id = translator.flood(&prefix, topic, data, self.now, &mut sends);
        self.send_all(sends);
        id
    }

    /// Writes a native broadcast to the legacy peers.
    pub(super) fn translate(&mut self, run: &Publish, except: Option<LinkId>, class: Class) {
        let mut sends = Sends::new();
        let translator = &mut self.legacy.translator;
        translator.translate(run, except, class, &mut sends);
        self.send_all(sends);
    }

    fn relay_packet(&mut self, from: LinkId, packet: &Packet) {
        let mut sends = Sends::new();
        self.legacy.translator.relay(from, packet, &mut sends);
        self.send_all(sends);
    }

    fn send_all(&mut self, sends: Sends) {
        for (link, data) in sends {
            self.send(link, data);
        }
    }

    pub(super) fn on_packet(&mut self, link: LinkId, packet: Packet) {
        if self.ignores(link) {
            return;
        }
        let mut sends = Sends::new();
        let translator = &mut self.legacy.translator;
        let arrival = translator.on_packet(link, &packet, self.now, &mut sends);
        self.send_all(sends);
        match arrival {
            Arrival::Known => {}
            Arrival::Native(run) => {
                let native = Native::Publish(run);
                self.publish(publish::Input::Received { link, native });
            }
            Arrival::Legacy(payload) => self.emit(Event::Broadcast {
                payload,
                mark: None,
            }),
            Arrival::PeerRequest(who) => self.on_flooded_request(link, &packet, who),
            Arrival::Ping { from, target } => {
                if !self.answer_ping(&packet.id, from, target) {
                    self.relay_packet(link, &packet);
                }
            }
            Arrival::Malformed(what) => {
                self.counters.rejected += 1;
                self.blame_native(link, what);
            }
        }
    }

    fn on_flooded_request(&mut self, link: LinkId, packet: &Packet, who: PeerAddress) {
        if !self.takes_request(link) {
            self.counters.relays_refused += 1;
            return self.blame_native(link, "too many peer requests");
        }
        if self.take_up(who.clone()) {
            return;
        }
        // Others have refused it so far, too: one of several nodes that hear of it makes sure that
        // room is made.
        let own = Translator::is_made_by(packet, &who.id);
        let urgent = !own && self.asks_again(&who.id) && self.rng.u8(..4) == 0;
        self.send_walks(&who, Some(link), urgent);
        self.relay_packet(link, packet);
    }

    /// Lowers the score of a native link for packets that no native node makes or passes on. A
    /// legacy node passes on every packet with the right hash: it is not to blame.
    fn blame_native(&mut self, link: LinkId, what: &str) {
        if self.is_native(link) {
            self.blame(link, -1, what);
        }
    }

    /// Whether a peer may pass on one more request of another node.
    pub(super) fn takes_request(&mut self, link: LinkId) -> bool {
        let now = self.now;
        self.peer_mut(link)
            .is_some_and(|peer| peer.requests.take(now))
    }
}
