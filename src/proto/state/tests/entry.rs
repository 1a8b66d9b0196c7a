//! Entry through seeds, of this node and of others.

use super::*;
use crate::proto::Reject;
use crate::proto::state::seeds::EntryOutcome;

#[test]
fn an_entry_request_is_flooded_as_a_new_packet_and_its_sender_dialled() {
    let mut node = Node::new("me", legacy());
    let peer = node.peer("a");
    let link = node.accept();
    node.receive(link, Message::PeerRequest(who("new", 2000)));
    let sent = node.sent();
    let [(to, Message::Packet(packet))] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!((*to, packet.topic), (peer, Topic::PeerRequest));
    assert_eq!(packet.data, PacketData::PeerRequest(who("new", 2000)));
    assert!(packet.id.starts_with("me-"), "{}", packet.id);
    assert_eq!(node.dials()[0].1, target(2000));
    let dial = node.dialled();
    assert_eq!(node.sent(), [(dial, Message::Handshake(hello("me")))]);
}

#[test]
fn a_peer_request_is_either_taken_up_or_forwarded() {
    let config = Config {
        min_peers: 2,
        max_peers: 3,
        ..legacy()
    };
    let mut node = Node::new("me", config);
    let (a, b) = (node.peer("a"), node.peer("b"));
    let (mut taken, mut forwarded) = (0, 0);
    for n in 0..40 {
        node.now = node.now.after(Duration::from_secs(1));
        let data = packet::peer_request_data(&who(&format!("n{n}"), 3000 + n));
        let message = packet(Topic::PeerRequest, &format!("x-{n}"), &data);
        node.receive(a, message.clone());
        let to: Vec<LinkId> = node.sent().iter().map(|(to, _)| *to).collect();
        match &node.dials()[..] {
            [(dial, _)] => {
                taken += 1;
                assert_eq!(to, [], "taken up and forwarded");
                node.input(Input::DialFailed {
                    link: *dial,
                    code: "ECONNREFUSED".to_owned(),
                });
            }
            [] => {
                forwarded += 1;
                assert_eq!(to, [b], "to everyone but the sender");
            }
            more => panic!("{more:?}"),
        }
        node.receive(b, message);
        assert_eq!(node.out, [], "a packet counts once");
    }
    // At min_peers a node refuses half of the requests.
    assert!(
        taken >= 8 && forwarded >= 8,
        "{taken} taken, {forwarded} forwarded"
    );
}

#[test]
fn an_unanswered_ping_is_a_netsplit_and_a_pong_resolves_it() {
    let mut node = Node::new(
        "me",
        Config {
            seeds: vec![target(2000)],
            ..legacy()
        },
    );
    let peer = node.peer("a");
    let seed = target(2000);
    let ping = |node: &mut Node| {
        node.now = node.now.after(Duration::from_secs(10));
        node.input(Input::TimerFired(Timer::Tick));
        let sent = node.sent();
        let ping = sent.iter().find_map(|(to, message)| match message {
            Message::Packet(packet) if packet.topic == Topic::Ping => {
                Some((*to, packet.id.clone()))
            }
            _ => None,
        });
        let (to, id) = ping.unwrap_or_else(|| panic!("{sent:?}"));
        assert_eq!(to, peer);
        id
    };
    ping(&mut node);
    node.input(Input::TimerFired(Timer::Ping(0)));
    assert_eq!(node.events(), [Event::Netsplit { seed: seed.clone() }]);
    assert_eq!(node.dials()[0].1, seed, "enters again");
    ping(&mut node);
    node.input(Input::TimerFired(Timer::Ping(1)));
    assert_eq!(node.events(), [], "one netsplit, one event");
    let id = ping(&mut node);
    let link = node.accept();
    let pong = crate::proto::Pong {
        from: who("seed", 2000),
        responds_to: id,
    };
    node.receive(link, Message::Pong(pong));
    assert_eq!(node.events(), [Event::NetsplitResolved { seed }]);
}

