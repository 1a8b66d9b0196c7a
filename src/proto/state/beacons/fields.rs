//! The fields for beacons.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::proto::bucket::Bucket;
use crate::proto::{LinkId, Moment, NodeId, Origin};

/// Seeds that were not known before are taken note of: at once, as many as there is room for, and
/// per second. Where all nodes are seeds, each part hears smaller and smaller ids while it grows.
const NEWS_BURST: f64 = 16.0;
const NEWS_PER_SECOND: f64 = 4.0;

/// The seeds that are alive, as a node knows them.
#[derive(Debug)]
pub(in crate::proto::state) struct Beacons {
    /// Whether this node is a seed.
    pub(in crate::proto::state) is_seed: bool,
    /// Whether it sends beacons because no other node does.
    pub(in crate::proto::state) is_substitute: bool,
    /// When it begins to, unless it hears a seed.
    pub(in crate::proto::state) mute_until: Option<Moment>,
    /// Since when it has had a peer.
    pub(in crate::proto::state) in_since: Option<Moment>,
    pub(in crate::proto::state) number: u64,
    pub(in crate::proto::state) rounds: u64,
    pub(in crate::proto::state) watched_at: Option<Moment>,
    pub(in crate::proto::state) heard: BTreeMap<NodeId, Heard>,
    /// Our own peers that do not want our beacons.
    pub(in crate::proto::state) own_lazy: Vec<LinkId>,
    /// Seeds that were not known before.
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

    /// Peers that broadcasts of an unknown origin are not pushed to at first.
    pub(in crate::proto::state) fn lazy_by_default(&self, me: &NodeId) -> &[LinkId] {
        match self.heard.first_key_value() {
            Some((id, heard)) if !self.sends() || id < me => &heard.lazy,
            _ => &self.own_lazy,
        }
    }
}

#[derive(Debug)]
pub(in crate::proto::state) struct Heard {
    pub(in crate::proto::state) origin: Origin,
    pub(in crate::proto::state) address: SocketAddr,
    pub(in crate::proto::state) number: u64,
    pub(in crate::proto::state) at: Moment,
    /// Whether it was one of our own seeds when it was first heard.
    pub(in crate::proto::state) is_ours: bool,
    /// Whom it came from.
    pub(in crate::proto::state) parent: Option<LinkId>,
    /// Peers that do not want it from us.
    pub(in crate::proto::state) lazy: Vec<LinkId>,
    pub(in crate::proto::state) asked: bool,
    /// Limits the relayed beacons.
    pub(in crate::proto::state) relays: Bucket,
}
