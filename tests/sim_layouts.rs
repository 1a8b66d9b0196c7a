//! Configurations from practice: each becomes one network, and is quiet at rest.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use smokesignal::Config;
use smokesignal::proto::{Event, Moment, Target};
use smokesignal::sim::layout::{Layout, Start};
use smokesignal::sim::scenario::{await_that, is_whole};
use smokesignal::sim::{Death, Graph, HostId, Network, Options};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// All layouts with that many nodes, with these random seeds.
fn assert_good(nodes: usize, layouts: &[Layout], seeds: std::ops::RangeInclusive<u64>) {
    for layout in layouts {
        for start in Start::ALL {
            for seed in seeds.clone() {
                let outcome = layout.play(nodes, start, seed, true);
                let name = format!("{}, {}", layout.name(), start.name());
                assert!(outcome.is_good(), "{name}, seed {seed}: {outcome:?}");
            }
        }
    }
}

#[test]
fn ten_nodes_become_one_quiet_network_in_every_configuration() {
    assert_good(10, &Layout::ALL, 1..=3);
}

/// Some of these nodes are led to each other only, or to themselves, at first.
#[test]
fn a_few_nodes_behind_a_load_balancer_become_one_quiet_network() {
    for nodes in [4, 5] {
        assert_good(nodes, &[Layout::Balancer], 20..=40);
    }
}

#[test]
fn a_few_nodes_soon_find_a_seed_that_comes_late() {
    for nodes in 2..=4 {
        assert_good(nodes, &[Layout::LateSeed], 1..=10);
    }
}

/// Any lists of seeds that lead from each node to each other one, whoever names whom, and whatever
/// starts when.
#[test]
fn nodes_with_any_seeds_become_one_quiet_network_in_any_order() {
    for seed in 1..=100 {
        let mut network = with_random_seeds(seed);
        // A node that only one other node names, and that starts late, is found with its next probe.
        let is_late = network.now() > Moment(5_000_000);
        let patience = secs(if is_late { 100 } else { 10 });
        let whole = await_that(&mut network, patience, is_whole);
        assert!(
            whole.is_some(),
            "seed {seed}: {:?}",
            Graph::of(&network).components()
        );
        network.run_for(secs(180));
        network.take_happenings();
        network.run_for(secs(60));
        let happenings = network.take_happenings();
        assert!(happenings.is_empty(), "seed {seed}: {happenings:?}");
    }
}

/// Up to ten nodes, all started.
fn with_random_seeds(seed: u64) -> Network {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut network = Network::new(Options {
        seed,
        ..Options::default()
    });
    let nodes = rng.u32(2..=10);
    let mut seeds: Vec<Vec<Target>> = vec![Vec::new(); nodes as usize];
    let mut name = |from: u32, to: u32| seeds[from as usize].push(HostId(to).address().into());
    for node in 1..nodes {
        let other = rng.u32(..node);
        match rng.bool() {
            true => name(node, other),
            false => name(other, node),
        }
    }
    for _ in 0..rng.u32(..=nodes) {
        name(rng.u32(..nodes), rng.u32(..nodes));
    }
    for seeds in seeds {
        network.add(Config {
            seeds,
            max_peers: rng.usize(3..=6),
            ..Config::default()
        });
    }
    let mut hosts: Vec<HostId> = network.hosts().collect();
    rng.shuffle(&mut hosts);
    let slow = rng.bool();
    for host in hosts {
        network.start(host);
        network.run_for(Duration::from_millis(
            rng.u64(..if slow { 30_000 } else { 300 }),
        ));
    }
    network
}

#[test]
fn a_hundred_nodes_with_all_kinds_of_seeds_become_one_quiet_network() {
    assert_good(100, &Layout::ALL[..5], 1..=1);
}

#[test]
fn a_hundred_nodes_with_leaves_become_one_quiet_network() {
    assert_good(100, &Layout::ALL[5..11], 1..=1);
}

#[test]
fn a_hundred_nodes_with_unreachable_seeds_and_nodes_become_one_quiet_network() {
    assert_good(100, &Layout::ALL[11..], 1..=1);
}

