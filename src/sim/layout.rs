//! Realistic configurations: seeds, limits and addresses.
//!
//! [`Layout::play`] starts a network of each kind, waits until it is whole, lets it settle, and
//! counts the events at rest, when nothing changes.

use std::time::Duration;

use super::network::{HostId, Network, Options};
use super::scenario::{await_that, is_whole};
use crate::proto::{Config, Event, Moment, Target};

/// A name that resolves to a random running node.
const BALANCER: &str = "balancer.example";
/// The interval between the starts of two hosts.
const TURN: Duration = Duration::from_millis(50);
/// How long a network may take to become whole before the run gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a network has to settle.
const SETTLING: Duration = Duration::from_secs(180);
/// How long it is watched at rest.
const WATCHED: Duration = Duration::from_secs(120);
/// How long the first part of a network runs before the late seed starts.
const LATE: Duration = Duration::from_secs(15);

/// The configuration of a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// All know all hosts, from the same list.
    EveryHost,
    /// All know the same list of this many first hosts.
    Seeds(usize),
    /// All know one address, which leads to a random running node.
    Balancer,
    /// One seed. A share of the other nodes accepts only a few links.
    Leaves {
        /// Their `maxPeerNo`.
        links: usize,
        /// Their percentage.
        percent: usize,
    },
    /// One seed. A third of the other nodes cannot be dialled.
    Undiallable,
    /// Three seeds, one of which never runs.
    DeadSeed,
    /// Half of the hosts know two seeds. The other half includes the second seed, starts later, and
    /// knows only that seed.
    LateSeed,
}

/// The order in which nodes start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// All at the same moment.
    AtOnce,
    /// One after the other.
    InTurn,
}

impl Start {
    /// Both orders.
    pub const ALL: [Self; 2] = [Self::AtOnce, Self::InTurn];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AtOnce => "at once",
            Self::InTurn => "in turn",
        }
    }
}

/// The results of one run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outcome {
    /// Seconds from the last start until the network was whole; infinite = never.
    pub whole_after: f64,
    /// Components at the end.
    pub components: usize,
    /// Nodes without a peer at the end.
    pub alone: usize,
    /// Events at rest, other than added and removed peers.
    pub events: usize,
    /// Peers removed at rest.
    pub removals: usize,
    /// Dials per node and minute at rest.
    pub dials: f64,
    /// The same for the node that dials most.
    pub most_dials: f64,
    /// Bytes of control traffic per node and second at rest.
    pub traffic: f64,
}

impl Outcome {
    /// Whether the results meet the requirements for every configuration.
    pub fn is_good(&self) -> bool {
        self.whole_after <= 10.0
            && self.components == 1
            && (self.events, self.removals) == (0, 0)
            && self.dials <= 1.0
    }
}

impl Layout {
    /// The layouts that are played by default.
    pub const ALL: [Self; 14] = [
        Self::EveryHost,
        Self::Seeds(1),
        Self::Seeds(3),
        Self::Seeds(9),
        Self::Balancer,
        Self::leaves(1, 10),
        Self::leaves(1, 30),
        Self::leaves(1, 60),
        Self::leaves(2, 10),
        Self::leaves(2, 30),
        Self::leaves(2, 60),
        Self::Undiallable,
        Self::DeadSeed,
        Self::LateSeed,
    ];

    /// One seed, and this percentage of leaves with this many links.
    pub const fn leaves(links: usize, percent: usize) -> Self {
        Self::Leaves { links, percent }
    }

    /// Its name on the command line.
    pub fn name(self) -> String {
        match self {
            Self::EveryHost => "every-host".to_owned(),
            Self::Seeds(count) => format!("seeds-{count}"),
            Self::Balancer => "balancer".to_owned(),
            Self::Leaves { links, percent } => format!("leaves-{links}-{percent}"),
            Self::Undiallable => "undiallable".to_owned(),
            Self::DeadSeed => "dead-seed".to_owned(),
            Self::LateSeed => "late-seed".to_owned(),
        }
    }

