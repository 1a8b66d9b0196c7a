//! The translator: turns packets into native broadcasts and back, in each peer's wire.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use bytes::Bytes;

use super::ids::{is_made_by, native_born, packet_prefix};
use super::seen::Seen;
use super::{line, packet as packets};
use crate::proto::codec::native;
use crate::proto::{
    Class, Config, Counters, Item, LinkId, Moment, NodeId, Outgoing, Packet, PacketData, Payload,
    PeerAddress, Publish, Topic,
};

/// Frames and lines to send, in order.
pub(in crate::proto) type Sends = Vec<(LinkId, Outgoing)>;

/// The peers, each with its wire, and the packets seen.
#[derive(Debug)]
pub(in crate::proto) struct Translator {
    seen: Seen,
    /// The peers, in order of arrival.
    peers: Vec<Peer>,
    counters: Counters,
}

#[derive(Debug)]
struct Peer {
    link: LinkId,
    id: NodeId,
    wire: Wire,
}

/// The wire that a peer speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wire {
    Native,
    Legacy(Generation),
}

/// The generations of legacy nodes. A message of one can crash the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Generation {
    /// It has not broadcast yet.
    Unknown,
    /// It broadcasts events and was never sent a stream chunk: probably a 0.1. A chunk would crash
    /// it.
    Events,
    /// It has sent a stream chunk, was sent one, or asked for peers while it had some: a 0.2. No
    /// 0.1 does the first or the last, or survives the second.
    Streams,
}

/// The meaning of a packet for this node.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::proto) enum Arrival {
    /// It was seen before.
    Known,
    /// A native broadcast that returned from the legacy side.
    Native(Publish),
    /// A broadcast of a legacy node. It has been passed on.
    Legacy(Payload),
    /// A node looks for peers. [`Translator::relay`] passes the packet on.
    PeerRequest(PeerAddress),
    /// A node looks for a seed. [`Translator::relay`] passes the packet on.
    Ping {
        from: SocketAddr,
        target: SocketAddr,
    },
    /// A packet that no honest node makes or forwards.
    Malformed(&'static str),
}

impl Translator {
    pub(in crate::proto) fn new(config: &Config) -> Self {
        Self {
            seen: Seen::new(config.seen_for, config.seen_max),
            peers: Vec::new(),
            counters: Counters::default(),
        }
    }

    pub(in crate::proto) fn counters(&self) -> Counters {
        self.counters
    }

    pub(in crate::proto) fn peer_up(&mut self, link: LinkId, id: NodeId, is_native: bool) {
        let wire = match is_native {
            true => Wire::Native,
            false => Wire::Legacy(Generation::Unknown),
        };
        self.peers.push(Peer { link, id, wire });
    }

    pub(in crate::proto) fn peer_down(&mut self, link: LinkId) {
        self.peers.retain(|peer| peer.link != link);
    }

    /// Whether there are legacy peers.
    pub(in crate::proto) fn has_legacy_peers(&self) -> bool {
        self.peers.iter().any(|peer| peer.wire != Wire::Native)
    }

    /// Floods a packet of this node, whose id begins with `prefix`. Returns the id.
    pub(in crate::proto) fn flood(
        &mut self,
        prefix: &str,
        topic: Topic,
        data: &[u8],
        now: Moment,
        out: &mut Sends,
    ) -> String {
        let (id, text) = packets::new_packet(prefix, data);
        self.seen.insert(&id, now);
        self.send_packet(topic, &text, &PacketData::Other, None, Class::Control, out);
        id
    }

    /// Receives a packet. A broadcast of a legacy node is forwarded at once.
    pub(in crate::proto) fn on_packet(
        &mut self,
        link: LinkId,
        packet: &Packet,
        now: Moment,
        out: &mut Sends,
    ) -> Arrival {
        self.learn_generation(link, packet);
        if packet.topic == Topic::Broadcast {
            return self.on_broadcast(link, packet, now, out);
        }
        if !self.seen.insert(&packet.id, now) {
            return Arrival::Known;
        }
        match &packet.data {
            PacketData::PeerRequest(who) => Arrival::PeerRequest(who.clone()),
            &PacketData::Ping { from, target } => Arrival::Ping { from, target },
            _ => Arrival::Malformed("a packet without its data"),
        }
    }

    fn on_broadcast(
        &mut self,
        link: LinkId,
        packet: &Packet,
        now: Moment,
        out: &mut Sends,
    ) -> Arrival {
        let payload = match &packet.data {
            PacketData::Event(text) => Payload::events(text.clone()),
            PacketData::Chunk(chunk) => Payload::chunk(chunk),
            _ => return Arrival::Malformed("a broadcast that is neither event nor chunk"),
        };
        if let Some((origin, first)) = native_born(&packet.id) {
            return Arrival::Native(Publish {
                origin,
                first,
                hops: 0,
                repair: false,
                payload,
            });
        }
        if !self.seen.insert(&packet.id, now) {
            self.counters.duplicates += 1;
            return Arrival::Known;
        }
        self.counters.delivered += 1;
        self.relay(link, packet, out);
        Arrival::Legacy(payload)
    }

    /// Forwards a packet to every peer except its sender.
    pub(in crate::proto) fn relay(&mut self, from: LinkId, packet: &Packet, out: &mut Sends) {
        let Packet {
            topic, text, data, ..
        } = packet;
        self.send_packet(*topic, text, data, Some(from), Class::Forward, out);
    }

