//! The native wire: binary frames.
//!
//! A frame is a `u32` length of what follows, a `u8` type, and a body. Numbers are big-endian; an
//! *id* is `u8` length and the code of a [`NodeId`]; an *origin* is an id, then `u64` epoch; an *address* is `u8` 4 or 6, the bytes of the IP
//! address, and `u16` port; a *contact* is `u8` length and id, then an address (at most 32 of them in a
//! frame); *rest* is everything up to the frame's end; a *payload* has at most 2¹⁵ messages.
//!
//! | type | name | body |
//! |---|---|---|
//! | `0x01` | publish | `u8` flags (bit 0: repair; the others 0), `u8` hops, origin, `u64` first, `u8` kind, `u32` count, rest: payload |
//! | `0x02` | ihave | origin and `u64` high, repeated |
//! | `0x03` | graft | origin, `u64` first, `u64` last, `u32` greatest age in ms |
//! | `0x04` | gone | origin, `u64` first, `u64` last |
//! | `0x05` | prune | origin |
//! | `0x06` | consumed | origin and `u64` high, repeated |
//! | `0x07` | stalled | origin, `u8` length and id |
//! | `0x08` | oversized | origin, `u64` first, `u64` last |
//! | `0x10` | heartbeat | – |
//! | `0x11` | forward join | `u8`: 1 = urgent, 0 = not; `u8` ttl, contact |
//! | `0x12` | shuffle | `u32` nonce, `u8` ttl, contact, repeated |
//! | `0x13` | contacts | `u32` nonce, contact, repeated |
//! | `0x14` | goodbye | `u8`: 1 = remember me, 0 = do not |
//! | `0x15` | beacon | origin, address, `u64` number |
//! | `0x16` | beacon tree | `u8`: 1 = wanted, 0 = not; `u8` length and id |
//! | `0x20` | direct | `u8` kind, `u32` count, rest: payload |
//! | `0x21` | packet | `u8` topic, rest: the legacy packet's JSON text |
//! | `0x22` | line | rest: the JSON text of an array of the application's own |
//! | `0x23` | direct consumed | `u64` count |
//! | `0x28` | peers | `u16` all, `u16` those that have others; only to nodes whose handshake has `max` |
//!
//! A `high` of 2⁶⁴ − 2 in consumed says that nobody need wait for the sender.
//! `0x06` to `0x08` and `0x23` go only to peers whose handshake says `windows`.
//!
//! Sequence numbers are 1 to 2⁶⁴ − 2, and of a watermark also 0; `first` never exceeds `last`.
//! Payload kinds are those of [`Kind`], topics those of [`Topic`]. `0x09` to `0x0f` are kept for
//! broadcasting, `0x17` to `0x1f` for links and membership, from `0x24` for applications.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::DecodeError;
use crate::proto::legacy::line;
use crate::proto::{
    Beacon, Class, Kind, LAST_SEQUENCE, Message, Native, NodeId, Origin, Outgoing, Payload,
    PeerAddress, Publish, Range, Reject, Topic, Watermark,
};

const LENGTH_SIZE: usize = 4;

const PUBLISH: u8 = 0x01;
const I_HAVE: u8 = 0x02;
const GRAFT: u8 = 0x03;
const GONE: u8 = 0x04;
const PRUNE: u8 = 0x05;
const CONSUMED: u8 = 0x06;
const STALLED: u8 = 0x07;
const OVERSIZED: u8 = 0x08;
const HEARTBEAT: u8 = 0x10;
const FORWARD_JOIN: u8 = 0x11;
const SHUFFLE: u8 = 0x12;
const CONTACTS: u8 = 0x13;
const GOODBYE: u8 = 0x14;
const BEACON: u8 = 0x15;
const BEACON_TREE: u8 = 0x16;
const DIRECT: u8 = 0x20;
const PACKET: u8 = 0x21;
const LINE: u8 = 0x22;
const DIRECT_CONSUMED: u8 = 0x23;
const PEERS: u8 = 0x28;

const FLAG_REPAIR: u8 = 1;

/// Contacts in one frame.
const MAX_CONTACTS: usize = 32;
/// Messages in one frame, since each becomes a line of its own for a legacy peer. An application says
/// at most 26 214 in one go: less than 2 × 64 Ki characters (lib/outbox.js), five for the smallest event.
const MAX_MESSAGES: u32 = 1 << 15;

