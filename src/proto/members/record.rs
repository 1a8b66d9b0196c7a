//! The record of a node.

use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};

use super::view::{MAX_BODY, MAX_NEIGHBOURS, SIGNED, hash_of, signed_part};
use crate::proto::wire::{put_id, put_origin};
use crate::proto::{Identity, NodeId, Origin, PublicKey};

/// A record in wire form. Frames and tables share it: a record is passed on as it is.
pub type Raw = Arc<[u8]>;

/// A node's description of itself, as it is flooded.
///
/// On the wire: an origin, `u64` version, `u8` flags (bit 0: final), `u8` length and host, `u16`
/// port, `u16` length and body, `u16` count of neighbours. A neighbour is an id and `u8` kind: 0 =
/// it has a record of its own, 1 = it has none, and `u8` length and host and `u16` port follow. In
/// a closed network, bit 1 of the flags is set, and the node's public key (32 bytes) and its
/// signature under everything before it (64 bytes) follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    raw: Raw,
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

impl Address {
    pub(super) fn new(host: &str, port: u16) -> Self {
        let host = host.to_owned();
        Self { host, port }
    }
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
            raw: raw.into(),
            key: Some(*identity.public()),
            ..self
        }
    }

    /// The record in wire form.
    pub fn raw(&self) -> &Raw {
        &self.raw
    }
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
