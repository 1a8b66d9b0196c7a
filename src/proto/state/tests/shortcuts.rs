//! Shortcuts: when a node dials for one, whom it gives one, and what may come over it.

use super::*;
use crate::proto::members::{self, Address, Neighbour, Record};
use crate::proto::routing::{self, Letter, Receiver};
use crate::proto::{Publish, Records};

const MEMBERS: Timer = Timer::Members;

/// A node with one peer, "near", which has the peer "far", which listens on port 3000.
fn network(host: &str) -> (Node, LinkId) {
    let mut node = Node::new("me", native());
    let link = node.accept();
    let hello = native_hello("near", "10.0.0.9", 2000);
    node.receive(
        link,
        Message::Handshake(with(hello, |place| place.members = Records::Plain)),
    );
    wait(&mut node, 100, MEMBERS);
    let records = [
        ("near", "10.0.0.9", 2000, vec!["me", "far"]),
        ("far", host, 3000, vec!["near"]),
    ];
    let raw = records.map(|(id, host, port, peers)| record(id, host, port, &peers));
    let frame = members::Frame::Records(raw.to_vec());
    node.receive(link, Message::Native(Native::Members(frame)));
    wait(&mut node, 100, MEMBERS);
    assert_eq!(node.state.counters().members, 2);
    (node, link)
}

fn record(id: &str, host: &str, port: u16, peers: &[&str]) -> members::Raw {
    let host = host.to_owned();
    let stub = None;
    let peers = peers.iter().map(|id| Neighbour {
        id: NodeId::parse(id).unwrap(),
        stub: stub.clone(),
    });
    let address = Address { host, port };
    let record = Record::new(
        origin(id),
        1,
        false,
        address,
        String::new(),
        peers.collect(),
    );
    record.raw().clone()
}

fn origin(id: &str) -> Origin {
    let id = NodeId::parse(id).unwrap();
    Origin { id, epoch: 1 }
}

fn wait(node: &mut Node, milliseconds: u64, timer: Timer) {
    node.now = node.now.after(Duration::from_millis(milliseconds));
    node.input(Input::TimerFired(timer));
}

/// The same handshake, with something else in its `place`.
fn with(mut hello: Hello, change: impl FnOnce(&mut crate::proto::Place)) -> Hello {
    change(&mut hello.native.as_mut().unwrap().place);
    hello
}

/// The handshake, or the ack, of a node for a shortcut.
fn for_shortcut(id: &str) -> Hello {
    let hello = native_hello(id, "10.0.0.9", 3000);
    with(hello, |place| {
        (place.members, place.shortcut) = (Records::Plain, true)
    })
}

/// Sends so much to "far" that the pair is busy. Returns the dials.
fn flood(node: &mut Node) -> Vec<(LinkId, Target)> {
    let far = node
        .state
        .handle_of(&NodeId::parse("far").unwrap())
        .unwrap();
    let mut dials = Vec::new();
    for _ in 0..64 {
        let payload = Payload::events("[\"x\"]".into());
        node.input(Input::Direct { link: far, payload });
        dials.extend(node.dials());
    }
    dials
}

/// Accepts a shortcut of "far".
fn accepted(node: &mut Node) -> LinkId {
    let link = node.accept();
    node.receive(link, Message::Handshake(for_shortcut("far")));
    assert_eq!(node.state.shortcuts().count(), 1, "{:?}", node.out);
    link
}

fn letter(from: &str, to: &Origin, number: u64) -> Message {
    let receiver = Receiver {
        origin: to.clone(),
        session: 1,
        first: number,
        code: None,
    };
    let letter = Letter {
        hops: 1,
        from: origin(from),
        to: vec![receiver],
        payload: Payload::events("[\"x\"]".into()),
    };
    Message::Native(Native::Routing(routing::Frame::Letter(letter)))
}

