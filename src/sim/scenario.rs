//! What overlays are judged by.
//!
//! Each scenario takes a [`Network`] from one state to another and measures what happens on the
//! way. All use one seed host, the first, as real networks tend to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use super::{Death, Graph, HostId, Network, Options};
use crate::proto::{Config, Event, Input, Moment, Payload, Target};

/// How often the network is looked at while something is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Named figures, in the order in which they were taken.
pub type Figures = Vec<(&'static str, f64)>;

/// What the runs of one table have in common.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many nodes.
    pub nodes: usize,
    /// How many peers each seeks.
    pub min_peers: usize,
    /// How many each accepts.
    pub max_peers: usize,
    /// Decides everything that is left to chance.
    pub seed: u64,
}

impl Setup {
    /// The default network of `nodes` nodes.
    pub fn new(nodes: usize, seed: u64) -> Self {
        let Config {
            min_peers,
            max_peers,
            ..
        } = Config::default();
        Self {
            nodes,
            min_peers,
            max_peers,
            seed,
        }
    }

    /// The hosts, none of them started.
    pub fn build(&self) -> Network {
        let mut network = Network::new(Options {
            seed: self.seed,
            ..Options::default()
        });
        for host in 0..self.nodes {
            let seeds = match host {
                0 => Vec::new(),
                _ => vec![Target::from(HostId(0).address())],
            };
            network.add(Config {
                seeds,
                min_peers: self.min_peers,
                max_peers: self.max_peers,
                ..Config::default()
            });
        }
        network
    }
}

/// One thing to do to a network, and to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    /// All start at the same moment.
    Join,
    /// Nothing happens for 30 s.
    Steady,
    /// One node broadcasts.
    OneSender,
    /// Somebody else broadcasts every time.
    RandomSenders,
    /// Half die as one of the others broadcasts.
    HalfDie,
    /// Four of five do.
    MostDie,
    /// The network is cut in two for a while.
    Partition,
    /// Nodes come and go while others broadcast.
    Churn,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Join,
        Self::Steady,
        Self::OneSender,
        Self::RandomSenders,
        Self::Partition,
        Self::HalfDie,
        Self::MostDie,
        Self::Churn,
    ];

    /// Its name on the command line.
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
        }
    }

    /// The scenario of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Plays it on a network that has joined and come to rest; [`Scenario::Join`] on a fresh one.
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
        }
    }
}

