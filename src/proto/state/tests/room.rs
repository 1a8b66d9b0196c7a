//! Room for newcomers, and parts of the network.

use super::*;
use crate::proto::state::beacons::Part;
use crate::proto::{Place, Why};

/// The handshake of a node at `place`.
pub(super) fn hello_of(id: &str, intent: Intent, place: Place) -> Hello {
    let mut hello = native_hello(id, "10.0.0.9", port_of(id));
    if let Some(native) = &mut hello.native {
        (native.intent, native.place) = (intent, place);
    }
    hello
}

pub(super) fn port_of(id: &str) -> u16 {
    id.bytes().map(u16::from).sum()
}

pub(super) fn place(max: u16, peers: u16, ways: u16) -> Place {
    Place {
        max_peers: Some(max),
        peers,
        ways,
        ..Place::default()
    }
}

pub(super) fn handshake(node: &mut Node, hello: Hello) -> LinkId {
    let link = node.accept();
    node.receive(link, Message::Handshake(hello));
    link
}

/// A full node with five peers. Each accepts `max` peers and has `peers`, and `ways` of those have
/// other peers.
pub(super) fn full(max: u16, peers: u16, ways: u16) -> (Node, Vec<LinkId>) {
    let mut node = Node::new("me", native());
    let join = |number: usize| {
        let hello = hello_of(&format!("peer{number}"), Intent::Peer, place(max, 0, 0));
        let link = handshake(&mut node, hello);
        let said = Native::Peers { count: peers, ways };
        node.receive(link, Message::Native(said));
        link
    };
    let links = (0..5).map(join).collect();
    (node, links)
}

/// Whether an urgent newcomer is accepted, and which links are closed for it.
fn urgent(node: &mut Node, peers: u16) -> (bool, Vec<LinkId>) {
    let link = handshake(
        node,
        hello_of("new", Intent::Urgent, place(5, peers, peers)),
    );
    let mut closed: Vec<LinkId> = node.closes().iter().map(|(link, _)| *link).collect();
    closed.retain(|other| *other != link);
    (node.state.peer(link).is_some(), closed)
}

#[test]
fn a_peer_without_other_peers_is_not_closed() {
    let (mut node, _) = full(5, 1, 0);
    assert_eq!(urgent(&mut node, 0), (false, Vec::new()));
}

#[test]
fn a_peer_is_closed_for_a_node_with_two_fewer_peers() {
    let (mut node, links) = full(5, 3, 3);
    assert_eq!(urgent(&mut node, 2), (false, Vec::new()));
    let (is_in, closed) = urgent(&mut node, 1);
    assert!(is_in && closed.len() == 1 && links.contains(&closed[0]));
}

#[test]
fn a_node_reports_its_number_of_peers_except_to_older_nodes() {
    let mut node = Node::new("me", native());
    let old = node.native_peer("old", 1);
    let new = handshake(&mut node, hello_of("new", Intent::Peer, place(5, 0, 0)));
    let said = Native::Peers { count: 2, ways: 1 };
    assert_eq!(node.frames(new).last(), Some(&said));
    let is_said = |frame: &Native| matches!(frame, Native::Peers { .. });
    assert!(!node.frames(old).iter().any(is_said));
}

#[test]
fn a_dialable_node_takes_the_place_of_a_leaf_and_is_named_to_it() {
    let (mut node, leaves) = full(1, 1, 0);
    let (is_in, closed) = urgent(&mut node, 0);
    assert_eq!(
        (is_in, closed),
        (false, Vec::new()),
        "not before it is dialled"
    );
    let dialled = node.dials().last().cloned().expect("it is dialled back").0;
    let remote = SocketAddr::new(remote().ip(), port_of("new"));
    node.input(Input::Connected {
        link: dialled,
        remote,
    });
    let ack = hello_of("new", Intent::Peer, place(5, 0, 0));
    node.receive(dialled, Message::HandshakeAck(ack));
    assert!(node.state.peer(dialled).is_some());
    let [(leaf, _)] = node.closes()[..] else {
        panic!("{:?}", node.out);
    };
    assert!(leaves.contains(&leaf));
    let told = Native::Contacts {
        nonce: 0,
        contacts: vec![who("new", port_of("new"))],
    };
    assert_eq!(
        node.frames(leaf)[..2],
        [told, Native::Goodbye { keep: true }]
    );
}

#[test]
fn a_seed_with_only_leaves_dials_back_a_newcomer() {
    for (max, is_dialled) in [(1, true), (5, false)] {
        let (mut node, _) = full(max, 1, 0);
        handshake(&mut node, hello_of("new", Intent::Join, place(5, 0, 0)));
        assert_eq!(!node.dials().is_empty(), is_dialled, "peers of {max} links");
    }
}

