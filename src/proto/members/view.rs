//! A record as it stands on the wire, checked and not copied.

use std::hash::{Hash, Hasher};

use bytes::Buf as _;
use md5::{Digest as _, Md5};

use crate::proto::wire::take_code;
use crate::proto::{PUBLIC_KEY, PublicKey, SIGNATURE};

/// The longest body, in bytes.
pub const MAX_BODY: usize = 2048;
/// The most neighbours in a record. A node with more omits the latest.
pub const MAX_NEIGHBOURS: usize = 512;
/// The longest record on the wire: a body and 512 neighbours with long ids.
const MAX_RECORD: usize = 48 << 10;
/// Versions stay below this, so a node can always exceed the versions that others claim for it.
const MAX_VERSION: u64 = 1 << 62;

pub(super) const FINAL: u8 = 1;
pub(super) const SIGNED: u8 = 2;
const STUB: u8 = 1;
/// Prefix of the signed bytes.
const CONTEXT: &[u8] = b"smokesignal record 1";

/// The order of the records of one node: by version, epoch and hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Stamp(pub(super) u64, pub(super) u64, pub(super) u64);

/// The fields of a record. [`Record`](super::Record) explains them and has the wire form.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) raw: &'a [u8],
    pub(super) code: &'a str,
    pub(super) epoch: u64,
    pub(super) version: u64,
    pub(super) is_final: bool,
    pub(super) address: (&'a str, u16),
    pub(super) body: &'a str,
    /// The number of neighbours.
    pub(super) count: usize,
    neighbours: &'a [u8],
    pub(super) key: Option<PublicKey>,
}

/// A neighbour: its id's code, and its address if it keeps no record.
pub(super) type Named<'a> = (&'a str, Option<(&'a str, u16)>);

impl<'a> View<'a> {
    /// Parses a record from another node. `None` unless `raw` is exactly one record.
    pub(super) fn parse(raw: &'a [u8]) -> Option<Self> {
        let view = (raw.len() <= MAX_RECORD).then(|| Self::read(raw))??;
        (view.version < MAX_VERSION).then_some(view)
    }

    /// The same, of any length and version.
    pub(super) fn read(raw: &'a [u8]) -> Option<Self> {
        let (view, flags, mut rest) = Self::head(raw)?;
        let count = usize::from(rest.try_get_u16().ok()?);
        if count > MAX_NEIGHBOURS {
            return None;
        }
        let mut neighbours = rest;
        for _ in 0..count {
            take_neighbour(&mut rest)?;
        }
        neighbours = &neighbours[..neighbours.len() - rest.len()];
        let key = match flags & SIGNED {
            0 => None,
            _ => Some(take_key(&mut rest)?),
        };
        rest.is_empty().then_some(Self {
            count,
            neighbours,
            key,
            ..view
        })
    }

    /// What stands before the neighbours, the flags, and what follows.
    fn head(raw: &'a [u8]) -> Option<(Self, u8, &'a [u8])> {
        let mut rest = raw;
        let code = take_code(&mut rest)?;
        let epoch = rest.try_get_u64().ok()?;
        let version = rest.try_get_u64().ok()?;
        let known = |flags: &u8| flags & !(FINAL | SIGNED) == 0;
        let flags = rest.try_get_u8().ok().filter(known)?;
        let address = take_address(&mut rest)?;
        let body = rest.try_get_u16().ok().map(usize::from);
        let body = take_text(&mut rest, body.filter(|length| *length <= MAX_BODY)?)?;
        let view = Self {
            raw,
            code,
            epoch,
            version,
            is_final: flags & FINAL != 0,
            address,
            body,
            count: 0,
            neighbours: &[],
            key: None,
        };
        Some((view, flags, rest))
    }

    /// The code of the id in a record, without parsing the rest. Not checked to be a code.
    pub(super) fn code_bytes(raw: &'a [u8]) -> &'a [u8] {
        let code = raw.split_first();
        let code = code.and_then(|(length, rest)| rest.get(..usize::from(*length)));
        code.unwrap_or_default()
    }

    /// The epoch and the version in a record, without parsing the rest.
    pub(super) fn life_of(raw: &'a [u8]) -> Option<(u64, u64)> {
        let mut rest = raw.get(1 + Self::code_bytes(raw).len()..)?;
        Some((rest.try_get_u64().ok()?, rest.try_get_u64().ok()?))
    }

    pub(super) fn neighbours(&self) -> impl Iterator<Item = Named<'a>> + use<'a> {
        let mut rest = self.neighbours;
        std::iter::from_fn(move || take_neighbour(&mut rest))
    }

    /// The order of two records of one node. A node that restarts begins with version 1, hears of
    /// its last life, and exceeds that version. The other fields only make the order total.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp(self.version, self.epoch, hash_of(self.raw))
    }

    /// [`Self::face`] of a record, without parsing its neighbours.
    pub(super) fn face_of(raw: &[u8]) -> Option<u64> {
        Some(View::head(raw)?.0.face())
    }

    /// A hash of the fields that the application sees. Not for other nodes.
    pub(super) fn face(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        (self.address, self.body).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether the record's own node has signed it. Its id follows from the key.
    pub(super) fn is_signed(&self) -> bool {
        let Some(key) = self.key else {
            return false;
        };
        if key.id().is_none_or(|id| id.code() != self.code) {
            return false;
        }
        let parts = self.raw.split_last_chunk::<SIGNATURE>();
        parts.is_some_and(|(part, signature)| key.has_signed(&signed_part(part), signature))
    }
}

/// The first eight bytes of the MD5. Not for security: all nodes must compute the same hash.
pub(super) fn hash_of(bytes: &[u8]) -> u64 {
    let digest = Md5::digest(bytes);
    digest[..8]
        .iter()
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The bytes that the signature of `raw` covers.
pub(super) fn signed_part(raw: &[u8]) -> Vec<u8> {
    [CONTEXT, raw].concat()
}

fn take_neighbour<'a>(rest: &mut &'a [u8]) -> Option<Named<'a>> {
    let code = take_code(rest)?;
    match rest.try_get_u8().ok()? {
        0 => Some((code, None)),
        STUB => Some((code, Some(take_address(rest)?))),
        _ => None,
    }
}

/// Takes a key from the front and skips the signature after it.
fn take_key(rest: &mut &[u8]) -> Option<PublicKey> {
    let (key, after) = rest.split_first_chunk::<PUBLIC_KEY>()?;
    let (_, after) = after.split_first_chunk::<SIGNATURE>()?;
    *rest = after;
    Some(PublicKey(*key))
}

fn take_text<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a str> {
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

fn take_address<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, u16)> {
    let length = usize::from(rest.try_get_u8().ok()?);
    let host = take_text(rest, length)?;
    let port = rest.try_get_u16().ok()?;
    Some((host, port))
}
