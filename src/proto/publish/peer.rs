//! The peers as the state of broadcasts sees them.

use crate::proto::bucket::Bucket;
use crate::proto::{Level, LinkId, Moment, NodeId};

/// The unit of a peer's repair budget. Each request costs at least one.
pub(super) const REPAIR_UNIT: usize = 4 << 10;
/// 64 MiB at once, twice the size of the cache: no honest peer asks for that much.
const REPAIR_BURST: f64 = 16_384.0;
/// 4 MiB a second.
const REPAIRS_PER_SECOND: f64 = 1024.0;

/// Unknown origins that a peer may announce at once: twice the watermarks of one greeting.
const CLAIM_BURST: f64 = 8192.0;
/// The same per second. When all nodes of a network of 10 000 begin to speak at once, most of them
/// are heard before a lazy peer announces them.
const CLAIMS_PER_SECOND: f64 = 1024.0;

/// Unknown origins whose broadcasts a peer may bring, at once and per second. In the 30 s for which
/// broadcasts are repeated, that is fewer than the limit on streams. So recent origins are not
/// forgotten, and their broadcasts are not delivered twice.
const ORIGIN_BURST: f64 = 4096.0;
const ORIGINS_PER_SECOND: f64 = 200.0;

/// Slow receivers that a peer may report at once; one a second in the long run.
const STALL_BURST: f64 = 32.0;

/// A peer as the state of broadcasts sees it.
#[derive(Debug)]
pub(in crate::proto) struct Peer {
    pub(super) link: LinkId,
    pub(super) id: NodeId,
    /// Its epoch, if the handshake gave one.
    pub(super) epoch: Option<u64>,
    /// Whether it speaks the native wire. Runs for legacy peers are translated.
    pub(super) native: bool,
    /// Whether it reports its consumption, and wants our reports.
    pub(super) windows: bool,
    /// The largest message it takes, in bytes.
    pub(super) max_message: usize,
    /// The fill level of its link's queue.
    pub(super) level: Level,
    /// When its connection opened.
    pub(super) began: Moment,
    /// When it became a peer.
    pub(super) since: Moment,
    /// When its latest frame about broadcasts arrived.
    pub(super) heard: Option<Moment>,
    /// Whether it misses broadcasts because its queue was too full.
    pub(super) behind: bool,
    /// Budget for repairs, in units of [`REPAIR_UNIT`].
    pub(super) repairs: Bucket,
    /// Budget for announcements of unknown origins.
    pub(super) claims: Bucket,
    /// Budget for broadcasts of unknown origins.
    pub(super) origins: Bucket,
    /// Budget for reports of slow receivers.
    pub(super) stalls: Bucket,
}

impl Peer {
    /// A legacy peer.
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

    /// Makes it a native peer.
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
