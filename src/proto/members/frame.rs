//! Frames about members.
//!
//! | type | name | body |
//! |---|---|---|
//! | `0x17` | records | `u16` length and record, repeated |
//! | `0x18` | digest | `u64` |
//! | `0x19` | buckets | 256 `u64` |
//! | `0x1a` | summary | `u8` bucket, `u16` count, `u64` key, `u64` version and `u64` hash that often; repeated |
//! | `0x1b` | want | `u64` key, repeated |

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::record::Raw;
use super::table::BUCKETS;

/// The target size of a frame, in bytes.
pub(super) const FULL: usize = 32 << 10;
/// The most records in a frame: more than [`FULL`] bytes hold.
const MAX_RECORDS: usize = 1024;

/// A frame about members.
#[derive(Clone, PartialEq, Debug)]
pub enum Frame {
    /// Records, each probably later than the receiver's. The receiver usually has most of them
    /// already, so it parses only the unknown ones. Each has memory of its own, not a part of the
    /// link's buffer, because the receiver keeps it.
    Records(Vec<Raw>),
    /// A hash over the records of all members that the sender has.
    Digest(u64),
    /// The same hash for each of 256 parts, sent because the digests differ.
    Buckets(Box<[u64; BUCKETS]>),
    /// All records of the differing parts.
    Summary(Vec<(u8, Vec<Entry>)>),
    /// Keys of records that the sender lacks.
    Want(Vec<u64>),
}

/// A record in a summary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Hash of the id.
    pub key: u64,
    /// The record's version.
    pub version: u64,
    /// The record's hash.
    pub hash: u64,
}

impl Frame {
    /// The type bytes of these frames.
    pub const TYPES: std::ops::RangeInclusive<u8> = 0x17..=0x1b;

    /// The type byte of this frame.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Records(_) => 0x17,
            Self::Digest(_) => 0x18,
            Self::Buckets(_) => 0x19,
            Self::Summary(_) => 0x1a,
            Self::Want(_) => 0x1b,
        }
    }

    /// Reads the body of a frame of type `kind`.
    pub fn read(kind: u8, mut body: Bytes) -> Option<Self> {
        Some(match kind {
            0x17 => Self::Records(read_records(body)?),
            0x18 => {
                let digest = body.try_get_u64().ok()?;
                body.is_empty().then_some(Self::Digest(digest))?
            }
            0x19 => {
                let mut buckets = Box::new([0; BUCKETS]);
                for bucket in &mut *buckets {
                    *bucket = body.try_get_u64().ok()?;
                }
                body.is_empty().then_some(Self::Buckets(buckets))?
            }
            0x1a => Self::Summary(read_summary(body)?),
            0x1b => {
                let mut keys = Vec::with_capacity(body.len() / 8);
                while !body.is_empty() {
                    keys.push(body.try_get_u64().ok()?);
                }
                Self::Want(keys)
            }
            _ => return None,
        })
    }

    /// Writes the body of the frame.
    pub fn write(&self, body: &mut BytesMut) {
        match self {
            Self::Records(records) => {
                body.reserve(records.iter().map(|raw| 2 + raw.len()).sum());
                for raw in records {
                    // Fits: a record has at most `MAX_RECORD` bytes.
                    body.put_u16(raw.len() as u16);
                    body.put_slice(raw);
                }
            }
            Self::Digest(digest) => body.put_u64(*digest),
            Self::Buckets(buckets) => buckets.iter().for_each(|bucket| body.put_u64(*bucket)),
            Self::Summary(parts) => {
                for (bucket, entries) in parts {
                    body.put_u8(*bucket);
                    body.put_u16(entries.len().min(usize::from(u16::MAX)) as u16);
                    for entry in entries.iter().take(usize::from(u16::MAX)) {
                        body.put_u64(entry.key);
                        body.put_u64(entry.version);
                        body.put_u64(entry.hash);
                    }
                }
            }
            Self::Want(keys) => keys.iter().for_each(|key| body.put_u64(*key)),
        }
    }
}

fn read_records(mut body: Bytes) -> Option<Vec<Raw>> {
    let mut records = Vec::new();
    while !body.is_empty() {
        let length = usize::from(body.try_get_u16().ok()?);
        if length > body.len() || records.len() == MAX_RECORDS {
            return None;
        }
        records.push(body.split_to(length).as_ref().into());
    }
    Some(records)
}

fn read_summary(mut body: Bytes) -> Option<Vec<(u8, Vec<Entry>)>> {
    let mut parts = Vec::new();
    while !body.is_empty() {
        if parts.len() == BUCKETS {
            return None;
        }
        let bucket = body.try_get_u8().ok()?;
        let count = usize::from(body.try_get_u16().ok()?);
        if count * 24 > body.len() {
            return None;
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(Entry {
                key: body.try_get_u64().ok()?,
                version: body.try_get_u64().ok()?,
                hash: body.try_get_u64().ok()?,
            });
        }
        parts.push((bucket, entries));
    }
    Some(parts)
}
