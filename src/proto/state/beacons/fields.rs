//! The fields for beacons.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::proto::bucket::Bucket;
use crate::proto::{LinkId, Moment, NodeId, Origin};

/// Limits on new seeds. The burst fills the table twice: where all nodes are seeds, or the parts of a
/// chain join each other, a part meets ever smaller ids as it grows.
const NEWS_BURST: f64 = 32.0;
const NEWS_PER_SECOND: f64 = 4.0;

/// The seeds that a node hears, and its own role.
#[derive(Debug)]
pub(in crate::proto::state) struct Beacons {
    /// Whether this node is a seed.
    pub(in crate::proto::state) is_seed: bool,
    /// Whether it sends beacons because no other node does.
    pub(in crate::proto::state) is_substitute: bool,
    /// When it becomes a substitute, unless it hears a seed before.
    pub(in crate::proto::state) mute_until: Option<Moment>,
    /// When it got its first peer.
    pub(in crate::proto::state) in_since: Option<Moment>,
    pub(in crate::proto::state) number: u64,
    pub(in crate::proto::state) rounds: u64,
    pub(in crate::proto::state) watched_at: Option<Moment>,
    pub(in crate::proto::state) heard: BTreeMap<NodeId, Heard>,
    /// Peers that have pruned the beacons of this node.
    pub(in crate::proto::state) own_lazy: Vec<LinkId>,
    /// Limits new seeds.
    pub(in crate::proto::state) news: Bucket,
}

impl Beacons {
    pub(in crate::proto::state) fn new() -> Self {
        Self {
            is_seed: false,
            is_substitute: false,
            mute_until: None,
            in_since: None,
            number: 0,
            rounds: 0,
            watched_at: None,
            heard: BTreeMap::new(),
            own_lazy: Vec::new(),
            news: Bucket::new(NEWS_BURST, NEWS_PER_SECOND, Moment::default()),
        }
    }

    /// Whether this node sends beacons.
    pub(in crate::proto::state) fn sends(&self) -> bool {
        self.is_seed || self.is_substitute
    }

    /// Peers that start as lazy for an unknown origin.
    pub(in crate::proto::state) fn lazy_by_default(&self, me: &NodeId) -> &[LinkId] {
        match self.heard.first_key_value() {
            Some((id, heard)) if !self.sends() || id < me => &heard.lazy,
            _ => &self.own_lazy,
        }
    }
}

/// A seed that this node hears.
#[derive(Debug)]
pub(in crate::proto::state) struct Heard {
    pub(in crate::proto::state) origin: Origin,
    pub(in crate::proto::state) address: SocketAddr,
    pub(in crate::proto::state) number: u64,
    pub(in crate::proto::state) at: Moment,
    /// Whether it was a seed of this node when it was first heard.
    pub(in crate::proto::state) is_ours: bool,
    /// The peer that brought the latest beacon.
    pub(in crate::proto::state) parent: Option<LinkId>,
    /// Peers that have pruned it.
    pub(in crate::proto::state) lazy: Vec<LinkId>,
    /// Whether peers have been asked for its beacons since the latest one.
    pub(in crate::proto::state) asked: bool,
    /// Limits the relayed beacons.
    pub(in crate::proto::state) relays: Bucket,
}
