//! Members: how soon nodes learn of changes, and at what cost.

use std::time::Duration;

use super::watch::{Figures, await_that, seconds};
use crate::proto::{Config, Event, NodeId, Payload, State, Target};
use crate::sim::{Death, HostId, Network};

/// How many times each single event is played.
const ROUNDS: usize = 5;
/// Longer than any event may take.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn members(network: &mut Network) -> Figures {
    let at_rest = await_that(network, LIMIT, all_agree);
    let footprints = network.hosts().filter_map(|host| network.state(host));
    let most = footprints
        .map(|state| state.footprint().members_bytes)
        .max();
    let mut figures = vec![
        (
            "members: lists equal at rest",
            f64::from(u8::from(at_rest.is_some())),
        ),
        (
            "members: bytes of memory, greatest",
            most.unwrap_or(0) as f64,
        ),
    ];
    figures.extend(one_by_one(network));
    figures.push((
        "members: false leaves, one starved for 3 s",
        starved(network),
    ));
    figures.extend(letters(network));
    figures.push(("members: seconds until equal after a split", split(network)));
    figures
}

/// Nodes that join and leave, one at a time.
fn one_by_one(network: &mut Network) -> Figures {
    let worst = |times: Vec<Option<Duration>>| {
        let each = times
            .into_iter()
            .map(|time| time.map_or(f64::INFINITY, seconds));
        each.fold(0.0, f64::max)
    };
    let (mut peers, mut joins) = (Vec::new(), Vec::new());
    let (mut leaves, mut crashes) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let host = network.add(Config {
            seeds: vec![Target::from(HostId(0).address())],
            ..Config::default()
        });
        network.take_happenings();
        let began = network.now();
        network.start(host);
        let id = network.id(host).clone();
        let known = await_that(network, LIMIT, |network| all_have(network, &id));
        let (mut peer, mut last) = (None, None);
        for happening in network.take_happenings() {
            let after = happening.at.since(began);
            match &happening.event {
                Event::PeerAdded { .. } if happening.host == host => {
                    peer.get_or_insert(after);
                }
                Event::MemberJoined(member) if member.id == id => last = Some(after),
                _ => {}
            }
        }
        peers.push(peer);
        joins.push(last.filter(|_| known.is_some()));
        network.run_for(Duration::from_secs(5));
        if round % 2 == 0 {
            network.end(host, Death::Stop);
            leaves.push(await_that(network, LIMIT, |network| none_has(network, &id)));
        } else {
            network.end(host, Death::Vanish);
            crashes.push(await_that(network, LIMIT, |network| none_has(network, &id)));
        }
        network.run_for(Duration::from_secs(10));
    }
    network.take_happenings();
    vec![
        ("members: seconds until a newcomer has a peer", worst(peers)),
        ("members: seconds until all know of a join", worst(joins)),
        ("members: seconds until all know of a leave", worst(leaves)),
        ("members: seconds until all know of a crash", worst(crashes)),
    ]
}

/// How many leaves are reported while a node's process is paused.
fn starved(network: &mut Network) -> f64 {
    network.take_happenings();
    let middle = network.living()[network.living().len() / 2];
    network.starve(middle, Duration::from_secs(3));
    network.run_for(Duration::from_secs(20));
    let left = |event: &Event| matches!(event, Event::MemberLeft(_));
    let happenings = network.take_happenings();
    happenings.iter().filter(|it| left(&it.event)).count() as f64
}

/// Letters between random pairs: how many arrive, and over how many links.
fn letters(network: &mut Network) -> Figures {
    use crate::proto::Input;
    let mut rng = fastrand::Rng::with_seed(network.now().0);
    let hosts = network.living();
    let count = 100;
    let routed = |network: &Network| -> u64 {
        hosts
            .iter()
            .map(|host| network.counters(*host).routed)
            .sum()
    };
    let before = routed(network);
    for number in 0..count {
        let from = hosts[rng.usize(..hosts.len())];
        let to = network.id(hosts[rng.usize(..hosts.len())]).clone();
        let handle = network.state(from).and_then(|state| state.handle_of(&to));
        // A node sends nothing to itself.
        if let Some(link) = handle {
            let text = format!("[\"letter\",{number}]");
            let payload = Payload::events(text.into());
            network.input(from, Input::Direct { link, payload });
        }
        network.run_for(Duration::from_millis(20));
    }
    network.run_for(Duration::from_secs(2));
    let is_letter = |event: &Event| matches!(event, Event::Direct { .. });
    let happenings = network.take_happenings();
    let arrived = happenings.iter().filter(|it| is_letter(&it.event)).count();
    let sent: u64 = hosts
        .iter()
        .map(|host| network.counters(*host).routed_sent)
        .sum();
    vec![
        (
            "letters: share that arrived",
            arrived as f64 / sent.max(1) as f64,
        ),
        (
            "letters: mean number of links",
            1.0 + (routed(network) - before) as f64 / sent.max(1) as f64,
        ),
    ]
}

/// Cuts a third off for 20 s. Returns how long after the repair all lists are equal.
fn split(network: &mut Network) -> f64 {
    for host in network.living().into_iter().filter(|host| host.0 % 3 == 1) {
        network.set_group(host, 1);
    }
    network.report(|_| false);
    network.block(0, 1);
    network.block(1, 0);
    network.run_for(Duration::from_secs(20));
    network.unblock();
    let equal = await_that(network, LIMIT, all_agree);
    for host in network.living() {
        network.set_group(host, 0);
    }
    network.report(|_| true);
    equal.map_or(f64::INFINITY, seconds)
}

/// Whether all running nodes know exactly the running nodes.
pub(in crate::sim) fn all_agree(network: &Network) -> bool {
    let living = network.living();
    let counts = |host: &HostId| network.counters(*host).members as usize + 1 == living.len();
    if !living.iter().all(counts) {
        return false;
    }
    let Some(first) = living.first().and_then(|host| network.state(*host)) else {
        return true;
    };
    let mut ids: Vec<NodeId> = living
        .iter()
        .map(|host| network.id(*host).clone())
        .collect();
    ids.sort_unstable();
    let agrees = |state: &State| state.members_hash() == first.members_hash();
    first.members() == ids
        && living
            .iter()
            .all(|host| network.state(*host).is_some_and(agrees))
}

fn all_have(network: &Network, id: &NodeId) -> bool {
    let has = |host| {
        network
            .state(host)
            .is_some_and(|state| state.has_member(id))
    };
    network.living().into_iter().all(has)
}

fn none_has(network: &Network, id: &NodeId) -> bool {
    let has = |host| {
        network
            .state(host)
            .is_some_and(|state| state.has_member(id))
    };
    !network.living().into_iter().any(has)
}
