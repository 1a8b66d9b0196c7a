//! The fields for entry.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::proto::bucket::Bucket;
use crate::proto::state::seeds::Seed;
use crate::proto::{Config, Moment, NodeId, SeedOutcome, Target};

/// Without a peer, entry is tried again after this, doubling up to [`Config::tick`].
pub(in crate::proto::state) const ENTRY_RETRY: Duration = Duration::from_secs(1);
/// When the last peer goes, entry is tried at once: so often in a row, and per second. Anybody can
/// come and go.
const ENTRY_BURST: f64 = 3.0;
const ENTRIES_PER_SECOND: f64 = 1.0;

/// The node's way into the network.
#[derive(Debug)]
pub(in crate::proto::state) struct Entry {
    pub(in crate::proto::state) seeds: Vec<Seed>,
    /// The seeds whose ids are known, by id.
    pub(in crate::proto::state) named: BTreeMap<NodeId, Vec<usize>>,
    /// The seeds that are no names, by address.
    pub(in crate::proto::state) placed: BTreeMap<SocketAddr, usize>,
    /// Seeds that are still to be tried in this round.
    pub(in crate::proto::state) round: VecDeque<usize>,
    /// How long it is until the next seed is looked at, while there are peers.
    pub(in crate::proto::state) roam_wait: Duration,
    pub(in crate::proto::state) told: Told,
    pub(in crate::proto::state) retry: Duration,
    /// Whether there is no peer, as far as the tick goes.
    pub(in crate::proto::state) is_alone: bool,
    /// Tries to enter at once.
    pub(in crate::proto::state) entries: Bucket,
    /// Dials that others make us do, pongs included: 4 a second, burst 8.
    pub(in crate::proto::state) dials: Bucket,
    pub(in crate::proto::state) pongs: Bucket,
    /// The same per target: three at once, then one per 10 s, so that nobody can be made the
    /// victim of a network, while a node that restarts quickly is still let in.
    pub(in crate::proto::state) targets: BTreeMap<SocketAddr, Bucket>,
    /// Likewise for pongs, which may be as frequent as pings are: one per 2 s.
    pub(in crate::proto::state) answered: BTreeMap<SocketAddr, Bucket>,
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
            told: Told::default(),
            retry: ENTRY_RETRY,
            is_alone: true,
            entries: Bucket::new(ENTRY_BURST, ENTRIES_PER_SECOND, Moment::default()),
            dials: Bucket::new(
                config.dials_per_second * 2.0,
                config.dials_per_second,
                Moment::default(),
            ),
            pongs: Bucket::new(
                config.pongs_per_second,
                config.pongs_per_second,
                Moment::default(),
            ),
            targets: BTreeMap::new(),
            answered: BTreeMap::new(),
        }
    }
}

impl Entry {
    /// Takes one more seed; returns its index.
    pub(in crate::proto::state) fn add_seed(&mut self, target: Target) -> usize {
        let (seed, index) = (Seed::new(target), self.seeds.len());
        if let Some(address) = seed.address {
            self.placed.insert(address, index);
        }
        self.seeds.push(seed);
        index
    }

    /// Whether one of our seeds has said that this is its id.
    pub(in crate::proto::state) fn knows_seed(&self, id: &NodeId) -> bool {
        self.named.contains_key(id)
    }

    /// Whether that is one of our seeds, as far as we know.
    pub(in crate::proto::state) fn is_seed(&self, id: &NodeId, address: SocketAddr) -> bool {
        self.knows_seed(id) || self.placed.contains_key(&address)
    }

    /// The seeds that have that id or address.
    pub(in crate::proto::state) fn seeds_of(&self, id: &NodeId, at: SocketAddr) -> Vec<usize> {
        let mut found = self.named.get(id).cloned().unwrap_or_default();
        found.extend(self.placed.get(&at));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The seed that has that address.
    pub(in crate::proto::state) fn seed_at(&self, address: SocketAddr) -> Option<usize> {
        self.placed.get(&address).copied()
    }

    /// A seed is known to be that node.
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
pub(in crate::proto::state) struct Told {
    /// Since when there has been no peer.
    pub(in crate::proto::state) since: Moment,
    pub(in crate::proto::state) last: Option<(Moment, Vec<SeedOutcome>)>,
}

impl Told {
    pub(in crate::proto::state) fn since(since: Moment) -> Self {
        Self { since, last: None }
    }
}
