//! Requirements on the overlay, in a simulated network.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use smokesignal::Config;
use smokesignal::proto::{
    Event, Input, Item, LinkId, Message, NodeId, Payload, PeerAddress, Target,
};
use smokesignal::sim::scenario::{Scenario, Setup, settle};
use smokesignal::sim::{Death, Graph, HostId, Network, Options, report};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Hosts that entered through the first one at the same moment, a minute ago.
fn settled(nodes: usize, seed: u64) -> Network {
    let mut network = Setup::new(nodes, seed).build();
    settle(&mut network);
    network
}

fn changes(network: &mut Network) -> Vec<(HostId, Event)> {
    let happenings = network.take_happenings().into_iter();
    let is_change =
        |event: &Event| !matches!(event, Event::Broadcast { .. } | Event::Listening { .. });
    happenings
        .filter(|it| is_change(&it.event))
        .map(|it| (it.host, it.event))
        .collect()
}

fn pairs(network: &Network) -> BTreeSet<(HostId, HostId)> {
    let of = |host| {
        let links = network.peers(host).into_iter();
        links.map(move |link| (host, link.to))
    };
    network.living().into_iter().flat_map(of).collect()
}

fn assert_symmetric(network: &Network) {
    let pairs = pairs(network);
    let mirrored: BTreeSet<_> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
    assert_eq!(pairs, mirrored);
}

