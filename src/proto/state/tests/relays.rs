//! Relays for native peers: shuffles, forward joins and beacons.

use super::*;

fn shuffle(nonce: u32, ttl: u8) -> Message {
    let contacts = vec![who("far", 3000)];
    Message::Native(Native::Shuffle {
        nonce,
        ttl,
        contacts,
    })
}

/// The shuffles just sent on a link.
fn shuffles(node: &Node, link: LinkId) -> Vec<Message> {
    let frames = node.frames(link).into_iter();
    let shuffles = frames.filter(|frame| matches!(frame, Native::Shuffle { .. }));
    shuffles.map(Message::Native).collect()
}

#[test]
fn relayed_shuffles_are_rate_limited_and_a_flooding_peer_is_closed() {
    let mut node = Node::new("me", native());
    let (bad, good) = (node.native_peer("bad", 1), node.native_peer("good", 2));
    let (mut passed_on, mut answered, mut closed) = (0, 0, Vec::new());
    for nonce in 1..=1000 {
        node.receive(bad, shuffle(nonce, 6));
        passed_on += shuffles(&node, good).len();
        answered += node.frames(bad).len();
        closed.extend(node.closes());
    }
    // The first shuffle to the good peer was the node's own.
    assert_eq!((passed_on, passed_on + answered), (49, 200));
    assert_eq!(closed, [(bad, CloseHow::Abort)]);
    let counters = node.state.counters();
    assert_eq!((counters.relays_refused, counters.misbehaved), (80, 1));
}

#[test]
fn a_relay_of_many_shuffles_is_not_blamed() {
    let mut relay = Node::new("relay", native());
    let bad: Vec<_> = (1..=4)
        .map(|n| relay.native_peer(&format!("bad{n}"), n))
        .collect();
    let on = relay.native_peer("next", 5);
    let mut next = Node::new("next", native());
    let from = next.native_peer("relay", 5);
    // The link between the relay and the next node stalls for the 10 s until it would be closed.
    let mut waiting = Vec::new();
    for round in 0..=200 {
        for link in &bad {
            // As many as the limit allows: the burst, then the rate.
            for _ in 0..if round == 0 { 200 } else { 1 } {
                relay.receive(*link, shuffle(1, 6));
                waiting.append(&mut shuffles(&relay, on));
            }
        }
        relay.now = relay.now.after(Duration::from_millis(50));
    }
    next.now = relay.now;
    for message in waiting {
        next.receive(from, message);
    }
    for node in [relay, next] {
        assert_eq!(node.state.counters().relays_refused, 0);
        assert_eq!(node.closes(), []);
    }
}

#[test]
fn refused_forward_joins_are_counted() {
    let mut node = Node::new("me", native());
    let peer = node.native_peer("peer", 1);
    for n in 0..101 {
        let who = who(&format!("n{n}"), 3000);
        let (urgent, ttl) = (false, 6);
        let join = Native::ForwardJoin { urgent, ttl, who };
        node.receive(peer, Message::Native(join));
    }
    assert_eq!(node.state.counters().relays_refused, 1);
}

fn beacon(id: &str, number: u64) -> Message {
    let origin = Origin {
        id: NodeId::parse(id).unwrap(),
        epoch: 1,
    };
    let address = "10.0.0.7:4000".parse().unwrap();
    Message::Native(Native::Beacon(Beacon {
        origin,
        address,
        number,
    }))
}

#[test]
fn relayed_beacons_are_rate_limited() {
    let mut node = Node::new("me", native());
    let (bad, good) = (node.native_peer("bad", 1), node.native_peer("good", 2));
    let mut passed_on = |beacons: &mut dyn Iterator<Item = Message>, seconds: u64| {
        let mut count = 0;
        let beacons: Vec<_> = beacons.collect();
        for _ in 0..seconds {
            for message in &beacons {
                node.receive(bad, message.clone());
                count += node.frames(good).len();
            }
            node.now = node.now.after(Duration::from_secs(1));
        }
        count
    };
    // One seed far above its rate.
    let mut news = (1..=1000).map(|number| beacon("seed", number));
    assert_eq!(passed_on(&mut news, 1), 4);
    // At the rate of an honest seed.
    for number in 1001..1010 {
        assert_eq!(passed_on(&mut [beacon("seed", number)].into_iter(), 1), 1);
    }
    // Seeds with ever smaller ids, up to the limit on new seeds.
    let mut others = (1..=1000).map(|n| beacon(&format!("id{}", 9999 - n), 1));
    assert_eq!(passed_on(&mut others, 1), 32);
    assert!(node.state.footprint().beacons <= 16);
    assert_eq!(node.state.counters().relays_refused, 996 + 968);
}

#[test]
fn only_broadcasts_of_a_muted_peer_are_relayed() {
    let mut node = Node::new("me", native());
    let (bad, good) = (node.native_peer("bad", 1), node.native_peer("good", 2));
    let broadcast = Native::Publish(crate::proto::Publish {
        origin: Origin {
            id: NodeId::parse("bad").unwrap(),
            epoch: 1,
        },
        first: 1,
        hops: 1,
        repair: false,
        payload: Payload::events("[\"hi\"]".into()),
    });
    let (urgent, ttl) = (false, 6);
    let join = |id: &str| Native::ForwardJoin {
        urgent,
        ttl,
        who: who(id, 3000),
    };
    let contacts = vec![who("handed", 3000)];
    for _ in 0..50 {
        node.receive(bad, Message::Rejected(crate::proto::Reject::BadHash));
    }
    let before = node.state.footprint();
    for message in [
        shuffle(7, 6),
        beacon("seed", 1),
        Message::Native(join("looking")),
        Message::Native(Native::Contacts { nonce: 0, contacts }),
    ] {
        node.receive(bad, message);
        assert_eq!(node.out, []);
    }
    assert_eq!(node.state.footprint(), before);
    assert_eq!(node.state.counters().ignored_of_muted, 4);
    node.receive(bad, Message::Native(broadcast));
    assert_eq!(node.frames(good).len(), 1);
}

#[test]
fn earlier_broadcasts_are_requested_from_the_first_native_peer_if_legacy_peers_came_first() {
    let origin = Origin {
        id: NodeId::parse("far").unwrap(),
        epoch: 1,
    };
    let grafts = |old_first: bool| {
        let mut node = Node::new("me", native());
        if old_first {
            node.peer("old");
        }
        let link = node.native_peer("new", 1);
        let watermark = crate::proto::Watermark {
            origin: origin.clone(),
            high: 3,
        };
        node.receive(link, Message::Native(Native::IHave(vec![watermark])));
        node.input(Input::TimerFired(Timer::Repair));
        let frames = node.frames(link);
        let is_graft = |frame: &&Native| matches!(frame, Native::Graft { .. });
        frames.iter().filter(is_graft).count()
    };
    assert_eq!((grafts(true), grafts(false)), (1, 0));
}