/// Takes the next frame from the front of `input`.
pub(super) fn decode(input: &mut BytesMut, limit: usize) -> Result<Option<Message>, DecodeError> {
    let Some((length, after)) = input.split_first_chunk::<LENGTH_SIZE>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length == 0 {
        return Err(DecodeError::EmptyFrame);
    }
    if length > limit {
        return Err(DecodeError::FrameTooLong);
    }
    // Told before the body is awaited, so that noise ends the link soon.
    let kind = after.first().copied();
    if let Some(unknown) = kind.filter(|kind| !is_known(*kind)) {
        return Err(DecodeError::UnknownFrame(unknown));
    }
    if after.len() < length {
        return Ok(None);
    }
    input.advance(LENGTH_SIZE);
    let mut body = input.split_to(length).freeze();
    let kind = body.get_u8();
    let message = read(kind, body).map_or(Message::Rejected(Reject::BadShape), shallow);
    Ok(Some(message))
}

/// Takes only what nests no more deeply than it may.
fn shallow(message: Message) -> Message {
    match &message {
        Message::Native(Native::Publish(Publish { payload, .. })) | Message::Direct(payload)
            if payload.is_deep() =>
        {
            Message::Rejected(Reject::TooDeep)
        }
        _ => message,
    }
}

fn is_known(kind: u8) -> bool {
    matches!(kind, PUBLISH..=OVERSIZED | HEARTBEAT..=BEACON_TREE | DIRECT..=DIRECT_CONSUMED | PEERS)
}

fn read(kind: u8, mut body: Bytes) -> Option<Message> {
    let native = match kind {
        PUBLISH => Native::Publish(read_publish(body)?),
        I_HAVE => Native::IHave(read_watermarks(body)?),
        GRAFT => {
            let range = read_range(&mut body)?;
            let max_age_ms = body.try_get_u32().ok()?;
            body.is_empty()
                .then_some(Native::Graft { range, max_age_ms })?
        }
        GONE => {
            let range = read_range(&mut body)?;
            body.is_empty().then_some(Native::Gone(range))?
        }
        PRUNE => {
            let origin = read_origin(&mut body)?;
            body.is_empty().then_some(Native::Prune(origin))?
        }
        CONSUMED => Native::Consumed(read_watermarks(body)?),
        STALLED => {
            let origin = read_origin(&mut body)?;
            let id = read_id(&mut body)?;
            body.is_empty().then_some(Native::Stalled { origin, id })?
        }
        OVERSIZED => {
            let range = read_range(&mut body)?;
            body.is_empty().then_some(Native::Oversized(range))?
        }
        DIRECT_CONSUMED => {
            let count = body.try_get_u64().ok()?;
            body.is_empty().then_some(Native::DirectConsumed(count))?
        }
        HEARTBEAT => body.is_empty().then_some(Native::Heartbeat)?,
        FORWARD_JOIN => {
            let urgent = read_bool(&mut body)?;
            let ttl = body.try_get_u8().ok()?;
            let who = read_contact(&mut body)?;
            body.is_empty()
                .then_some(Native::ForwardJoin { urgent, ttl, who })?
        }
        SHUFFLE => Native::Shuffle {
            nonce: body.try_get_u32().ok()?,
            ttl: body.try_get_u8().ok()?,
            contacts: read_contacts(body)?,
        },
        CONTACTS => Native::Contacts {
            nonce: body.try_get_u32().ok()?,
            contacts: read_contacts(body)?,
        },
        GOODBYE => {
            let keep = read_bool(&mut body)?;
            body.is_empty().then_some(Native::Goodbye { keep })?
        }
        BEACON => {
            let origin = read_origin(&mut body)?;
            let address = read_address(&mut body)?;
            let number = body.try_get_u64().ok()?;
            let beacon = Beacon {
                origin,
                address,
                number,
            };
            body.is_empty().then_some(Native::Beacon(beacon))?
        }
        BEACON_TREE => {
            let wanted = read_bool(&mut body)?;
            let seed = read_id(&mut body)?;
            body.is_empty()
                .then_some(Native::BeaconTree { seed, wanted })?
        }
        PEERS => {
            let count = body.try_get_u16().ok()?;
            let ways = body.try_get_u16().ok()?;
            body.is_empty().then_some(Native::Peers { count, ways })?
        }
        DIRECT => return read_payload(body).map(Message::Direct),
        PACKET => {
            let topic = match body.try_get_u8().ok()? {
                0 => Topic::Broadcast,
                1 => Topic::PeerRequest,
                2 => Topic::Ping,
                _ => return None,
            };
            return Some(line::decode_framed_packet(topic, &body));
        }
        LINE => return Some(line::decode_framed_line(&body)),
        _ => return None,
    };
    Some(Message::Native(native))
}