#[test]
fn an_unanswered_ping_is_no_netsplit_while_the_seed_is_a_peer() {
    let config = Config {
        native: true,
        seeds: vec![target(2000)],
        ..legacy()
    };
    let mut node = Node::new("me", config);
    let peer = node.peer("a");
    node.input(Input::TimerFired(Timer::Tick));
    let is_ping = |(to, message): &(LinkId, Message)| {
        *to == peer && matches!(message, Message::Packet(packet) if packet.topic == Topic::Ping)
    };
    assert!(node.sent().iter().any(is_ping), "{:?}", node.sent());
    let link = node.accept();
    let seed = native_hello("seed", "10.0.0.9", 2000);
    node.receive(link, Message::Handshake(seed));
    node.input(Input::TimerFired(Timer::Ping(0)));
    assert_eq!(node.out, []);
}

#[test]
fn a_seed_that_ignores_a_handshake_gets_a_legacy_request() {
    let config = Config {
        native: true,
        seeds: vec![target(2000)],
        ..legacy()
    };
    let mut node = Node::new("me", config);
    node.input(Input::TimerFired(Timer::Join(0)));
    let [(dialled, _)] = node.dials()[..] else {
        panic!("{:?}", node.out);
    };
    let remote = remote();
    node.input(Input::Connected {
        link: dialled,
        remote,
    });
    node.input(Input::TimerFired(Timer::Handshake(dialled)));
    let [(link, ref seed)] = node.dials()[..] else {
        panic!("{:?}", node.out);
    };
    assert_eq!(*seed, target(2000));
    node.input(Input::Connected { link, remote });
    let me = PeerAddress {
        id: NodeId::parse("me").unwrap(),
        address: "10.0.0.1".parse().unwrap(),
        port: 1000,
    };
    assert_eq!(node.sent(), [(link, Message::PeerRequest(me))]);
}

#[test]
fn a_seed_that_resets_a_dial_is_dialled_again_and_one_that_closes_it_gets_a_legacy_request() {
    for (reason, asks) in [("ECONNRESET", false), ("FIN", true)] {
        let seeds = vec![target(2000)];
        let mut node = Node::new("me", Config { seeds, ..native() });
        let closed = |link, reason: &str| {
            let reason = reason.to_owned();
            Input::Closed { link, reason }
        };
        let request = node.dialled();
        assert!(matches!(node.sent()[0].1, Message::PeerRequest(_)));
        node.input(closed(request, "FIN"));
        node.input(Input::TimerFired(Timer::Join(0)));
        let join = node.dialled();
        assert!(matches!(node.sent()[0].1, Message::Handshake(_)));
        node.input(closed(join, reason));
        node.input(Input::TimerFired(Timer::Tick));
        node.dialled();
        let asked = matches!(node.sent()[0].1, Message::PeerRequest(_));
        assert_eq!(asked, asks, "{reason}");
    }
}

#[test]
fn a_seed_that_answers_with_noise_is_closed_at_once_and_reported_as_such() {
    let seeds = vec![target(2000)];
    let mut node = Node::new("me", Config { seeds, ..native() });
    let noise = || Message::Rejected(Reject::NotAMessage);
    let request = node.dialled();
    assert!(matches!(node.sent()[0].1, Message::PeerRequest(_)));
    node.receive(request, noise());
    assert_eq!(node.closes(), [(request, CloseHow::Abort)]);
    assert_eq!(outcome(&node), "not smokesignal");
    node.input(Input::TimerFired(Timer::Join(0)));
    let join = node.dialled();
    assert!(matches!(node.sent()[0].1, Message::Handshake(_)));
    node.receive(join, noise());
    assert_eq!(node.closes(), [(join, CloseHow::Abort)]);
    assert_eq!(outcome(&node), "not smokesignal");
}

/// The outcome of the latest attempt to enter through the only seed.
fn outcome(node: &Node) -> &'static str {
    let [seed] = &node.state.entry.seeds[..] else {
        panic!("not one seed");
    };
    seed.outcome.map_or("not tried", EntryOutcome::name)
}