/// Starts everything and waits for the network to come to rest.
pub fn settle(network: &mut Network) {
    join(network);
    network.run_for(Duration::from_secs(30));
    network.take_happenings();
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// Runs until `done`; how long that took, or `None` if it takes longer than `limit`.
fn await_that(
    network: &mut Network,
    limit: Duration,
    mut done: impl FnMut(&Network) -> bool,
) -> Option<Duration> {
    let began = network.now();
    loop {
        if done(network) {
            return Some(network.now().since(began));
        }
        if network.now().since(began) >= limit {
            return None;
        }
        network.run_for(LOOK_EVERY);
    }
}

fn is_whole(network: &Network) -> bool {
    let lonely = |host| {
        network
            .state(host)
            .is_some_and(|s| s.peers().next().is_none())
    };
    !network.living().into_iter().any(lonely) && Graph::of(network).is_connected()
}

fn join(network: &mut Network) -> Figures {
    let hosts: Vec<HostId> = network.hosts().collect();
    for host in hosts.iter().copied() {
        network.start(host);
    }
    let limit = Duration::from_secs(60);
    let whole = await_that(network, limit, is_whole);
    let graph = Graph::of(network);
    let left_out = hosts.len() - graph.components().first().copied().unwrap_or(0);
    let now = network.now();
    network.run_until(Moment(now.0.max(20_000_000)));
    let mut figures = vec![
        (
            "join: seconds until whole",
            whole.map_or(f64::INFINITY, seconds),
        ),
        ("join: left out", left_out as f64),
    ];
    figures.extend(shape(network));
    figures
}

/// The overlay's figures as it is now.
fn shape(network: &Network) -> Figures {
    let graph = Graph::of(network);
    let mut degrees = graph.degrees();
    degrees.sort_unstable();
    let config = network
        .hosts()
        .next()
        .map(|host| network.limits(host))
        .unwrap_or_default();
    let within = degrees
        .iter()
        .filter(|degree| (config.0..=config.1).contains(*degree))
        .count();
    let seed = network.peers(HostId(0)).len();
    vec![
        ("overlay: components", graph.components().len() as f64),
        (
            "overlay: least degree",
            degrees.first().copied().unwrap_or(0) as f64,
        ),
        (
            "overlay: greatest degree",
            degrees.last().copied().unwrap_or(0) as f64,
        ),
        (
            "overlay: mean degree",
            degrees.iter().sum::<usize>() as f64 / degrees.len().max(1) as f64,
        ),
        (
            "overlay: within limits",
            within as f64 / degrees.len().max(1) as f64,
        ),
        ("overlay: seed's degree", seed as f64),
        ("overlay: mean path", graph.mean_path(50)),
        ("overlay: clustering", graph.clustering()),
    ]
}

fn steady(network: &mut Network) -> Figures {
    network.run_for(Duration::from_secs(5));
    network.take_happenings();
    let time = Duration::from_secs(30);
    let sent = |network: &Network| -> Vec<u64> {
        let hosts = network.hosts();
        hosts.map(|host| network.traffic(host).control).collect()
    };
    let before = sent(network);
    network.run_for(time);
    let mut rates: Vec<f64> = sent(network)
        .iter()
        .zip(&before)
        .map(|(after, before)| (after - before) as f64 / seconds(time))
        .collect();
    rates.sort_unstable_by(f64::total_cmp);
    let changed =
        |event: &Event| matches!(event, Event::PeerAdded { .. } | Event::PeerRemoved { .. });
    let happenings = network.take_happenings();
    let changes = happenings.iter().filter(|it| changed(&it.event)).count();
    vec![
        (
            "steady: bytes/s per node",
            rates.iter().sum::<f64>() / rates.len().max(1) as f64,
        ),
        (
            "steady: bytes/s, busiest node",
            rates.last().copied().unwrap_or(0.0),
        ),
        ("steady: peers come and gone", changes as f64),
    ]
}

/// What became of some broadcasts.
#[derive(Debug, Default)]
struct Outcome {
    /// Per broadcast, in order: how many got it, the last hop, and when the last one got it.
    each: Vec<Fate>,
    /// Copies received per delivery.
    copies: f64,
    /// Broadcasts that somebody got twice, or got from itself.
    doubled: usize,
}

#[derive(Clone, Debug)]
struct Fate {
    sent: Moment,
    got: BTreeMap<HostId, Moment>,
    last_hop: u8,
}

impl Fate {
    fn reached_within(&self, time: Duration, whom: &BTreeSet<HostId>) -> f64 {
        let in_time = |host: &&HostId| {
            self.got
                .get(host)
                .is_some_and(|at| at.since(self.sent) <= time)
        };
        whom.iter().filter(in_time).count() as f64 / whom.len().max(1) as f64
    }
}

/// One that nobody has broadcast before.
fn fresh(network: &Network) -> usize {
    network
        .hosts()
        .map(|host| network.counters(host).sent as usize)
        .sum::<usize>()
        + (network.now().0 as usize) * 1000
}

fn message(number: usize) -> Payload {
    Payload::events(Bytes::from(format!("[\"m\",{number}]")))
}

fn number(payload: &Payload) -> impl Iterator<Item = usize> {
    let read = |text: &str| {
        text.strip_prefix("[\"m\",")?
            .strip_suffix(']')?
            .parse()
            .ok()
    };
    payload.items().filter_map(move |item| match item {
        crate::proto::Item::Event(text) => read(std::str::from_utf8(&text).ok()?),
        _ => None,
    })
}

/// Lets `senders` broadcast, one after the other, and waits `rest` for the last one to arrive.
fn broadcasts(
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
    let mut outcome = Outcome::default();
    for (nth, sender) in senders.iter().enumerate() {
        outcome.each.push(Fate {
            sent: network.now(),
            got: BTreeMap::new(),
            last_hop: 0,
        });
        network.input(*sender, Input::Broadcast(message(first + nth)));
        let wait = if nth + 1 == senders.len() {
            rest
        } else {
            pause
        };
        network.run_for(wait);
    }
    for happening in network.take_happenings() {
        let Event::Broadcast(payload) = &happening.event else {
            continue;
        };
        for number in number(payload) {
            let nth = number.wrapping_sub(first);
            let Some(fate) = outcome.each.get_mut(nth) else {
                continue;
            };
            fate.last_hop = fate.last_hop.max(happening.hops);
            let again = fate.got.insert(happening.host, happening.at).is_some();
            if again || happening.host == senders[nth] {
                outcome.doubled += 1;
            }
        }
    }
    let delivered: usize = outcome.each.iter().map(|fate| fate.got.len()).sum();
    outcome.copies = (copies(network) - before) as f64 / delivered.max(1) as f64;
    outcome
}

fn others(network: &Network, sender: HostId) -> BTreeSet<HostId> {
    let living = network.living().into_iter();
    living.filter(|host| *host != sender).collect()
}

fn one_sender(network: &mut Network) -> Figures {
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
    let reach = |fate: &Fate| fate.reached_within(Duration::from_secs(3), &whom);
    let worst = outcome.each.iter().map(reach).fold(1.0, f64::min);
    let hops = outcome.each.iter().map(|fate| fate.last_hop).max();
    let last = |fate: &Fate| {
        fate.got
            .values()
            .max()
            .map(|at| seconds(at.since(fate.sent)))
    };
    let slowest = outcome.each.iter().filter_map(last).fold(0.0, f64::max);
    // What the best tree of either kind would give.
    let graph = Graph::of(network);
    let fastest = graph.fastest(sender, |a, b| network.latency(a, b));
    vec![
        ("one sender: copies, first second", warm_up.copies),
        ("one sender: copies", outcome.copies),
        ("one sender: last hop", f64::from(hops.unwrap_or(0))),
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

/// Lets one node broadcast; when each of the others got it, in order.
pub(super) fn coverage(network: &mut Network) -> Vec<Duration> {
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

fn random_senders(network: &mut Network) -> Figures {
    let living = network.living();
    let mut rng = fastrand::Rng::with_seed(network.now().0);
    let senders: Vec<HostId> = (0..50).map(|_| living[rng.usize(..living.len())]).collect();
    let outcome = broadcasts(
        network,
        &senders,
        Duration::from_millis(200),
        Duration::from_secs(3),
    );
    let reach = |(fate, sender): (&Fate, &HostId)| {
        fate.reached_within(Duration::from_secs(3), &others(network, *sender))
    };
    let worst = outcome
        .each
        .iter()
        .zip(&senders)
        .map(reach)
        .fold(1.0, f64::min);
    let hops = outcome.each.iter().map(|fate| fate.last_hop).max();
    vec![
        ("random senders: copies", outcome.copies),
        ("random senders: last hop", f64::from(hops.unwrap_or(0))),
        ("random senders: reached", worst),
        ("random senders: doubled", outcome.doubled as f64),
    ]
}

const HALF: [&str; 6] = [
    "half die: reached in 3 s",
    "half die: reached in 10 s",
    "half die: seconds until whole",
    "half die, repaired: reached in 2 s",
    "half die, repaired: components",
    "half die: doubled",
];
const MOST: [&str; 6] = [
    "80 % die: reached in 3 s",
    "80 % die: reached in 10 s",
    "80 % die: seconds until whole",
    "80 % die, repaired: reached in 2 s",
    "80 % die, repaired: components",
    "80 % die: doubled",
];

fn deaths(network: &mut Network, share: f64, names: &[&'static str; 6]) -> Figures {
    let mut rng = fastrand::Rng::with_seed(network.now().0);
    // The seed survives: what becomes of a network without it is another question.
    let mut doomed: Vec<HostId> = network.living().into_iter().skip(1).collect();
    rng.shuffle(&mut doomed);
    doomed.truncate((network.living().len() as f64 * share) as usize);
    let survivors: BTreeSet<HostId> = {
        let doomed: BTreeSet<_> = doomed.iter().collect();
        let living = network.living().into_iter();
        living.filter(|host| !doomed.contains(host)).collect()
    };
    let sender = survivors
        .iter()
        .copied()
        .nth(survivors.len() / 2)
        .unwrap_or(HostId(0));
    // The tree must not be built for the occasion: it is the one that breaks.
    broadcasts(
        network,
        &[sender; 5],
        Duration::from_millis(200),
        Duration::from_secs(2),
    );
    let first = fresh(network);
    network.input(sender, Input::Broadcast(message(first)));
    let sent = network.now();
    for host in doomed {
        network.end(host, Death::Kill);
    }
    let whole = await_that(network, Duration::from_secs(60), is_whole);
    let rest = Duration::from_secs(10).saturating_sub(network.now().since(sent));
    network.run_for(rest);
    let mut got = BTreeMap::new();
    let mut doubled = 0;
    for happening in network.take_happenings() {
        if let Event::Broadcast(payload) = &happening.event {
            for _ in number(payload).filter(|number| *number == first) {
                let again = got.insert(happening.host, happening.at).is_some();
                doubled += usize::from(again);
            }
        }
    }
    let fate = Fate {
        sent,
        got,
        last_hop: 0,
    };
    let whom: BTreeSet<HostId> = survivors.iter().copied().filter(|h| *h != sender).collect();
    let [in_3, in_10] = [3, 10].map(|s| fate.reached_within(Duration::from_secs(s), &whom));
    let after = broadcasts(
        network,
        &[sender; 5],
        Duration::from_secs(1),
        Duration::from_secs(3),
    );
    let reach = |fate: &Fate| fate.reached_within(Duration::from_secs(2), &whom);
    let figures = [
        in_3,
        in_10,
        whole.map_or(f64::INFINITY, seconds),
        after.each.iter().map(reach).fold(1.0, f64::min),
        Graph::of(network).components().len() as f64,
        (doubled + after.doubled) as f64,
    ];
    names.iter().copied().zip(figures).collect()
}

fn partition(network: &mut Network) -> Figures {
    let hosts: Vec<HostId> = network.hosts().collect();
    // A third is cut off, the seed not among it.
    let is_third = |host: HostId| host.0 % 3 == 1;
    for host in hosts.iter().copied().filter(|host| is_third(*host)) {
        network.set_group(host, 1);
    }
    // Who has no other peers is cut off as well, for a moment.
    let left = Graph::of(network).without(|one, other| is_third(one) != is_third(other));
    let with_seed = left.reached_from(HostId(0));
    network.take_happenings();
    network.block(0, 1);
    network.block(1, 0);
    let cut = network.now();
    network.run_for(Duration::from_secs(30));
    let is_netsplit = |event: &Event| matches!(event, Event::Netsplit { .. });
    let mut noticed = BTreeMap::new();
    for happening in network.take_happenings() {
        if is_netsplit(&happening.event) {
            let after = seconds(happening.at.since(cut));
            noticed.entry(happening.host).or_insert(after);
        }
    }
    let alarmed = noticed.keys().filter(|host| with_seed.contains(host));
    let alarmed = alarmed.count();
    noticed.retain(|host, _| is_third(*host));
    let mut noticed: Vec<f64> = noticed.into_values().collect();
    noticed.sort_unstable_by(f64::total_cmp);
    let cut_off = hosts.iter().filter(|host| is_third(**host)).count();
    let full = hosts
        .iter()
        .filter(|host| network.peers(**host).len() >= network.limits(**host).1);
    let full = full.count() as f64 / hosts.len() as f64;
    network.unblock();
    let healed_at = network.now();
    let whole = await_that(network, Duration::from_secs(60), is_whole);
    network.run_for(Duration::from_secs(10));
    let is_resolved = |event: &Event| matches!(event, Event::NetsplitResolved { .. });
    let resolved = network
        .take_happenings()
        .iter()
        .filter(|happening| is_resolved(&happening.event))
        .map(|happening| seconds(happening.at.since(healed_at)))
        .fold(0.0, f64::max);
    for host in hosts {
        network.set_group(host, 0);
    }
    vec![
        (
            "partition: share that noticed",
            noticed.len() as f64 / cut_off.max(1) as f64,
        ),
        ("partition: false alarms", alarmed as f64),
        (
            "partition: seconds until half have noticed",
            noticed
                .get(noticed.len() / 2)
                .copied()
                .unwrap_or(f64::INFINITY),
        ),
        ("partition: share of full views", full),
        (
            "partition: seconds until healed",
            whole.map_or(f64::INFINITY, seconds),
        ),
        ("partition: seconds until all know", resolved),
        (
            "partition: components after",
            Graph::of(network).components().len() as f64,
        ),
    ]
}

fn churn(network: &mut Network) -> Figures {
    let mut rng = fastrand::Rng::with_seed(network.now().0);
    let hosts: Vec<HostId> = network.hosts().collect();
    let steady: BTreeSet<HostId> = hosts.iter().copied().step_by(2).collect();
    let moving: Vec<HostId> = hosts
        .iter()
        .copied()
        .filter(|h| !steady.contains(h))
        .collect();
    // A hundredth of the nodes comes or goes every second, one in two without a word.
    let per_step = moving.len() as f64 / 500.0;
    let mut owed = 0.0;
    network.take_happenings();
    let sender = HostId(0);
    let first = fresh(network);
    let mut sent = Vec::new();
    for step in 0..300_usize {
        owed += per_step;
        while owed >= 1.0 {
            owed -= 1.0;
            let host = moving[rng.usize(..moving.len())];
            if !network.is_alive(host) {
                network.start(host);
            } else if rng.bool() {
                network.end(host, Death::Stop);
            } else {
                network.end(host, Death::Kill);
            }
        }
        sent.push(network.now());
        network.input(sender, Input::Broadcast(message(first + step)));
        network.run_for(Duration::from_millis(100));
    }
    network.run_for(Duration::from_secs(10));
    let mut seen: BTreeMap<HostId, Vec<usize>> = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    for happening in network.take_happenings() {
        if let Event::Broadcast(payload) = &happening.event
            && steady.contains(&happening.host)
        {
            for nth in number(payload).map(|number| number - first) {
                slowest = slowest.max(happening.at.since(sent[nth]));
                seen.entry(happening.host).or_default().push(nth);
            }
        }
    }
    let expected: Vec<usize> = (0..sent.len()).collect();
    let exact = seen.values().filter(|got| **got == expected).count();
    vec![
        (
            "churn: nodes that got all, once and in order",
            exact as f64 / (steady.len() - 1).max(1) as f64,
        ),
        ("churn: slowest delivery, seconds", seconds(slowest)),
        (
            "churn: components after",
            Graph::of(network).components().len() as f64,
        ),
    ]
}
