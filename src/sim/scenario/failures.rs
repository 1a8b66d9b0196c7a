//! Failures: deaths, partitions and churn.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::dissemination::{Fate, Outcome, broadcasts, fresh, message, number, others};
use super::watch::{Figures, await_that, is_whole, seconds};
use crate::proto::{Event, Input, Moment};
use crate::sim::{Death, Graph, HostId, Network};

pub(super) const HALF: [&str; 6] = [
    "half die: reached in 3 s",
    "half die: reached in 10 s",
    "half die: seconds until whole",
    "half die, repaired: reached in 2 s",
    "half die, repaired: components",
    "half die: doubled",
];
pub(super) const MOST: [&str; 6] = [
    "80 % die: reached in 3 s",
    "80 % die: reached in 10 s",
    "80 % die: seconds until whole",
    "80 % die, repaired: reached in 2 s",
    "80 % die, repaired: components",
    "80 % die: doubled",
];

pub(super) fn deaths(network: &mut Network, share: f64, names: &[&'static str; 6]) -> Figures {
    let mut rng = fastrand::Rng::with_seed(network.now().0);
    // The seed survives. A network without its seed is another scenario.
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
    // Builds the tree before the failure, so that the failure breaks it.
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
    let outcome = Outcome::gather(network, first, vec![Fate::new(sender, sent)]);
    let whom = others(network, sender);
    let [in_3, in_10] = [3, 10].map(|s| outcome.least_reached(Duration::from_secs(s), &whom));
    let after = broadcasts(
        network,
        &[sender; 5],
        Duration::from_secs(1),
        Duration::from_secs(3),
    );
    let figures = [
        in_3,
        in_10,
        whole.map_or(f64::INFINITY, seconds),
        after.least_reached(Duration::from_secs(2), &whom),
        Graph::of(network).components().len() as f64,
        (outcome.doubled + after.doubled) as f64,
    ];
    names.iter().copied().zip(figures).collect()
}

pub(super) fn partition(network: &mut Network) -> Figures {
    let hosts: Vec<HostId> = network.hosts().collect();
    // A third of the nodes is cut off, without the seed.
    let is_third = |host: HostId| host.0 % 3 == 1;
    for host in hosts.iter().copied().filter(|host| is_third(*host)) {
        network.set_group(host, 1);
    }
    // A node whose peers are all in the other group is briefly alone.
    let left = Graph::of(network).without(|one, other| is_third(one) != is_third(other));
    let with_seed = left.reached_from(HostId(0));
    network.take_happenings();
    network.block(0, 1);
    network.block(1, 0);
    let cut = network.now();
    network.run_for(Duration::from_secs(30));
    let mut noticed = seconds_until_noticed(network, cut);
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
    let resolved = seconds_until_resolved(network, healed_at);
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

/// When each host was told of a netsplit, relative to `cut`.
fn seconds_until_noticed(network: &mut Network, cut: Moment) -> BTreeMap<HostId, f64> {
    let mut noticed = BTreeMap::new();
    for happening in network.take_happenings() {
        if matches!(happening.event, Event::Netsplit { .. }) {
            let after = seconds(happening.at.since(cut));
            noticed.entry(happening.host).or_insert(after);
        }
    }
    noticed
}

/// When the last host was told that its netsplit is over, relative to `healed`.
fn seconds_until_resolved(network: &mut Network, healed: Moment) -> f64 {
    let happenings = network.take_happenings();
    let resolved = happenings
        .iter()
        .filter(|happening| matches!(happening.event, Event::NetsplitResolved { .. }));
    resolved
        .map(|happening| seconds(happening.at.since(healed)))
        .fold(0.0, f64::max)
}

pub(super) fn churn(network: &mut Network) -> Figures {
    let mut rng = fastrand::Rng::with_seed(network.now().0);
    let hosts: Vec<HostId> = network.hosts().collect();
    let steady: BTreeSet<HostId> = hosts.iter().copied().step_by(2).collect();
    let moving: Vec<HostId> = hosts
        .iter()
        .copied()
        .filter(|h| !steady.contains(h))
        .collect();
    // Every second, one node in a hundred joins or ends; half of the ends are kills.
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
        if let Event::Broadcast { payload, .. } = &happening.event
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