#[test]
fn a_peer_that_claims_the_address_of_a_seed_does_not_prevent_a_legacy_request_to_it() {
    let seeds = vec![target(2000)];
    let mut node = Node::new("me", Config { seeds, ..native() });
    let closed = |link, reason: &str| {
        let reason = reason.to_owned();
        Input::Closed { link, reason }
    };
    let liar = node.native_peer("liar", 2000);
    node.input(closed(liar, "FIN"));
    let join = node.dialled();
    assert!(matches!(node.sent()[0].1, Message::Handshake(_)));
    node.input(closed(join, "FIN"));
    node.input(Input::TimerFired(Timer::Tick));
    node.dialled();
    assert!(matches!(node.sent()[0].1, Message::PeerRequest(_)));
}

#[test]
fn a_node_enters_again_at_once_after_its_last_peer_has_gone() {
    let mut node = Node::new(
        "me",
        Config {
            seeds: vec![target(2000)],
            ..legacy()
        },
    );
    let peer = node.peer("a");
    node.input(Input::Closed {
        link: peer,
        reason: "FIN".to_owned(),
    });
    assert_eq!(node.dials()[0].1, target(2000));
}

/// A full node, and the links of its native peers.
fn full_native_node() -> (Node, Vec<LinkId>) {
    let config = Config {
        native: true,
        ..legacy()
    };
    let mut node = Node::new("me", config);
    let join = |number: u16| {
        let link = node.accept();
        let hello = native_hello(&format!("n{number}"), "10.0.0.9", 3000 + number);
        node.receive(link, Message::Handshake(hello));
        link
    };
    let links = (0..5).map(join).collect();
    (node, links)
}

#[test]
fn a_repeated_entry_request_sends_urgent_walks() {
    let (mut node, peers) = full_native_node();
    let new = who("new", 2000);
    let walks = |node: &mut Node, urgent| {
        let link = node.accept();
        node.receive(link, Message::PeerRequest(new.clone()));
        let walk = native::forward_join(urgent, 6, &new);
        let is_walk = |output: &&Output| matches!(output, Output::Send { link, data } if *data == walk && peers.contains(link));
        node.out.iter().filter(is_walk).count()
    };
    assert_eq!(walks(&mut node, false), 3);
    assert_eq!(walks(&mut node, false), 3, "the same through another seed");
    node.now = node.now.after(Duration::from_secs(10));
    assert_eq!(walks(&mut node, true), 3);
    node.now = node.now.after(Duration::from_secs(60));
    assert_eq!(walks(&mut node, false), 3, "it has been in meanwhile");
}

#[test]
fn a_full_node_makes_room_at_the_end_of_an_urgent_walk() {
    let (mut node, peers) = full_native_node();
    let walk = |urgent| {
        let who = who("new", 2000);
        Message::Native(Native::ForwardJoin {
            urgent,
            ttl: 0,
            who,
        })
    };
    node.receive(peers[0], walk(false));
    assert_eq!(node.out, []);
    node.receive(peers[0], walk(true));
    assert_eq!(node.dials()[0].1, target(2000));
    let [(gone, CloseHow::Flush)] = node.closes()[..] else {
        panic!("{:?}", node.out);
    };
    assert!(peers.contains(&gone));
}

#[test]
fn seeds_and_max_peers_can_change_while_the_node_runs() {
    let mut node = Node::new(
        "me",
        Config {
            seeds: vec![target(2000)],
            ..legacy()
        },
    );
    let reconfigure = |max_peers, ports: &[u16]| Input::Reconfigure {
        max_peers,
        seeds: ports.iter().map(|port| target(*port)).collect(),
        address: "127.0.0.1".to_owned(),
    };
    node.input(reconfigure(5, &[2000, 3000]));
    let asked: Vec<u16> = node.dials().iter().map(|(_, to)| to.port).collect();
    assert_eq!(asked, [3000], "the new seed, at once");
    assert_eq!(*node.input(reconfigure(5, &[3000, 2000])), []);
    node.peer("a");
    node.input(reconfigure(1, &[3000]));
    let link = node.accept();
    node.receive(link, Message::Handshake(hello("b")));
    assert_eq!(node.events(), [], "one peer is enough now");
    node.input(reconfigure(2, &[3000]));
    node.peer("c");
    assert!(node.state.entry.seeds[0].retired);
    assert!(!node.state.entry.seeds[1].retired);
}

