//! The native wire: binary frames.
//!
//! A frame is a `u32` length of the rest, a `u8` type, and a body. Numbers are big-endian; an
//! *id* is `u8` length and the code of a [`NodeId`]; an *origin* is an id, then `u64` epoch; an
//! *address* is `u8` 4 or 6, the bytes of the IP address, and `u16` port; a *contact* is `u8`
//! length and id, then an address (at most 32 of them in a frame); *rest* is everything up to the
//! frame's end; a *payload* has at most 2¹⁵ messages.
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
//! | `0x13` | contacts | `u32` nonce, or in a refusal the number of the first ones that look for peers; contact, repeated |
//! | `0x14` | goodbye | `u8`: 1 = remember me, 0 = do not |
//! | `0x15` | beacon | origin, address, `u64` number |
//! | `0x16` | beacon tree | `u8`: 1 = wanted, 0 = not; `u8` length and id |
//! | `0x17` to `0x1b` | records and digests of members | see [`members::Frame`] |
//! | `0x20` | direct | `u8` kind, `u32` count, rest: payload |
//! | `0x21` | packet | `u8` topic, rest: the legacy packet's JSON text |
//! | `0x22` | line | rest: the JSON text of an array of the application's own |
//! | `0x23` | direct consumed | `u64` count |
//! | `0x24` to `0x27` | letters to any node, and notes on them | see [`routing::Frame`] |
//! | `0x28` | peers | `u16` all, `u16` those with other peers; only to nodes whose handshake has `max` |
//!
//! A `high` of 2⁶⁴ − 2 in consumed means: do not wait for the sender. `0x06` to `0x08` and `0x23`
//! go only to peers whose handshake has `windows`; `0x17` to `0x1b` and `0x24` to `0x27` go only to
//! peers whose handshake has the same `members` as ours.
//!
//! Sequence numbers are 1 to 2⁶⁴ − 2, and of a watermark also 0; `first` never exceeds `last`.
//! Payload kinds are those of [`Kind`], topics those of [`Topic`]. `0x09` to `0x0f` are reserved
//! for broadcasts, `0x1c` to `0x1f` for links and membership, from `0x29` for applications.

mod types;
mod write;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Buf as _, Bytes, BytesMut};

use super::limits::DecodeError;
use crate::proto::legacy::line;
use crate::proto::wire::{take_id, take_origin};
use crate::proto::{
    Beacon, Kind, LAST_SEQUENCE, Message, Native, Payload, PeerAddress, Publish, Range, Reject,
    Topic, Watermark, members, routing,
};
use types::*;
pub use write::{
    application, beacon, beacon_tree, consumed, contacts, direct, direct_consumed, forward_join,
    gone, goodbye, graft, heartbeat, i_have, members, oversized, packet, peers, prune, publish,
    routing, shuffle, stalled,
};

/// How long the frame at the front of `input` is, if it may be that long.
pub(super) fn frame(input: &[u8], limit: usize) -> Option<usize> {
    let length = u32::from_be_bytes(*input.first_chunk::<LENGTH_SIZE>()?) as usize;
    (length <= limit).then_some(LENGTH_SIZE + length)
}

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
    // Checked before the body arrives, so that garbage ends the link early.
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

/// Rejects events that nest too deeply.
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
        || members::Frame::TYPES.contains(&kind)
        || routing::Frame::TYPES.contains(&kind)
}

fn read(kind: u8, mut body: Bytes) -> Option<Message> {
    let native = match kind {
        PUBLISH..=OVERSIZED => read_broadcasting(kind, &mut body)?,
        DIRECT => return read_payload(body).map(Message::Direct),
        PACKET => return read_packet(body),
        LINE => return Some(line::decode_framed_line(&body)),
        kind if members::Frame::TYPES.contains(&kind) => {
            Native::Members(members::Frame::read(kind, std::mem::take(&mut body))?)
        }
        kind if routing::Frame::TYPES.contains(&kind) => {
            Native::Routing(routing::Frame::read(kind, std::mem::take(&mut body))?)
        }
        _ => read_control(kind, &mut body)?,
    };
    body.is_empty().then_some(Message::Native(native))
}

