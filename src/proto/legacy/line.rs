//! The legacy wire: one JSON array per line, `["smoke", type, data]`.
//!
//! | type | data |
//! |---|---|
//! | `handshake`, `handshake ack` | `{id}`, and from native nodes `smoke2` |
//! | `peer request` | `{id, remoteAddress, remotePort}`, or a packet of that |
//! | `pong` | `{id, remoteAddress, remotePort, respondsTo}` |
//! | `broadcast`, `ping` | a packet |
//! | `event` | `[event, ...args]`; also read flat, as `["smoke","event",event,...args]` |
//! | `direct` | a base64 string |
//!
//! An array whose first element is another string belongs to the application.

use bytes::Bytes;

use super::packet::{self, RawPacket};
use crate::proto::codec::hello;
use crate::proto::json::{self, MAX_DEPTH, Scanner};
use crate::proto::{Hello, Message, Payload, PeerAddress, Pong, Reject, Topic};

/// The line's array and a packet's object around data that itself nests [`MAX_DEPTH`] deep.
const LINE_DEPTH: usize = MAX_DEPTH + 2;

/// Decodes one line, without its newline.
pub(in crate::proto) fn decode(line: &Bytes) -> Message {
    read(line).unwrap_or_else(Message::Rejected)
}

/// Decodes the text of a packet from a frame.
pub(in crate::proto) fn decode_framed_packet(topic: Topic, text: &Bytes) -> Message {
    let read = || {
        let mut scanner = Scanner::new(framed_text(text)?);
        let raw = RawPacket::scan(&mut scanner, LINE_DEPTH - 1).filter(|_| scanner.at_end());
        packet::decode(topic, text, raw.ok_or(Reject::NotAMessage)?)
    };
    read().map_or_else(Message::Rejected, Message::Packet)
}

/// Decodes the text of an application's line from a frame.
pub(in crate::proto) fn decode_framed_line(text: &Bytes) -> Message {
    let read = || match Elements::scan(framed_text(text)?)? {
        elements if elements.is_ours() => Err(Reject::NotAMessage),
        elements => Ok(text.slice_ref(elements.whole.as_bytes())),
    };
    read().map_or_else(Message::Rejected, Message::Line)
}

/// A newline is white space in JSON, but it would cut a legacy peer's line in two.
fn framed_text(text: &Bytes) -> Result<&str, Reject> {
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| !text.contains('\n'));
    text.ok_or(Reject::NotAMessage)
}

/// An array with a path, scanned as far as this protocol needs.
struct Elements<'a> {
    /// The array without white space around it.
    whole: &'a str,
    first: [&'a str; 3],
    /// The third element and everything after it.
    from_third: &'a str,
    /// The third element, if it is an object.
    object: Option<RawPacket<'a>>,
    count: usize,
}

impl<'a> Elements<'a> {
    /// Fails with `NotAMessage` unless `text` is an array of at least two elements that begins with
    /// a string.
    fn scan(text: &'a str) -> Result<Self, Reject> {
        let mut scanner = Scanner::new(text);
        let mut read = || {
            let mut elements = Self {
                whole: text.trim_ascii(),
                first: [""; 3],
                from_third: "",
                object: None,
                count: 0,
            };
            scanner.eat(b'[')?;
            while scanner.more(elements.count == 0, b']')? {
                let next = scanner.peek()?;
                let rest = scanner.rest();
                // Most lines hold packets, so one pass reads their objects, too.
                if elements.count == 2 && next == b'{' {
                    elements.object = Some(RawPacket::scan(&mut scanner, LINE_DEPTH - 1)?);
                } else {
                    scanner.value(LINE_DEPTH - 1)?;
                }
                if let Some(slot) = elements.first.get_mut(elements.count) {
                    *slot = rest.get(..rest.len() - scanner.rest().len())?;
                    elements.from_third = rest;
                }
                elements.count += 1;
            }
            let has_path = elements.count >= 2 && elements.first[0].starts_with('"');
            (has_path && scanner.at_end()).then_some(elements)
        };
        read().ok_or(Reject::NotAMessage)
    }

    /// Whether the array claims to be a message of this protocol.
    fn is_ours(&self) -> bool {
        json::unquote(self.first[0]).as_deref() == Some("smoke")
    }
}

