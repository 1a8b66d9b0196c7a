//! Flooded packets, `{"id": "<node id>-<uuid>-<md5>", "data": …}`: read, checked, made.
//!
//! A packet is forwarded unchanged, so accepted packets also reach legacy nodes. Data that would
//! crash one with an uncaught exception is refused, even with a valid hash.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::{base64, canonical};
use crate::proto::codec::hello::node_id;
use crate::proto::json::{self, Scanner};
use crate::proto::{NodeId, Packet, PacketData, PeerAddress, Reject, Topic};

/// The longest packet id that is accepted, in bytes: the longest id of a node twice.
pub const MAX_ID_LEN: usize = 2 * NodeId::MAX_LEN;

/// The relevant members of a packet, as raw text.
#[derive(Clone, Copy)]
pub(super) struct RawPacket<'a> {
    /// The whole object.
    text: &'a str,
    id: Option<&'a str>,
    data: Option<&'a str>,
}

impl<'a> RawPacket<'a> {
    /// Scans any object in that way; arrays and objects nest at most `depth` deep.
    pub(super) fn scan(scanner: &mut Scanner<'a>, depth: usize) -> Option<Self> {
        scanner.peek()?;
        let text = scanner.rest();
        let [id, data] = scanner.object(["id", "data"], depth)?;
        let text = text.get(..text.len() - scanner.rest().len())?;
        Some(Self { text, id, data })
    }

    pub(super) fn has_data(self) -> bool {
        self.data.is_some()
    }
}

/// Decodes a packet inside `line`, and checks its hash.
pub(super) fn decode(topic: Topic, line: &Bytes, raw: RawPacket<'_>) -> Result<Packet, Reject> {
    let RawPacket { text, id, data } = raw;
    let id = id.and_then(packet_id).ok_or(Reject::BadShape)?;
    let raw_data = data.ok_or(Reject::BadShape)?;
    // Legacy nodes check the third part, but a node id may contain a dash.
    let (third, last) = (id.split('-').nth(2), id.rsplit('-').next());
    let is_right = |hash: Option<&str>| hash.is_some_and(|hash| is_hash_of(hash, raw_data));
    if !is_right(third) && (third == last || !is_right(last)) {
        return Err(Reject::BadHash);
    }
    let data = match topic {
        Topic::Broadcast => read_broadcast(line, raw_data),
        Topic::PeerRequest => read_peer_request(raw_data),
        Topic::Ping => read_ping(raw_data),
    };
    Ok(Packet {
        topic,
        id: id.into_owned(),
        text: line.slice_ref(text.as_bytes()),
        data: data.ok_or(Reject::BadShape)?,
    })
}

/// Decodes a packet id: a node id and the rest.
pub(super) fn packet_id(raw: &str) -> Option<Cow<'_, str>> {
    let id = json::unquote(raw)?;
    let (origin, _) = id.split_once('-')?;
    let is_good = id.len() <= MAX_ID_LEN && !origin.is_empty();
    is_good.then_some(id)
}

fn is_hash_of(hash: &str, data: &str) -> bool {
    // Nearly all senders use JSON.stringify, so the raw text is usually the hashed text.
    hash.as_bytes() == md5_hex(data.as_bytes())
        || canonical(data.as_bytes())
            .is_some_and(|canonical| hash.as_bytes() == md5_hex(&canonical))
}

fn md5_hex(bytes: &[u8]) -> [u8; 32] {
    let mut hex = [0; 32];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(Md5::digest(bytes)) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 0xf)];
    }
    hex
}

/// Array data is an event, string data a chunk. Legacy nodes make a `Buffer` of it, and throw for
/// other types.
fn read_broadcast(line: &Bytes, raw: &str) -> Option<PacketData> {
    if let Some(elements) = raw.strip_prefix('[') {
        let name = Scanner::new(elements).peek();
        let event = if name == Some(b'"') {
            event(line, raw).map(PacketData::Event)
        } else {
            None
        };
        return Some(event.unwrap_or(PacketData::Other));
    }
    // The empty string is falsy in JavaScript: a legacy node sees no data.
    let chunk = chunk(raw).filter(|_| raw != "\"\"")?;
    Some(PacketData::Chunk(chunk))
}

