//! Behaviour of the state machine: inputs in, whole outputs out.

mod conduct;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;

use super::State;
use crate::proto::codec::{Decoder, Limits, line, native};
use crate::proto::{
    CloseHow, Config, Event, Hello, HelloNative, Input, LinkId, Message, Moment, Native, NodeId,
    Output, PacketData, Payload, PeerAddress, RemoveReason, Target, Timer, Topic,
};

const START: Moment = Moment(1_000_000);

/// A started state and what it put out last.
struct Node {
    state: State,
    now: Moment,
    out: Vec<Output>,
}

impl Node {
    fn new(id: &str, config: Config) -> Self {
        let state = State::new(config, NodeId::parse(id).unwrap(), 7);
        let mut node = Self {
            state,
            now: START,
            out: Vec::new(),
        };
        node.input(Input::Started { port: 1000 });
        node
    }

    fn input(&mut self, input: Input) -> &[Output] {
        self.out.clear();
        self.state.handle(self.now, input, &mut self.out);
        &self.out
    }

    fn accept(&mut self) -> LinkId {
        let link = self.state.next_link();
        self.input(Input::Accepted {
            link,
            remote: remote(),
        });
        link
    }

    fn receive(&mut self, link: LinkId, message: Message) -> &[Output] {
        self.input(Input::Received { link, message })
    }

    /// Lets `id` become a legacy peer.
    fn peer(&mut self, id: &str) -> LinkId {
        let link = self.accept();
        self.receive(link, Message::Handshake(hello(id)));
        assert!(
            self.events()
                .iter()
                .any(|e| matches!(e, Event::PeerAdded { .. })),
            "{:?}",
            self.out
        );
        link
    }

    /// Dials port 2000 for the application, as request 1, and connects.
    fn dial(&mut self) -> LinkId {
        self.input(Input::AddPeer {
            request: 1,
            target: target(2000),
        });
        self.dialled()
    }

    /// The dial that was put out last connects.
    fn dialled(&mut self) -> LinkId {
        let link = self.dials()[0].0;
        self.input(Input::Connected {
            link,
            remote: remote(),
        });
        link
    }

    fn events(&self) -> Vec<Event> {
        let event = |output: &Output| match output {
            Output::Event(event) => Some(event.clone()),
            _ => None,
        };
        self.out.iter().filter_map(event).collect()
    }

    fn closes(&self) -> Vec<(LinkId, CloseHow)> {
        let close = |output: &Output| match output {
            Output::Close { link, how } => Some((*link, *how)),
            _ => None,
        };
        self.out.iter().filter_map(close).collect()
    }

    fn dials(&self) -> Vec<(LinkId, Target)> {
        let dial = |output: &Output| match output {
            Output::Dial { link, target } => Some((*link, target.clone())),
            _ => None,
        };
        self.out.iter().filter_map(dial).collect()
    }

    /// What was sent on legacy links, decoded.
    fn sent(&self) -> Vec<(LinkId, Message)> {
        let mut sent = Vec::new();
        for output in &self.out {
            let Output::Send { link, data } = output else {
                continue;
            };
            let mut decoder = Decoder::new(Limits::from(&Config::default()), false);
            let mut bytes = BytesMut::from(&data.head[..]);
            bytes.extend_from_slice(&data.body);
            while let Ok(Some(message)) = decoder.next(&mut bytes) {
                sent.push((*link, message));
            }
        }
        sent
    }
}

/// A native node of whom nobody wants anything yet.
fn native() -> Config {
    Config {
        native: true,
        ..legacy()
    }
}

fn remote() -> SocketAddr {
    "10.0.0.9:40000".parse().unwrap()
}

fn hello(id: &str) -> Hello {
    Hello {
        id: NodeId::parse(id).unwrap(),
        native: None,
    }
}

fn native_hello(id: &str, address: &str, port: u16) -> Hello {
    let native = HelloNative {
        version: 1,
        address: address.to_owned(),
        port,
        epoch: 1,
        intent: crate::proto::Intent::Peer,
    };
    Hello {
        native: Some(native),
        ..hello(id)
    }
}

fn who(id: &str, port: u16) -> PeerAddress {
    let id = NodeId::parse(id).unwrap();
    PeerAddress {
        id,
        address: "10.0.0.9".parse().unwrap(),
        port,
    }
}

