//! The fields for entry.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::proto::bucket::{Bucket, Targets};
use crate::proto::state::seeds::Seed;
use crate::proto::{Config, Moment, NodeId, SeedOutcome, Target};

/// First wait of a node without peers before it tries to enter again. Doubles up to
/// [`Config::tick`].
pub(in crate::proto::state) const ENTRY_RETRY: Duration = Duration::from_secs(1);
/// It grows beyond the first only to the second's share of the time without peers: a seed that is
/// started late is found soon.
pub(in crate::proto::state) const RETRY_SOON: Duration = Duration::from_secs(4);
pub(in crate::proto::state) const RETRY_SHARE: u32 = 3;
/// How many times in a row that pause is kept short because a seed's address led to this node
/// itself: a load balancer may lead to another node the next time.
pub(in crate::proto::state) const OWN_TRIES: u32 = 8;
/// Limits on immediate attempts to enter after the last peer goes. Any node can connect and leave
/// to provoke them.
const ENTRY_BURST: f64 = 3.0;
const ENTRIES_PER_SECOND: f64 = 1.0;
/// Limits on pongs to one address: burst, and per second.
const PONGS_PER_TARGET: (f64, f64) = (3.0, 0.5);

/// The node's way into the network.
#[derive(Debug)]
pub(in crate::proto::state) struct Entry {
    pub(in crate::proto::state) seeds: Vec<Seed>,
    /// The seeds whose ids are known, by id.
    pub(in crate::proto::state) named: BTreeMap<NodeId, Vec<usize>>,
    /// The seeds given as IP addresses, by address.
    pub(in crate::proto::state) placed: BTreeMap<SocketAddr, usize>,
    /// Seeds still to try in this round.
    pub(in crate::proto::state) round: VecDeque<usize>,
    /// Time until this node checks the next seed, while it has peers.
    pub(in crate::proto::state) roam_wait: Duration,
    pub(in crate::proto::state) report: EntryReport,
    pub(in crate::proto::state) retry: Duration,
    /// How many times a seed's address has led to this node itself since it had a peer.
    pub(in crate::proto::state) own_tries: u32,
    /// Whether the tick runs at the pace of a node without peers.
    pub(in crate::proto::state) is_alone: bool,
    /// Limits immediate attempts to enter.
    pub(in crate::proto::state) entries: Bucket,
    /// Limits pongs in total.
    pub(in crate::proto::state) pongs: Bucket,
    /// Limits pongs per target: three at once, then one per 2 s, which is as often as pings come.
    pub(in crate::proto::state) answered: Targets,
}

impl Entry {
    pub(in crate::proto::state) fn new(config: &Config) -> Self {
        let seeds = Seed::all(config);
        let placed = seeds.iter().zip(0..);
        Self {
            named: BTreeMap::new(),
            placed: placed
                .filter_map(|(seed, index)| Some((seed.address?, index)))
                .collect(),
            seeds,
            round: VecDeque::new(),
            roam_wait: Duration::ZERO,
            report: EntryReport::default(),
            retry: ENTRY_RETRY,
            own_tries: 0,
            is_alone: true,
            entries: Bucket::new(ENTRY_BURST, ENTRIES_PER_SECOND, Moment::default()),
            pongs: Bucket::new(
                config.pongs_per_second,
                config.pongs_per_second,
                Moment::default(),
            ),
            answered: Targets::new(PONGS_PER_TARGET),
        }
    }
}

impl Entry {
    /// Adds a seed; returns its index.
    pub(in crate::proto::state) fn add_seed(&mut self, target: Target) -> usize {
        let (seed, index) = (Seed::new(target), self.seeds.len());
        if let Some(address) = seed.address {
            self.placed.insert(address, index);
        }
        self.seeds.push(seed);
        index
    }

    /// Whether a seed of this node has shown this id.
    pub(in crate::proto::state) fn knows_seed(&self, id: &NodeId) -> bool {
        self.named.contains_key(id)
    }

    /// Whether a seed of this node has this id or this address.
    pub(in crate::proto::state) fn is_seed(&self, id: &NodeId, address: SocketAddr) -> bool {
        self.knows_seed(id) || self.placed.contains_key(&address)
    }

    /// The seeds with this id or this address.
    pub(in crate::proto::state) fn seeds_of(&self, id: &NodeId, at: SocketAddr) -> Vec<usize> {
        let mut found = self.named.get(id).cloned().unwrap_or_default();
        found.extend(self.placed.get(&at));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The seed with this address.
    pub(in crate::proto::state) fn seed_at(&self, address: SocketAddr) -> Option<usize> {
        self.placed.get(&address).copied()
    }

    /// Notes the id of a seed.
    pub(in crate::proto::state) fn set_seed_id(&mut self, index: usize, id: NodeId) {
        let Some(seed) = self.seeds.get_mut(index) else {
            return;
        };
        if seed.id.as_ref() == Some(&id) {
            return;
        }
        if let Some(old) = seed.id.replace(id.clone())
            && let Some(named) = self.named.get_mut(&old)
        {
            named.retain(|other| *other != index);
            if named.is_empty() {
                self.named.remove(&old);
            }
        }
        self.named.entry(id).or_default().push(index);
    }
}

/// The latest report to the application.
#[derive(Debug, Default)]
pub(in crate::proto::state) struct EntryReport {
    /// When the node lost its last peer.
    pub(in crate::proto::state) since: Moment,
    pub(in crate::proto::state) last: Option<(Moment, Vec<SeedOutcome>)>,
}

impl EntryReport {
    pub(in crate::proto::state) fn since(since: Moment) -> Self {
        Self { since, last: None }
    }
}
