//! Shortcuts, in a simulated network: when they come and go, and that no letter is lost by it.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use smokesignal::Config;
use smokesignal::proto::{Event, Input, Item, LinkId, NodeId, Payload, Target};
use smokesignal::sim::{Death, HostId, Network, Options};

const IDLE: Duration = Duration::from_secs(30);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A ring: every host has room for two links. Hosts 0 and `hosts / 2` are never neighbours.
struct Ring {
    network: Network,
    said: u64,
}

impl Ring {
    fn new(hosts: u32, config: impl Fn(u32) -> Config) -> Self {
        let mut network = Network::new(Options {
            seed: 3,
            ..Options::default()
        });
        for host in 0..hosts {
            network.add(Config {
                min_peers: 2,
                max_peers: 2,
                seeds: vec![Target::from(HostId(0).address())],
                ..config(host)
            });
        }
        for host in 0..hosts {
            network.start(HostId(host));
            network.run_for(secs(1));
        }
        network.run_for(secs(30));
        network.take_happenings();
        Self { network, said: 0 }
    }

    fn whole(hosts: u32) -> Self {
        Self::new(hosts, |_| Config::default())
    }

    /// Two hosts that are no neighbours, and others at the same distance from the first.
    fn strangers(&self, host: HostId) -> Vec<HostId> {
        let peers: Vec<HostId> = self.network.peers(host).iter().map(|it| it.to).collect();
        let is_far = |other: &HostId| *other != host && !peers.contains(other);
        self.network.hosts().filter(is_far).collect()
    }

    /// Sends messages, each in a letter of its own.
    fn send(&mut self, from: HostId, to: HostId, count: u64) {
        let id = self.network.id(to).clone();
        let link = self.network.state(from).unwrap().handle_of(&id).unwrap();
        for _ in 0..count {
            self.said += 1;
            let payload = Payload::events(format!("[\"m\",{}]", self.said).into());
            self.network.input(from, Input::Direct { link, payload });
        }
    }

    /// The numbers of the messages that a host was given.
    fn heard(&mut self, host: HostId) -> Vec<u64> {
        let happenings = self.network.take_happenings().into_iter();
        let mine = happenings.filter(|it| it.host == host);
        let numbers = mine.flat_map(|it| match it.event {
            Event::Direct { payload, .. } => numbers(&payload),
            _ => Vec::new(),
        });
        numbers.collect()
    }

    /// What the applications were told except messages. They consume none here.
    fn told(&mut self) -> Vec<Event> {
        let happenings = self.network.take_happenings().into_iter();
        let events = happenings.map(|it| it.event);
        let is_quiet =
            |event: &Event| matches!(event, Event::Direct { .. } | Event::SlowReceiver { .. });
        events.filter(|event| !is_quiet(event)).collect()
    }

    fn shortcuts(&self, host: HostId) -> Vec<(LinkId, NodeId)> {
        let state = self.network.state(host).unwrap();
        let shortcuts = state.shortcuts();
        shortcuts.map(|(link, id)| (link, id.clone())).collect()
    }

    fn dials(&self, host: HostId) -> u64 {
        self.network.counters(host).dials
    }
}

fn numbers(payload: &Payload) -> Vec<u64> {
    let number = |item: Item| match item {
        Item::Event(text) => {
            let (_, number): (String, u64) = serde_json::from_slice(&text).unwrap();
            number
        }
        other => panic!("{other:?}"),
    };
    payload.items().map(number).collect()
}

