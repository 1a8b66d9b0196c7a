//! Random mishaps in a network. Broadcasts arrive in order and never twice, and the network becomes
//! whole again.
//!
//! `PROPTEST_CASES` sets the number of cases; failing cases are kept beside this file.

mod mishaps;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use smokesignal::Config;
use smokesignal::proto::{Event, Input, Item, Payload};
use smokesignal::sim::{Graph, HostId, Network};

use mishaps::{Mishap, Step, befall, cases, mend, network, steps};

const HOSTS: u32 = 7;

/// One host sends a number of broadcasts.
#[derive(Clone, Debug)]
struct Broadcast(u32, u8);

fn step() -> impl Strategy<Value = Step<Broadcast>> {
    let broadcast = (0..HOSTS, 1..4_u8).prop_map(|(h, n)| Broadcast(h, n));
    steps(HOSTS, vec![(10, broadcast.boxed())])
}

/// The broadcasts of each host in each of its lives.
#[derive(Default)]
struct Said {
    count: u64,
    lives: BTreeMap<u32, u8>,
}

fn play(network: &mut Network, step: Step<Broadcast>, said: &mut Said) {
    match step {
        Step::Own(Broadcast(host, count)) => {
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
        Step::Mishap(mishap) => {
            if let Mishap::Start(host) = mishap
                && !network.is_alive(HostId(host))
            {
                *said.lives.entry(host).or_default() += 1;
            }
            befall(network, mishap);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    #[test]
    fn a_network_delivers_once_and_in_order_and_becomes_whole_again(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut network = network(seed, HOSTS, &Config::default());
        let mut said = Said::default();
        for step in steps {
            play(&mut network, step, &mut said);
        }
        for host in 0..HOSTS {
            if !network.is_alive(HostId(host)) {
                *said.lives.entry(host).or_default() += 1;
            }
        }
        mend(&mut network);
        prop_assert!(Graph::of(&network).is_connected());
        for host in (0..HOSTS).map(HostId) {
            let links = network.peers(host);
            let peers = peers(&network, host);
            prop_assert_eq!(peers.len(), links.len());
            prop_assert!(!peers.contains(&host));
            prop_assert!(network.timers(host) <= 24);
        }
        // A link that is being made or dropped is one-sided for as long as a message takes.
        let is_settled = (0..100).any(|_| {
            network.run_for(Duration::from_millis(50));
            is_symmetric(&network)
        });
        prop_assert!(is_settled, "one-sided");
        // Every host hears every other again, in order and never twice.
        let before = said.count;
        for host in 0..HOSTS {
            play(&mut network, Step::Own(Broadcast(host, 1)), &mut said);
        }
        // A gap that appears only now is given up after 10 s.
        network.run_for(Duration::from_secs(15));
        let mut heard: BTreeMap<(HostId, u8), Vec<u64>> = BTreeMap::new();
        for happening in network.take_happenings() {
            match happening.event {
                // A new life may hear broadcasts again that an earlier one has heard.
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

/// Whether all links between peers are mutual.
fn is_symmetric(network: &Network) -> bool {
    let is_mutual = |host| {
        peers(network, host)
            .into_iter()
            .all(|peer| peers(network, peer).contains(&host))
    };
    (0..HOSTS).map(HostId).all(is_mutual)
}