fn read(line: &Bytes) -> Result<Message, Reject> {
    let text = std::str::from_utf8(line).map_err(|_| Reject::NotAMessage)?;
    let elements = Elements::scan(text)?;
    if !elements.is_ours() {
        return Ok(Message::Line(line.slice_ref(elements.whole.as_bytes())));
    }
    let Elements {
        first: [_, kind, data],
        from_third,
        object,
        count,
        ..
    } = elements;
    let kind = json::unquote(kind).ok_or(Reject::NotAMessage)?;
    let packet = |topic| {
        let raw = object.ok_or(Reject::BadShape)?;
        packet::decode(topic, line, raw).map(Message::Packet)
    };
    let read = match (&*kind, count) {
        ("broadcast", 3) => return packet(Topic::Broadcast),
        ("ping", 3) => return packet(Topic::Ping),
        ("peer request", 3) if object.is_some_and(RawPacket::has_data) => {
            return packet(Topic::PeerRequest);
        }
        ("peer request", 3) if hello::has_bad_id(data) => return Err(Reject::BadId),
        ("peer request", 3) => packet::peer_address(data).map(Message::PeerRequest),
        ("pong", 3) => read_pong(data).map(Message::Pong),
        ("handshake", 3) => return hello::decode(data).map(Message::Handshake),
        ("handshake ack", 3) => return hello::decode(data).map(Message::HandshakeAck),
        ("direct", 3) => packet::chunk(data).map(|it| Message::Direct(Payload::chunk(&it))),
        ("event", 3) => nested_event(line, data)
            .or_else(|| flat_event(data, from_third))
            .map(Message::Direct),
        ("event", 4..) => flat_event(data, from_third).map(Message::Direct),
        _ => return Err(Reject::NotAMessage),
    };
    read.ok_or(Reject::BadShape)
}

fn read_pong(raw: &str) -> Option<Pong> {
    let from = packet::peer_address(raw)?;
    let [responds_to] = json::fields(raw, ["respondsTo"])?;
    Some(Pong {
        from,
        responds_to: packet::packet_id(responds_to?)?.into_owned(),
    })
}

fn nested_event(line: &Bytes, raw: &str) -> Option<Payload> {
    let mut scanner = Scanner::new(raw);
    scanner.eat(b'[')?;
    if scanner.peek()? != b'"' {
        return None;
    }
    packet::event(line, raw).map(Payload::events)
}

/// `from_name` is `event,...args]`, and `name` its first element.
fn flat_event(name: &str, from_name: &str) -> Option<Payload> {
    if !name.starts_with('"') {
        return None;
    }
    let line = Bytes::from(format!("[{}", from_name.trim_ascii()));
    packet::event(&line, std::str::from_utf8(&line).ok()?).map(Payload::events)
}

/// `["smoke","handshake",{…}]`.
pub fn handshake(hello: &Hello) -> Bytes {
    smoke("handshake", &hello::encode(hello))
}

/// `["smoke","handshake ack",{…}]`.
pub fn handshake_ack(hello: &Hello) -> Bytes {
    smoke("handshake ack", &hello::encode(hello))
}

/// `["smoke","peer request",{id, remoteAddress, remotePort}]`, for entry on a fresh connection.
pub fn peer_request(peer: &PeerAddress) -> Bytes {
    smoke("peer request", &packet::peer_request_data(peer))
}

/// `["smoke","pong",{…}]`.
pub fn pong(pong: &Pong) -> Bytes {
    let mut data = packet::peer_request_data(&pong.from);
    data.pop();
    data.extend_from_slice(br#","respondsTo":"#);
    json::quote(&mut data, &pong.responds_to);
    data.push(b'}');
    smoke("pong", &data)
}

/// A packet, by its text.
pub fn packet(topic: Topic, text: &[u8]) -> Bytes {
    let kind = match topic {
        Topic::Broadcast => "broadcast",
        Topic::PeerRequest => "peer request",
        Topic::Ping => "ping",
    };
    smoke(kind, text)
}

/// A direct event, from the text of `[event, ...args]`, which must be JSON without a newline. It is
/// nested, the form that legacy nodes understand.
pub fn direct_event(text: &[u8]) -> Bytes {
    smoke("event", text)
}

/// A direct stream chunk.
pub fn direct_chunk(chunk: &[u8]) -> Bytes {
    smoke("direct", &packet::chunk_data(chunk))
}

/// A line of the application's own, by the array's text.
pub fn application(text: &[u8]) -> Bytes {
    [text, b"\n"].concat().into()
}

fn smoke(kind: &str, data: &[u8]) -> Bytes {
    [br#"["smoke",""#, kind.as_bytes(), br#"","#, data, b"]\n"]
        .concat()
        .into()
}
