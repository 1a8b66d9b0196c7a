//! Nodes that find no room are named to each other.

use super::room::{full, handshake, hello_of, place, port_of};
use super::*;
use crate::proto::Place;

/// A place in the part with that mark.
fn in_part(mark: u64, place: Place) -> Place {
    let part = vec![mark];
    Place { part, ..place }
}

fn at(id: &str) -> PeerAddress {
    who(id, port_of(id))
}

/// The contacts in a refusal, and how many of them wait.
fn named(node: &Node, link: LinkId) -> (u32, Vec<PeerAddress>) {
    let frames = node.frames(link);
    let Some(Native::Contacts { nonce, contacts }) = frames.last() else {
        panic!("{frames:?}");
    };
    (*nonce, contacts.clone())
}

fn refused(node: &mut Node, id: &str, intent: Intent, place: Place) -> (u32, Vec<PeerAddress>) {
    let link = handshake(node, hello_of(id, intent, place));
    assert!(node.state.peer(link).is_none(), "{id} is a peer");
    named(node, link)
}

/// The ports of the latest dials.
fn dialled(node: &Node) -> Vec<u16> {
    let ports = node.dials().into_iter();
    ports.map(|(_, target)| target.port).collect()
}

#[test]
fn a_refusal_names_nodes_of_other_parts_refused_within_three_seconds() {
    let (mut node, _) = full(5, 1, 0);
    let end = |mark| in_part(mark, place(2, 1, 1));
    assert_eq!(refused(&mut node, "one", Intent::Join, end(1)).0, 0);
    let (count, contacts) = refused(&mut node, "two", Intent::Join, end(2));
    assert_eq!((count, &contacts[0]), (1, &at("one")));
    let (count, contacts) = refused(&mut node, "three", Intent::Join, end(1));
    assert_eq!(
        (count, &contacts[0]),
        (1, &at("two")),
        "not one of its part"
    );
    node.now = node.now.after(Duration::from_secs(3));
    assert_eq!(refused(&mut node, "four", Intent::Join, end(4)).0, 0);
}

#[test]
fn nodes_that_lack_many_peers_are_not_led_to_each_other() {
    let (mut node, _) = full(5, 1, 0);
    for id in ["one", "two"] {
        let newcomer = place(5, 2, 2);
        assert_eq!(refused(&mut node, id, Intent::Join, newcomer).0, 0, "{id}");
    }
    for (id, waiting) in [("three", 0), ("four", 1)] {
        let nearly_full = place(5, 3, 3);
        let named = refused(&mut node, id, Intent::Join, nearly_full).0;
        assert_eq!(named, waiting, "{id}");
    }
}

#[test]
fn a_refusal_names_no_full_node_and_no_single_link_node_to_another() {
    let (mut node, _) = full(5, 1, 0);
    let places = [
        ("full", in_part(1, place(2, 2, 1))),
        ("leaf", in_part(2, place(1, 0, 0))),
    ];
    for (id, place) in places {
        assert_eq!(refused(&mut node, id, Intent::Rejoin, place).0, 0, "{id}");
    }
    let leaf = in_part(3, place(1, 0, 0));
    assert_eq!(refused(&mut node, "other", Intent::Join, leaf).0, 0);
    let end = in_part(4, place(2, 1, 1));
    let (count, contacts) = refused(&mut node, "end", Intent::Join, end);
    assert_eq!((count, &contacts[..2]), (2, &[at("other"), at("leaf")][..]));
}

#[test]
fn a_refused_node_dials_waiting_nodes_first() {
    let mut node = Node::new(
        "me",
        Config {
            max_peers: 2,
            min_peers: 2,
            ..native()
        },
    );
    node.native_peer("peer", 1);
    let seed = vec![target(2000)];
    node.input(Input::Reconfigure {
        max_peers: 2,
        seeds: seed,
        address: "10.0.0.1".to_owned(),
    });
    node.input(Input::TimerFired(Timer::Roam));
    let link = node.dialled();
    let answer = hello_of("seed", Intent::Refuse, place(5, 5, 5));
    node.receive(link, Message::HandshakeAck(answer));
    let others = (0..20).map(|number| at(&format!("other{number}")));
    let contacts = std::iter::once(at("end")).chain(others).collect();
    node.receive(
        link,
        Message::Native(Native::Contacts { nonce: 1, contacts }),
    );
    assert_eq!(dialled(&node)[0], port_of("end"));
}

