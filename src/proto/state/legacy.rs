//! Nodes of the legacy wire: their packets, and the translation between packets and native
//! broadcasts.
//!
//! A packet born on a legacy node keeps its id and its text wherever it travels. A broadcast born
//! on a native node gets, for the eyes of legacy peers, a packet id that every translator derives
//! alike: `<origin>-n<epoch><seq>-<md5>`, epoch and sequence number in base 36, 13 digits each. A
//! packet with such an id that comes back from the legacy side is that broadcast again.

mod peer_requests;
mod ping;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::State;
use super::links::Generation;
use crate::proto::bucket::Bucket;
use crate::proto::codec::native;
use crate::proto::legacy::Seen;
use crate::proto::legacy::{line, packet as packets};
use crate::proto::{
    Class, Config, Event, Item, LinkId, Moment, Native, NodeId, Origin, Outgoing, Packet,
    PacketData, Payload, Publish, Topic, publish,
};
use ping::Ping;

/// Digits of a `u64` in base 36.
const DIGITS: usize = 13;

/// What a node keeps for the sake of legacy nodes.
#[derive(Debug)]
pub(super) struct Legacy {
    /// The packets that were seen.
    seen: Seen,
    pings: BTreeMap<u32, Ping>,
    next_ping: u32,
    /// When peers were last asked for.
    asked_at: Option<Moment>,
    /// Whether [`Timer::Refill`](crate::proto::Timer::Refill) is set.
    refill_set: bool,
    /// Entry requests to flood: as many a second as a peer may pass on, and ten times as many at once,
    /// because many nodes may start together.
    floods: Bucket,
    /// When nodes asked for entry.
    askers: BTreeMap<NodeId, Moment>,
}

