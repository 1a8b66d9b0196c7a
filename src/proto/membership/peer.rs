//! The peers as the state of membership sees them.

use crate::proto::bucket::Bucket;
use crate::proto::{Config, Hello, LinkId, Moment, NodeId, PeerAddress};

/// A node that accepts at most this many peers is a leaf: it ends the network or extends a chain.
pub(super) const LEAF: usize = 2;
/// Forward joins accepted from a native peer, per second.
const WALKS_PER_SECOND: f64 = 100.0;
/// Assumed number of peers of an older node, which does not report it.
const USUAL: u16 = 3;

/// A peer as the state of membership sees it.
#[derive(Debug)]
pub(in crate::proto) struct Peer {
    pub(super) link: LinkId,
    pub(super) id: NodeId,
    pub(super) native: bool,
    /// Where it can be dialled, to pass on to other nodes; `None` for legacy peers.
    pub(super) contact: Option<PeerAddress>,
    /// How many peers it accepts, if it reports that.
    pub(super) max_peers: Option<u16>,
    /// How many peers it has, if it reports that.
    pub(super) has: u16,
    /// How many of its peers have other peers, if it reports that.
    pub(super) ways: u16,
    /// Set by its goodbye: whether it wants to be remembered.
    pub(super) leaving: Option<bool>,
    /// The latest node that it named alone: before a goodbye, the successor of this node.
    pub(super) instead: Option<PeerAddress>,
    /// Limits forward joins or peer requests from it.
    pub(super) requests: Bucket,
    /// Limits shuffles from it.
    pub(super) shuffles: Bucket,
    /// Limits shuffles to it.
    pub(super) shuffles_on: Bucket,
}

impl Peer {
    /// A new peer, from its handshake.
    pub(in crate::proto) fn new(
        link: LinkId,
        hello: &Hello,
        contact: Option<PeerAddress>,
        config: &Config,
        now: Moment,
    ) -> Self {
        let native = hello.native.is_some() && config.native;
        // A walk ends at one node, a flood reaches all.
        let requests = match native {
            true => WALKS_PER_SECOND,
            false => config.peer_requests_per_second,
        };
        let shuffles = config.shuffles_per_second;
        let place = hello.native.as_ref().map(|native| &native.place);
        Self {
            link,
            id: hello.id.clone(),
            native,
            contact,
            max_peers: place.and_then(|place| place.max_peers),
            // The number in the handshake does not include this link.
            has: place.map_or(0, |place| place.peers.saturating_add(1)),
            ways: place.map_or(0, |place| place.ways),
            leaving: None,
            instead: None,
            requests: Bucket::new(requests, requests, now),
            shuffles: Bucket::new(10.0 * shuffles, shuffles, now),
            // A link that stalls is closed within 10 s. The shuffles sent meanwhile stay below the
            // burst that the peer accepts.
            shuffles_on: Bucket::new(2.5 * shuffles, shuffles / 2.0, now),
        }
    }

    /// Where it can be dialled, to pass on to other nodes.
    pub(super) fn contact(&self) -> Option<PeerAddress> {
        self.contact.clone()
    }

    /// Whether it is a leaf.
    pub(super) fn is_leaf(&self) -> bool {
        self.max_peers.is_some_and(|max| usize::from(max) <= LEAF)
    }

    /// Whether it is a leaf without room.
    pub(super) fn is_full_leaf(&self) -> bool {
        self.is_leaf() && self.max_peers.is_some_and(|max| self.has >= max)
    }

    /// Whether it accepts no peer besides this node.
    pub(super) fn is_dead_end(&self) -> bool {
        self.max_peers == Some(1)
    }

    /// Whether it has other peers, as far as it reports.
    pub(super) fn leads_on(&self) -> bool {
        self.max_peers.is_none() || self.has > 1
    }

    /// How many peers it has, as far as it reports.
    pub(super) fn peers(&self) -> u16 {
        self.max_peers.map_or(USUAL, |_| self.has)
    }

    /// How many of its peers have other peers, as far as it reports.
    pub(super) fn peers_that_lead_on(&self) -> u16 {
        self.max_peers.map_or(USUAL, |_| self.ways)
    }
}