fn upto(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

#[test]
fn a_busy_pair_gets_a_shortcut_which_is_no_peer_and_goes_when_idle() {
    let mut ring = Ring::whole(6);
    let (one, other) = (HostId(0), ring.strangers(HostId(0))[0]);
    let peers = (ring.network.peers(one), ring.network.peers(other));
    ring.send(one, other, 100);
    ring.network.run_for(secs(2));
    assert_eq!(ring.shortcuts(one).len(), 1);
    assert_eq!(ring.shortcuts(other)[0].1, *ring.network.id(one));
    for host in [one, other] {
        assert_eq!(ring.network.counters(host).shortcuts, 1);
    }
    let routed = |ring: &Ring| -> u64 {
        let hosts = ring.network.hosts();
        hosts.map(|host| ring.network.counters(host).routed).sum()
    };
    let before = routed(&ring);
    ring.send(one, other, 10);
    ring.network.run_for(secs(1));
    assert_eq!(routed(&ring), before, "they cross one link, the other way");
    ring.send(other, one, 10);
    ring.network.run_for(secs(1));
    assert_eq!(routed(&ring), before, "and back");
    assert_eq!(ring.network.counters(one).routed_received, 10);
    // The last letter was sent about a second ago.
    ring.network.run_for(IDLE - secs(3));
    assert_eq!(ring.shortcuts(one).len(), 1);
    ring.network.run_for(secs(4));
    assert_eq!(
        (ring.shortcuts(one), ring.shortcuts(other)),
        (vec![], vec![])
    );
    assert_eq!((ring.network.peers(one), ring.network.peers(other)), peers);
    assert_eq!(ring.told(), []);
}

#[test]
fn a_request_per_second_gets_none() {
    let mut ring = Ring::whole(6);
    let (one, other) = (HostId(0), ring.strangers(HostId(0))[0]);
    let before = ring.dials(one) + ring.dials(other);
    for _ in 0..120 {
        ring.send(one, other, 1);
        ring.send(other, one, 1);
        ring.network.run_for(secs(1));
    }
    assert_eq!(ring.dials(one) + ring.dials(other), before);
    assert_eq!(ring.network.counters(one).routed_lost, 0);
}

#[test]
fn neighbours_get_none() {
    let mut ring = Ring::whole(6);
    let one = HostId(0);
    let other = ring.network.peers(one)[0].to;
    let before = ring.dials(one);
    ring.send(one, other, 1000);
    ring.network.run_for(secs(5));
    assert_eq!(ring.dials(one), before);
    assert_eq!(ring.heard(other), upto(1000));
}

#[test]
fn nothing_is_lost_or_late_while_a_pair_moves_to_a_shortcut_and_back_again_and_again() {
    let mut ring = Ring::new(9, |_| Config {
        shortcut_idle: Duration::from_millis(1),
        ..Config::default()
    });
    let one = HostId(0);
    let other = ring.strangers(one)[3];
    let mut made = 0;
    for _ in 0..6000 {
        ring.send(one, other, 1);
        ring.network.run_for(Duration::from_millis(5));
        made += usize::from(!ring.shortcuts(one).is_empty());
    }
    assert!(
        (1000..5500).contains(&made),
        "{made} of 6000 over a shortcut"
    );
    assert!(ring.dials(one) > 10, "{}", ring.dials(one));
    ring.network.run_for(secs(5));
    let said = ring.said;
    assert_eq!(ring.heard(other), upto(said));
}

#[test]
fn a_dial_that_fails_changes_nothing_and_is_tried_again_later_and_later() {
    let mut ring = Ring::whole(6);
    let (one, other) = (HostId(0), ring.strangers(HostId(0))[0]);
    ring.network.shield(other);
    let before = ring.dials(one);
    let mut at = Vec::new();
    for second in 0..500 {
        ring.send(one, other, 70);
        ring.network.run_for(secs(1));
        if ring.dials(one) - before > at.len() as u64 {
            at.push(second);
        }
    }
    // After 3 s each dial fails. The waits are 60, 120 and 240 s.
    assert_eq!(at.len(), 4, "{at:?}");
    let waits: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        waits
            .iter()
            .zip([60, 120, 240])
            .all(|(is, least)| (least..least + 10).contains(is))
    );
    ring.network.run_for(secs(5));
    let said = ring.said;
    assert_eq!(ring.heard(other), upto(said));
    assert_eq!(ring.shortcuts(one), []);
}

#[test]
fn there_are_at_most_so_many_and_the_one_unused_for_longest_makes_room() {
    let mut ring = Ring::new(9, |host| Config {
        max_shortcuts: if host == 0 { 2 } else { 16 },
        ..Config::default()
    });
    let one = HostId(0);
    let others = ring.strangers(one);
    let ids = |ring: &Ring| -> Vec<NodeId> {
        let mut ids: Vec<NodeId> = ring.shortcuts(one).into_iter().map(|it| it.1).collect();
        ids.sort_unstable();
        ids
    };
    let expected = |ring: &Ring, hosts: [usize; 2]| {
        let mut ids = hosts
            .map(|host| ring.network.id(others[host]).clone())
            .to_vec();
        ids.sort_unstable();
        ids
    };
    for second in 0..20 {
        for other in &others[..4] {
            ring.send(one, *other, 70);
        }
        ring.network.run_for(secs(1));
        assert!(ids(&ring).len() <= 2, "{second}");
    }
    assert_eq!(
        ids(&ring),
        expected(&ring, [0, 1]),
        "all are busy: the first ones stay"
    );
    // Others ask for one, too.
    ring.send(others[3], one, 100);
    ring.network.run_for(secs(1));
    assert_eq!(ids(&ring), expected(&ring, [0, 1]));
    assert_eq!(ring.network.counters(one).shortcuts_refused, 1);
    for _ in 0..20 {
        ring.send(one, others[1], 70);
        ring.send(one, others[2], 70);
        ring.network.run_for(secs(1));
    }
    assert_eq!(
        ids(&ring),
        expected(&ring, [1, 2]),
        "the first one was idle"
    );
    assert_eq!(ring.network.counters(one).routed_lost, 0);
    assert_eq!(ring.network.counters(one).undelivered, 0);
}

