//! Windows in a simulated network: the slowest receiver sets the pace, without a cost to others.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use smokesignal::Config;
use smokesignal::proto::{Event, Input, NodeId, Payload, Target};
use smokesignal::sim::scenario::{Scenario, Setup, settle};
use smokesignal::sim::{Death, HostId, Network, Options};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `count` hosts in a row; each has links only to its neighbours.
fn chain(count: u32) -> Network {
    let mut network = Network::new(Options::default());
    for host in 0..count {
        let before = host.checked_sub(1).map(HostId);
        network.add(Config {
            seeds: before
                .map(|host| Target::from(host.address()))
                .into_iter()
                .collect(),
            min_peers: 1,
            max_peers: 2,
            ..Config::default()
        });
    }
    for host in 0..count {
        network.start(HostId(host));
        network.run_for(secs(2));
    }
    network.run_for(secs(5));
    network.take_happenings();
    network
}

/// Broadcasts at most `most` messages for `time`, whenever there is room. Returns how many.
fn produce(network: &mut Network, producer: HostId, most: usize, time: Duration) -> usize {
    let payload = Payload::chunk(&vec![b'x'; 40 << 10]);
    let end = network.now().after(time);
    let mut sent = 0;
    while network.now() < end {
        if sent < most && !network.is_pressed(producer) {
            network.input(producer, Input::Broadcast(payload.clone()));
            sent += 1;
        }
        network.run_for(Duration::from_millis(1));
    }
    sent
}

/// How many messages a host received, and how many it was told that it missed.
fn got(network: &mut Network, host: HostId) -> (usize, u64, Vec<NodeId>) {
    let (mut given, mut missed, mut slow) = (0, 0, Vec::new());
    for happening in network.take_happenings() {
        match happening.event {
            Event::Broadcast { payload, .. } if happening.host == host => {
                given += payload.count() as usize;
            }
            Event::Skipped { count, .. } => missed += count,
            Event::SlowReceiver { id } => slow.push(id),
            _ => {}
        }
    }
    (given, missed, slow)
}

#[test]
fn a_slow_receiver_far_away_sets_the_pace() {
    let mut network = chain(5);
    let (producer, slow) = (HostId(0), HostId(4));
    network.slow_down(slow, Some(Duration::from_millis(10)));
    let sent = produce(&mut network, producer, usize::MAX, secs(20));
    // One window in advance, and a hundred a second, plus the delay of the reports.
    assert!((1800..2400).contains(&sent), "{sent}");
    network.run_for(secs(10));
    assert_eq!(network.waiting(slow), 0);
    assert_eq!(got(&mut network, slow), (sent, 0, Vec::new()));
}

#[test]
fn a_hanging_receiver_is_left_out_and_named_to_the_sender() {
    let mut network = chain(5);
    let (producer, hung) = (HostId(0), HostId(4));
    network.slow_down(hung, Some(secs(3600)));
    let before = produce(&mut network, producer, usize::MAX, secs(9));
    let more = produce(&mut network, producer, 1000, secs(5));
    assert!(more == 1000, "{before} and then {more}");
    let name = network.id(hung).clone();
    assert_eq!(got(&mut network, HostId(3)), (before + more, 0, vec![name]));
    // Once it consumes again, the sender waits for it again.
    network.slow_down(hung, Some(Duration::from_millis(10)));
    network.run_for(secs(3600));
    assert_eq!(network.waiting(hung), 0);
    network.slow_down(hung, Some(secs(3600)));
    let again = produce(&mut network, producer, usize::MAX, secs(5));
    assert!(again < 300, "{again}");
}

#[test]
fn a_receiver_that_dies_is_not_waited_for() {
    let mut network = chain(3);
    network.slow_down(HostId(2), Some(secs(3600)));
    let before = produce(&mut network, HostId(0), usize::MAX, secs(3));
    assert!(before < 300, "{before}");
    network.end(HostId(2), Death::Kill);
    network.run_for(secs(1));
    assert_eq!(produce(&mut network, HostId(0), 1000, secs(2)), 1000);
}

#[test]
fn four_producers_wait_for_one_slow_receiver_and_nothing_is_lost() {
    for seed in 1..=4 {
        four_producers(seed);
    }
}

fn four_producers(seed: u64) {
    let mut network = Setup::new(30, seed).build();
    settle(&mut network);
    let slow = HostId(20);
    network.slow_down(slow, Some(Duration::from_millis(5)));
    let payload = Payload::chunk(&vec![b'x'; 40 << 10]);
    let producers = [0, 7, 14, 28].map(HostId);
    let mut sent = 0;
    for _ in 0..10_000 {
        for producer in producers {
            if !network.is_pressed(producer) {
                network.input(producer, Input::Broadcast(payload.clone()));
                sent += 1;
            }
        }
        network.run_for(Duration::from_millis(1));
    }
    network.run_for(secs(15));
    assert_eq!(network.waiting(slow), 0);
    assert_eq!(got(&mut network, slow), (sent, 0, Vec::new()), "{seed}");
}

#[test]
fn no_node_waits_for_another_at_rest() {
    let mut network = Setup::new(100, 2).build();
    settle(&mut network);
    for round in 0..3 {
        for host in [3, 50, 80].map(HostId) {
            produce(&mut network, host, 20 + round, Duration::from_millis(500));
        }
        network.run_for(secs(2));
        let flowing = |host| network.state(host).unwrap().footprint().flowing;
        let waiting: Vec<_> = network.living().into_iter().map(flowing).collect();
        assert_eq!(waiting, [0; 100]);
    }
}

#[test]
fn one_slow_node_in_a_hundred_loses_nothing_and_delays_no_other() {
    let mut network = Setup::new(100, 1).build();
    settle(&mut network);
    let figures = Scenario::SlowReceivers.play(&mut network);
    let figure = |name: &str| {
        let found = figures.iter().find(|(other, _)| other.ends_with(name));
        found.unwrap().1
    };
    assert_eq!(figure("lost"), 0.0);
    assert_eq!(figure("skipped"), 0.0);
    assert!((0.9..1.5).contains(&figure("their pace")), "{figures:?}");
    assert!(figure("delay, seconds") < 1.0, "{figures:?}");
}
