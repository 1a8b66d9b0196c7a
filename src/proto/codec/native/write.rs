//! Encodes messages as frames.

use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut as _, Bytes, BytesMut};

use super::types::*;
use crate::proto::wire::{put_id, put_origin};
use crate::proto::{
    Beacon, Class, NodeId, Origin, Outgoing, Payload, PeerAddress, Publish, Range, Topic,
    Watermark, members, routing,
};

/// A publish frame. The payload is shared, not copied.
pub fn publish(publish: &Publish, class: Class) -> Outgoing {
    let mut head = head(PUBLISH);
    head.put_u8(if publish.repair { FLAG_REPAIR } else { 0 });
    head.put_u8(publish.hops);
    put_origin(&mut head, &publish.origin);
    head.put_u64(publish.first);
    put_payload(&mut head, &publish.payload);
    finish(head, publish.payload.body().clone(), class)
}

/// An ihave frame.
pub fn i_have(watermarks: &[Watermark]) -> Outgoing {
    with_watermarks(I_HAVE, watermarks)
}

/// A consumed frame.
pub fn consumed(watermarks: &[Watermark]) -> Outgoing {
    with_watermarks(CONSUMED, watermarks)
}

fn with_watermarks(kind: u8, watermarks: &[Watermark]) -> Outgoing {
    let mut head = head(kind);
    for Watermark { origin, high } in watermarks {
        put_origin(&mut head, origin);
        head.put_u64(*high);
    }
    finish(head, Bytes::new(), Class::Control)
}

/// A stalled frame.
pub fn stalled(origin: &Origin, id: &NodeId) -> Outgoing {
    let mut head = head(STALLED);
    put_origin(&mut head, origin);
    put_id(&mut head, id);
    finish(head, Bytes::new(), Class::Control)
}

/// An oversized frame, in order with the broadcasts around it.
pub fn oversized(range: &Range, class: Class) -> Outgoing {
    finish(range_head(OVERSIZED, range), Bytes::new(), class)
}

/// A direct consumed frame.
pub fn direct_consumed(count: u64) -> Outgoing {
    let mut head = head(DIRECT_CONSUMED);
    head.put_u64(count);
    finish(head, Bytes::new(), Class::Control)
}

/// A graft frame.
pub fn graft(range: &Range, max_age_ms: u32) -> Outgoing {
    let mut head = range_head(GRAFT, range);
    head.put_u32(max_age_ms);
    finish(head, Bytes::new(), Class::Control)
}

/// A gone frame.
pub fn gone(range: &Range) -> Outgoing {
    finish(range_head(GONE, range), Bytes::new(), Class::Control)
}

fn range_head(kind: u8, range: &Range) -> BytesMut {
    let mut head = head(kind);
    put_origin(&mut head, &range.origin);
    head.put_u64(range.first);
    head.put_u64(range.last);
    head
}

/// A prune frame.
pub fn prune(origin: &Origin) -> Outgoing {
    let mut head = head(PRUNE);
    put_origin(&mut head, origin);
    finish(head, Bytes::new(), Class::Control)
}

/// A heartbeat frame.
pub fn heartbeat() -> Outgoing {
    finish(head(HEARTBEAT), Bytes::new(), Class::Control)
}

/// A forward join frame.
pub fn forward_join(urgent: bool, ttl: u8, who: &PeerAddress) -> Outgoing {
    let mut head = head(FORWARD_JOIN);
    head.put_u8(u8::from(urgent));
    head.put_u8(ttl);
    put_contact(&mut head, who);
    finish(head, Bytes::new(), Class::Control)
}

/// A shuffle frame; contacts beyond the limit of a frame are left out.
pub fn shuffle(nonce: u32, ttl: u8, contacts: &[PeerAddress]) -> Outgoing {
    let mut head = head(SHUFFLE);
    head.put_u32(nonce);
    head.put_u8(ttl);
    put_contacts(&mut head, contacts);
    finish(head, Bytes::new(), Class::Control)
}

