//! The record of a node.

use bytes::{Buf as _, BufMut as _, BytesMut};
use md5::{Digest as _, Md5};

use crate::proto::wire::{put_id, put_origin, take_id, take_origin};
use crate::proto::{Identity, NodeId, Origin, PUBLIC_KEY, PublicKey, SIGNATURE};

/// The longest body, in bytes.
pub const MAX_BODY: usize = 2048;
/// The most neighbours in a record. A node with more omits the latest.
pub const MAX_NEIGHBOURS: usize = 512;
/// The longest record on the wire: a body and 512 neighbours with long ids.
pub(super) const MAX_RECORD: usize = 48 << 10;
/// Versions stay below this, so a node can always exceed the versions that others claim for it.
const MAX_VERSION: u64 = 1 << 62;

const FINAL: u8 = 1;
const SIGNED: u8 = 2;
/// Prefix of the signed bytes.
const CONTEXT: &[u8] = b"smokesignal record 1";
const STUB: u8 = 1;

/// A node's description of itself, as it is flooded.
///
/// On the wire: an origin, `u64` version, `u8` flags (bit 0: final), `u8` length and host, `u16`
/// port, `u16` length and body, `u16` count of neighbours. A neighbour is an id and `u8` kind: 0 =
/// it has a record of its own, 1 = it has none, and `u8` length and host and `u16` port follow. In
/// a closed network, bit 1 of the flags is set, and the node's public key (32 bytes) and its
/// signature under everything before it (64 bytes) follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    raw: Box<[u8]>,
    hash: u64,
    /// The node and its epoch.
    pub origin: Origin,
    /// Increases with each change.
    pub version: u64,
    /// The node has stopped.
    pub is_final: bool,
    /// Where it listens.
    pub address: Address,
    /// The application's text.
    pub body: String,
    /// Its peers.
    pub neighbours: Vec<Neighbour>,
    /// The public key in a signed record.
    pub key: Option<PublicKey>,
}

/// A host, by name or literal, and a port.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Address {
    /// Empty if unknown.
    pub host: String,
    /// 0 if unknown.
    pub port: u16,
}

/// A peer as a record names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// Its id.
    pub id: NodeId,
    /// The address of a node that keeps no record.
    pub stub: Option<Address>,
}

impl Record {
    /// Writes a record. Truncates parts that exceed their limits.
    pub fn new(
        origin: Origin,
        version: u64,
        is_final: bool,
        address: Address,
        body: String,
        neighbours: Vec<Neighbour>,
    ) -> Self {
        let mut raw = BytesMut::with_capacity(128 + body.len() + 24 * neighbours.len());
        put_origin(&mut raw, &origin);
        raw.put_u64(version);
        raw.put_u8(u8::from(is_final));
        put_address(&mut raw, &address);
        let body = cut(body, MAX_BODY);
        raw.put_u16(body.len() as u16);
        raw.put_slice(body.as_bytes());
        let mut neighbours = neighbours;
        neighbours.truncate(MAX_NEIGHBOURS);
        raw.put_u16(neighbours.len() as u16);
        for Neighbour { id, stub } in &neighbours {
            put_id(&mut raw, id);
            raw.put_u8(u8::from(stub.is_some()));
            if let Some(address) = stub {
                put_address(&mut raw, address);
            }
        }
        Self {
            hash: hash_of(&raw),
            raw: raw.as_ref().into(),
            origin,
            version,
            is_final,
            address,
            body,
            neighbours,
            key: None,
        }
    }

    /// Signs the record.
    pub fn signed(self, identity: &Identity) -> Self {
        let mut raw = self.raw.to_vec();
        // The flags follow the origin and the version.
        raw[1 + self.origin.id.code().len() + 16] |= SIGNED;
        raw.put_slice(&identity.public().0);
        let signature = identity.sign(&signed_part(&raw));
        raw.put_slice(&signature);
        Self {
            hash: hash_of(&raw),
            raw: raw.into(),
            key: Some(*identity.public()),
            ..self
        }
    }

