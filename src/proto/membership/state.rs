//! The state of membership.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::budget::DialBudget;
use super::context::Context;
use super::peer::{LEAF, Peer};
use crate::proto::bucket::Bucket;
use crate::proto::{Config, Counters, LinkId, Moment, NodeId, PeerAddress};

/// Limits on peers closed to make room: burst, and per second.
const ROOM_BURST: f64 = 4.0;
const ROOM_RATE: f64 = 2.0;
/// Limits on dials to addresses from the passive view, as multiples of
/// [`Config::dials_per_second`]. The burst covers the whole view; the rate finds the survivors of a
/// mass failure.
const SEEK_BURST: f64 = 8.0;
const SEEK_RATE: f64 = 2.0;
/// Limits on dials to one address from the passive view: burst, and per second, which is once in
/// [`TRY_AGAIN`](super::seek::TRY_AGAIN).
const SEEK_TARGET: (f64, f64) = (4.0, 0.5);
/// Limits on dials that other nodes ask for, as multiples of [`Config::dials_per_second`].
const REQUEST_BURST: f64 = 2.0;
const REQUEST_RATE: f64 = 1.0;
/// The same per address: three at once, then one per 10 s. Other nodes cannot aim a network at a
/// victim, and a node that restarts quickly still gets in.
const REQUEST_TARGET: (f64, f64) = (3.0, 0.1);
/// Dials to check for a twin, per second.
const CHECKS_PER_SECOND: f64 = 1.0 / 60.0;

/// The active view (the peers) and everything that this node knows of other nodes.
#[derive(Debug)]
pub(in crate::proto) struct State {
    pub(super) me: NodeId,
    /// The peers, in order of arrival.
    pub(super) peers: Vec<Peer>,
    pub(super) counters: Counters,
    pub(super) started: Moment,
    /// The passive view.
    pub(super) passive: Vec<Known>,
    /// Addresses that could not be reached, and when.
    pub(super) unreachable: VecDeque<(SocketAddr, Moment)>,
    pub(super) lost: VecDeque<Lost>,
    /// Nodes that look for peers, to be named in refusals.
    pub(super) waiting: VecDeque<Waiting>,
    /// The nonce of this node's latest shuffle.
    pub(super) nonce: u32,
    /// The nonces of relayed shuffles and the links that they came from.
    pub(super) routes: VecDeque<(u32, LinkId)>,
    /// The latest numbers that peers were told: peers, and how many of them have other peers.
    pub(super) told: (u16, u16),
    /// Rounds of seeking since a peer was added.
    pub(super) rounds: u32,
    /// No seeking before this, after many rounds in vain.
    pub(super) quiet_until: Option<Moment>,
    /// Whether [`Timer::Seek`](crate::proto::Timer::Seek) is set.
    pub(super) seek_set: bool,
    /// Limits peers closed to make room.
    pub(super) room: Bucket,
    /// Limits dials to addresses that came from other nodes: a node that hands out a victim's
    /// address cannot cause more.
    pub(super) seeking: DialBudget,
    /// Limits dials that other nodes ask for.
    pub(super) requests: DialBudget,
    /// Limits dials to check for a twin.
    pub(super) checks: Bucket,
}

/// A node in the passive view.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) who: PeerAddress,
    pub(super) tried: Option<Moment>,
}

/// A peer that was lost without a goodbye.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) who: PeerAddress,
    pub(super) since: Moment,
    pub(super) at: Moment,
    pub(super) wait: std::time::Duration,
    /// Whether it fell silent, so that the network may be at fault rather than its process.
    pub(super) silently: bool,
}

/// A node that looks for peers.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) who: PeerAddress,
    /// Marks of the beacons that it hears.
    pub(super) part: Vec<u64>,
    /// Whether it accepts more than one peer.
    pub(super) leads_on: bool,
    /// How many refusals have named it.
    pub(super) named: u8,
    pub(super) since: Moment,
}

impl State {
    pub(in crate::proto) fn new(config: &Config, me: NodeId) -> Self {
        let per_second = config.dials_per_second;
        let now = Moment::default();
        Self {
            me,
            peers: Vec::new(),
            counters: Counters::default(),
            started: now,
            passive: Vec::new(),
            unreachable: VecDeque::new(),
            lost: VecDeque::new(),
            waiting: VecDeque::new(),
            nonce: 0,
            routes: VecDeque::new(),
            told: (0, 0),
            rounds: 0,
            quiet_until: None,
            seek_set: false,
            room: Bucket::new(ROOM_BURST, ROOM_RATE, now),
            seeking: DialBudget::new(
                (SEEK_BURST * per_second, SEEK_RATE * per_second),
                SEEK_TARGET,
            ),
            requests: DialBudget::new(
                (REQUEST_BURST * per_second, REQUEST_RATE * per_second),
                REQUEST_TARGET,
            ),
            checks: Bucket::new(1.0, CHECKS_PER_SECOND, now),
        }
    }

    pub(in crate::proto) fn counters(&self) -> Counters {
        self.counters
    }

    /// How many addresses of other nodes this node stores, besides those of its peers.
    pub(in crate::proto) fn footprint(&self) -> usize {
        self.passive.len() + self.lost.len() + self.routes.len() + self.waiting.len()
    }

    /// How many peers of this node have other peers.
    pub(in crate::proto) fn ways(&self) -> u16 {
        count(self.peers.iter().filter(|peer| peer.leads_on()).count())
    }

    /// Whether this node has as many peers as it accepts.
    pub(in crate::proto) fn is_full(&self, config: &Config) -> bool {
        self.peers.len() >= config.max_peers
    }

    /// Whether this node has as many peers as it seeks.
    pub(in crate::proto) fn has_enough_peers(&self, config: &Config) -> bool {
        self.peers.len() >= config.min_peers
    }

    pub(super) fn peer(&self, link: LinkId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.link == link)
    }

    pub(super) fn peer_mut(&mut self, link: LinkId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.link == link)
    }

    /// The native peers, oldest first.
    pub(super) fn native_peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(|peer| peer.native)
    }

    pub(super) fn has_peer(&self, id: &NodeId) -> bool {
        self.peers.iter().any(|peer| peer.id == *id)
    }

    /// Whether `who` is another node than this one and its peers.
    pub(super) fn is_new(&self, who: &PeerAddress) -> bool {
        who.id != self.me && !self.has_peer(&who.id)
    }

    /// The address that other nodes can dial. `None` if the own address is a name or unspecified.
    pub(super) fn own_contact(&self, context: &Context<'_>) -> Option<PeerAddress> {
        context.config.own_contact(&self.me)
    }
}

/// Whether a node with these options is a leaf.
pub(in crate::proto) fn is_leaf(config: &Config) -> bool {
    config.max_peers <= LEAF
}

/// A number of peers as frames and handshakes encode it.
pub(in crate::proto) fn count(peers: usize) -> u16 {
    peers.try_into().unwrap_or(u16::MAX)
}
