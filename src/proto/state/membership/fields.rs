//! The fields for membership.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::proto::bucket::Bucket;
use crate::proto::{Config, LinkId, Moment, PeerAddress};

/// Limits on peers closed to make room: burst, and per second.
const ROOM_BURST: f64 = 4.0;
const ROOM_RATE: f64 = 2.0;
/// Limits on dials to addresses from the passive view, as multiples of
/// [`Config::dials_per_second`]. The burst covers the whole view; the rate finds the survivors of a
/// mass failure.
const SEEK_BURST: f64 = 8.0;
const SEEK_RATE: f64 = 2.0;

/// Other nodes that a node knows, besides its peers.
#[derive(Debug)]
pub(in crate::proto::state) struct Membership {
    pub(in crate::proto::state) passive: Vec<Known>,
    pub(in crate::proto::state) lost: VecDeque<Lost>,
    /// Nodes that look for peers, to be named in refusals.
    pub(in crate::proto::state) waiting: VecDeque<Waiting>,
    /// The nonce of this node's latest shuffle.
    pub(in crate::proto::state) nonce: u32,
    /// The nonces of relayed shuffles and the links that they came from.
    pub(in crate::proto::state) routes: VecDeque<(u32, LinkId)>,
    /// The latest numbers that peers were told: peers, and how many of them have other peers.
    pub(in crate::proto::state) told: (u16, u16),
    /// Rounds of seeking since a peer was added.
    pub(in crate::proto::state) rounds: u32,
    /// No seeking before this, after many rounds in vain.
    pub(in crate::proto::state) quiet_until: Option<Moment>,
    /// Addresses that could not be reached, and when.
    pub(in crate::proto::state) unreachable: VecDeque<(SocketAddr, Moment)>,
    pub(in crate::proto::state) seek_set: bool,
    /// Limits peers closed to make room.
    pub(in crate::proto::state) room: Bucket,
    /// Limits dials to addresses that came from other nodes: a node that hands out a victim's
    /// address cannot cause more.
    pub(in crate::proto::state) dials: Bucket,
    /// The same per address, whatever ids it came with.
    pub(in crate::proto::state) targets: BTreeMap<SocketAddr, Bucket>,
    pub(in crate::proto::state) started: Moment,
}

#[derive(Clone, Debug)]
pub(in crate::proto::state) struct Known {
    pub(in crate::proto::state) who: PeerAddress,
    pub(in crate::proto::state) tried: Option<Moment>,
}

impl Membership {
    pub(in crate::proto::state) fn new(config: &Config) -> Self {
        Self {
            passive: Vec::new(),
            lost: VecDeque::new(),
            waiting: VecDeque::new(),
            nonce: 0,
            routes: VecDeque::new(),
            told: (0, 0),
            rounds: 0,
            quiet_until: None,
            unreachable: VecDeque::new(),
            seek_set: false,
            room: Bucket::new(ROOM_BURST, ROOM_RATE, Moment::default()),
            dials: Bucket::new(
                SEEK_BURST * config.dials_per_second,
                SEEK_RATE * config.dials_per_second,
                Moment::default(),
            ),
            targets: BTreeMap::new(),
            started: Moment::default(),
        }
    }
}

/// A peer that was lost without a goodbye.
#[derive(Debug)]
pub(in crate::proto::state) struct Lost {
    pub(in crate::proto::state) who: PeerAddress,
    pub(in crate::proto::state) since: Moment,
    pub(in crate::proto::state) at: Moment,
    pub(in crate::proto::state) wait: Duration,
    /// Whether it fell silent, so that the network may be at fault rather than its process.
    pub(in crate::proto::state) silently: bool,
}

/// A node that looks for peers.
#[derive(Debug)]
pub(in crate::proto::state) struct Waiting {
    pub(in crate::proto::state) who: PeerAddress,
    /// Marks of the beacons that it hears.
    pub(in crate::proto::state) part: Vec<u64>,
    /// Whether it accepts more than one peer.
    pub(in crate::proto::state) leads_on: bool,
    /// How many refusals have named it.
    pub(in crate::proto::state) named: u8,
    pub(in crate::proto::state) since: Moment,
}