    /// Parses a record. `None` unless `raw` is exactly one record.
    pub fn parse(raw: &[u8]) -> Option<Self> {
        if raw.len() > MAX_RECORD {
            return None;
        }
        let mut rest = raw;
        let origin = take_origin(&mut rest)?;
        let version = rest.try_get_u64().ok().filter(|v| *v < MAX_VERSION)?;
        let flags = rest
            .try_get_u8()
            .ok()
            .filter(|flags| flags & !(FINAL | SIGNED) == 0)?;
        let address = take_address(&mut rest)?;
        let body = rest.try_get_u16().ok().map(usize::from);
        let body = take_text(&mut rest, body.filter(|length| *length <= MAX_BODY)?)?;
        let count = usize::from(rest.try_get_u16().ok()?);
        if count > MAX_NEIGHBOURS {
            return None;
        }
        let mut neighbours = Vec::with_capacity(count);
        for _ in 0..count {
            let id = take_id(&mut rest)?;
            let stub = match rest.try_get_u8().ok()? {
                0 => None,
                STUB => Some(take_address(&mut rest)?),
                _ => return None,
            };
            neighbours.push(Neighbour { id, stub });
        }
        let key = match flags & SIGNED {
            0 => None,
            _ => Some(take_key(&mut rest)?),
        };
        rest.is_empty().then(|| Self {
            hash: hash_of(raw),
            raw: raw.into(),
            origin,
            version,
            is_final: flags & FINAL != 0,
            address,
            body,
            neighbours,
            key,
        })
    }

    /// Whether the record's own node has signed it. Its id follows from the key.
    pub(super) fn is_signed(&self) -> bool {
        let Some(key) = self
            .key
            .filter(|key| key.id().as_ref() == Some(&self.origin.id))
        else {
            return false;
        };
        let parts = self.raw.split_last_chunk::<SIGNATURE>();
        parts.is_some_and(|(part, signature)| key.has_signed(&signed_part(part), signature))
    }

    /// The id in a record, without parsing the rest.
    pub(super) fn id_of(raw: &[u8]) -> Option<NodeId> {
        take_id(&mut &*raw)
    }

    /// The record in wire form.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The order of two records of one node. A node that restarts begins with version 1, hears of
    /// its last life, and exceeds that version. The other fields only make the order total.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp(self.version, self.origin.epoch, self.hash)
    }

    /// A hash of the fields that the application sees.
    pub(super) fn face(&self) -> u64 {
        let Self { address, body, .. } = self;
        hash_of(format!("{}\n{}\n{body}", address.host, address.port).as_bytes())
    }
}

/// The order of the records of one node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Stamp(pub(super) u64, pub(super) u64, pub(super) u64);

/// The first eight bytes of the MD5. Not for security: all nodes must compute the same hash.
fn hash_of(bytes: &[u8]) -> u64 {
    let digest = Md5::digest(bytes);
    digest[..8]
        .iter()
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

fn signed_part(raw: &[u8]) -> Vec<u8> {
    [CONTEXT, raw].concat()
}

/// Takes a key from the front and skips the signature after it.
fn take_key(rest: &mut &[u8]) -> Option<PublicKey> {
    let (key, after) = rest.split_first_chunk::<PUBLIC_KEY>()?;
    let (_, after) = after.split_first_chunk::<SIGNATURE>()?;
    *rest = after;
    Some(PublicKey(*key))
}

/// The hash of an id. It decides the id's part of a digest.
pub(super) fn key_of(id: &NodeId) -> u64 {
    hash_of(id.code().as_bytes())
}

fn cut(mut text: String, limit: usize) -> String {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn put_address(raw: &mut BytesMut, address: &Address) {
    // A DNS name has at most 253 bytes, so a longer host is unreachable.
    let host = &address.host;
    let host = if host.len() > 255 { "" } else { host };
    raw.put_u8(host.len() as u8);
    raw.put_slice(host.as_bytes());
    raw.put_u16(address.port);
}

fn take_text(rest: &mut &[u8], length: usize) -> Option<String> {
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(std::str::from_utf8(text).ok()?.to_owned())
}

fn take_address(rest: &mut &[u8]) -> Option<Address> {
    let length = usize::from(rest.try_get_u8().ok()?);
    let host = take_text(rest, length)?;
    let port = rest.try_get_u16().ok()?;
    Some(Address { host, port })
}