impl Legacy {
    pub(super) fn new(config: &Config) -> Self {
        let rate = config.peer_requests_per_second;
        Self {
            seen: Seen::new(config.seen_for, config.seen_max),
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
        let (id, text) = packets::new_packet(&prefix, data);
        self.legacy.seen.insert(&id, self.now);
        self.flood_packet(topic, &text, &PacketData::Other, None, Class::Control);
        id
    }

    /// Sends a packet to every peer but `except` that wants it and survives it, whichever wire it
    /// speaks.
    fn flood_packet(
        &mut self,
        topic: Topic,
        text: &Bytes,
        data: &PacketData,
        except: Option<LinkId>,
        class: Class,
    ) {
        let mut head = None;
        let mut frame = None;
        for link in self.peers.clone() {
            if Some(link) == except {
                continue;
            }
            let Some(peer) = self.peer(link) else {
                continue;
            };
            let outgoing = if peer.native {
                // Native nodes find each other by walks instead of floods.
                if topic == Topic::PeerRequest {
                    continue;
                }
                let make = || native::packet(topic, text, class);
                frame.get_or_insert_with(make).clone()
            } else if self.may_send(link, data) {
                let make = || line::packet(topic, text);
                let (head, body) = (head.get_or_insert_with(make).clone(), Bytes::new());
                Outgoing { class, head, body }
            } else {
                continue;
            };
            if topic == Topic::Broadcast {
                self.counters.forwarded += 1;
            }
            self.send(link, outgoing);
        }
    }

    /// Hands a packet on to every peer but the one it came from.
    fn relay_packet(&mut self, from: LinkId, packet: &Packet) {
        let Packet {
            topic, text, data, ..
        } = packet;
        self.flood_packet(*topic, text, data, Some(from), Class::Forward);
    }

    pub(super) fn on_packet(&mut self, link: LinkId, packet: Packet) {
        if self.ignores(link) {
            return;
        }
        self.learn_generation(link, &packet);
        if packet.topic == Topic::Broadcast {
            return self.on_broadcast_packet(link, packet);
        }
        if !self.legacy.seen.insert(&packet.id, self.now) {
            return;
        }
        let relay = match &packet.data {
            PacketData::PeerRequest(who) => {
                if !self.takes_request(link) {
                    self.counters.relays_refused += 1;
                    return self.blame_native(link, "too many peer requests");
                }
                let relay = !self.take_up(who.clone());
                if relay {
                    // Refused elsewhere, too, so far: one of several nodes that hear of it sees
                    // that room is made.
                    let own = is_made_by(&packet.id, &who.id);
                    let urgent = !own && self.asks_again(&who.id) && self.rng.u8(..4) == 0;
                    self.send_walks(who, Some(link), urgent);
                }
                relay
            }
            PacketData::Ping { from, target } => !self.answer_ping(&packet.id, *from, *target),
            _ => {
                self.counters.rejected += 1;
                return self.blame_native(link, "a packet without its data");
            }
        };
        if relay {
            self.relay_packet(link, &packet);
        }
    }

    /// Lowers the score of a link for packets that no native node makes or passes on. A legacy node
    /// passes on whatever has the right hash, and as much of it as others send: it is not to blame.
    fn blame_native(&mut self, link: LinkId, what: &str) {
        if self.is_native(link) {
            self.blame(link, -1, what);
        }
    }

    /// Whether a peer may make us look after one more request of somebody else's.
    pub(super) fn takes_request(&mut self, link: LinkId) -> bool {
        let now = self.now;
        self.peer_mut(link)
            .is_some_and(|peer| peer.requests.take(now))
    }

    fn on_broadcast_packet(&mut self, link: LinkId, packet: Packet) {
        let payload = match &packet.data {
            PacketData::Event(text) => Payload::events(text.clone()),
            PacketData::Chunk(chunk) => Payload::chunk(chunk),
            _ => {
                self.counters.rejected += 1;
                return self.blame_native(link, "a broadcast that is neither event nor chunk");
            }
        };
        if let Some((origin, seq)) = native_born(&packet.id) {
            let run = Publish {
                origin,
                first: seq,
                hops: 0,
                repair: false,
                payload,
            };
            let native = Native::Publish(run);
            return self.publish(publish::Input::Received { link, native });
        }
        if !self.legacy.seen.insert(&packet.id, self.now) {
            self.counters.duplicates += 1;
            return;
        }
        self.counters.delivered += 1;
        self.relay_packet(link, &packet);
        self.emit(Event::Broadcast {
            payload,
            mark: None,
        });
    }

    /// What a legacy peer sends tells what it can take.
    fn learn_generation(&mut self, link: LinkId, packet: &Packet) {
        let Some(peer) = self.peer_mut(link) else {
            return;
        };
        let own = is_made_by(&packet.id, &peer.id);
        peer.generation = match (&packet.data, peer.generation) {
            (PacketData::Chunk(_), _) => Generation::Streams,
            (PacketData::PeerRequest(who), _) if own && who.id == peer.id => Generation::Streams,
            (PacketData::Event(_), Generation::Unknown) if own => Generation::Events,
            (_, known) => known,
        };
    }

    /// Whether a legacy peer survives `data`: a stream chunk crashes 0.1, and so does a broadcast
    /// named `error` that nobody listens for, which only its application knows.
    fn may_send(&mut self, link: LinkId, data: &PacketData) -> bool {
        let Some(peer) = self.peer_mut(link) else {
            return false;
        };
        let may = match data {
            PacketData::Chunk(_) if peer.generation == Generation::Events => false,
            PacketData::Chunk(_) => {
                peer.generation = Generation::Streams;
                true
            }
            PacketData::Event(text) => !text.starts_with(br#"["error""#),
            _ => true,
        };
        self.counters.withheld += u64::from(!may);
        may
    }

    /// Translates a native broadcast for every legacy peer but `except`.
    pub(super) fn translate(&mut self, publish: &Publish, except: Option<LinkId>, class: Class) {
        let is_legacy = |link: &LinkId| {
            Some(*link) != except && self.peer(*link).is_some_and(|peer| !peer.native)
        };
        let legacy_peers: Vec<LinkId> = self.peers.iter().copied().filter(is_legacy).collect();
        if legacy_peers.is_empty() {
            return;
        }
        for (item, seq) in publish.payload.items().zip(publish.first..) {
            let Some((data, value)) = packet_data(&item) else {
                self.counters.rejected += 1;
                continue;
            };
            let (_, text) = packets::new_packet(&packet_prefix(&publish.origin, seq), &value);
            let line = line::packet(Topic::Broadcast, &text);
            for link in &legacy_peers {
                if self.may_send(*link, &data) {
                    let (head, body) = (line.clone(), Bytes::new());
                    self.send(*link, Outgoing { class, head, body });
                }
            }
        }
    }
}

/// Whether a legacy node with that id made a packet.
fn is_made_by(packet: &str, id: &NodeId) -> bool {
    let rest = packet.strip_prefix(id.as_str());
    rest.is_some_and(|rest| rest.starts_with('-'))
}

/// A message as packet data: read, and as canonical JSON text. `None` when it is no JSON.
fn packet_data(item: &Item) -> Option<(PacketData, Bytes)> {
    let text: Bytes = match item {
        Item::Event(text) => packets::event_data(text)?.into(),
        Item::Rich(json, attachments) => {
            packets::event_data(&packets::inline_attachments(json, attachments))?.into()
        }
        Item::Chunk(chunk) => {
            return Some((
                PacketData::Chunk(chunk.clone()),
                packets::chunk_data(chunk).into(),
            ));
        }
    };
    Some((PacketData::Event(text.clone()), text))
}

/// One message as a line for a legacy peer alone.
pub(super) fn direct_line(item: &Item) -> Bytes {
    match item {
        Item::Event(text) => line::direct_event(text),
        Item::Chunk(chunk) => line::direct_chunk(chunk),
        Item::Rich(json, attachments) => {
            line::direct_event(&packets::inline_attachments(json, attachments))
        }
    }
}

fn packet_prefix(origin: &Origin, seq: u64) -> String {
    let digits = DIGITS;
    format!(
        "{}-n{:0>digits$}{:0>digits$}",
        origin.id.code(),
        base36(origin.epoch),
        base36(seq)
    )
}

/// The broadcast that a packet id stands for, if a native node made it.
fn native_born(id: &str) -> Option<(Origin, u64)> {
    let (node, rest) = id.split_once('-')?;
    let digits = rest.split('-').next()?.strip_prefix('n')?;
    if digits.len() != 2 * DIGITS || !digits.is_ascii() {
        return None;
    }
    let (epoch, seq) = digits.split_at(DIGITS);
    let epoch = u64::from_str_radix(epoch, 36).ok()?;
    let seq = u64::from_str_radix(seq, 36)
        .ok()
        .filter(|seq| *seq > 0 && *seq < u64::MAX)?;
    Some((
        Origin {
            id: NodeId::from_code(node)?,
            epoch,
        },
        seq,
    ))
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::with_capacity(DIGITS);
    loop {
        let digit = (number % 36) as u32;
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_id_of_a_native_broadcast_leads_back_to_it() {
        let id = NodeId::parse("abc").unwrap();
        for (epoch, seq) in [(0, 1), (u64::MAX, u64::MAX - 1), (36, 35)] {
            let origin = Origin {
                id: id.clone(),
                epoch,
            };
            let packet = format!(
                "{}-0123456789abcdef0123456789abcdef",
                packet_prefix(&origin, seq)
            );
            assert_eq!(native_born(&packet), Some((origin, seq)));
        }
    }

    #[test]
    fn a_legacy_packet_id_is_not_taken_for_a_native_one() {
        for id in ["abc-n1x2y-md5", "abc-k3j2h1-md5", "abc", "", "-n-"] {
            assert_eq!(native_born(id), None, "{id}");
        }
        let zeroes = format!("abc-n{}-md5", "0".repeat(26));
        assert_eq!(native_born(&zeroes), None, "sequence numbers begin at 1");
    }
}
