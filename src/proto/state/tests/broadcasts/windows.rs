//! Windows, among peers that keep to them and peers that do not.

use bytes::Bytes;

use super::world::{World, origin};
use crate::proto::codec::native;
use crate::proto::{Input, LAST_SEQUENCE, LinkId, Message, Native, NodeId, Payload, Watermark};

/// Told to a peer that need not wait.
const NO_MATTER: u64 = LAST_SEQUENCE;

fn own(world: &World) -> crate::proto::Origin {
    world.state.publish.origin().clone()
}

fn broadcast(world: &mut World) {
    let payload = Payload::events(Bytes::from_static(b"[\"a\"]"));
    world.input(Input::Broadcast(payload));
}

/// A peer says up to where it has consumed an origin.
fn consumes(world: &mut World, link: LinkId, origin: &crate::proto::Origin, high: u64) {
    let origin = origin.clone();
    world.native(link, Native::Consumed(vec![Watermark { origin, high }]));
}

/// What a peer was told that this node has consumed, in order.
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
    consumes(&mut world, quick, &own, 2);
    assert_eq!(world.outstanding, both);
    consumes(&mut world, slow, &own, 1);
    assert_eq!(world.outstanding, both / 2);
    // Nobody has consumed what does not exist.
    consumes(&mut world, slow, &own, 1000);
    assert_eq!(world.outstanding, 0);
    broadcast(&mut world);
    assert_eq!(world.outstanding, both / 2);
}

#[test]
fn a_peer_that_never_reports_is_left_out_and_named() {
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
    // We have sent it on to the other one, which got it elsewhere, too.
    consumes(&mut world, other, &origin, NO_MATTER);
    world.input(Input::Consumed(vec![mark]));
    assert_eq!(told(&world, parent, &origin), [1]);
    assert_eq!(told(&world, other, &origin), [NO_MATTER]);
}

#[test]
fn an_application_that_hangs_is_not_waited_for_and_the_origin_hears_of_it() {
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
fn a_receiver_repeats_its_direct_report_while_its_link_is_busy_and_its_application_keeps_up() {
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
fn an_application_that_works_on_other_streams_first_is_waited_for() {
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
