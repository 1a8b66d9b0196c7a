//! The fields for the legacy wire.

use std::collections::BTreeMap;

use crate::proto::bucket::Bucket;
use crate::proto::legacy::Translator;
use crate::proto::{Config, Moment, NodeId};

/// The data that a node keeps for legacy nodes.
#[derive(Debug)]
pub(in crate::proto::state) struct Legacy {
    pub(in crate::proto::state) translator: Translator,
    pub(in crate::proto::state) pings: BTreeMap<u32, Ping>,
    pub(in crate::proto::state) next_ping: u32,
    /// When this node last asked for peers.
    pub(in crate::proto::state) asked_at: Option<Moment>,
    /// Whether [`Timer::Refill`](crate::proto::Timer::Refill) is set.
    pub(in crate::proto::state) refill_set: bool,
    /// Limits flooded entry requests: the rate of one peer, with a burst of ten times that, because
    /// many nodes may start together.
    pub(in crate::proto::state) floods: Bucket,
    /// When nodes last asked for entry.
    pub(in crate::proto::state) askers: BTreeMap<NodeId, Moment>,
}

impl Legacy {
    pub(in crate::proto::state) fn new(config: &Config) -> Self {
        let rate = config.peer_requests_per_second;
        Self {
            translator: Translator::new(config),
            pings: BTreeMap::new(),
            next_ping: 0,
            asked_at: None,
            refill_set: false,
            floods: Bucket::new(rate * 10.0, rate, Moment::default()),
            askers: BTreeMap::new(),
        }
    }
}

#[derive(Debug)]
pub(in crate::proto::state) struct Ping {
    pub(in crate::proto::state) packet: String,
    pub(in crate::proto::state) seed: usize,
}