fn legacy() -> Config {
    Config {
        native: false,
        address: "10.0.0.1".to_owned(),
        ..Config::default()
    }
}

fn target(port: u16) -> Target {
    Target {
        host: "10.0.0.9".to_owned(),
        port,
    }
}

#[test]
fn a_handshake_is_acknowledged_and_makes_a_peer() {
    let mut node = Node::new("me", legacy());
    let link = node.accept();
    node.receive(link, Message::Handshake(hello("you")));
    assert_eq!(node.sent()[0], (link, Message::HandshakeAck(hello("me"))));
    let id = NodeId::parse("you").unwrap();
    let added = Event::PeerAdded {
        link,
        id,
        remote: remote(),
        native: false,
    };
    assert_eq!(node.events(), [added]);
}

#[test]
fn a_full_node_and_a_known_id_are_refused_without_an_ack() {
    let mut node = Node::new(
        "me",
        Config {
            min_peers: 1,
            max_peers: 2,
            ..legacy()
        },
    );
    node.peer("a");
    for known in ["a", "me"] {
        let link = node.accept();
        node.receive(link, Message::Handshake(hello(known)));
        assert_eq!(
            (node.sent(), node.closes()),
            (vec![], vec![(link, CloseHow::Flush)]),
            "{known}"
        );
    }
    node.peer("b");
    let link = node.accept();
    node.receive(link, Message::Handshake(hello("c")));
    assert_eq!(
        (node.sent(), node.closes()),
        (vec![], vec![(link, CloseHow::Flush)])
    );
}

#[test]
fn a_link_that_does_not_shake_hands_is_closed() {
    let mut node = Node::new("me", legacy());
    let link = node.state.next_link();
    node.input(Input::Accepted {
        link,
        remote: remote(),
    });
    let timer = Timer::Handshake(link);
    let after = Duration::from_secs(5);
    assert_eq!(node.out, [Output::SetTimer { timer, after }]);
    node.input(Input::TimerFired(timer));
    assert_eq!(node.closes(), [(link, CloseHow::Abort)]);
}