#[test]
fn a_node_cut_off_from_a_seed_soon_detects_another_part() {
    let mut node = Node::new("me", native());
    let parent = node.native_peer("one", 1);
    node.native_peer("two", 2);
    let beacon = Beacon {
        origin: Origin {
            id: NodeId::parse("heard").unwrap(),
            epoch: 1,
        },
        address: "10.0.0.8:1".parse().unwrap(),
        number: 1,
    };
    node.now = node.now.after(Duration::from_secs(5));
    node.receive(parent, Message::Native(Native::Beacon(beacon)));
    let reason = "FIN".to_owned();
    node.input(Input::Closed {
        link: parent,
        reason,
    });
    let other = Place {
        part: vec![7],
        ..place(5, 1, 1)
    };
    let other = hello_of("other", Intent::Refuse, other);
    assert_eq!(
        node.state.part_of(&other),
        Part::Unknown,
        "others may bring it"
    );
    node.now = node.now.after(Duration::from_millis(1500));
    node.accept();
    assert_eq!(node.state.part_of(&other), Part::Other);
}

#[test]
fn a_seed_is_joined_only_if_it_is_in_another_part() {
    for (mark, intents) in [(7, vec![Intent::Rejoin]), (0, Vec::new())] {
        let seeds = vec![target(2000)];
        let mut node = Node::new("me", Config { seeds, ..native() });
        let peer = node.native_peer("peer", 1);
        let beacon = Beacon {
            origin: Origin {
                id: NodeId::parse("heard").unwrap(),
                epoch: 1,
            },
            address: "10.0.0.8:1".parse().unwrap(),
            number: 1,
        };
        node.receive(peer, Message::Native(Native::Beacon(beacon)));
        node.now = node.now.after(Duration::from_secs(2));
        let own = node.state.marks();
        node.input(Input::TimerFired(Timer::Roam));
        let link = node.dialled();
        let mut seed = hello_of("seed", Intent::Refuse, place(5, 3, 3));
        if let Some(native) = &mut seed.native {
            native.place.part = if mark == 0 { own } else { vec![mark] };
            native.place.why = Some(Why::Full);
        }
        node.receive(link, Message::HandshakeAck(seed));
        let mut said = Vec::new();
        for (link, _) in node.dials() {
            let remote = remote();
            node.input(Input::Connected { link, remote });
            said.extend(node.sent());
        }
        let intent = |(_, message): &(LinkId, Message)| match message {
            Message::Handshake(hello) => hello.intent(),
            _ => None,
        };
        let joined: Vec<Intent> = said.iter().filter_map(intent).collect();
        assert_eq!(joined, intents, "mark {mark}");
    }
}

#[test]
fn a_node_of_another_network_is_refused_with_a_reason() {
    let network = Some("shop".to_owned());
    let mut node = Node::new(
        "me",
        Config {
            network,
            ..native()
        },
    );
    let mut answer = |name: Option<&str>| {
        let network = name.map(str::to_owned);
        let hello = hello_of(
            "x",
            Intent::Join,
            Place {
                network,
                ..place(5, 0, 0)
            },
        );
        let link = handshake(&mut node, hello);
        (node.state.peer(link).is_some(), node.events())
    };
    let remote = remote();
    let reason = "network";
    let refused = vec![Event::Refused { remote, reason }];
    assert_eq!(answer(Some("stock")), (false, refused.clone()));
    assert_eq!(answer(None), (false, refused));
    assert!(answer(Some("shop")).0);
    let link = node.accept();
    node.receive(link, Message::Handshake(hello("old")));
    assert!(node.state.peer(link).is_none(), "old nodes have no name");
}

#[test]
fn a_node_with_the_same_address_or_id_is_a_conflict() {
    let mut node = Node::new("me", native());
    let link = node.accept();
    let hello = native_hello("other", "10.0.0.1", 1000);
    node.receive(link, Message::Handshake(hello));
    let conflict = |node: &Node| {
        let what = |event: &Event| match event {
            Event::Conflict { what, id, .. } => Some((*what, id.to_string())),
            _ => None,
        };
        node.events().iter().find_map(what)
    };
    assert_eq!(conflict(&node), Some((Why::Address, "other".to_owned())));
    let link = node.accept();
    let hello = native_hello("me", "10.0.0.9", 1000);
    node.receive(link, Message::Handshake(hello));
    assert_eq!(conflict(&node), Some((Why::Id, "me".to_owned())));
}

#[test]
fn a_reported_twin_is_dialled_at_most_once_a_minute() {
    let mut node = Node::new("me", native());
    let link = node.native_peer("peer", 1);
    let twin = PeerAddress {
        address: "10.0.0.7".parse().unwrap(),
        ..who("me", 2000)
    };
    let mut tell = |seconds| {
        node.now = node.now.after(Duration::from_secs(seconds));
        let contacts = vec![twin.clone()];
        let contacts = Native::Contacts { nonce: 0, contacts };
        node.receive(link, Message::Native(contacts));
        node.dials().len()
    };
    assert_eq!([tell(0), tell(1), tell(30), tell(60)], [1, 0, 0, 1]);
}