/// The text of the event array `raw` without raw control characters; shared if it has none.
pub(super) fn event(line: &Bytes, raw: &str) -> Option<Bytes> {
    if raw.bytes().any(|byte| byte < 0x20) {
        return canonical(raw.as_bytes()).map(Bytes::from);
    }
    Some(line.slice_ref(raw.as_bytes()))
}

/// Decodes the base64 bytes of the JSON string `raw`.
pub(super) fn chunk(raw: &str) -> Option<Bytes> {
    let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
    Some(base64::decode(&String::from_utf8_lossy(&json::decode(inside))).into())
}

/// A value in the position of an address or a port.
enum Field<T> {
    Good(T),
    /// Useless and harmless.
    Odd,
    /// It makes a legacy node throw.
    Harmful,
}

impl<T> Field<T> {
    fn is_harmful(&self) -> bool {
        matches!(self, Self::Harmful)
    }

    fn good(self) -> Option<T> {
        match self {
            Self::Good(value) => Some(value),
            Self::Odd | Self::Harmful => None,
        }
    }
}

/// A legacy node converts any value here to a string, and an object can make that throw.
fn text(raw: Option<&str>) -> Field<Cow<'_, str>> {
    match raw {
        Some(raw) if raw.starts_with(['{', '[']) => Field::Harmful,
        _ => raw.and_then(json::unquote).map_or(Field::Odd, Field::Good),
    }
}

fn address(raw: Option<&str>) -> Field<IpAddr> {
    match text(raw) {
        Field::Good(text) => text
            .parse::<IpAddr>()
            .map_or(Field::Odd, |address| Field::Good(address.to_canonical())),
        Field::Odd => Field::Odd,
        Field::Harmful => Field::Harmful,
    }
}

fn port(raw: Option<&str>) -> Field<u16> {
    // Only numbers are dialled.
    let Some(Ok(number)) = raw.map(str::parse::<f64>) else {
        return Field::Odd;
    };
    if number.fract() != 0.0 || !(0.0..=65535.0).contains(&number) {
        return Field::Harmful;
    }
    if number == 0.0 {
        Field::Odd
    } else {
        Field::Good(number as u16)
    }
}

/// `{id, remoteAddress, remotePort}`.
pub(super) fn peer_address(raw: &str) -> Option<PeerAddress> {
    match read_peer_request(raw)? {
        PacketData::PeerRequest(address) => Some(address),
        _ => None,
    }
}

fn read_peer_request(raw: &str) -> Option<PacketData> {
    let [id, host, number] = json::fields(raw, ["id", "remoteAddress", "remotePort"])?;
    let (address, port) = (address(host), port(number));
    let harms = id.is_some_and(|raw| raw.starts_with(['{', '[']));
    if harms || address.is_harmful() || port.is_harmful() {
        return None;
    }
    let read = || {
        let id = node_id(id?)?;
        Some(PeerAddress {
            id,
            address: address.good()?,
            port: port.good()?,
        })
    };
    Some(read().map_or(PacketData::Other, PacketData::PeerRequest))
}

fn read_ping(raw: &str) -> Option<PacketData> {
    let names = ["remoteAddress", "remotePort", "targetAddress", "targetPort"];
    let [from_host, from_port, target_host, target_port] = json::fields(raw, names)?;
    let (from_host, from_port) = (address(from_host), port(from_port));
    let (target_host, target_port) = (address(target_host), port(target_port));
    if from_host.is_harmful()
        || from_port.is_harmful()
        || target_host.is_harmful()
        || target_port.is_harmful()
    {
        return None;
    }
    let read = || {
        Some(PacketData::Ping {
            from: SocketAddr::new(from_host.good()?, from_port.good()?),
            target: SocketAddr::new(target_host.good()?, target_port.good()?),
        })
    };
    Some(read().unwrap_or(PacketData::Other))
}