/// A node that has asked its only seed for entry.
fn with_a_seed() -> Node {
    let seeds = vec![target(2000)];
    Node::new("me", Config { seeds, ..native() })
}

/// Connects the latest dial. Returns the link, and the intent of the handshake that was sent on it.
fn asks_for(node: &mut Node) -> (LinkId, Intent) {
    let link = node.dialled();
    let [(to, Message::Handshake(hello))] = &node.sent()[..] else {
        panic!("{:?}", node.out);
    };
    assert_eq!(*to, link);
    (link, hello.intent().unwrap())
}

#[test]
fn a_node_whose_only_peer_came_through_a_load_balancer_asks_it_again() {
    let mut node = with_a_seed();
    node.input(Input::TimerFired(Timer::Join(0)));
    let link = node.dialled();
    // The node behind the balancer says where others dial it.
    let hello = native_hello("a", "10.0.0.9", 3000);
    node.receive(link, Message::HandshakeAck(hello));
    assert!(
        node.state.peer_link(&NodeId::parse("a").unwrap()).is_some(),
        "{:?}",
        node.out
    );
    node.now = node.now.after(Duration::from_secs(60));
    node.input(Input::TimerFired(Timer::Roam));
    assert_eq!(node.dials()[0].1, target(2000));
    assert_eq!(asks_for(&mut node).1, Intent::Probe);
}

#[test]
fn a_node_whose_peer_is_its_seed_does_not_dial_it() {
    let mut node = with_a_seed();
    node.native_peer("seed", 2000);
    node.now = node.now.after(Duration::from_secs(60));
    node.input(Input::TimerFired(Timer::Roam));
    assert_eq!(node.dials(), []);
}

#[test]
fn a_node_that_a_seed_leads_to_itself_soon_tries_again_but_not_for_ever() {
    let mut node = with_a_seed();
    let mut waits = Vec::new();
    for _ in 0..20 {
        node.now = node.now.after(Duration::from_secs(60));
        node.input(Input::TimerFired(Timer::Join(0)));
        let link = node.dialled();
        let mut hello = native_hello("me", "10.0.0.9", 3000);
        if let Some(native) = &mut hello.native {
            native.intent = Intent::Refuse;
            native.epoch = node.state.publish.origin().epoch;
        }
        node.receive(link, Message::HandshakeAck(hello));
        let waits_for = |output: &Output| match output {
            Output::SetTimer { timer, after } if *timer == Timer::Tick => Some(*after),
            _ => None,
        };
        waits.extend(node.out.iter().find_map(waits_for));
    }
    let soon = Duration::from_millis(1500);
    assert!(waits.iter().all(|wait| *wait <= soon), "{waits:?}");
    assert_eq!(waits.len(), 8);
}

#[test]
fn a_node_that_nobody_takes_in_asks_a_seed_for_room_after_a_while() {
    let mut node = with_a_seed();
    let asks = |node: &mut Node| {
        node.input(Input::TimerFired(Timer::Join(0)));
        let (link, intent) = asks_for(node);
        let mut refusal = native_hello("seed", "10.0.0.9", 2000);
        if let Some(native) = &mut refusal.native {
            native.intent = Intent::Refuse;
        }
        node.receive(link, Message::HandshakeAck(refusal));
        intent
    };
    let first: Vec<Intent> = (0..20).map(|_| asks(&mut node)).collect();
    assert!(
        first.iter().all(|intent| *intent == Intent::Join),
        "{first:?}"
    );
    node.now = node.now.after(Duration::from_secs(10));
    let later: Vec<Intent> = (0..20).map(|_| asks(&mut node)).collect();
    for intent in [Intent::Join, Intent::Urgent] {
        assert!(later.contains(&intent), "{later:?}");
    }
}