    /// Whether the packet was made by the node with that id, and not by a relay.
    pub(in crate::proto) fn is_made_by(packet: &Packet, id: &NodeId) -> bool {
        is_made_by(&packet.id, id)
    }

    /// Sends a packet to every peer but `except` that needs it and survives it.
    fn send_packet(
        &mut self,
        topic: Topic,
        text: &Bytes,
        data: &PacketData,
        except: Option<LinkId>,
        class: Class,
        out: &mut Sends,
    ) {
        let mut head = None;
        let mut frame = None;
        for index in 0..self.peers.len() {
            let Peer { link, wire, .. } = self.peers[index];
            if Some(link) == except {
                continue;
            }
            let outgoing = match wire {
                // Native nodes find each other by walks, without floods.
                Wire::Native if topic == Topic::PeerRequest => continue,
                Wire::Native => {
                    let make = || native::packet(topic, text, class);
                    frame.get_or_insert_with(make).clone()
                }
                Wire::Legacy(_) if self.may_send(index, data) => {
                    let make = || line::packet(topic, text);
                    as_line(head.get_or_insert_with(make).clone(), class)
                }
                Wire::Legacy(_) => continue,
            };
            self.counters.forwarded += u64::from(topic == Topic::Broadcast);
            out.push((link, outgoing));
        }
    }

    /// Sends a native broadcast as packets to every legacy peer but `except`.
    pub(in crate::proto) fn translate(
        &mut self,
        run: &Publish,
        except: Option<LinkId>,
        class: Class,
        out: &mut Sends,
    ) {
        if !self.has_legacy_peers() {
            return;
        }
        for (item, seq) in run.payload.items().zip(run.first..) {
            let Some((data, value)) = packet_data(&item) else {
                self.counters.rejected += 1;
                continue;
            };
            let (_, text) = packets::new_packet(&packet_prefix(&run.origin, seq), &value);
            let line = line::packet(Topic::Broadcast, &text);
            for index in 0..self.peers.len() {
                let Peer { link, wire, .. } = self.peers[index];
                let is_meant = wire != Wire::Native && Some(link) != except;
                if is_meant && self.may_send(index, &data) {
                    out.push((link, as_line(line.clone(), class)));
                }
            }
        }
    }

    /// Direct messages in the peer's wire.
    pub(in crate::proto) fn direct(&self, link: LinkId, payload: &Payload) -> Vec<Outgoing> {
        match self.wire(link) {
            Some(Wire::Native) => vec![native::direct(payload, Class::Own)],
            Some(Wire::Legacy(_)) => {
                let lines = payload.items();
                lines
                    .map(|item| as_line(direct_line(&item), Class::Own))
                    .collect()
            }
            None => Vec::new(),
        }
    }

    /// A custom line in the peer's wire.
    pub(in crate::proto) fn line(&self, link: LinkId, text: &Bytes) -> Option<Outgoing> {
        Some(match self.wire(link)? {
            Wire::Native => native::application(text, Class::Own),
            Wire::Legacy(_) => as_line(line::application(text), Class::Own),
        })
    }

    fn wire(&self, link: LinkId) -> Option<Wire> {
        let peer = self.peers.iter().find(|peer| peer.link == link)?;
        Some(peer.wire)
    }

    /// Learns a legacy peer's generation from its packet.
    fn learn_generation(&mut self, link: LinkId, packet: &Packet) {
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.link == link) else {
            return;
        };
        let Wire::Legacy(known) = peer.wire else {
            return;
        };
        let own = is_made_by(&packet.id, &peer.id);
        peer.wire = Wire::Legacy(match (&packet.data, known) {
            (PacketData::Chunk(_), _) => Generation::Streams,
            (PacketData::PeerRequest(who), _) if own && who.id == peer.id => Generation::Streams,
            (PacketData::Event(_), Generation::Unknown) if own => Generation::Events,
            (_, known) => known,
        });
    }

    /// Whether a legacy peer survives `data`. A stream chunk crashes a 0.1 node. A broadcast named
    /// `error` crashes a node whose application has no listener for it, which this node cannot
    /// know.
    fn may_send(&mut self, index: usize, data: &PacketData) -> bool {
        let wire = &mut self.peers[index].wire;
        let may = match data {
            PacketData::Chunk(_) if *wire == Wire::Legacy(Generation::Events) => false,
            PacketData::Chunk(_) => {
                *wire = Wire::Legacy(Generation::Streams);
                true
            }
            PacketData::Event(text) => !text.starts_with(br#"["error""#),
            _ => true,
        };
        self.counters.withheld += u64::from(!may);
        may
    }
}

fn as_line(head: Bytes, class: Class) -> Outgoing {
    Outgoing {
        class,
        head,
        body: Bytes::new(),
    }
}

/// A message as packet data: decoded, and as canonical JSON text. `None` for invalid JSON.
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

/// One direct message as a line for a legacy peer.
fn direct_line(item: &Item) -> Bytes {
    match item {
        Item::Event(text) => line::direct_event(text),
        Item::Chunk(chunk) => line::direct_chunk(chunk),
        Item::Rich(json, attachments) => {
            line::direct_event(&packets::inline_attachments(json, attachments))
        }
    }
}