/// Makes a packet: its id, `<id_prefix>-<md5>`, and its text. `id_prefix` is `<node id>-<uuid>`.
/// `data` must be canonical JSON, because legacy nodes hash the text that they would write. The
/// `…_data` functions of this module return such text.
pub fn new_packet(id_prefix: &str, data: &[u8]) -> (String, Bytes) {
    let hash = md5_hex(data);
    let id = [id_prefix, "-", &String::from_utf8_lossy(&hash)].concat();
    let mut text = Vec::with_capacity(id.len() + data.len() + 20);
    text.extend_from_slice(b"{\"id\":");
    json::quote(&mut text, &id);
    text.extend_from_slice(b",\"data\":");
    text.extend_from_slice(data);
    text.push(b'}');
    (id, text.into())
}

/// The data of a broadcast event in canonical form; `None` unless `text` is a valid JSON array that
/// begins with a string.
///
/// Texts from native peers are not checked before. Our own application's texts are usually
/// canonical, because `JSON.stringify(JSON.parse(text)) === text` holds for ordinary values (array
/// indices first, -0 as 0, numbers in shortest form, lone surrogates escaped, `__proto__` as an own
/// key). It does not hold for proxies with an `ownKeys` trap, module namespaces and `JSON.rawJSON`.
pub fn event_data(text: &[u8]) -> Option<Vec<u8>> {
    canonical(text).filter(|canonical| canonical.starts_with(b"[\""))
}

/// An event's text with its attachments inlined as `JSON.stringify` writes a `Buffer`.
///
/// In `json` an attachment stands as `{"\u0000b":index}`. These bytes cannot occur elsewhere:
/// inside a string the quotes would be escaped.
pub fn inline_attachments(json: &[u8], attachments: &[Bytes]) -> Vec<u8> {
    const MARK: &[u8] = br#"{"\u0000b":"#;
    let mut text = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = memchr::memmem::find(rest, MARK) {
        text.extend_from_slice(&rest[..at]);
        rest = &rest[at + MARK.len()..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let index = std::str::from_utf8(&rest[..digits])
            .ok()
            .and_then(|d| d.parse::<usize>().ok());
        match index.and_then(|index| attachments.get(index)) {
            Some(bytes) if rest.get(digits) == Some(&b'}') => {
                push_buffer(&mut text, bytes);
                rest = &rest[digits + 1..];
            }
            _ => text.extend_from_slice(MARK),
        }
    }
    text.extend_from_slice(rest);
    text
}

fn push_buffer(text: &mut Vec<u8>, bytes: &[u8]) {
    text.extend_from_slice(br#"{"type":"Buffer","data":["#);
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(byte.to_string().as_bytes());
    }
    text.extend_from_slice(b"]}");
}

/// The data of a stream chunk: a JSON string of base64.
pub fn chunk_data(chunk: &[u8]) -> Vec<u8> {
    base64::quote(chunk)
}

/// The data of a peer request.
pub fn peer_request_data(peer: &PeerAddress) -> Vec<u8> {
    let PeerAddress { id, address, port } = peer;
    let mut data = br#"{"id":"#.to_vec();
    json::quote(&mut data, id.as_str());
    let rest = format!(r#","remoteAddress":"{address}","remotePort":{port}}}"#);
    data.extend_from_slice(rest.as_bytes());
    data
}

/// The data of a ping: the sender, and the seed to answer.
pub fn ping_data(from: SocketAddr, target: SocketAddr) -> Vec<u8> {
    format!(
        r#"{{"remoteAddress":"{}","remotePort":{},"targetPort":{},"targetAddress":"{}"}}"#,
        from.ip(),
        from.port(),
        target.port(),
        target.ip(),
    )
    .into_bytes()
}