#[test]
fn a_busy_node_dials_asks_and_has_a_shortcut_which_is_no_peer() {
    let (mut node, _) = network("10.0.0.9");
    let link = flood(&mut node)[0].0;
    node.input(Input::Connected {
        link,
        remote: remote(),
    });
    let [(to, Message::Handshake(hello))] = &node.sent()[..] else {
        panic!("{:?}", node.out)
    };
    assert_eq!(*to, link);
    let native = hello.native.clone().unwrap();
    assert_eq!(
        (native.intent, native.place.shortcut),
        (Intent::Check, true)
    );
    node.receive(link, Message::HandshakeAck(for_shortcut("far")));
    let timer = Timer::Handshake(link);
    assert_eq!(
        node.out[..2],
        [Output::CancelTimer(timer), Output::Shortcut { link }]
    );
    assert_eq!(node.events(), []);
    assert_eq!(node.state.peers().count(), 1);
    assert_eq!(node.state.counters().shortcuts, 1);
    assert_eq!(flood(&mut node), [], "one is enough");
    assert!(matches!(
        node.frames(link)[..],
        [Native::Routing(routing::Frame::Letter(_))]
    ));
    node.input(Input::Broadcast(Payload::events("[\"x\"]".into())));
    assert_eq!(node.frames(link), [], "no broadcasts");
}

#[test]
fn an_ack_that_grants_no_shortcut_leaves_nothing_behind() {
    let changes: [fn(&mut Hello); 6] = [
        // What a node that knows no shortcuts answers.
        |hello| hello.native.as_mut().unwrap().intent = Intent::Refuse,
        |hello| hello.native.as_mut().unwrap().place.shortcut = false,
        |hello| hello.native.as_mut().unwrap().place.members = Records::Signed,
        |hello| hello.native.as_mut().unwrap().epoch += 1,
        |hello| hello.id = NodeId::parse("near").unwrap(),
        |hello| hello.native = None,
    ];
    for change in changes {
        let (mut node, _) = network("10.0.0.9");
        let link = flood(&mut node)[0].0;
        node.input(Input::Connected {
            link,
            remote: remote(),
        });
        let mut ack = for_shortcut("far");
        change(&mut ack);
        node.receive(link, Message::HandshakeAck(ack));
        assert_eq!(node.closes(), [(link, CloseHow::Flush)]);
        assert_eq!(node.events(), []);
        assert_eq!(node.state.footprint().links, 1);
        assert_eq!(flood(&mut node), []);
        node.now = node.now.after(Duration::from_secs(61));
        assert_eq!(flood(&mut node).len(), 1, "after a minute");
    }
}

#[test]
fn addresses_that_lead_nowhere_or_home_are_not_dialled() {
    for host in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "", "10.0.0.1"] {
        let (mut node, _) = network(host);
        let dials = flood(&mut node);
        // Another node of this machine may listen at another port.
        assert_eq!(dials.len(), usize::from(host == "10.0.0.1"), "{host}");
    }
    let (mut node, _) = network("localhost.example.org");
    let link = flood(&mut node)[0].0;
    let remote = "127.0.0.1:3000".parse().unwrap();
    node.input(Input::Connected { link, remote });
    assert_eq!(
        (node.sent(), node.closes()),
        (vec![], vec![(link, CloseHow::Abort)])
    );
}

#[test]
fn only_members_that_are_no_peers_get_a_shortcut() {
    let (mut node, _) = network("10.0.0.9");
    let mut strangers = vec![for_shortcut("stranger"), for_shortcut("near")];
    strangers.push(with(for_shortcut("far"), |place| {
        place.members = Records::None
    }));
    let mut reborn = for_shortcut("far");
    reborn.native.as_mut().unwrap().epoch += 1;
    strangers.push(reborn);
    for (number, hello) in strangers.into_iter().enumerate() {
        let link = node.accept();
        node.receive(link, Message::Handshake(hello));
        let [(_, Message::HandshakeAck(ack))] = &node.sent()[..1] else {
            panic!("{:?}", node.out)
        };
        assert_eq!(ack.intent(), Some(Intent::Refuse));
        assert_eq!(node.closes(), [(link, CloseHow::Flush)]);
        assert_eq!(node.state.counters().shortcuts_refused, number as u64 + 1);
    }
    assert_eq!(node.state.counters().shortcuts, 0);
    assert_eq!(node.state.footprint().links, 1);
    accepted(&mut node);
    assert_eq!(node.events(), []);
}

