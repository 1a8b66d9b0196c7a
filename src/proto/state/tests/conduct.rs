//! Limits on the work that other nodes can cause.

use super::*;
use crate::proto::{Native, Reject};

fn chat(id: &str) -> Message {
    packet(Topic::Broadcast, id, br#"["chat","hi"]"#)
}

fn at(address: &str, port: u16) -> PeerAddress {
    PeerAddress {
        address: address.parse().unwrap(),
        ..who("x", port)
    }
}

/// Counts the dials of the node while each one fails.
fn dials(node: &mut Node) -> usize {
    let mut count = 0;
    let mut open = node.dials();
    while let Some((link, _)) = open.pop() {
        count += 1;
        let code = "ECONNREFUSED".to_owned();
        node.input(Input::DialFailed { link, code });
        open.extend(node.dials());
    }
    count
}

#[test]
fn a_misbehaving_link_is_muted_until_its_score_recovers() {
    let mut node = Node::new("me", legacy());
    let (bad, good) = (node.peer("bad"), node.peer("good"));
    let blame = |node: &mut Node, times| {
        for _ in 0..times {
            node.receive(bad, Message::Rejected(Reject::BadHash));
        }
    };
    blame(&mut node, 49);
    node.receive(bad, chat("bad-1"));
    assert_eq!((node.events().len(), node.sent().len()), (1, 1));
    blame(&mut node, 1);
    node.receive(bad, chat("bad-2"));
    assert_eq!(node.out, []);
    node.receive(good, chat("bad-2"));
    assert_eq!(node.events().len(), 1, "what others pass on is heard");
    let counters = node.state.counters();
    assert_eq!((counters.muted, counters.ignored_of_muted), (1, 1));
    node.now = node.now.after(Duration::from_secs(1));
    node.receive(bad, chat("bad-3"));
    assert_eq!((node.events().len(), node.sent().len()), (1, 1));
    blame(&mut node, 31);
    assert_eq!(node.closes(), [(bad, CloseHow::Abort)]);
    assert_eq!(node.state.counters().misbehaved, 1);
}

#[test]
fn a_link_that_sends_too_deep_an_event_is_closed_at_once() {
    let mut node = Node::new("me", native());
    let bad = node.native_peer("bad", 1);
    node.receive(bad, Message::Rejected(Reject::TooDeep));
    assert_eq!(node.closes(), [(bad, CloseHow::Abort)]);
    assert_eq!(node.state.counters().misbehaved, 1);
}

#[test]
fn a_legacy_peer_is_not_blamed_for_packets_of_others() {
    let packets = |n: u16| {
        let request = packet::peer_request_data(&who(&format!("n{n}"), 3000));
        [
            packet(Topic::PeerRequest, &format!("a-{n}"), &request),
            packet(Topic::PeerRequest, &format!("b-{n}"), br#"{"id":"x"}"#),
            packet(Topic::Ping, &format!("c-{n}"), br#"{"remotePort":0}"#),
            packet(Topic::Broadcast, &format!("d-{n}"), b"[1,2]"),
        ]
    };
    let flooded = |is_native| {
        let mut node = Node::new("me", native());
        let peer = match is_native {
            false => node.peer("old"),
            true => node.native_peer("new", 1),
        };
        for message in (0..100).flat_map(packets) {
            node.receive(peer, message);
            assert_eq!(node.closes(), []);
        }
        node.state.counters()
    };
    let counters = flooded(false);
    assert_eq!((counters.relays_refused, counters.rejected), (90, 300));
    assert_eq!(counters.muted, 0);
    assert_eq!(flooded(true).muted, 1, "native nodes do not pass that on");
}

#[test]
fn pongs_to_a_claimed_address_are_limited() {
    let mut node = Node::new("me", legacy());
    let peer = node.peer("a");
    let own: SocketAddr = "10.0.0.1:1000".parse().unwrap();
    let mut pongs = |from: &str, count: usize, name: &str| {
        let mut pongs = 0;
        for n in 0..count {
            let data = packet::ping_data(from.parse().unwrap(), own);
            node.receive(peer, packet(Topic::Ping, &format!("{name}-{n}"), &data));
            pongs += dials(&mut node);
        }
        pongs
    };
    assert_eq!(pongs("10.0.0.66:80", 100, "victim"), 3, "to one address");
    let nowhere = [
        "127.0.0.1:80",
        "224.0.0.1:80",
        "0.0.0.0:80",
        "255.255.255.255:80",
        "[::]:80",
    ];
    for (n, from) in nowhere.iter().enumerate() {
        assert_eq!(pongs(from, 1, &format!("nowhere{n}")), 0, "{from}");
    }
    let others: usize = (0..50)
        .map(|n| pongs(&format!("10.0.1.{n}:80"), 1, &format!("many{n}")))
        .sum();
    assert_eq!(others, 7, "ten a second to all, the three above included");
}

#[test]
fn dials_to_many_requested_addresses_are_rate_limited() {
    let mut node = Node::new("me", legacy());
    let mut count = 0;
    for n in 0..100 {
        let link = node.accept();
        let victim = at(&format!("10.0.1.{n}"), 80);
        node.receive(link, Message::PeerRequest(victim));
        count += dials(&mut node);
    }
    assert_eq!(count, 8, "at once");
    node.now = node.now.after(Duration::from_secs(1));
    for n in 100..200 {
        let link = node.accept();
        let victim = at(&format!("10.0.1.{n}"), 80);
        node.receive(link, Message::PeerRequest(victim));
        count += dials(&mut node);
    }
    assert_eq!(count, 12, "four more in a second");
    assert_eq!(node.state.counters().dials_refused, 188);
}

#[test]
fn floods_of_entry_requests_are_rate_limited() {
    let mut node = Node::new("me", native());
    let peer = node.peer("old");
    let mut flooded = |strangers: u16| {
        let mut count = 0;
        for n in 0..strangers {
            let link = node.accept();
            node.receive(link, Message::PeerRequest(who(&format!("n{n}"), 3000)));
            count += node.sent().iter().filter(|(to, _)| *to == peer).count();
        }
        node.now = node.now.after(Duration::from_secs(2));
        count
    };
    assert_eq!([flooded(1000), flooded(1000)], [100, 20]);
}

#[test]
fn no_peer_makes_a_node_dial_loopback_or_a_forbidden_address() {
    let config = Config {
        allow: vec![
            "10.0.0.0/24".parse().unwrap(),
            "127.0.0.0/8".parse().unwrap(),
        ],
        ..legacy()
    };
    let mut node = Node::new("me", config);
    let mut count = |address| {
        let link = node.accept();
        node.receive(link, Message::PeerRequest(at(address, 80)));
        dials(&mut node)
    };
    let counts = [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "10.0.1.1",
        "::ffff:10.0.0.7",
        "10.0.0.8",
    ];
    assert_eq!(counts.map(&mut count), [0, 0, 0, 1, 1]);
}

#[test]
fn dials_to_addresses_from_one_peer_are_rate_limited() {
    let config = Config {
        address: "10.0.0.1".to_owned(),
        ..Config::default()
    };
    let mut node = Node::new("me", config);
    let link = node.accept();
    node.receive(link, Message::Handshake(native_hello("bad", "10.0.0.9", 9)));
    let mut count = 0;
    for n in 0..1000 {
        let contacts = (0..10)
            .map(|m| PeerAddress {
                id: NodeId::parse(&format!("v{n}x{m}")).unwrap(),
                ..at("10.0.0.66", 1 + n * 10 + m)
            })
            .collect();
        let contacts = Native::Contacts { nonce: 0, contacts };
        node.receive(link, Message::Native(contacts));
        count += dials(&mut node);
    }
    assert_eq!(count, 32);
}

fn comes_and_goes(node: &mut Node) {
    let link = node.peer("stranger");
    let reason = "FIN".to_owned();
    node.input(Input::Closed { link, reason });
}

#[test]
fn a_peer_that_joins_and_leaves_does_not_delay_the_tick() {
    let seeds = vec![target(2000)];
    let mut node = Node::new("me", Config { seeds, ..native() });
    node.peer("friend");
    for _ in 0..10 {
        comes_and_goes(&mut node);
        let timer = |output: &Output| match output {
            Output::SetTimer { timer, .. } => Some(*timer),
            _ => None,
        };
        let timers: Vec<Timer> = node.out.iter().filter_map(timer).collect();
        assert!(!timers.contains(&Timer::Tick), "{timers:?}");
    }
}

#[test]
fn dials_to_seeds_are_rate_limited_when_peers_join_and_leave() {
    let seeds = vec![target(2000)];
    let mut node = Node::new("me", Config { seeds, ..legacy() });
    let mut count = 0;
    for _ in 0..100 {
        comes_and_goes(&mut node);
        count += dials(&mut node);
    }
    assert_eq!(count, 3);
    node.now = node.now.after(Duration::from_secs(60));
    comes_and_goes(&mut node);
    assert_eq!(dials(&mut node), 1);
}

#[test]
fn dialled_nodes_without_an_ack_do_not_block_other_dials() {
    let mut node = Node::new("me", native());
    let link = node.dial();
    let mut refusal = native_hello("full", "10.0.0.9", 2000);
    if let Some(native) = &mut refusal.native {
        native.intent = Intent::Refuse;
    }
    node.receive(link, Message::HandshakeAck(refusal));
    let contacts = (1..=8).map(|n| who(&format!("n{n}"), n)).collect();
    let named = Native::Contacts { nonce: 0, contacts };
    node.receive(link, Message::Native(named));
    let dialled = node.dials();
    assert_eq!(dialled.len(), 4);
    for (link, _) in &dialled {
        let (link, remote) = (*link, remote());
        node.input(Input::Connected { link, remote });
    }
    for _ in 0..3 {
        node.now = node.now.after(Duration::from_millis(300));
        for (link, _) in &dialled {
            node.receive(*link, Message::Rejected(Reject::BadShape));
        }
    }
    node.input(Input::TimerFired(Timer::Seek));
    assert_eq!(node.dials().len(), 4);
}

/// Adds a peer that claims that address and leaves without a goodbye.
fn lose(node: &mut Node, id: &str, address: &str, port: u16) {
    let link = node.accept();
    node.receive(link, Message::Handshake(native_hello(id, address, port)));
    let reason = "ECONNRESET".to_owned();
    node.input(Input::Closed { link, reason });
}

/// Counts all dials within `seconds`.
fn dials_within(node: &mut Node, seconds: u64) -> usize {
    let mut count = 0;
    for _ in 0..2 * seconds {
        node.now = node.now.after(Duration::from_millis(500));
        node.input(Input::TimerFired(Timer::Watch));
        count += dials(node);
    }
    count
}

#[test]
fn a_lost_peer_is_not_dialled_on_this_machine() {
    let mut node = Node::new("me", native());
    for (n, address) in ["127.0.0.1", "10.0.0.1", "255.255.255.255"]
        .iter()
        .enumerate()
    {
        lose(&mut node, &format!("n{n}"), address, 1000);
    }
    assert_eq!(dials_within(&mut node, 60), 0);
    lose(&mut node, "real", "10.0.0.8", 1000);
    assert!(dials_within(&mut node, 60) > 3);
}

#[test]
fn dials_to_lost_peers_are_rate_limited() {
    // Fifty lost peers in each of twenty seconds.
    for (victims, most) in [(1, 4 + 20 / 2), (250, 32 + 20 * 8)] {
        let mut node = Node::new("me", native());
        let mut count = 0;
        for n in 0..1000_u16 {
            lose(&mut node, &format!("n{n}"), "10.0.0.66", 1 + n % victims);
            if n % 50 == 0 {
                count += dials_within(&mut node, 1);
            }
        }
        assert!(count <= most, "{count} dials at {victims} victims");
    }
}

#[test]
fn an_address_with_many_ids_is_not_dialled_for_each() {
    let mut node = Node::new("me", native());
    let link = node.native_peer("bad", 9);
    let mut count = 0;
    for n in 0..100 {
        let who = |m: u16| PeerAddress {
            id: NodeId::parse(&format!("v{n}x{m}")).unwrap(),
            ..at("10.0.0.66", 80)
        };
        let contacts = (0..10).map(who).collect();
        let contacts = Native::Contacts { nonce: 0, contacts };
        node.receive(link, Message::Native(contacts));
        count += dials(&mut node);
    }
    assert_eq!(count, 4);
}

#[test]
fn dials_to_one_requested_target_are_limited() {
    let mut node = Node::new("me", legacy());
    let mut dials = 0;
    for n in 0..100 {
        let link = node.accept();
        node.receive(link, Message::PeerRequest(who(&format!("n{n}"), 2000)));
        for (dial, _) in node.dials() {
            dials += 1;
            node.input(Input::DialFailed {
                link: dial,
                code: "ECONNREFUSED".to_owned(),
            });
        }
    }
    assert_eq!(dials, 3);
}

#[test]
fn closing_a_misbehaving_unconnected_link_causes_no_dial_and_no_timer() {
    for peers in 0..=1 {
        let seeds = vec![target(2000)];
        let mut node = Node::new("me", Config { seeds, ..native() });
        for n in 0..peers {
            node.peer(&format!("peer{n}"));
        }
        let stranger = node.accept();
        for _ in 0..7 {
            node.receive(stranger, Message::HandshakeAck(hello("x")));
            assert_eq!(node.out, []);
        }
        node.receive(stranger, Message::HandshakeAck(hello("x")));
        let (link, how) = (stranger, CloseHow::Abort);
        let timer = Timer::Handshake(stranger);
        assert_eq!(
            node.out,
            [Output::Close { link, how }, Output::CancelTimer(timer)]
        );
    }
}

#[test]
fn a_link_that_keeps_sending_invalid_messages_is_closed() {
    let mut node = Node::new("me", legacy());
    let peer = node.peer("a");
    for _ in 0..79 {
        node.receive(peer, Message::Rejected(crate::proto::Reject::BadHash));
        assert_eq!(node.closes(), []);
    }
    node.receive(peer, Message::Rejected(crate::proto::Reject::BadHash));
    assert_eq!(node.closes(), [(peer, CloseHow::Abort)]);
    let reason = RemoveReason::Misbehaved;
    assert_eq!(node.events(), [Event::PeerRemoved { link: peer, reason }]);
}
