//! Mishaps, and the simulated network for them.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Union;
use smokesignal::Config;
use smokesignal::proto::{Input, Target};
use smokesignal::sim::{Death, HostId, Network, Options};

/// A mishap, the same for every test.
#[derive(Clone, Debug)]
pub(crate) enum Mishap {
    Kill(u32),
    Stop(u32),
    Vanish(u32),
    Start(u32),
    Cut(u32),
    Heal,
    HalfOpen(u32, usize),
    Close(u32, usize),
    Starve(u32, u16),
    Pass(u16),
}

/// A step of a test: an action of its own, or a mishap.
#[derive(Clone, Debug)]
pub(crate) enum Step<T> {
    Own(T),
    Mishap(Mishap),
}

/// The steps of a test with that many hosts: its own actions by weight, and mishaps.
pub(crate) fn steps<T>(
    hosts: u32,
    own: Vec<(u32, BoxedStrategy<T>)>,
) -> impl Strategy<Value = Step<T>>
where
    T: Clone + std::fmt::Debug + 'static,
{
    let host = 0..hosts;
    let link = (host.clone(), 0..5_usize);
    let mishaps = [
        (1, host.clone().prop_map(Mishap::Kill).boxed()),
        (1, host.clone().prop_map(Mishap::Stop).boxed()),
        (1, host.clone().prop_map(Mishap::Vanish).boxed()),
        (3, host.clone().prop_map(Mishap::Start).boxed()),
        (1, (1..1_u32 << hosts).prop_map(Mishap::Cut).boxed()),
        (2, Just(Mishap::Heal).boxed()),
        (
            1,
            link.clone()
                .prop_map(|(h, l)| Mishap::HalfOpen(h, l))
                .boxed(),
        ),
        (1, link.prop_map(|(h, l)| Mishap::Close(h, l)).boxed()),
        (
            1,
            (host, 0..3000_u16)
                .prop_map(|(h, t)| Mishap::Starve(h, t))
                .boxed(),
        ),
        (10, (0..3000_u16).prop_map(Mishap::Pass).boxed()),
    ];
    let own = own
        .into_iter()
        .map(|(weight, step)| (weight, step.prop_map(Step::Own).boxed()));
    let mishaps = mishaps
        .into_iter()
        .map(|(weight, mishap)| (weight, mishap.prop_map(Step::Mishap).boxed()));
    Union::new_weighted(own.chain(mishaps).collect())
}

/// Hosts that entered through the first two, five seconds after all have started.
pub(crate) fn network(seed: u64, hosts: u32, config: &Config) -> Network {
    let mut network = Network::new(Options {
        seed,
        ..Options::default()
    });
    for host in 0..hosts {
        let seeds = [0, 1].into_iter().filter(|seed| *seed != host);
        network.add(Config {
            seeds: seeds
                .map(|seed| Target::from(HostId(seed).address()))
                .collect(),
            ..config.clone()
        });
    }
    for host in 0..hosts {
        network.start(HostId(host));
    }
    network.run_for(Duration::from_secs(5));
    network
}

pub(crate) fn befall(network: &mut Network, mishap: Mishap) {
    match mishap {
        Mishap::Kill(host) => network.end(HostId(host), Death::Kill),
        Mishap::Stop(host) => network.end(HostId(host), Death::Stop),
        Mishap::Vanish(host) => network.end(HostId(host), Death::Vanish),
        Mishap::Start(host) => {
            if !network.is_alive(HostId(host)) {
                network.start(HostId(host));
            }
        }
        Mishap::Cut(side) => {
            let hosts: Vec<HostId> = network.hosts().collect();
            for host in hosts {
                network.set_group(host, side >> host.0 & 1);
            }
            network.block(0, 1);
            network.block(1, 0);
        }
        Mishap::Heal => network.unblock(),
        Mishap::HalfOpen(host, link) => {
            let links = network.peers(HostId(host));
            if let Some(link) = links.get(link % links.len().max(1)) {
                network.make_half_open(HostId(host), link.id);
            }
        }
        Mishap::Close(host, link) => {
            let links = network.peers(HostId(host));
            if let Some(link) = links.get(link % links.len().max(1)) {
                network.input(HostId(host), Input::ClosePeer { link: link.id });
            }
        }
        Mishap::Starve(host, time) => {
            network.starve(HostId(host), Duration::from_millis(u64::from(time)));
        }
        Mishap::Pass(time) => network.run_for(Duration::from_millis(u64::from(time))),
    }
}

/// Repairs all connections, starts all hosts, and waits a minute.
pub(crate) fn mend(network: &mut Network) {
    network.unblock();
    let hosts: Vec<HostId> = network.hosts().collect();
    for host in hosts {
        befall(network, Mishap::Start(host.0));
    }
    network.run_for(Duration::from_secs(60));
}

/// The number of cases: `PROPTEST_CASES`, or few enough for every test run.
pub(crate) fn cases(default: u32) -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(default)
}