/// A contacts frame; contacts beyond the limit of a frame are left out.
pub fn contacts(nonce: u32, contacts: &[PeerAddress]) -> Outgoing {
    let mut head = head(CONTACTS);
    head.put_u32(nonce);
    put_contacts(&mut head, contacts);
    finish(head, Bytes::new(), Class::Control)
}

/// A goodbye frame. It must not overtake earlier data.
pub fn goodbye(keep: bool) -> Outgoing {
    let mut head = head(GOODBYE);
    head.put_u8(u8::from(keep));
    finish(head, Bytes::new(), Class::Own)
}

/// A beacon frame.
pub fn beacon(beacon: &Beacon) -> Outgoing {
    let mut head = head(BEACON);
    put_origin(&mut head, &beacon.origin);
    put_address(&mut head, beacon.address);
    head.put_u64(beacon.number);
    finish(head, Bytes::new(), Class::Control)
}

/// A beacon tree frame.
pub fn beacon_tree(seed: &NodeId, wanted: bool) -> Outgoing {
    let mut head = head(BEACON_TREE);
    head.put_u8(u8::from(wanted));
    put_id(&mut head, seed);
    finish(head, Bytes::new(), Class::Control)
}

/// A frame of records or digests of members.
pub fn members(frame: &members::Frame) -> Outgoing {
    let mut head = head(frame.kind());
    frame.write(&mut head);
    finish(head, Bytes::new(), Class::Control)
}

/// A letter to any node, whose payload is shared, or a note on one.
pub fn routing(frame: &routing::Frame, class: Class) -> Outgoing {
    let mut head = head(frame.kind());
    let body = frame.write(&mut head);
    finish(head, body, class)
}

/// A peers frame.
pub fn peers(count: u16, ways: u16) -> Outgoing {
    let mut head = head(PEERS);
    head.put_u16(count);
    head.put_u16(ways);
    finish(head, Bytes::new(), Class::Control)
}

/// A frame of direct messages. The payload is shared, not copied.
pub fn direct(payload: &Payload, class: Class) -> Outgoing {
    let mut head = head(DIRECT);
    put_payload(&mut head, payload);
    finish(head, payload.body().clone(), class)
}

/// A legacy packet, by its text, which is shared.
pub fn packet(topic: Topic, text: &Bytes, class: Class) -> Outgoing {
    let mut head = head(PACKET);
    head.put_u8(topic as u8);
    finish(head, text.clone(), class)
}

/// A line of the application's own, by the array's text, which is shared.
pub fn application(text: &Bytes, class: Class) -> Outgoing {
    finish(head(LINE), text.clone(), class)
}

fn head(kind: u8) -> BytesMut {
    let mut head = BytesMut::with_capacity(128);
    head.put_u32(0);
    head.put_u8(kind);
    head
}

fn put_address(head: &mut BytesMut, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            head.put_u8(4);
            head.put_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            head.put_u8(6);
            head.put_slice(&ip.octets());
        }
    }
    head.put_u16(address.port());
}

fn put_contact(head: &mut BytesMut, who: &PeerAddress) {
    put_id(head, &who.id);
    put_address(head, who.socket());
}

fn put_contacts(head: &mut BytesMut, contacts: &[PeerAddress]) {
    for who in contacts.iter().take(MAX_CONTACTS) {
        put_contact(head, who);
    }
}

fn put_payload(head: &mut BytesMut, payload: &Payload) {
    head.put_u8(payload.kind() as u8);
    head.put_u32(payload.count());
}

fn finish(mut head: BytesMut, body: Bytes, class: Class) -> Outgoing {
    let length = head.len() - LENGTH_SIZE + body.len();
    debug_assert!(
        u32::try_from(length).is_ok(),
        "messages are far below 4 GiB"
    );
    head[..LENGTH_SIZE].copy_from_slice(&(length as u32).to_be_bytes());
    Outgoing {
        class,
        head: head.freeze(),
        body,
    }
}
