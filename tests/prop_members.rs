//! Whatever befalls a network, in whatever order: at rest all who can reach each other have the same
//! list of members, and no message to a node comes twice or out of order.
//!
//! `PROPTEST_CASES` sets the number of cases; failing ones are kept beside this file.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use smokesignal::Config;
use smokesignal::proto::{Event, Input, Item, NodeId, Payload, Target};
use smokesignal::sim::{Death, Graph, HostId, Network, Options};

const HOSTS: u32 = 8;

/// One thing that happens to a network.
#[derive(Clone, Debug)]
enum Mishap {
    /// One host sends so many messages to others, by the bits of a number.
    Send(u32, u32, u8),
    Body(u32, u16),
    Kill(u32),
    Stop(u32),
    Vanish(u32),
    Start(u32),
    Cut(u32),
    Heal,
    Close(u32, usize),
    Starve(u32, u16),
    Pass(u16),
}

fn mishap() -> impl Strategy<Value = Mishap> {
    let host = 0..HOSTS;
    prop_oneof![
        16 => (host.clone(), 1..1_u32 << HOSTS, 1..4_u8).prop_map(|(h, to, n)| Mishap::Send(h, to, n)),
        2 => (host.clone(), any::<u16>()).prop_map(|(h, n)| Mishap::Body(h, n)),
        1 => host.clone().prop_map(Mishap::Kill),
        1 => host.clone().prop_map(Mishap::Stop),
        1 => host.clone().prop_map(Mishap::Vanish),
        3 => host.clone().prop_map(Mishap::Start),
        1 => (1..1_u32 << HOSTS).prop_map(Mishap::Cut),
        2 => Just(Mishap::Heal),
        1 => (host.clone(), 0..5_usize).prop_map(|(h, l)| Mishap::Close(h, l)),
        1 => (host, 0..3000_u16).prop_map(|(h, t)| Mishap::Starve(h, t)),
        10 => (0..2000_u16).prop_map(Mishap::Pass),
    ]
}

/// Sends from one host to several others that it knows; returns to how many.
fn send(network: &mut Network, from: HostId, to: u32, text: String) -> usize {
    let Some(state) = network.state(from) else {
        return 0;
    };
    let others = (0..HOSTS).filter(|host| to >> host & 1 == 1);
    let handles = others.filter_map(|host| state.handle_of(network.id(HostId(host))));
    let members: Vec<u32> = handles.map(|handle| handle.0).collect();
    let count = members.len();
    let payload = Payload::events(text.into());
    network.input(from, Input::SendTo { members, payload });
    count
}

fn play(network: &mut Network, mishap: Mishap, said: &mut u64) {
    match mishap {
        Mishap::Send(from, to, count) => {
            let texts: Vec<String> = (0..count)
                .map(|_| {
                    *said += 1;
                    format!("[\"m\",{from},{said}]")
                })
                .collect();
            send(network, HostId(from), to, texts.join("\n"));
        }
        Mishap::Body(host, number) => {
            network.input(HostId(host), Input::Body(number.to_string()));
        }
        Mishap::Kill(host) => network.end(HostId(host), Death::Kill),
        Mishap::Stop(host) => network.end(HostId(host), Death::Stop),
        Mishap::Vanish(host) => network.end(HostId(host), Death::Vanish),
        Mishap::Start(host) => {
            if !network.is_alive(HostId(host)) {
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
    for host in (0..HOSTS).map(HostId) {
        let Some(state) = network.state(host) else {
            continue;
        };
        let footprint = state.footprint();
        assert!(footprint.records <= HOSTS as usize, "{footprint:?}");
        assert!(
            footprint.pairs <= 1024 + 2 * HOSTS as usize,
            "{footprint:?}"
        );
        assert!(footprint.waiting_bytes <= 256 << 10, "{footprint:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    #[test]
    fn members_agree_at_rest_and_messages_come_once_and_in_order(
        seed in any::<u64>(),
        max_peers in 2..6_usize,
        mishaps in prop::collection::vec(mishap(), 1..60),
    ) {
        let mut network = Network::new(Options { seed, ..Options::default() });
        for host in 0..HOSTS {
            let seeds = [0, 1].into_iter().filter(|seed| *seed != host);
            network.add(Config {
                seeds: seeds.map(|seed| Target::from(HostId(seed).address())).collect(),
                min_peers: max_peers.min(3),
                max_peers,
                ..Config::default()
            });
        }
        for host in 0..HOSTS {
            network.start(HostId(host));
        }
        network.run_for(Duration::from_secs(5));
        let mut said = 0;
        for mishap in mishaps {
            play(&mut network, mishap, &mut said);
        }
        network.unblock();
        for host in 0..HOSTS {
            play(&mut network, Mishap::Start(host), &mut said);
        }
        network.run_for(Duration::from_secs(60));
        prop_assert!(Graph::of(&network).is_connected());
        // A node that changes its peers just then is away for as long as a record takes.
        let agree = |network: &Network| {
            let mut ids: Vec<NodeId> = network.hosts().map(|host| network.id(host).clone()).collect();
            ids.sort_unstable();
            network.hosts().all(|host| network.state(host).unwrap().members() == ids)
        };
        let is_settled = (0..100).any(|_| {
            network.run_for(Duration::from_millis(100));
            agree(&network)
        });
        prop_assert!(is_settled, "lists differ");
        // Everybody reaches everybody, without a loss, now that nothing happens any more.
        let mut expected = 0;
        for host in 0..HOSTS {
            said += 1;
            let text = format!("[\"last\",{host},{said}]");
            expected += send(&mut network, HostId(host), (1 << HOSTS) - 1, text);
        }
        prop_assert_eq!(expected, (HOSTS * (HOSTS - 1)) as usize);
        network.run_for(Duration::from_secs(5));
        let mut last = 0;
        let mut heard: BTreeMap<(HostId, u32), Vec<u64>> = BTreeMap::new();
        let mut lives: BTreeMap<HostId, usize> = BTreeMap::new();
        for happening in network.take_happenings() {
            let Event::Direct { payload, .. } = &happening.event else {
                *lives.entry(happening.host).or_default() +=
                    usize::from(matches!(happening.event, Event::Listening { .. }));
                continue;
            };
            for item in payload.items() {
                let Item::Event(text) = item else { panic!("{item:?}") };
                let (name, from, number): (String, u32, u64) = serde_json::from_slice(&text).unwrap();
                last += usize::from(name == "last");
                heard.entry((happening.host, from)).or_default().push(number);
            }
        }
        prop_assert_eq!(last, expected, "some of the last are missing");
        for (who, numbers) in &heard {
            prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{who:?}: {numbers:?}");
        }
    }
}

/// How many cases: `PROPTEST_CASES`, or else few enough for every run of the tests.
fn cases(default: u32) -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(default)
}
