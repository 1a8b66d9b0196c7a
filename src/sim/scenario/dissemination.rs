//! Dissemination: the spread of broadcasts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use super::watch::{Figures, seconds};
use crate::proto::{Event, Input, Item, Moment, Payload};
use crate::sim::{Graph, HostId, Network};

/// The outcome of several broadcasts.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// One entry per broadcast, in order.
    each: Vec<Fate>,
    /// Copies received per delivery.
    copies: f64,
    /// Broadcasts that a node got twice, or got back from itself.
    pub(super) doubled: usize,
}

/// The outcome of one broadcast.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    sender: HostId,
    sent: Moment,
    got: BTreeMap<HostId, Moment>,
    last_hop: u8,
}

impl Outcome {
    /// Collects the outcome of the broadcasts numbered from `first` on, from events not taken yet.
    pub(super) fn gather(network: &mut Network, first: usize, each: Vec<Fate>) -> Self {
        let mut outcome = Self {
            each,
            ..Self::default()
        };
        for happening in network.take_happenings() {
            let Event::Broadcast { payload, .. } = &happening.event else {
                continue;
            };
            for number in number(payload) {
                let nth = number.wrapping_sub(first);
                let Some(fate) = outcome.each.get_mut(nth) else {
                    continue;
                };
                fate.last_hop = fate.last_hop.max(happening.hops);
                let again = fate.got.insert(happening.host, happening.at).is_some();
                if again || happening.host == fate.sender {
                    outcome.doubled += 1;
                }
            }
        }
        outcome
    }

    /// The smallest share of `whom` that any of the broadcasts reached within `time`.
    pub(super) fn least_reached(&self, time: Duration, whom: &BTreeSet<HostId>) -> f64 {
        let reach = |fate: &Fate| fate.reached_within(time, whom);
        self.each.iter().map(reach).fold(1.0, f64::min)
    }

    fn last_hop(&self) -> f64 {
        let hops = self.each.iter().map(|fate| fate.last_hop).max();
        f64::from(hops.unwrap_or(0))
    }
}

impl Fate {
    pub(super) fn new(sender: HostId, sent: Moment) -> Self {
        Self {
            sender,
            sent,
            got: BTreeMap::new(),
            last_hop: 0,
        }
    }

    fn reached_within(&self, time: Duration, whom: &BTreeSet<HostId>) -> f64 {
        let in_time = |host: &&HostId| {
            self.got
                .get(host)
                .is_some_and(|at| at.since(self.sent) <= time)
        };
        whom.iter().filter(in_time).count() as f64 / whom.len().max(1) as f64
    }
}

pub(super) fn one_sender(network: &mut Network) -> Figures {
    let sender = HostId(network.hosts().count() as u32 / 2);
    let warm_up = broadcasts(
        network,
        &[sender; 50],
        Duration::from_millis(20),
        Duration::from_secs(3),
    );
    let outcome = broadcasts(
        network,
        &[sender; 20],
        Duration::from_millis(200),
        Duration::from_secs(3),
    );
    let whom = others(network, sender);
    let worst = outcome.least_reached(Duration::from_secs(3), &whom);
    let last = |fate: &Fate| {
        fate.got
            .values()
            .max()
            .map(|at| seconds(at.since(fate.sent)))
    };
    let slowest = outcome.each.iter().filter_map(last).fold(0.0, f64::max);
    // The best possible trees: the fastest, and the one with the fewest hops.
    let graph = Graph::of(network);
    let fastest = graph.fastest(sender, |a, b| network.latency(a, b));
    vec![
        ("one sender: copies, first second", warm_up.copies),
        ("one sender: copies", outcome.copies),
        ("one sender: last hop", outcome.last_hop()),
        (
            "one sender: last hop, fewest possible",
            f64::from(graph.eccentricity(sender)),
        ),
        (
            "one sender: last hop, fastest ways",
            f64::from(fastest.hops),
        ),
        ("one sender: reached", worst),
        ("one sender: seconds until all have it", slowest),
        ("one sender: seconds, fastest ways", seconds(fastest.time)),
        (
            "one sender: doubled",
            (outcome.doubled + warm_up.doubled) as f64,
        ),
    ]
}

pub(super) fn random_senders(network: &mut Network) -> Figures {
    let living = network.living();
    let mut rng = fastrand::Rng::with_seed(network.now().0);
    let senders: Vec<HostId> = (0..50).map(|_| living[rng.usize(..living.len())]).collect();
    let outcome = broadcasts(
        network,
        &senders,
        Duration::from_millis(200),
        Duration::from_secs(3),
    );
    let reach =
        |fate: &Fate| fate.reached_within(Duration::from_secs(3), &others(network, fate.sender));
    let worst = outcome.each.iter().map(reach).fold(1.0, f64::min);
    vec![
        ("random senders: copies", outcome.copies),
        ("random senders: last hop", outcome.last_hop()),
        ("random senders: reached", worst),
        ("random senders: doubled", outcome.doubled as f64),
    ]
}

/// Lets one node broadcast. Returns the arrival times at the other nodes, in order.
pub(in crate::sim) fn coverage(network: &mut Network) -> Vec<Duration> {
    let sender = HostId(network.hosts().count() as u32 / 2);
    let rest = Duration::from_secs(3);
    let outcome = broadcasts(network, &[sender], rest, rest);
    let times = |fate: &Fate| -> Vec<Duration> {
        let times = fate.got.values();
        times.map(|at| at.since(fate.sent)).collect()
    };
    let mut times = outcome.each.first().map(times).unwrap_or_default();
    times.sort_unstable();
    times
}

/// Lets `senders` broadcast in turn, and waits `rest` for the last broadcast to arrive.
pub(super) fn broadcasts(
    network: &mut Network,
    senders: &[HostId],
    pause: Duration,
    rest: Duration,
) -> Outcome {
    network.take_happenings();
    let copies = |network: &Network| -> u64 {
        network
            .hosts()
            .map(|host| network.traffic(host).copies)
            .sum()
    };
    let before = copies(network);
    let first = fresh(network);
    let mut each = Vec::new();
    for (nth, sender) in senders.iter().enumerate() {
        each.push(Fate::new(*sender, network.now()));
        network.input(*sender, Input::Broadcast(message(first + nth)));
        let wait = if nth + 1 == senders.len() {
            rest
        } else {
            pause
        };
        network.run_for(wait);
    }
    let mut outcome = Outcome::gather(network, first, each);
    let delivered: usize = outcome.each.iter().map(|fate| fate.got.len()).sum();
    outcome.copies = (copies(network) - before) as f64 / delivered.max(1) as f64;
    outcome
}

/// An unused broadcast number.
pub(super) fn fresh(network: &Network) -> usize {
    network
        .hosts()
        .map(|host| network.counters(host).sent as usize)
        .sum::<usize>()
        + (network.now().0 as usize) * 1000
}

pub(super) fn message(number: usize) -> Payload {
    Payload::events(Bytes::from(format!("[\"m\",{number}]")))
}

pub(super) fn number(payload: &Payload) -> impl Iterator<Item = usize> {
    let read = |text: &str| {
        text.strip_prefix("[\"m\",")?
            .strip_suffix(']')?
            .parse()
            .ok()
    };
    payload.items().filter_map(move |item| match item {
        Item::Event(text) => read(std::str::from_utf8(&text).ok()?),
        _ => None,
    })
}

pub(super) fn others(network: &Network, sender: HostId) -> BTreeSet<HostId> {
    let living = network.living().into_iter();
    living.filter(|host| *host != sender).collect()
}
