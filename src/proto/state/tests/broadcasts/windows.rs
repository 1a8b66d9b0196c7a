//! Windows, with peers that report consumption and peers that do not.

use bytes::Bytes;

use super::world::{World, origin};
use crate::proto::codec::native;
use crate::proto::{Input, LAST_SEQUENCE, LinkId, Message, Native, NodeId, Payload, Watermark};

/// The report to a peer that need not wait.
const NO_MATTER: u64 = LAST_SEQUENCE;

fn own(world: &World) -> crate::proto::Origin {
    world.state.publish.origin().clone()
}

fn broadcast(world: &mut World) {
    let payload = Payload::events(Bytes::from_static(b"[\"a\"]"));
    world.input(Input::Broadcast(payload));
}

/// The reports to a peer about an origin, in order.
fn told(world: &World, link: LinkId, origin: &crate::proto::Origin) -> Vec<u64> {
    let frame = |high: u64| {
        let origin = origin.clone();
        native::consumed(&[Watermark { origin, high }])
    };
    let numbers = (0..100).chain([NO_MATTER]);
    let frames: Vec<_> = numbers.map(|high| (high, frame(high))).collect();
    let sent = world.sent.iter().filter(|(to, _)| *to == link);
    sent.filter_map(|(_, data)| Some(frames.iter().find(|(_, frame)| frame == data)?.0))
        .collect()
}

#[test]
fn broadcasts_are_outstanding_until_the_slowest_receiver_has_consumed_them() {
    let mut world = World::new();
    let (quick, slow) = (world.receiver("quick"), world.receiver("slow"));
    let own = own(&world);
    broadcast(&mut world);
    broadcast(&mut world);
    let both = world.outstanding;
    world.consumes(quick, &own, 2);
    assert_eq!(world.outstanding, both);
    world.consumes(slow, &own, 1);
    assert_eq!(world.outstanding, both / 2);
    // A report beyond the last broadcast counts up to the last.
    world.consumes(slow, &own, 1000);
    assert_eq!(world.outstanding, 0);
    broadcast(&mut world);
    assert_eq!(world.outstanding, both / 2);
}

#[test]
fn a_peer_that_never_reports_is_named_and_no_longer_waited_for() {
    let mut world = World::new();
    let deaf = world.receiver("deaf");
    broadcast(&mut world);
    world.pass(59_900, &[deaf]);
    assert_ne!(world.outstanding, 0);
    assert_eq!(world.slow, []);
    world.pass(200, &[deaf]);
    assert_eq!(world.outstanding, 0);
    assert_eq!(world.slow, [NodeId::parse("deaf").unwrap()]);
}

#[test]
fn the_parent_gets_reports_and_other_peers_are_told_not_to_wait() {
    let mut world = World::new();
    let (parent, other) = (world.receiver("parent"), world.receiver("other"));
    let origin = origin("o");
    world.publish(parent, &origin, 1);
    world.publish(other, &origin, 1);
    world.pass(100, &[parent, other]);
    assert!(told(&world, parent, &origin).is_empty());
    assert_eq!(told(&world, other, &origin), [NO_MATTER]);
    let mark = world.given.unwrap();
    // This node relayed it to the other peer, which also got it elsewhere.
    world.consumes(other, &origin, NO_MATTER);
    world.input(Input::Consumed(vec![mark]));
    assert_eq!(told(&world, parent, &origin), [1]);
    assert_eq!(told(&world, other, &origin), [NO_MATTER]);
}

#[test]
fn the_origin_does_not_wait_for_a_hung_application_and_learns_of_it() {
    let mut world = World::new();
    let parent = world.receiver("parent");
    let origin = origin("o");
    world.publish(parent, &origin, 1);
    world.pass(10_200, &[parent]);
    assert_eq!(told(&world, parent, &origin), [1]);
    let me = NodeId::parse("me").unwrap();
    assert!(
        world
            .sent
            .contains(&(parent, native::stalled(&origin, &me)))
    );
}

#[test]
fn a_peer_names_a_bounded_number_of_slow_receivers() {
    let mut world = World::new();
    let liar = world.receiver("liar");
    let own = own(&world);
    broadcast(&mut world);
    for number in 0..1000 {
        let id = NodeId::parse(&format!("n{number}")).unwrap();
        let origin = own.clone();
        world.native(liar, Native::Stalled { origin, id });
    }
    assert_eq!(world.slow.len(), 32);
}

#[test]
fn a_direct_receiver_that_repeats_its_report_is_waited_for() {
    let mut world = World::new();
    let peer = world.receiver("far");
    let payload = Payload::events(Bytes::from_static(b"[\"a\"]"));
    for _ in 0..2 {
        let payload = payload.clone();
        world.input(Input::Direct {
            link: peer,
            payload,
        });
    }
    for _ in 0..30 {
        world.native(peer, Native::DirectConsumed(1));
        world.pass(1000, &[peer]);
    }
    assert_ne!(world.outstanding, 0);
    assert_eq!(world.slow, []);
    world.pass(10_200, &[peer]);
    assert_eq!(world.slow, [NodeId::parse("far").unwrap()]);
}

#[test]
fn a_receiver_repeats_its_direct_report_while_the_link_is_busy_and_the_application_keeps_up() {
    let mut world = World::new();
    let sender = world.receiver("sender");
    let reports = |world: &World| {
        let report = (sender, native::direct_consumed(1));
        world.sent.iter().filter(|sent| **sent == report).count()
    };
    let payload = Payload::events(Bytes::from_static(b"[\"a\"]"));
    let message = Message::Direct(payload);
    world.input(Input::Received {
        link: sender,
        message,
    });
    world.pass(3000, &[sender]);
    assert_eq!(reports(&world), 0, "the application has consumed nothing");
    let mark = world.given.unwrap();
    world.input(Input::Consumed(vec![mark]));
    world.pass(3000, &[sender]);
    assert_eq!(reports(&world), 4);
    world.pass(3000, &[]);
    assert_eq!(reports(&world), 4, "nothing comes");
}

#[test]
fn an_application_busy_with_other_streams_is_waited_for() {
    let mut world = World::new();
    let parent = world.receiver("parent");
    let origin = origin("o");
    world.publish(parent, &origin, 1);
    let mark = world.given.unwrap();
    let in_line = crate::proto::Mark {
        last: mark.last - 1,
        ..mark
    };
    for _ in 0..30 {
        world.input(Input::Consumed(vec![in_line]));
        world.pass(1000, &[parent]);
    }
    assert!(told(&world, parent, &origin).iter().all(|upto| *upto == 0));
    assert!(
        told(&world, parent, &origin).len() > 20,
        "it says that it lives"
    );
    world.input(Input::Consumed(vec![mark]));
    assert_eq!(told(&world, parent, &origin).last(), Some(&1));
}
