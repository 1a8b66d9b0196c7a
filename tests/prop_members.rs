//! Random mishaps in a network. At rest, all connected nodes have the same list of members;
//! messages to a node arrive in order, and never twice.
//!
//! `PROPTEST_CASES` sets the number of cases; failing cases are kept beside this file.

mod mishaps;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use smokesignal::Config;
use smokesignal::proto::{Event, Input, Item, NodeId, Payload};
use smokesignal::sim::{Graph, HostId, Network};

use mishaps::{Step, befall, cases, mend, network, steps};

const HOSTS: u32 = 8;

/// Actions of applications.
#[derive(Clone, Debug)]
enum Deed {
    /// One host sends a number of messages to other hosts; the bits of the second number select
    /// them.
    Send(u32, u32, u8),
    Body(u32, u16),
    /// One of a host's shortcuts loses everything from now on.
    Sever(u32),
}

fn step() -> impl Strategy<Value = Step<Deed>> {
    // Many messages at once make a pair busy.
    let count = prop_oneof![4 => 1..4_u8, 1 => 60..100_u8];
    let send = (0..HOSTS, 1..1_u32 << HOSTS, count);
    let body = (0..HOSTS, any::<u16>());
    let own = vec![
        (16, send.prop_map(|(h, to, n)| Deed::Send(h, to, n)).boxed()),
        (2, body.prop_map(|(h, n)| Deed::Body(h, n)).boxed()),
        (1, (0..HOSTS).prop_map(Deed::Sever).boxed()),
    ];
    steps(HOSTS, own)
}

/// Sends from one host to the selected hosts that it knows. Returns how many.
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

fn play(network: &mut Network, step: Step<Deed>, said: &mut u64, max_shortcuts: usize) {
    match step {
        Step::Own(Deed::Send(from, to, count)) => {
            let texts: Vec<String> = (0..count)
                .map(|_| {
                    *said += 1;
                    format!("[\"m\",{from},{said}]")
                })
                .collect();
            send(network, HostId(from), to, texts.join("\n"));
        }
        Step::Own(Deed::Body(host, number)) => {
            network.input(HostId(host), Input::Body(number.to_string()));
        }
        Step::Own(Deed::Sever(host)) => {
            let state = network.state(HostId(host));
            if let Some(link) = state
                .and_then(|state| state.shortcuts().next())
                .map(|it| it.0)
            {
                network.make_half_open(HostId(host), link);
            }
        }
        Step::Mishap(mishap) => befall(network, mishap),
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
        assert!(footprint.early_bytes <= 8 << 20, "{footprint:?}");
        assert!(footprint.shortcuts <= 2 * max_shortcuts, "{footprint:?}");
        assert!(footprint.failed_shortcuts <= 256, "{footprint:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    #[test]
    fn members_agree_at_rest_and_messages_arrive_once_and_in_order(
        seed in any::<u64>(),
        max_peers in 2..6_usize,
        (max_shortcuts, idle) in (0..4_usize, 0..8_u64),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let config = Config {
            min_peers: max_peers.min(3),
            max_peers,
            max_shortcuts,
            shortcut_idle: Duration::from_secs(idle),
            ..Config::default()
        };
        let mut network = network(seed, HOSTS, &config);
        let mut said = 0;
        for step in steps {
            play(&mut network, step, &mut said, max_shortcuts);
        }
        mend(&mut network);
        prop_assert!(Graph::of(&network).is_connected());
        // A node that is changing its peers may be missing for as long as a record takes.
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
        // At rest, every host reaches every other without a loss.
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