/// A full leaf with two peers that have two peers each.
fn full_leaf() -> (Node, Vec<LinkId>) {
    let mut node = Node::new(
        "me",
        Config {
            max_peers: 2,
            min_peers: 2,
            ..native()
        },
    );
    let join = |id: &str| {
        let link = handshake(&mut node, hello_of(id, Intent::Peer, place(2, 1, 1)));
        let said = Native::Peers { count: 2, ways: 2 };
        node.receive(link, Message::Native(said));
        link
    };
    let links = ["left", "right"].map(join).to_vec();
    (node, links)
}

#[test]
fn a_full_leaf_closes_no_peer_while_the_end_of_another_part_waits() {
    let (mut node, _) = full_leaf();
    refused(&mut node, "end", Intent::Join, in_part(1, place(2, 1, 1)));
    let ring = in_part(2, place(2, 2, 2));
    for attempt in 0..4 {
        let (_, contacts) = refused(&mut node, "ring", Intent::Rejoin, ring.clone());
        assert_eq!(contacts[0], at("end"), "attempt {attempt}");
    }
    // Named four times in vain: it counts as unreachable.
    let link = handshake(&mut node, hello_of("ring", Intent::Rejoin, ring));
    assert!(node.state.peer(link).is_some());
}

#[test]
fn a_leaf_closed_to_make_room_learns_its_successor_and_is_named_to_others() {
    let (mut node, links) = full_leaf();
    let ring = |id: &str| hello_of(id, Intent::Rejoin, in_part(2, place(2, 2, 2)));
    handshake(&mut node, ring("new"));
    let gone = node.closes()[0].0;
    assert!(links.contains(&gone));
    let told = Native::Contacts {
        nonce: 0,
        contacts: vec![at("new")],
    };
    assert_eq!(
        node.frames(gone)[..2],
        [told, Native::Goodbye { keep: true }]
    );
    let gone = if gone == links[0] { "left" } else { "right" };
    let link = handshake(&mut node, ring("next"));
    let (count, contacts) = named(&node, link);
    assert_eq!((count, &contacts[0]), (1, &at(gone)));
}

#[test]
fn a_node_closed_to_make_room_dials_its_successor() {
    let mut node = Node::new(
        "me",
        Config {
            min_peers: 1,
            ..native()
        },
    );
    let link = node.native_peer("peer", 1);
    let others = (0..25).map(|number| at(&format!("other{number}")));
    let frames = [
        Native::Contacts {
            nonce: 0,
            contacts: others.collect(),
        },
        Native::Contacts {
            nonce: 0,
            contacts: vec![at("new")],
        },
        Native::Goodbye { keep: true },
    ];
    for frame in frames {
        node.receive(link, Message::Native(frame));
    }
    let reason = "FIN".to_owned();
    node.input(Input::Closed { link, reason });
    assert_eq!(dialled(&node)[0], port_of("new"));
}

fn beacon(number: u64) -> Message {
    Message::Native(Native::Beacon(Beacon {
        origin: Origin {
            id: NodeId::parse("heard").unwrap(),
            epoch: 1,
        },
        address: "10.0.0.8:1".parse().unwrap(),
        number,
    }))
}

#[test]
fn a_node_without_a_path_to_a_seed_stops_sending_its_mark() {
    let mut node = Node::new("me", native());
    let [parent, child] = [node.native_peer("one", 1), node.native_peer("two", 2)];
    node.receive(parent, beacon(1));
    assert_eq!(node.state.marks().len(), 1);
    let seed = NodeId::parse("heard").unwrap();
    let wanted = Message::Native(Native::BeaconTree {
        seed: seed.clone(),
        wanted: true,
    });
    node.receive(child, wanted.clone());
    assert_eq!(node.state.marks().len(), 1, "a child may ask");
    node.receive(parent, wanted);
    assert!(node.state.marks().is_empty(), "the parent asks");
    let asks = Native::BeaconTree { seed, wanted: true };
    assert_eq!(node.frames(child), [asks]);
    assert_eq!(
        node.frames(parent),
        [],
        "it is not told what it said itself"
    );
    node.receive(child, beacon(2));
    assert_eq!(node.state.marks().len(), 1);
}

#[test]
fn a_peer_from_another_part_gets_the_latest_beacons_at_once() {
    let mut node = Node::new("me", native());
    let peer = node.native_peer("peer", 1);
    node.now = node.now.after(Duration::from_secs(2));
    node.receive(peer, beacon(1));
    for (id, mark, is_told) in [("same", node.state.marks()[0], false), ("other", 7, true)] {
        let link = handshake(
            &mut node,
            hello_of(id, Intent::Peer, in_part(mark, place(5, 1, 1))),
        );
        let frames = node.frames(link);
        let told = frames
            .iter()
            .any(|frame| matches!(frame, Native::Beacon(_)));
        assert_eq!(told, is_told, "{id}");
    }
}
