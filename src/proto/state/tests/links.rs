//! Links, from handshake to peer to close.

use super::*;

#[test]
fn a_handshake_is_acknowledged_and_adds_a_peer() {
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
        windows: false,
        max_message: None,
    };
    assert_eq!(node.events(), [added]);
}

#[test]
fn a_handshake_to_a_full_node_or_with_a_known_id_gets_no_ack() {
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
fn a_link_without_a_handshake_is_closed() {
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
fn a_handshake_of_a_legacy_node_is_held_while_we_dial_it() {
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
fn the_second_link_wins_when_a_legacy_peer_accepts_it() {
    let mut node = Node::new("me", native());
    let early = node.accept();
    node.receive(early, Message::Handshake(hello("you")));
    let dial = node.dial();
    // The ack on the first link is still on its way.
    node.receive(dial, Message::HandshakeAck(hello("you")));
    assert_eq!(node.closes(), [(early, CloseHow::Flush)]);
    assert!(node.events().contains(&Event::Dialed {
        request: 1,
        result: Ok(dial)
    }));
    let peers: Vec<LinkId> = node.state.peers().map(|(link, _)| link).collect();
    assert_eq!(peers, [dial]);
}

#[test]
fn a_node_at_another_address_cannot_replace_a_legacy_peer_by_its_id() {
    let mut node = Node::new("me", native());
    let link = node.state.next_link();
    let remote = "10.0.0.8:40000".parse().unwrap();
    node.input(Input::Accepted { link, remote });
    node.receive(link, Message::Handshake(hello("you")));
    let dial = node.dial();
    node.receive(dial, Message::HandshakeAck(hello("you")));
    assert_eq!(node.closes(), [(dial, CloseHow::Flush)]);
    let peers: Vec<LinkId> = node.state.peers().map(|(link, _)| link).collect();
    assert_eq!(peers, [link]);
}

#[test]
fn a_held_handshake_is_answered_when_the_dialled_node_misbehaves() {
    let pong = crate::proto::Pong {
        from: who("you", 2000),
        responds_to: "me-1".to_owned(),
    };
    for message in [
        Message::PeerRequest(who("you", 2000)),
        Message::Pong(pong),
        Message::Handshake(hello("you")),
    ] {
        let mut node = Node::new("me", native());
        let dial = node.dial();
        let inbound = node.accept();
        let hello = native_hello("zz", "10.0.0.9", 2000);
        node.receive(inbound, Message::Handshake(hello));
        assert_eq!(node.out, [], "held");
        for _ in 0..8 {
            node.receive(dial, message.clone());
        }
        let peers: Vec<LinkId> = node.state.peers().map(|(link, _)| link).collect();
        assert_eq!(peers, [inbound]);
    }
}

#[test]
fn a_held_handshake_is_answered_when_a_refused_handshake_wins_over_the_dial() {
    let config = Config {
        max_peers: 1,
        ..native()
    };
    let mut node = Node::new("me", config);
    let dial = node.dial();
    let waits = node.accept();
    let there = |id| Message::Handshake(native_hello(id, "10.0.0.9", 2000));
    node.receive(waits, there("zz"));
    assert_eq!(node.out, [], "held");
    let link = node.accept();
    let full = native_hello("other", "10.0.0.9", 3000);
    node.receive(link, Message::Handshake(full));
    let inbound = node.accept();
    node.receive(inbound, there("aa"));
    let (abort, flush) = (CloseHow::Abort, CloseHow::Flush);
    assert_eq!(
        node.closes(),
        [(dial, abort), (inbound, flush), (waits, flush)]
    );
}

#[test]
fn a_stopping_node_does_not_answer_held_handshakes() {
    let mut node = Node::new("me", native());
    let dial = node.dial();
    let inbound = node.accept();
    let hello = native_hello("zz", "10.0.0.9", 2000);
    node.receive(inbound, Message::Handshake(hello));
    node.input(Input::Stop);
    let flush = CloseHow::Flush;
    assert_eq!(node.closes(), [(dial, flush), (inbound, flush)]);
    assert_eq!(node.sent(), []);
}

#[test]
fn all_handshakes_held_for_a_dial_become_peers() {
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
fn the_dial_of_the_lower_id_wins_between_native_nodes() {
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
fn a_probe_is_answered_during_a_dial_to_its_sender() {
    let asking = |id: &str, intent| {
        let mut hello = native_hello(id, "10.0.0.9", 2000);
        hello.native.as_mut().unwrap().intent = intent;
        Message::Handshake(hello)
    };
    for id in ["aa", "zz"] {
        for intent in [Intent::Probe, Intent::Check] {
            let mut node = Node::new("me", native());
            let dial = node.dial();
            let inbound = node.accept();
            node.receive(inbound, asking(id, intent));
            let (to, Message::HandshakeAck(answer)) = &node.sent()[0] else {
                panic!("{:?}", node.out);
            };
            assert_eq!((*to, answer.intent()), (inbound, Some(Intent::Refuse)));
            assert_eq!(node.closes(), [(inbound, CloseHow::Flush)]);
            assert_eq!(node.events(), []);
            let ack = native_hello(id, "10.0.0.9", 2000);
            node.receive(dial, Message::HandshakeAck(ack));
            assert!(node.events().contains(&Event::Dialed {
                request: 1,
                result: Ok(dial)
            }));
        }
    }
}

#[test]
fn a_dial_to_another_kind_of_server_is_reported_as_refused() {
    let pong = || crate::proto::Pong {
        from: who("you", 2000),
        responds_to: "me-1".to_owned(),
    };
    for message in [
        Message::PeerRequest(who("you", 2000)),
        Message::Pong(pong()),
        Message::Handshake(hello("you")),
    ] {
        let mut node = Node::new("me", native());
        let dial = node.dial();
        let mut events = Vec::new();
        for _ in 0..8 {
            node.receive(dial, message.clone());
            events.extend(node.events());
        }
        let result = Err("REFUSED".to_owned());
        assert_eq!(events, [Event::Dialed { request: 1, result }]);
    }
}

#[test]
fn a_pause_of_this_node_does_not_delay_the_detection_of_a_silent_peer() {
    for pause in [1, 3600] {
        let mut node = Node::new("me", native());
        let link = node.accept();
        let hello = native_hello("you", "10.0.0.9", 2000);
        node.receive(link, Message::Handshake(hello));
        node.input(Input::TimerFired(Timer::Heartbeat));
        node.now = node.now.after(Duration::from_secs(pause));
        // The socket is read before the late timer fires.
        node.receive(link, Message::Native(Native::Heartbeat));
        let silent = (0..60).find(|_| {
            node.input(Input::TimerFired(Timer::Heartbeat));
            node.now = node.now.after(Duration::from_secs(1));
            !node.closes().is_empty()
        });
        assert_eq!(silent, Some(6), "after {pause} s");
    }
}

#[test]
fn a_dial_to_the_address_of_a_peer_returns_its_link() {
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
fn the_id_of_an_open_link_is_not_reused() {
    let mut node = Node::new("me", legacy());
    let peers = [node.peer("a"), node.peer("b")];
    assert_eq!(peers, [LinkId(1), LinkId(2)]);
    let last = crate::proto::members::FIRST_HANDLE - 1;
    node.state.next_link = last - 1;
    let next = [(); 2].map(|()| node.state.next_link());
    assert_eq!(next, [LinkId(last), LinkId(3)]);
}

#[test]
fn stopping_closes_every_link_and_reports_every_peer() {
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