#[test]
fn a_request_from_outside_is_flooded_as_a_new_packet_and_taken_up() {
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
fn a_request_that_is_taken_up_is_not_forwarded_and_one_that_is_not_is() {
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
        let data = crate::proto::codec::packet::peer_request_data(&who(&format!("n{n}"), 3000 + n));
        let (_, text) = crate::proto::codec::packet::new_packet(&format!("x-{n}"), &data);
        let mut decoder = Decoder::new(Limits::from(&Config::default()), false);
        let mut bytes = BytesMut::from(&line::packet(Topic::PeerRequest, &text)[..]);
        let message = decoder.next(&mut bytes).unwrap().unwrap();
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
    // With min_peers reached, half of the requests are refused.
    assert!(
        taken >= 8 && forwarded >= 8,
        "{taken} taken, {forwarded} forwarded"
    );
}

#[test]
fn others_cannot_make_a_node_dial_one_target_again_and_again() {
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
fn the_handshake_of_a_legacy_node_that_we_dial_too_waits_for_our_dial() {
    for acked in [true, false] {
        let mut node = Node::new("me", legacy());
        let dial = node.dial();
        let inbound = node.accept();
        node.receive(inbound, Message::Handshake(hello("you")));
        assert_eq!(node.out, [], "held");
        if acked {
            node.receive(dial, Message::HandshakeAck(hello("you")));
            assert_eq!(node.closes(), [(inbound, CloseHow::Flush)]);
            assert!(node.events().contains(&Event::Dialed {
                request: 1,
                result: Ok(dial)
            }));
        } else {
            node.input(Input::Closed {
                link: dial,
                reason: "FIN".to_owned(),
            });
            assert_eq!(
                node.sent()[0],
                (inbound, Message::HandshakeAck(hello("me")))
            );
            assert!(node.events().contains(&Event::Dialed {
                request: 1,
                result: Err("REFUSED".to_owned())
            }));
        }
        assert_eq!(node.state.peers().count(), 1);
    }
}

#[test]
fn all_handshakes_that_waited_for_our_dial_become_peers() {
    let mut node = Node::new("me", legacy());
    let dialled = node.dial();
    let mut links = vec![dialled];
    for id in ["a", "b", "c"] {
        let link = node.accept();
        node.receive(link, Message::Handshake(hello(id)));
        assert_eq!(node.out, [], "held");
        links.push(link);
    }
    node.receive(dialled, Message::HandshakeAck(hello("you")));
    assert_eq!(node.state.peers().count(), 4);
    for link in links {
        let payload = Payload::events("[\"hi\"]".into());
        node.input(Input::Direct { link, payload });
        assert_eq!(node.sent().len(), 1, "{link} is one");
    }
}

#[test]
fn between_new_nodes_the_lower_ids_dial_wins() {
    for (other, ours_wins) in [("zz", true), ("aa", false)] {
        let mut node = Node::new("me", native());
        let dial = node.dial();
        let inbound = node.accept();
        node.receive(
            inbound,
            Message::Handshake(native_hello(other, "10.0.0.9", 2000)),
        );
        if ours_wins {
            assert_eq!(node.out, [], "held");
            node.receive(
                dial,
                Message::HandshakeAck(native_hello(other, "10.0.0.9", 2000)),
            );
        }
        let winner = if ours_wins { dial } else { inbound };
        let loser = if ours_wins { inbound } else { dial };
        assert!(node.events().contains(&Event::Dialed {
            request: 1,
            result: Ok(winner)
        }));
        assert_eq!(node.closes()[0].0, loser);
        assert_eq!(node.state.peers().next().unwrap().0, winner);
    }
}

#[test]
fn a_peer_is_not_dialled_again_where_it_listens() {
    let mut node = Node::new("me", native());
    let link = node.accept();
    let hello = native_hello("you", "10.0.0.9", 2000);
    node.receive(link, Message::Handshake(hello));
    node.input(Input::AddPeer {
        request: 1,
        target: target(2000),
    });
    let known = Event::Dialed {
        request: 1,
        result: Ok(link),
    };
    assert_eq!(node.out, [Output::Event(known)]);
}

#[test]
fn what_would_crash_a_legacy_peer_does_not_reach_it() {
    let mut node = Node::new("me", legacy());
    let peer = node.peer("old");
    node.input(Input::Broadcast(Payload::events(r#"["error",1]"#.into())));
    assert_eq!(node.sent(), []);
    let (_, text) = crate::proto::codec::packet::new_packet("old-1", br#"["chat","hi"]"#);
    let mut bytes = BytesMut::from(&line::packet(Topic::Broadcast, &text)[..]);
    let mut decoder = Decoder::new(Limits::from(&Config::default()), false);
    node.receive(peer, decoder.next(&mut bytes).unwrap().unwrap());
    node.input(Input::Broadcast(Payload::chunk(b"x")));
    assert_eq!(node.sent(), []);
    assert_eq!(node.state.counters().withheld, 2);
}

#[test]
fn a_seed_that_does_not_answer_is_a_netsplit_and_one_that_answers_again_resolves_it() {
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
fn a_ping_that_is_not_answered_is_no_netsplit_while_the_seed_is_a_peer() {
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
fn a_seed_that_leaves_our_handshake_unanswered_is_asked_as_a_legacy_node_is() {
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

/// A node with as many native peers as it accepts, and their links.
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
fn whoever_asks_for_entry_again_is_sent_for_urgent_walks() {
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
fn at_the_end_of_an_urgent_walk_a_full_node_makes_room() {
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
fn stopping_closes_every_link_and_tells_of_every_peer() {
    let mut node = Node::new("me", legacy());
    let (a, b) = (node.peer("a"), node.peer("b"));
    node.input(Input::Stop);
    let removed = |link| Event::PeerRemoved {
        link,
        reason: RemoveReason::Local,
    };
    assert_eq!(node.events(), [removed(a), removed(b)]);
    assert_eq!(node.closes(), [(a, CloseHow::Flush), (b, CloseHow::Flush)]);
    assert_eq!(node.input(Input::Stop), []);
    assert_eq!(node.receive(a, Message::Handshake(hello("c"))), []);
}

#[test]
fn a_seed_that_resets_a_dial_is_dialled_again_and_one_that_closes_it_is_asked_as_legacy_nodes_do() {
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
fn after_the_last_peer_went_a_node_enters_again_at_once() {
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

#[test]
fn a_link_that_keeps_sending_nonsense_is_closed() {
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
