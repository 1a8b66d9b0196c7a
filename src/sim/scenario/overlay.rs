//! The overlay: how it forms, its shape, and its cost at rest.

use std::time::Duration;

use super::watch::{Figures, await_that, is_whole, seconds};
use crate::proto::{Event, Moment};
use crate::sim::{Graph, HostId, Network};

pub(super) fn join(network: &mut Network) -> Figures {
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

pub(super) fn steady(network: &mut Network) -> Figures {
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

/// The current figures of the overlay.
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