#[test]
fn two_nodes_that_dial_each_other_at_once_end_up_with_one() {
    let mut ring = Ring::whole(6);
    let (one, other) = (HostId(0), ring.strangers(HostId(0))[0]);
    for _ in 0..100 {
        ring.send(one, other, 1);
        ring.send(other, one, 1);
    }
    for _ in 0..100 {
        ring.network.run_for(Duration::from_millis(20));
        let counts = [one, other].map(|host| ring.shortcuts(host).len());
        assert!(counts[0] <= 1 && counts[1] <= 1, "{counts:?}");
    }
    assert_eq!(
        (ring.shortcuts(one).len(), ring.shortcuts(other).len()),
        (1, 1)
    );
    ring.send(one, other, 1);
    ring.network.run_for(secs(1));
    assert_eq!(ring.heard(other).len(), 101);
}

#[test]
fn a_node_that_knows_no_shortcuts_refuses_them_without_further_ado() {
    let mut ring = Ring::new(6, |host| Config {
        max_shortcuts: if host == 0 { 16 } else { 0 },
        ..Config::default()
    });
    let (one, other) = (HostId(0), ring.strangers(HostId(0))[0]);
    let before = ring.dials(one);
    for _ in 0..50 {
        ring.send(one, other, 100);
        ring.send(other, one, 100);
        ring.network.run_for(secs(1));
    }
    assert_eq!(ring.dials(one), before + 1);
    assert_eq!(
        (ring.shortcuts(one), ring.shortcuts(other)),
        (vec![], vec![])
    );
    assert_eq!(ring.told(), []);
}

#[test]
fn a_pair_whose_shortcut_breaks_goes_on_over_the_overlay() {
    let mut ring = Ring::whole(6);
    let (one, other) = (HostId(0), ring.strangers(HostId(0))[0]);
    ring.send(one, other, 100);
    ring.network.run_for(secs(2));
    assert_eq!(ring.heard(other), upto(100));
    let (link, _) = ring.shortcuts(one)[0].clone();
    ring.network.make_half_open(one, link);
    // What is sent before the link counts as dead is lost.
    ring.send(one, other, 10);
    ring.network.run_for(secs(10));
    assert_eq!(ring.shortcuts(one), []);
    assert_eq!(ring.heard(other), upto(0));
    assert_eq!(ring.network.counters(other).routed_lost, 10);
    let before = ring.dials(one);
    ring.send(one, other, 200);
    ring.network.run_for(secs(5));
    assert_eq!(ring.heard(other), (111..=310).collect::<Vec<_>>());
    assert_eq!(ring.dials(one), before, "it is not dialled again so soon");
    ring.network.run_for(secs(60));
    ring.send(one, other, 100);
    ring.network.run_for(secs(5));
    assert_eq!(ring.shortcuts(one).len(), 1);
    assert_eq!(ring.heard(other), (311..=410).collect::<Vec<_>>());
}

#[test]
fn a_member_that_leaves_or_dies_takes_its_shortcut_along() {
    for death in [Death::Stop, Death::Kill, Death::Vanish] {
        let mut ring = Ring::whole(6);
        let (one, other) = (HostId(0), ring.strangers(HostId(0))[0]);
        ring.send(one, other, 100);
        ring.network.run_for(secs(2));
        let id = ring.network.id(other).clone();
        let handle = ring.network.state(one).unwrap().handle_of(&id).unwrap();
        assert_eq!(ring.shortcuts(one).len(), 1);
        ring.network.take_happenings();
        ring.network.end(other, death);
        ring.network.run_for(secs(10));
        assert_eq!(ring.shortcuts(one), [], "{death:?}");
        let happenings = ring.network.take_happenings();
        let has_left = |event: &Event| *event == Event::MemberLeft(handle);
        let left = happenings
            .iter()
            .filter(|it| it.host == one && has_left(&it.event));
        assert_eq!(left.count(), 1, "{death:?}");
    }
}

#[test]
fn a_shortcut_between_nodes_that_become_neighbours_ends() {
    let mut ring = Ring::new(6, |_| Config::default());
    let (one, other) = (HostId(0), ring.strangers(HostId(0))[0]);
    ring.send(one, other, 100);
    ring.network.run_for(secs(2));
    assert_eq!(ring.shortcuts(one).len(), 1);
    for host in [one, other] {
        let (max_peers, seeds) = (3, vec![Target::from(HostId(0).address())]);
        let address = host.address().ip().to_string();
        ring.network.input(
            host,
            Input::Reconfigure {
                max_peers,
                seeds,
                address,
            },
        );
    }
    let target = Target::from(other.address());
    ring.network
        .input(one, Input::AddPeer { request: 1, target });
    ring.send(one, other, 100);
    ring.network.run_for(secs(2));
    assert!(ring.network.peers(one).iter().any(|link| link.to == other));
    assert_eq!(
        (ring.shortcuts(one), ring.shortcuts(other)),
        (vec![], vec![])
    );
    ring.send(one, other, 100);
    ring.network.run_for(secs(2));
    assert_eq!(ring.heard(other), upto(300));
}