#[test]
fn so_do_a_hundred_that_are_a_chain_or_a_ring() {
    assert_good(100, &[Layout::leaves(2, 100)], 1..=2);
}

#[test]
fn twenty_nodes_of_two_links_each_become_one_network() {
    for seed in 1..=5 {
        let mut network = Network::new(Options {
            seed,
            ..Options::default()
        });
        for _ in 0..20 {
            network.add(with_seed(2, Vec::new()));
        }
        start_all(&mut network);
        network.run_for(secs(60));
        assert!(Graph::of(&network).is_connected(), "seed {seed}");
        network.take_happenings();
        network.run_for(secs(60));
        assert_eq!(removals(&mut network), 0, "seed {seed}");
    }
}

/// The default configuration with the first host as the seed.
fn with_seed(max_peers: usize, more: Vec<Target>) -> Config {
    Config {
        min_peers: max_peers.min(3),
        max_peers,
        seeds: [vec![HostId(0).address().into()], more].concat(),
        ..Config::default()
    }
}

fn start_all(network: &mut Network) {
    for host in network.hosts() {
        network.start(host);
    }
}

fn removals(network: &mut Network) -> usize {
    let happenings = network.take_happenings();
    let is_removal = |event: &Event| matches!(event, Event::PeerRemoved { .. });
    happenings.iter().filter(|it| is_removal(&it.event)).count()
}

#[test]
fn nodes_without_room_are_told_and_do_not_disturb_others() {
    // Four nodes of one link each can only form pairs.
    let mut network = Network::new(Options::default());
    for _ in 0..4 {
        network.add(with_seed(1, Vec::new()));
    }
    start_all(&mut network);
    network.run_for(secs(120));
    let told = told_of_no_room(&mut network);
    let with_seed = Graph::of(&network).reached_from(HostId(0));
    for host in network.hosts() {
        assert_eq!(told.contains(&host), !with_seed.contains(&host), "{host:?}");
    }
    network.run_for(secs(120));
    assert_eq!(removals(&mut network), 0);
}

/// The hosts that learnt that the seed has no room, or is in another part.
fn told_of_no_room(network: &mut Network) -> Vec<HostId> {
    let happenings = network.take_happenings();
    let is_told = |event: &Event| match event {
        Event::Outside { seeds } => seeds.iter().any(|seed| seed.reason == "full"),
        Event::Island { is_over, .. } => !is_over,
        _ => false,
    };
    let told = happenings.iter().filter(|it| is_told(&it.event));
    let mut told: Vec<_> = told.map(|it| it.host).collect();
    told.dedup();
    told
}

#[test]
fn undialable_nodes_enter_while_the_seed_has_room_and_are_told_when_it_is_full() {
    let mut network = Network::new(Options::default());
    for host in 0..9 {
        network.add(with_seed(5, Vec::new()));
        if host > 0 {
            network.shield(HostId(host));
        }
    }
    for host in network.hosts() {
        network.start(host);
        network.run_for(secs(2));
    }
    network.run_for(secs(60));
    let alone: Vec<HostId> = network
        .hosts()
        .filter(|host| network.peers(*host).is_empty())
        .collect();
    assert_eq!(alone.len(), 3, "five hang on the seed");
    let told = told_of_no_room(&mut network);
    assert!(alone.iter().all(|host| told.contains(host)), "{told:?}");
    network.run_for(secs(120));
    assert_eq!(removals(&mut network), 0);
}

#[test]
fn a_network_that_lost_all_seeds_is_joined_again_through_one_that_returns() {
    let mut network = Network::new(Options::default());
    let second: Target = HostId(1).address().into();
    for _ in 0..12 {
        network.add(with_seed(5, vec![second.clone()]));
    }
    start_all(&mut network);
    network.run_for(secs(30));
    for host in [0, 1].map(HostId) {
        network.end(host, Death::Vanish);
    }
    network.run_for(secs(300));
    network.start(HostId(1));
    network.run_for(secs(30));
    assert!(Graph::of(&network).is_connected());
    assert_eq!(network.living().len(), 11);
}
