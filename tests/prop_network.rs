//! Whatever befalls a network, in whatever order: broadcasts come in order and once, and it grows
//! together again.
//!
//! `PROPTEST_CASES` sets the number of cases; failing ones are kept beside this file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use smokesignal::Config;
use smokesignal::proto::{Event, Input, Item, Payload, Target};
use smokesignal::sim::{Death, Graph, HostId, Network, Options};

/// One thing that happens to a network.
#[derive(Clone, Debug)]
enum Mishap {
    Broadcast(u32, u8),
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

const HOSTS: u32 = 7;

fn mishap() -> impl Strategy<Value = Mishap> {
    let host = 0..HOSTS;
    prop_oneof![
        10 => (host.clone(), 1..4_u8).prop_map(|(h, n)| Mishap::Broadcast(h, n)),
        1 => host.clone().prop_map(Mishap::Kill),
        1 => host.clone().prop_map(Mishap::Stop),
        1 => host.clone().prop_map(Mishap::Vanish),
        3 => host.clone().prop_map(Mishap::Start),
        1 => (1..1_u32 << HOSTS).prop_map(Mishap::Cut),
        2 => Just(Mishap::Heal),
        1 => (host.clone(), 0..5_usize).prop_map(|(h, l)| Mishap::HalfOpen(h, l)),
        1 => (host.clone(), 0..5_usize).prop_map(|(h, l)| Mishap::Close(h, l)),
        1 => (host, 0..3000_u16).prop_map(|(h, t)| Mishap::Starve(h, t)),
        10 => (0..3000_u16).prop_map(Mishap::Pass),
    ]
}

/// What the hosts have said, and in which of their lives.
#[derive(Default)]
struct Said {
    count: u64,
    lives: BTreeMap<u32, u8>,
}

fn play(network: &mut Network, mishap: Mishap, said: &mut Said) {
    match mishap {
        Mishap::Broadcast(host, count) => {
            let life = said.lives.get(&host).copied().unwrap_or(0);
            let from = host as u8 + HOSTS as u8 * life;
            let texts: Vec<String> = (0..count)
                .map(|_| {
                    said.count += 1;
                    format!("[\"m\",{from},{}]", said.count)
                })
                .collect();
            let payload = Payload::events(texts.join("\n").into());
            network.input(HostId(host), Input::Broadcast(payload));
        }
        Mishap::Kill(host) => network.end(HostId(host), Death::Kill),
        Mishap::Stop(host) => network.end(HostId(host), Death::Stop),
        Mishap::Vanish(host) => network.end(HostId(host), Death::Vanish),
        Mishap::Start(host) => {
            if !network.is_alive(HostId(host)) {
                *said.lives.entry(host).or_default() += 1;
                network.start(HostId(host));
            }
        }
        Mishap::Cut(side) => {
            for host in 0..HOSTS {
                network.set_group(HostId(host), side >> host & 1);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    #[test]
    fn a_network_delivers_in_order_and_once_and_grows_together_again(
        seed in any::<u64>(),
        mishaps in prop::collection::vec(mishap(), 1..60),
    ) {
        let mut network = Network::new(Options { seed, ..Options::default() });
        for host in 0..HOSTS {
            let seeds = [0, 1].into_iter().filter(|seed| *seed != host);
            network.add(Config {
                seeds: seeds.map(|seed| Target::from(HostId(seed).address())).collect(),
                ..Config::default()
            });
        }
        for host in 0..HOSTS {
            network.start(HostId(host));
        }
        network.run_for(Duration::from_secs(5));
        let mut said = Said::default();
        for mishap in mishaps {
            play(&mut network, mishap, &mut said);
        }
        network.unblock();
        for host in 0..HOSTS {
            play(&mut network, Mishap::Start(host), &mut said);
        }
        network.run_for(Duration::from_secs(60));
        prop_assert!(Graph::of(&network).is_connected());
        for host in (0..HOSTS).map(HostId) {
            let links = network.peers(host);
            let peers = peers(&network, host);
            prop_assert_eq!(peers.len(), links.len());
            prop_assert!(!peers.contains(&host));
            prop_assert!(network.timers(host) <= 24);
        }
        // A link that is being made or dropped just then is one-sided for as long as a message
        // takes.
        let is_settled = (0..100).any(|_| {
            network.run_for(Duration::from_millis(50));
            is_symmetric(&network)
        });
        prop_assert!(is_settled, "one-sided");
        // Everybody hears everybody again, and has heard nothing twice or out of order.
        let before = said.count;
        for host in 0..HOSTS {
            play(&mut network, Mishap::Broadcast(host, 1), &mut said);
        }
        // A gap that only now shows is given up after 10 s.
        network.run_for(Duration::from_secs(15));
        let mut heard: BTreeMap<(HostId, u8), Vec<u64>> = BTreeMap::new();
        for happening in network.take_happenings() {
            match happening.event {
                // A new life may hear again what the one before has heard.
                Event::Listening { .. } => heard.retain(|(host, _), _| *host != happening.host),
                Event::Broadcast { payload, .. } => {
                    for item in payload.items() {
                        let Item::Event(text) = item else { panic!("{item:?}") };
                        let (_, from, number): (String, u8, u64) =
                            serde_json::from_slice(&text).unwrap();
                        heard.entry((happening.host, from)).or_default().push(number);
                    }
                }
                _ => {}
            }
        }
        for (who, numbers) in &heard {
            prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{who:?}: {numbers:?}");
        }
        for host in (0..HOSTS).map(HostId) {
            for (from, number) in (0..HOSTS).zip(before + 1..) {
                let life = said.lives.get(&from).copied().unwrap_or(0);
                let name = from as u8 + HOSTS as u8 * life;
                let last = heard.get(&(host, name)).and_then(|numbers| numbers.last());
                prop_assert!(HostId(from) == host || last == Some(&number), "{host:?} {from}");
            }
        }
    }
}

fn peers(network: &Network, host: HostId) -> BTreeSet<HostId> {
    network.peers(host).iter().map(|link| link.to).collect()
}

/// Whether every peer takes its peer for one.
fn is_symmetric(network: &Network) -> bool {
    let is_mutual = |host| {
        peers(network, host)
            .into_iter()
            .all(|peer| peers(network, peer).contains(&host))
    };
    (0..HOSTS).map(HostId).all(is_mutual)
}

/// How many cases: `PROPTEST_CASES`, or else few enough for every run of the tests.
fn cases(default: u32) -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(default)
}