#[test]
fn a_hundred_nodes_reach_the_goals() {
    for min_peers in [3, 5] {
        let setup = Setup {
            min_peers,
            ..Setup::new(100, 1)
        };
        let mut runs = Vec::new();
        for scenario in Scenario::ALL {
            let mut network = setup.build();
            if scenario != Scenario::Join {
                settle(&mut network);
            }
            runs.extend(scenario.play(&mut network));
        }
        let rows = report::rows(&setup, &[runs]);
        // The goal is for active views of 5.
        let counts = |figure: &str| min_peers == 5 || figure != "one sender: last hop";
        let missed: Vec<_> = rows
            .iter()
            .filter(|row| row.reached == Some(false) && counts(row.figure))
            .collect();
        assert!(missed.is_empty(), "minPeerNo {min_peers}: {missed:#?}");
        assert!(rows.iter().filter(|row| row.reached.is_some()).count() > 15);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut network = Setup::new(30, seed).build();
        for host in network.hosts() {
            network.start(host);
        }
        network.run_for(secs(10));
        network.end(HostId(3), Death::Kill);
        network.run_for(secs(10));
        format!("{:?}", network.take_happenings())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn limits_never_refuse_the_relays_of_honest_nodes() {
    for (min_peers, max_peers) in [(1, 2), (3, 5), (5, 20)] {
        let setup = Setup {
            min_peers,
            max_peers,
            ..Setup::new(100, 1)
        };
        let mut network = setup.build();
        settle(&mut network);
        for host in (20..40).map(HostId) {
            network.end(host, Death::Kill);
        }
        network.run_for(secs(10));
        for host in (20..40).map(HostId) {
            network.start(host);
        }
        network.run_for(secs(30));
        for host in network.hosts() {
            let counters = network.counters(host);
            let refused = [counters.relays_refused, counters.muted, counters.misbehaved];
            assert_eq!(refused, [0; 3], "{host:?} of {setup:?}");
        }
    }
}

#[test]
fn small_networks_come_to_rest_and_stay_there() {
    for nodes in 2..=9 {
        let mut network = settled(nodes, nodes as u64);
        assert!(Graph::of(&network).is_connected(), "{nodes} nodes");
        assert_symmetric(&network);
        let (min, max) = network.limits(HostId(0));
        for degree in Graph::of(&network).degrees() {
            let least = min.min(nodes - 1);
            assert!((least..=max).contains(&degree), "{degree} peers of {nodes}");
        }
        network.run_for(secs(60));
        assert_eq!(changes(&mut network), [], "{nodes} nodes");
    }
}

#[test]
fn a_node_respects_its_peer_limit_and_refused_nodes_find_others() {
    // Six nodes fill each other's views; the seventh must get in nevertheless.
    let mut network = Setup {
        max_peers: 3,
        min_peers: 2,
        ..Setup::new(5, 1)
    }
    .build();
    for host in network.hosts().take(4) {
        network.start(host);
    }
    network.run_for(secs(30));
    network.start(HostId(4));
    network.run_for(secs(5));
    assert!(Graph::of(&network).is_connected());
    let degrees = Graph::of(&network).degrees();
    assert!(
        degrees.iter().all(|degree| (2..=3).contains(degree)),
        "{degrees:?}"
    );
}

#[test]
fn half_open_links_are_found_within_8_seconds() {
    let mut network = settled(10, 1);
    let host = HostId(4);
    let links = network.peers(host);
    for link in &links {
        network.make_half_open(host, link.id);
    }
    network.run_for(secs(8));
    let gone: BTreeSet<_> = changes(&mut network)
        .into_iter()
        .filter_map(|(at, event)| match event {
            Event::PeerRemoved { link, .. } if at == host => Some(link),
            _ => None,
        })
        .collect();
    let missed: Vec<_> = links
        .iter()
        .filter(|link| !gone.contains(&link.id))
        .collect();
    assert!(missed.is_empty(), "{missed:?} of {links:?}");
    network.run_for(secs(2));
    assert!(Graph::of(&network).is_connected());
    assert_symmetric(&network);
}

#[test]
fn a_process_starved_for_3_seconds_loses_no_peer() {
    let mut network = settled(10, 2);
    for host in [HostId(0), HostId(5)] {
        network.starve(host, secs(3));
    }
    network.run_for(secs(20));
    assert_eq!(changes(&mut network), []);
}

#[test]
fn hosts_that_vanish_are_replaced() {
    let mut network = settled(20, 3);
    for host in (0..20).step_by(2).skip(1).map(HostId) {
        network.end(host, Death::Vanish);
    }
    network.run_for(secs(15));
    assert!(Graph::of(&network).is_connected());
    assert_symmetric(&network);
    let degrees = Graph::of(&network).degrees();
    assert!(
        degrees.iter().all(|degree| (3..=5).contains(degree)),
        "{degrees:?}"
    );
}

fn seed_events(network: &mut Network) -> BTreeMap<HostId, Vec<&'static str>> {
    let mut events: BTreeMap<HostId, Vec<&'static str>> = BTreeMap::new();
    for (host, event) in changes(network) {
        let name = match event {
            Event::Netsplit { .. } => "netsplit",
            Event::NetsplitResolved { .. } => "resolved",
            _ => continue,
        };
        events.entry(host).or_default().push(name);
    }
    events
}

#[test]
fn a_dead_seed_is_noticed_within_6_seconds_and_found_again_when_it_is_back() {
    for death in [Death::Stop, Death::Kill, Death::Vanish] {
        let mut network = settled(12, 4);
        network.end(HostId(0), death);
        network.run_for(secs(6));
        let everyone = |events: &[&'static str]| -> BTreeMap<HostId, Vec<&'static str>> {
            (1..12)
                .map(|host| (HostId(host), events.to_vec()))
                .collect()
        };
        assert_eq!(
            seed_events(&mut network),
            everyone(&["netsplit"]),
            "{death:?}"
        );
        network.run_for(secs(30));
        assert_eq!(
            seed_events(&mut network),
            everyone(&[]).into_iter().take(0).collect()
        );
        network.start(HostId(0));
        network.run_for(secs(5));
        assert_eq!(
            seed_events(&mut network),
            everyone(&["resolved"]),
            "{death:?}"
        );
        assert!(Graph::of(&network).is_connected());
    }
}

#[test]
fn a_partition_heals_even_if_all_views_are_full() {
    for seed in 1..=3 {
        let mut network = Setup {
            min_peers: 4,
            max_peers: 4,
            ..Setup::new(20, seed)
        }
        .build();
        settle(&mut network);
        for host in (10..20).map(HostId) {
            network.set_group(host, 1);
        }
        // A node with all its peers in the other half is briefly alone, too.
        let is_cut = |one: HostId, other: HostId| (one.0 < 10) != (other.0 < 10);
        let with_seed = Graph::of(&network).without(is_cut).reached_from(HostId(0));
        network.block(0, 1);
        network.block(1, 0);
        network.run_for(secs(40));
        let graph = Graph::of(&network);
        assert_eq!(graph.components().len(), 2, "{:?}", graph.components());
        let netsplits: BTreeSet<_> = seed_events(&mut network).into_keys().collect();
        assert!(netsplits.is_superset(&(10..20).map(HostId).collect()));
        assert!(
            netsplits.is_disjoint(&with_seed),
            "seed {seed}: {netsplits:?}"
        );
        network.unblock();
        network.run_for(secs(5));
        assert!(Graph::of(&network).is_connected(), "seed {seed}");
        network.run_for(secs(5));
        let resolved = seed_events(&mut network);
        assert!(
            resolved.values().all(|events| *events == ["resolved"]),
            "{resolved:?}"
        );
        assert_eq!(resolved.len(), 10);
    }
}

#[test]
fn full_nodes_that_look_for_each_other_do_not_become_seeds() {
    let mut network = Setup {
        min_peers: 4,
        max_peers: 4,
        ..Setup::new(30, 1)
    }
    .build();
    settle(&mut network);
    for round in 0..6 {
        for host in (1..30).map(HostId).filter(|host| host.0 % 6 == round) {
            network.end(host, Death::Kill);
            network.run_for(secs(1));
            network.start(host);
        }
        network.run_for(secs(5));
    }
    let beacons = |host| network.state(host).map(|state| state.footprint().beacons);
    assert!(network.hosts().all(|host| beacons(host) <= Some(1)));
}

#[test]
fn a_network_cut_in_one_direction_becomes_whole_again() {
    let mut network = settled(12, 5);
    for host in (6..12).map(HostId) {
        network.set_group(host, 1);
    }
    network.block(0, 1);
    network.run_for(secs(20));
    network.unblock();
    network.run_for(secs(10));
    assert!(Graph::of(&network).is_connected());
    assert_symmetric(&network);
}

#[test]
fn a_seed_may_be_a_name_for_several_hosts() {
    let mut network = Network::new(Options::default());
    let named = Target {
        host: "seeds.example".to_owned(),
        port: 4000,
    };
    let mut add = |seeds| {
        network.add(Config {
            seeds,
            ..Config::default()
        })
    };
    let (a, b) = (add(Vec::new()), add(Vec::new()));
    let others: Vec<HostId> = (0..4).map(|_| add(vec![named.clone()])).collect();
    network.name("seeds.example", vec![a, b]);
    for host in [a, b].into_iter().chain(others) {
        network.start(host);
    }
    network.run_for(secs(30));
    assert!(!network.peers(a).is_empty());
    network.end(a, Death::Vanish);
    network.run_for(secs(30));
    assert!(
        Graph::of(&network).is_connected(),
        "the other host of the name is a way in"
    );
}

fn message(number: usize) -> Payload {
    Payload::events(format!("[\"n\",{number}]").into())
}

fn numbers(network: &mut Network) -> BTreeMap<HostId, Vec<String>> {
    let mut got: BTreeMap<HostId, Vec<String>> = BTreeMap::new();
    for happening in network.take_happenings() {
        if let Event::Broadcast { payload, .. } = happening.event {
            let texts = payload.items().map(|item| match item {
                Item::Event(text) => String::from_utf8(text.to_vec()).unwrap(),
                other => panic!("{other:?}"),
            });
            got.entry(happening.host).or_default().extend(texts);
        }
    }
    got
}

#[test]
fn a_network_with_legacy_nodes_in_it_stays_whole() {
    for seed in 1..=3 {
        let mut network = Network::new(Options {
            seed,
            ..Options::default()
        });
        for host in 0..20 {
            let seeds = [0, 1].map(|seed| Target::from(HostId(seed).address()));
            network.add(Config {
                // One of the two seeds is a legacy node.
                native: ![1, 4, 7, 10, 13, 16].contains(&host),
                seeds: seeds.to_vec(),
                ..Config::default()
            });
        }
        for host in network.hosts() {
            network.start(host);
        }
        network.run_for(secs(60));
        assert!(Graph::of(&network).is_connected(), "seed {seed}");
        for host in [2, 4, 6, 8, 10].map(HostId) {
            network.end(host, Death::Kill);
        }
        network.run_for(secs(30));
        assert!(Graph::of(&network).is_connected(), "seed {seed}");
        network.take_happenings();
        for number in 0..10 {
            for sender in [HostId(7), HostId(9)] {
                network.input(sender, Input::Broadcast(message(number)));
            }
            network.run_for(Duration::from_millis(100));
        }
        network.run_for(secs(5));
        let got = numbers(&mut network);
        for host in network.living() {
            let mut mine = got.get(&host).cloned().unwrap_or_default();
            mine.sort();
            let copies = if [HostId(7), HostId(9)].contains(&host) {
                1
            } else {
                2
            };
            let mut expected: Vec<String> = (0..10)
                .flat_map(|number| vec![format!("[\"n\",{number}]"); copies])
                .collect();
            expected.sort();
            assert_eq!(mine, expected, "seed {seed}, {host:?}");
        }
    }
}

/// Strangers ask a node for entry on behalf of absent nodes.
fn ask_for_entry(network: &mut Network, host: HostId) {
    let link = LinkId(1 << 30);
    let remote = "10.9.9.9:5000".parse().unwrap();
    network.input(host, Input::Accepted { link, remote });
    let nobody = PeerAddress {
        id: NodeId::parse("nobody").unwrap(),
        address: [10, 9, 9, 9].into(),
        port: 4000,
    };
    let message = Message::PeerRequest(nobody);
    network.input(host, Input::Received { link, message });
}

#[test]
fn strangers_that_ask_for_entry_everywhere_do_not_hide_the_seed() {
    let mut network = settled(60, 1);
    for host in network.hosts() {
        ask_for_entry(&mut network, host);
    }
    network.run_for(secs(30));
    assert_eq!(seed_events(&mut network), BTreeMap::new());
    // They do not hide a real loss either.
    network.end(HostId(0), Death::Vanish);
    network.run_for(secs(6));
    let netsplits = seed_events(&mut network);
    assert_eq!(netsplits.len(), 59);
}

#[test]
fn records_that_are_handed_out_spread_no_further() {
    let setup = Setup {
        warm: true,
        ..Setup::new(40, 1)
    };
    let mut network = setup.build();
    network.hosts().for_each(|host| network.start(host));
    network.run_for(secs(60));
    let members = |network: &Network| -> BTreeSet<u64> {
        let hosts = network.living().into_iter();
        hosts.map(|host| network.counters(host).members).collect()
    };
    assert_eq!(members(&network), [0].into(), "they are withheld");
    let sent = |network: &Network| -> u64 {
        let hosts = network.hosts();
        hosts.map(|host| network.traffic(host).control).sum()
    };
    network.take_happenings();
    network.hand_out_records();
    assert_eq!(members(&network), [39].into());
    assert_eq!(changes(&mut network), []);
    let before = sent(&network);
    network.run_for(secs(60));
    let per_node = (sent(&network) - before) / (40 * 60);
    assert!(per_node < 400, "{per_node} bytes/s");
    assert_eq!(changes(&mut network), []);
}