fn read_publish(mut body: Bytes) -> Option<Publish> {
    let flags = body
        .try_get_u8()
        .ok()
        .filter(|flags| flags & !FLAG_REPAIR == 0)?;
    let hops = body.try_get_u8().ok()?;
    let origin = read_origin(&mut body)?;
    let first = read_sequence(&mut body)?;
    let payload = read_payload(body)?;
    first.checked_add(u64::from(payload.count()))?;
    Some(Publish {
        origin,
        first,
        hops,
        repair: flags & FLAG_REPAIR != 0,
        payload,
    })
}

fn read_watermarks(mut body: Bytes) -> Option<Vec<Watermark>> {
    let mut watermarks = Vec::new();
    while !body.is_empty() {
        let origin = read_origin(&mut body)?;
        watermarks.push(Watermark {
            origin,
            high: read_high(&mut body)?,
        });
    }
    Some(watermarks)
}

fn read_range(body: &mut Bytes) -> Option<Range> {
    let origin = read_origin(body)?;
    let first = read_sequence(body)?;
    let last = read_sequence(body)?;
    (first <= last).then_some(Range {
        origin,
        first,
        last,
    })
}

fn read_origin(body: &mut Bytes) -> Option<Origin> {
    Some(Origin {
        id: read_id(body)?,
        epoch: body.try_get_u64().ok()?,
    })
}

fn read_id(body: &mut Bytes) -> Option<NodeId> {
    let len = usize::from(body.try_get_u8().ok()?);
    let id = body
        .get(..len)
        .and_then(|id| NodeId::from_code(std::str::from_utf8(id).ok()?))?;
    body.advance(len);
    Some(id)
}

fn read_bool(body: &mut Bytes) -> Option<bool> {
    match body.try_get_u8().ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn read_address(body: &mut Bytes) -> Option<SocketAddr> {
    let ip: IpAddr = match body.try_get_u8().ok()? {
        4 => Ipv4Addr::from(body.try_get_u32().ok()?).into(),
        6 => Ipv6Addr::from(body.try_get_u128().ok()?).into(),
        _ => return None,
    };
    let port = body.try_get_u16().ok().filter(|port| *port > 0)?;
    Some(SocketAddr::new(ip.to_canonical(), port))
}

fn read_contact(body: &mut Bytes) -> Option<PeerAddress> {
    let id = read_id(body)?;
    let address = read_address(body)?;
    Some(PeerAddress {
        id,
        address: address.ip(),
        port: address.port(),
    })
}

fn read_contacts(mut body: Bytes) -> Option<Vec<PeerAddress>> {
    let mut contacts = Vec::new();
    while !body.is_empty() {
        if contacts.len() == MAX_CONTACTS {
            return None;
        }
        contacts.push(read_contact(&mut body)?);
    }
    Some(contacts)
}

fn read_sequence(body: &mut Bytes) -> Option<u64> {
    read_high(body).filter(|sequence| *sequence > 0)
}

/// A sequence number, or 0 for none.
fn read_high(body: &mut Bytes) -> Option<u64> {
    let high = body.try_get_u64().ok();
    high.filter(|high| *high <= LAST_SEQUENCE)
}

fn read_payload(mut body: Bytes) -> Option<Payload> {
    let kind = Kind::from_byte(body.try_get_u8().ok()?)?;
    let count = body
        .try_get_u32()
        .ok()
        .filter(|count| *count <= MAX_MESSAGES)?;
    Payload::parse(kind, count, body)
}

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

/// A shuffle frame; contacts beyond what a frame may hold are left out.
pub fn shuffle(nonce: u32, ttl: u8, contacts: &[PeerAddress]) -> Outgoing {
    let mut head = head(SHUFFLE);
    head.put_u32(nonce);
    head.put_u8(ttl);
    put_contacts(&mut head, contacts);
    finish(head, Bytes::new(), Class::Control)
}

/// A contacts frame; contacts beyond what a frame may hold are left out.
pub fn contacts(nonce: u32, contacts: &[PeerAddress]) -> Outgoing {
    let mut head = head(CONTACTS);
    head.put_u32(nonce);
    put_contacts(&mut head, contacts);
    finish(head, Bytes::new(), Class::Control)
}

/// A goodbye frame. It must not overtake what was said before it.
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

fn put_origin(head: &mut BytesMut, origin: &Origin) {
    put_id(head, &origin.id);
    head.put_u64(origin.epoch);
}

fn put_id(head: &mut BytesMut, id: &NodeId) {
    // A code has at most 64 bytes.
    head.put_u8(id.code().len() as u8);
    head.put_slice(id.code().as_bytes());
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