fn read_broadcasting(kind: u8, body: &mut Bytes) -> Option<Native> {
    Some(match kind {
        PUBLISH => Native::Publish(read_publish(std::mem::take(body))?),
        I_HAVE => Native::IHave(read_watermarks(body)?),
        GRAFT => Native::Graft {
            range: read_range(body)?,
            max_age_ms: body.try_get_u32().ok()?,
        },
        GONE => Native::Gone(read_range(body)?),
        PRUNE => Native::Prune(take_origin(body)?),
        CONSUMED => Native::Consumed(read_watermarks(body)?),
        STALLED => Native::Stalled {
            origin: take_origin(body)?,
            id: take_id(body)?,
        },
        OVERSIZED => Native::Oversized(read_range(body)?),
        _ => return None,
    })
}

fn read_control(kind: u8, body: &mut Bytes) -> Option<Native> {
    Some(match kind {
        DIRECT_CONSUMED => Native::DirectConsumed(body.try_get_u64().ok()?),
        HEARTBEAT => Native::Heartbeat,
        FORWARD_JOIN => Native::ForwardJoin {
            urgent: read_bool(body)?,
            ttl: body.try_get_u8().ok()?,
            who: read_contact(body)?,
        },
        SHUFFLE => Native::Shuffle {
            nonce: body.try_get_u32().ok()?,
            ttl: body.try_get_u8().ok()?,
            contacts: read_contacts(body)?,
        },
        CONTACTS => Native::Contacts {
            nonce: body.try_get_u32().ok()?,
            contacts: read_contacts(body)?,
        },
        GOODBYE => Native::Goodbye {
            keep: read_bool(body)?,
        },
        BEACON => Native::Beacon(Beacon {
            origin: take_origin(body)?,
            address: read_address(body)?,
            number: body.try_get_u64().ok()?,
        }),
        BEACON_TREE => Native::BeaconTree {
            wanted: read_bool(body)?,
            seed: take_id(body)?,
        },
        PEERS => Native::Peers {
            count: body.try_get_u16().ok()?,
            ways: body.try_get_u16().ok()?,
        },
        _ => return None,
    })
}

fn read_packet(mut body: Bytes) -> Option<Message> {
    let topic = match body.try_get_u8().ok()? {
        0 => Topic::Broadcast,
        1 => Topic::PeerRequest,
        2 => Topic::Ping,
        _ => return None,
    };
    Some(line::decode_framed_packet(topic, &body))
}

fn read_publish(mut body: Bytes) -> Option<Publish> {
    let flags = body
        .try_get_u8()
        .ok()
        .filter(|flags| flags & !FLAG_REPAIR == 0)?;
    let hops = body.try_get_u8().ok()?;
    let origin = take_origin(&mut body)?;
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

fn read_watermarks(body: &mut Bytes) -> Option<Vec<Watermark>> {
    let mut watermarks = Vec::new();
    while !body.is_empty() {
        let origin = take_origin(body)?;
        watermarks.push(Watermark {
            origin,
            high: read_high(body)?,
        });
    }
    Some(watermarks)
}

fn read_range(body: &mut Bytes) -> Option<Range> {
    let origin = take_origin(body)?;
    let first = read_sequence(body)?;
    let last = read_sequence(body)?;
    (first <= last).then_some(Range {
        origin,
        first,
        last,
    })
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
    let id = take_id(body)?;
    let address = read_address(body)?;
    Some(PeerAddress {
        id,
        address: address.ip(),
        port: address.port(),
    })
}

fn read_contacts(body: &mut Bytes) -> Option<Vec<PeerAddress>> {
    let mut contacts = Vec::new();
    while !body.is_empty() {
        if contacts.len() == MAX_CONTACTS {
            return None;
        }
        contacts.push(read_contact(body)?);
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
