//! The peers, as far as broadcasts go.

use crate::proto::bucket::Bucket;
use crate::proto::{Level, LinkId, Moment, NodeId};

/// The unit in which a peer's requests for repair are counted, one at least for each.
pub(super) const REPAIR_UNIT: usize = 4 << 10;
/// 64 MiB at once, twice what is cached: an honest peer never asks for so much.
const REPAIR_BURST: f64 = 16_384.0;
/// 4 MiB a second.
const REPAIRS_PER_SECOND: f64 = 1024.0;

/// Unknown origins that a peer may tell of at once: twice what it tells when a link comes up.
const CLAIM_BURST: f64 = 8192.0;
/// The same per second. In a network of 10 000 nodes that all begin to speak at once, most of them
/// are heard before a lazy peer tells of them.
const CLAIMS_PER_SECOND: f64 = 1024.0;

/// Unknown origins whose broadcasts a peer may bring, at once and per second: in the 30 s for which
/// broadcasts are repeated, fewer than there are streams. So recent origins are not forgotten, and
/// their broadcasts are not delivered again.
const ORIGIN_BURST: f64 = 4096.0;
const ORIGINS_PER_SECOND: f64 = 200.0;

/// Slow receivers that a peer may tell of at once; one a second in the long run.
const STALL_BURST: f64 = 32.0;

/// A peer, as far as broadcasts go.
#[derive(Debug)]
pub(in crate::proto) struct Peer {
    pub(super) link: LinkId,
    pub(super) id: NodeId,
    /// Its epoch, if it says so.
    pub(super) epoch: Option<u64>,
    /// Whether it speaks the native wire. Runs for the others are translated.
    pub(super) native: bool,
    /// Whether it reports its consumption and wants reports of ours.
    pub(super) windows: bool,
    /// The largest message it takes, in bytes.
    pub(super) max_message: usize,
    /// How full the queue of its link is.
    pub(super) level: Level,
    /// When the connection began.
    pub(super) began: Moment,
    /// When it became a peer.
    pub(super) since: Moment,
    /// When it sent a frame about broadcasts last.
    pub(super) heard: Option<Moment>,
    /// Whether broadcasts were held back because its queue was too full.
    pub(super) behind: bool,
    /// The repairs that it may ask for, in units of [`REPAIR_UNIT`].
    pub(super) repairs: Bucket,
    /// Unknown origins that it may tell of.
    pub(super) claims: Bucket,
    /// Unknown origins whose broadcasts it may bring.
    pub(super) origins: Bucket,
    /// Slow receivers that it may tell of.
    pub(super) stalls: Bucket,
}

impl Peer {
    /// A peer of the legacy wire.
    pub(in crate::proto) fn new(
        link: LinkId,
        id: NodeId,
        level: Level,
        began: Moment,
        now: Moment,
    ) -> Self {
        Self {
            link,
            id,
            epoch: None,
            native: false,
            windows: false,
            max_message: usize::MAX,
            level,
            began,
            since: now,
            heard: None,
            behind: false,
            repairs: Bucket::new(REPAIR_BURST, REPAIRS_PER_SECOND, now),
            claims: Bucket::new(CLAIM_BURST, CLAIMS_PER_SECOND, now),
            origins: Bucket::new(ORIGIN_BURST, ORIGINS_PER_SECOND, now),
            stalls: Bucket::new(STALL_BURST, 1.0, now),
        }
    }

    /// The same as a peer of the native wire.
    pub(in crate::proto) fn into_native(
        self,
        epoch: u64,
        windows: bool,
        max_message: Option<u32>,
    ) -> Self {
        Self {
            epoch: Some(epoch),
            native: true,
            windows,
            max_message: max_message.map_or(usize::MAX, |max| max as usize),
            ..self
        }
    }
}
