//! The fields for membership.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::proto::bucket::Bucket;
use crate::proto::{Config, LinkId, Moment, PeerAddress};

/// Peers that make room for urgent ones: at once, and per second.
const ROOM_BURST: f64 = 4.0;
const ROOM_RATE: f64 = 2.0;
/// Dials to addresses from the passive view, as multiples of [`Config::dials_per_second`]: at once,
/// the whole view; per second, what finds the survivors of a mass failure.
const SEEK_BURST: f64 = 8.0;
const SEEK_RATE: f64 = 2.0;

/// What a node knows of others beside its peers.
#[derive(Debug)]
pub(in crate::proto::state) struct Membership {
    pub(in crate::proto::state) passive: Vec<Known>,
    pub(in crate::proto::state) lost: VecDeque<Lost>,
    /// Nodes that look for peers, as far as refused ones should know.
    pub(in crate::proto::state) waiting: VecDeque<Waiting>,
    /// The shuffle of ours that is under way.
    pub(in crate::proto::state) nonce: u32,
    /// Where other nodes' shuffles came from.
    pub(in crate::proto::state) routes: VecDeque<(u32, LinkId)>,
    /// How many peers we have told others that we have, and how many of those have others.
    pub(in crate::proto::state) told: (u16, u16),
    /// Rounds of seeking since a peer was added.
    pub(in crate::proto::state) rounds: u32,
    /// Nobody is sought before this: it was in vain for so long.
    pub(in crate::proto::state) quiet_until: Option<Moment>,
    /// Where nobody could be reached, and when.
    pub(in crate::proto::state) unreachable: VecDeque<(SocketAddr, Moment)>,
    pub(in crate::proto::state) seek_set: bool,
    pub(in crate::proto::state) room: Bucket,
    /// Dials to addresses that others told us of: whoever hands out a victim's gets no more of us.
    pub(in crate::proto::state) dials: Bucket,
    /// The same per address, under whatever ids it was told.
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
    /// Whether the way to it broke, rather than its process.
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