    /// The layout with that name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let number = |text: &str| text.parse().ok();
        match (parts.next()?, parts.next(), parts.next()) {
            ("seeds", Some(count), None) => number(count).map(Self::Seeds),
            ("leaves", Some(links), Some(percent)) => Some(Self::Leaves {
                links: number(links)?,
                percent: number(percent)?,
            }),
            _ => Self::ALL.into_iter().find(|one| one.name() == name),
        }
    }

    /// The hosts, not started yet. `seed` decides all random choices. `members`: whether nodes keep
    /// records of all others.
    pub fn build(self, nodes: usize, seed: u64, members: bool) -> Network {
        let mut network = Network::new(Options {
            seed,
            ..Options::default()
        });
        for host in 0..nodes {
            network.add(Config {
                members,
                ..self.config(host, nodes)
            });
        }
        match self {
            Self::Balancer => network.balance(BALANCER),
            Self::Undiallable => {
                for host in (1..nodes as u32).filter(|host| host % 3 == 1).map(HostId) {
                    network.shield(host);
                }
            }
            _ => {}
        }
        network
    }

    fn config(self, host: usize, nodes: usize) -> Config {
        let first = |count: usize| -> Vec<Target> {
            let hosts = (0..count.min(nodes) as u32).map(HostId);
            hosts.map(|host| host.address().into()).collect()
        };
        let seeds = match self {
            Self::EveryHost => first(nodes),
            Self::Seeds(count) => first(count),
            Self::Balancer => vec![Target {
                host: BALANCER.to_owned(),
                port: HostId(0).address().port(),
            }],
            Self::Leaves { .. } | Self::Undiallable => first(1),
            Self::DeadSeed => first(3),
            Self::LateSeed => {
                let second = HostId((nodes / 2) as u32).address().into();
                match host < nodes / 2 {
                    true => [first(1), vec![second]].concat(),
                    false => vec![second],
                }
            }
        };
        let default = Config {
            seeds,
            ..Config::default()
        };
        match self {
            // Spread evenly at any percentage. The seed is not among them.
            Self::Leaves { links, percent } if host > 0 && is_nth(host, percent) => Config {
                min_peers: links.min(default.min_peers),
                max_peers: links,
                ..default
            },
            _ => default,
        }
    }

    /// Starts the network and measures it.
    pub fn play(self, nodes: usize, start: Start, seed: u64, members: bool) -> Outcome {
        let mut network = self.build(nodes, seed, members);
        let hosts: Vec<HostId> = match self {
            Self::DeadSeed => network.hosts().filter(|host| host.0 != 2).collect(),
            _ => network.hosts().collect(),
        };
        if self == Self::LateSeed {
            let (early, late) = hosts.split_at(nodes / 2);
            start_all(&mut network, early, start);
            network.run_for(LATE);
            start_all(&mut network, late, start);
        } else {
            start_all(&mut network, &hosts, start);
        }
        let whole = await_that(&mut network, PATIENCE, is_whole);
        network.run_for(SETTLING);
        network.take_happenings();
        let sum = |network: &Network, of: &dyn Fn(HostId) -> u64| -> Vec<u64> {
            network.living().into_iter().map(of).collect()
        };
        let dials = |network: &Network| sum(network, &|host| network.counters(host).dials);
        let sent = |network: &Network| sum(network, &|host| network.traffic(host).control);
        let (dials_before, sent_before) = (dials(&network), sent(&network));
        network.run_for(WATCHED);
        let grown = |after: Vec<u64>, before: &[u64]| -> Vec<f64> {
            let pairs = after.iter().zip(before);
            pairs
                .map(|(after, before)| (after - before) as f64)
                .collect()
        };
        let dialled = grown(dials(&network), &dials_before);
        let traffic = grown(sent(&network), &sent_before);
        let happenings = network.take_happenings();
        let count = |is_it: &dyn Fn(&Event) -> bool| {
            happenings.iter().filter(|it| is_it(&it.event)).count()
        };
        let minutes = WATCHED.as_secs_f64() / 60.0;
        let graph = super::Graph::of(&network);
        Outcome {
            whole_after: whole.map_or(f64::INFINITY, |time| time.as_secs_f64()),
            components: graph.components().len(),
            alone: graph
                .degrees()
                .iter()
                .filter(|degree| **degree == 0)
                .count(),
            events: count(&|event| {
                !matches!(
                    event,
                    Event::PeerAdded { .. } | Event::PeerRemoved { .. } | Event::Dialed { .. }
                )
            }),
            removals: count(&|event| matches!(event, Event::PeerRemoved { .. })),
            dials: dialled.iter().sum::<f64>() / minutes / dialled.len().max(1) as f64,
            most_dials: dialled.iter().copied().fold(0.0, f64::max) / minutes,
            traffic: traffic.iter().sum::<f64>()
                / WATCHED.as_secs_f64()
                / traffic.len().max(1) as f64,
        }
    }
}

/// Whether that host belongs to the `percent` of a hundred.
fn is_nth(host: usize, percent: usize) -> bool {
    host * percent / 100 > (host - 1) * percent / 100
}

fn start_all(network: &mut Network, hosts: &[HostId], start: Start) {
    for host in hosts {
        network.start(*host);
        if start == Start::InTurn {
            let now = network.now();
            network.run_until(Moment(now.after(TURN).0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_is_found_by_its_name() {
        for layout in Layout::ALL {
            assert_eq!(Layout::parse(&layout.name()), Some(layout));
        }
        assert_eq!(Layout::parse("leaves-3-5"), Some(Layout::leaves(3, 5)));
        assert_eq!(Layout::parse("nothing"), None);
    }

    #[test]
    fn a_percentage_selects_that_share() {
        for percent in [10, 30, 60] {
            let count = (1..=100).filter(|host| is_nth(*host, percent)).count();
            assert_eq!(count, percent);
        }
    }
}