#[test]
fn the_dial_of_the_lower_id_wins_if_both_are_connected() {
    // "far" is lower than "me".
    let (mut node, _) = network("10.0.0.9");
    for is_connected in [false, true] {
        let (mut node, _) = network("10.0.0.9");
        let dial = flood(&mut node)[0].0;
        if is_connected {
            node.input(Input::Connected {
                link: dial,
                remote: remote(),
            });
        }
        let link = node.accept();
        node.receive(link, Message::Handshake(for_shortcut("far")));
        assert_eq!(node.closes(), [(dial, CloseHow::Abort)]);
        let (only, _) = node.state.shortcuts().next().unwrap();
        assert_eq!(only, link);
    }
    let again = {
        accepted(&mut node);
        node.accept()
    };
    node.receive(again, Message::Handshake(for_shortcut("far")));
    let links: Vec<LinkId> = node.state.shortcuts().map(|(link, _)| link).collect();
    assert_eq!(
        links,
        [again],
        "a member that dials again has lost its link"
    );
}

#[test]
fn what_does_not_belong_on_a_shortcut_ends_it() {
    let me = |node: &Node| node.state.publish.origin().clone();
    let publish = Publish {
        origin: origin("far"),
        first: 1,
        hops: 1,
        repair: false,
        payload: Payload::events("[\"x\"]".into()),
    };
    let (node, _) = network("10.0.0.9");
    let mine = me(&node);
    let strays = [
        Message::Native(Native::Publish(publish)),
        Message::Native(Native::Members(members::Frame::Digest(1))),
        Message::Native(Native::DirectConsumed(1)),
        Message::Direct(Payload::events("[\"x\"]".into())),
        letter("near", &mine, 1),
        letter("far", &origin("near"), 1),
    ];
    for stray in strays {
        let (mut node, _) = network("10.0.0.9");
        let link = accepted(&mut node);
        let mine = me(&node);
        node.receive(link, letter("far", &mine, 1));
        assert!(
            matches!(node.events()[..], [Event::Direct { .. }]),
            "{:?}",
            node.out
        );
        for number in 1..=4 {
            assert_eq!(node.state.shortcuts().count(), 1);
            node.receive(link, stray.clone());
            assert_eq!(node.events(), [], "{number} {stray:?}");
        }
        assert_eq!(node.closes(), [(link, CloseHow::Abort)], "{stray:?}");
        assert_eq!(node.state.counters().misbehaved, 1);
        assert_eq!(node.state.peers().count(), 1);
    }
}

#[test]
fn a_node_says_goodbye_first_and_closes_when_the_other_end_does_not() {
    let (mut node, near) = network("10.0.0.9");
    let link = accepted(&mut node);
    let mut happened = Vec::new();
    for second in 1..=35 {
        for link in [near, link] {
            node.receive(link, Message::Native(Native::Heartbeat));
        }
        wait(&mut node, 1000, Timer::Heartbeat);
        let is_end = |frame: &Native| *frame == Native::Goodbye { keep: true };
        let ends = node.frames(link).iter().any(is_end);
        happened.extend(ends.then_some((second, None)));
        happened.extend(node.closes().into_iter().map(|close| (second, Some(close))));
    }
    assert_eq!(happened, [(30, None), (35, Some((link, CloseHow::Abort)))]);
    assert_eq!(node.state.counters().shortcuts, 0);
    assert_eq!(flood(&mut node).len(), 1, "that was no failure");
}

#[test]
fn a_goodbye_is_answered_with_what_is_left_and_the_end() {
    let (mut node, _) = network("10.0.0.9");
    let link = accepted(&mut node);
    flood(&mut node);
    node.receive(link, Message::Native(Native::Goodbye { keep: true }));
    assert!(matches!(
        node.frames(link)[..],
        [Native::Routing(routing::Frame::Note(_))]
    ));
    assert_eq!(node.closes(), [(link, CloseHow::Flush)]);
    assert_eq!(flood(&mut node).len(), 1, "it may be made anew at once");
}

#[test]
fn a_silent_shortcut_is_closed_and_not_dialled_again_for_a_minute() {
    let (mut node, _) = network("10.0.0.9");
    let link = accepted(&mut node);
    let near = node.state.peers().next().unwrap().0;
    let mut closes = Vec::new();
    for _ in 0..7 {
        node.receive(near, Message::Native(Native::Heartbeat));
        wait(&mut node, 1000, Timer::Heartbeat);
        closes.extend(node.closes());
    }
    assert_eq!(closes, [(link, CloseHow::Abort)]);
    assert_eq!(flood(&mut node), []);
}
