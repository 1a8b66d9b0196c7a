//! The data of a handshake, `{id, smoke2}`: every link begins with it, on either wire.
//!
//! Only native nodes send `smoke2`. Legacy nodes ignore it.

use std::borrow::Cow;

use crate::proto::json;
use crate::proto::{Hello, HelloNative, Intent, NodeId, Place, Records, Reject, Why};

/// The longest host name in a handshake (that of DNS).
const MAX_HOST_LEN: usize = 255;

/// The longest name of a network, in bytes.
pub const MAX_NETWORK_LEN: usize = 64;
/// Marks in a handshake.
pub const MAX_MARKS: usize = 8;
/// Hexadecimal digits of a mark.
const MARK_DIGITS: usize = 16;

/// Reads the data of a handshake.
pub(in crate::proto) fn decode(raw: &str) -> Result<Hello, Reject> {
    let [id, native] = json::fields(raw, ["id", "smoke2"]).ok_or(Reject::BadShape)?;
    let id = node_id(id.ok_or(Reject::BadShape)?).ok_or(Reject::BadId)?;
    Ok(Hello {
        id,
        native: native.and_then(decode_native),
    })
}

fn decode_native(raw: &str) -> Option<HelloNative> {
    let names = [
        "v", "address", "port", "epoch", "intent", "windows", "largest",
    ];
    let [version, address, port, epoch, intent, windows, largest] = json::fields(raw, names)?;
    // Later versions must also speak version 1, for peers that know no other.
    let version = version?.parse::<u32>().ok()?.min(1);
    let address = json::unquote(address?)?;
    let epoch = json::unquote(epoch?)?;
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_%".contains(&byte);
    let is_good = version == 1
        && (1..=MAX_HOST_LEN).contains(&address.len())
        && address.bytes().all(is_host)
        && epoch.len() == 16
        && epoch.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_good {
        return None;
    }
    Some(HelloNative {
        version,
        address: address.into_owned(),
        port: port?.parse().ok().filter(|port| *port > 0)?,
        epoch: u64::from_str_radix(&epoch, 16).ok()?,
        intent: intent
            .and_then(json::unquote)
            .map(|name| Intent::parse(&name))
            .unwrap_or_default(),
        windows: windows == Some("true"),
        max_message: largest.and_then(|max| max.parse().ok()),
        place: decode_place(raw).unwrap_or_default(),
    })
}

/// Malformed members count as absent. A malformed network name is the exception: it becomes the
/// empty name, which no node has.
fn decode_place(raw: &str) -> Option<Place> {
    let names = [
        "max", "has", "ways", "part", "network", "why", "members", "shortcut",
    ];
    let [max, has, ways, part, network, why, members, shortcut] = json::fields(raw, names)?;
    let number = |raw: Option<&str>| raw.and_then(|number| number.parse().ok());
    let name_of = |raw| json::unquote(raw).filter(|name| is_network(name));
    let network = network.map(|raw| name_of(raw).unwrap_or_default());
    Some(Place {
        max_peers: number(max),
        peers: number(has).unwrap_or(0),
        ways: number(ways).unwrap_or(0),
        part: part
            .and_then(json::unquote)
            .and_then(|part| decode_marks(&part))
            .unwrap_or_default(),
        network: network.map(Cow::into_owned),
        why: why.and_then(json::unquote).and_then(|why| Why::parse(&why)),
        members: match members {
            Some("true") => Records::Plain,
            Some("\"signed\"") => Records::Signed,
            _ => Records::None,
        },
        shortcut: shortcut == Some("true"),
    })
}

fn is_network(name: &str) -> bool {
    (1..=MAX_NETWORK_LEN).contains(&name.len())
}

fn decode_marks(text: &str) -> Option<Vec<u64>> {
    let is_good =
        text.len() <= MAX_MARKS * MARK_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let marks = text.as_bytes().chunks(MARK_DIGITS).filter(|_| is_good);
    marks
        .map(|digits| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
        .collect()
}

/// Whether an object has an invalid node id.
pub(in crate::proto) fn has_bad_id(raw: &str) -> bool {
    let id = json::fields(raw, ["id"]).and_then(|[id]| id);
    id.is_some_and(|id| node_id(id).is_none())
}

/// Reads a node id. The id of a legacy node may be a number.
pub(in crate::proto) fn node_id(raw: &str) -> Option<NodeId> {
    match raw.as_bytes().first()? {
        b'"' => NodeId::parse(&json::unquote(raw)?),
        b'-' | b'0'..=b'9' => NodeId::parse(raw),
        _ => None,
    }
}

/// Writes the data of a handshake, `{id, smoke2}`.
pub(in crate::proto) fn encode(hello: &Hello) -> Vec<u8> {
    let mut line = br#"{"id":"#.to_vec();
    json::quote(&mut line, hello.id.as_str());
    if let Some(HelloNative {
        version,
        address,
        port,
        epoch,
        intent,
        windows,
        max_message,
        place,
    }) = &hello.native
    {
        line.extend_from_slice(format!(r#","smoke2":{{"v":{version},"address":"#).as_bytes());
        json::quote(&mut line, address);
        line.extend_from_slice(format!(r#","port":{port},"epoch":"{epoch:016x}""#).as_bytes());
        if let Some(name) = intent.name() {
            line.extend_from_slice(format!(r#","intent":"{name}""#).as_bytes());
        }
        if *windows {
            line.extend_from_slice(br#","windows":true"#);
        }
        if let Some(max) = max_message {
            line.extend_from_slice(format!(r#","largest":{max}"#).as_bytes());
        }
        put_place(&mut line, place);
        line.push(b'}');
    }
    line.push(b'}');
    line
}

fn put_place(line: &mut Vec<u8>, place: &Place) {
    let Place {
        max_peers,
        peers,
        ways,
        part,
        network,
        why,
        members,
        shortcut,
    } = place;
    if let Some(max) = max_peers {
        line.extend_from_slice(format!(r#","max":{max},"has":{peers},"ways":{ways}"#).as_bytes());
    }
    if !part.is_empty() {
        let marks = part.iter().take(MAX_MARKS);
        let digits: String = marks.map(|mark| format!("{mark:016x}")).collect();
        line.extend_from_slice(format!(r#","part":"{digits}""#).as_bytes());
    }
    if let Some(network) = network {
        line.extend_from_slice(br#","network":"#);
        json::quote(line, network);
    }
    if let Some(why) = why {
        line.extend_from_slice(format!(r#","why":"{}""#, why.name()).as_bytes());
    }
    match members {
        Records::None => {}
        Records::Plain => line.extend_from_slice(br#","members":true"#),
        Records::Signed => line.extend_from_slice(br#","members":"signed""#),
    }
    if *shortcut {
        line.extend_from_slice(br#","shortcut":true"#);
    }
}
