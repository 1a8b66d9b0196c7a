//! The scenarios that overlays are judged by.
//!
//! Each scenario takes a [`Network`] from one state to another and measures it on the way. All use
//! one seed host, the first, like most real networks.

mod dissemination;
mod failures;
mod members;
mod overlay;
mod receivers;
mod watch;

use std::time::Duration;

use super::{HostId, Network, Options};
use crate::proto::{Config, Target};
pub(super) use dissemination::coverage;
use dissemination::{one_sender, random_senders};
use failures::{HALF, MOST, churn, deaths, partition};
use members::members;
use overlay::{join, steady};
use receivers::slow_receivers;
pub use watch::{Figures, await_that, is_whole};

/// The setup shared by the runs of one table.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The number of nodes.
    pub nodes: usize,
    /// How many peers each node seeks.
    pub min_peers: usize,
    /// How many peers each node accepts.
    pub max_peers: usize,
    /// Whether each keeps records of all: 4 MB per node at 10 000 nodes.
    pub members: bool,
    /// Whether records are handed out once the overlay has formed, instead of flooded while it
    /// forms: for thousands of nodes.
    pub warm: bool,
    /// Decides everything that is left to chance.
    pub seed: u64,
}

impl Setup {
    /// The default setup with `nodes` nodes.
    pub fn new(nodes: usize, seed: u64) -> Self {
        let Config {
            min_peers,
            max_peers,
            members,
            ..
        } = Config::default();
        Self {
            nodes,
            min_peers,
            max_peers,
            members,
            warm: false,
            seed,
        }
    }

    /// Builds the hosts; no node is started.
    pub fn build(&self) -> Network {
        let mut network = Network::new(Options {
            seed: self.seed,
            ..Options::default()
        });
        if self.warm {
            network.withhold_records();
        }
        for host in 0..self.nodes {
            let seeds = match host {
                0 => Vec::new(),
                _ => vec![Target::from(HostId(0).address())],
            };
            network.add(Config {
                seeds,
                min_peers: self.min_peers,
                max_peers: self.max_peers,
                members: self.members,
                ..Config::default()
            });
        }
        network
    }
}

/// A scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    /// All nodes start at the same moment.
    Join,
    /// Nothing happens for 30 s.
    Steady,
    /// One node broadcasts.
    OneSender,
    /// A random node sends each broadcast.
    RandomSenders,
    /// Half of the nodes die while another broadcasts.
    HalfDie,
    /// Four of five nodes die while another broadcasts.
    MostDie,
    /// The network is split for a while.
    Partition,
    /// Nodes join and leave while others broadcast.
    Churn,
    /// One node broadcasts as fast as backpressure allows; one in a hundred consumes ten times
    /// slower.
    SlowReceivers,
    /// Nodes join, leave, crash, starve or are cut off, one at a time; measures when others notice.
    Members,
}

impl Scenario {
    /// All scenarios.
    pub const ALL: [Self; 10] = [
        Self::Join,
        Self::Steady,
        Self::OneSender,
        Self::RandomSenders,
        Self::Members,
        Self::Partition,
        Self::HalfDie,
        Self::MostDie,
        Self::Churn,
        Self::SlowReceivers,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Steady => "steady",
            Self::OneSender => "one-sender",
            Self::RandomSenders => "random-senders",
            Self::HalfDie => "half-die",
            Self::MostDie => "most-die",
            Self::Partition => "partition",
            Self::Churn => "churn",
            Self::SlowReceivers => "slow-receivers",
            Self::Members => "members",
        }
    }

    /// Finds a scenario by name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Runs the scenario: [`Scenario::Join`] on a fresh network, others on a settled one.
    pub fn play(self, network: &mut Network) -> Figures {
        match self {
            Self::Join => join(network),
            Self::Steady => steady(network),
            Self::OneSender => one_sender(network),
            Self::RandomSenders => random_senders(network),
            Self::HalfDie => deaths(network, 0.5, &HALF),
            Self::MostDie => deaths(network, 0.8, &MOST),
            Self::Partition => partition(network),
            Self::Churn => churn(network),
            Self::SlowReceivers => slow_receivers(network),
            Self::Members => members(network),
        }
    }
}

/// Starts all nodes and waits until the network has settled.
pub fn settle(network: &mut Network) {
    join(network);
    come_to_rest(network);
}

/// Lets the network come to rest after nodes have joined.
pub fn come_to_rest(network: &mut Network) {
    network.run_for(Duration::from_secs(30));
    network.hand_out_records();
    network.take_happenings();
}
