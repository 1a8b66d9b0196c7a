//! Repairs: whom a node asks, when, and what its peers still hold for it.

use bytes::Bytes;

use super::world::{World, origin, texts};
use crate::proto::codec::native;
use crate::proto::{Input, LinkId, Native, Origin, Payload, Range};

/// The peers that were asked for numbers of `origin` from `first` on, in order.
fn asked(world: &World, origin: &Origin, first: u64) -> Vec<LinkId> {
    let graft = |last| {
        let origin = origin.clone();
        let range = Range {
            origin,
            first,
            last,
        };
        native::graft(&range, u32::MAX)
    };
    let questions: Vec<_> = (first..first + 50).map(graft).collect();
    let sent = world.sent.iter();
    sent.filter(|(_, data)| questions.contains(data))
        .map(|(link, _)| *link)
        .collect()
}

/// A peer answers a question with the runs `first` to `last`.
fn answer(world: &mut World, link: LinkId, origin: &Origin, first: u64, last: u64) {
    for number in first..=last {
        world.repeat(link, origin, number);
    }
}

/// A world whose only peer brings 1 and 4, and joined too late to hold 2 and 3.
fn behind_a_newcomer(origin: &Origin) -> (World, LinkId) {
    let mut world = World::new();
    let newcomer = world.peer("newcomer", 1);
    world.publish(newcomer, origin, 1);
    world.publish(newcomer, origin, 4);
    world.pass(100, &[newcomer]);
    let range = Range {
        origin: origin.clone(),
        first: 2,
        last: 3,
    };
    world.native(newcomer, Native::Gone(range));
    (world, newcomer)
}

#[test]
fn after_an_answer_another_peer_is_asked_within_a_second() {
    let mut world = World::new();
    let origin = origin("o");
    let (first, second) = (world.peer("first", 1), world.peer("second", 1));
    let peers = [first, second];
    world.publish(first, &origin, 1);
    world.claim(first, &origin, 3);
    world.pass(300, &peers);
    assert_eq!(asked(&world, &origin, 2), [first]);
    world.claim(second, &origin, 9);
    answer(&mut world, first, &origin, 2, 3);
    // The first peer still sends frames about broadcasts, but nothing more of this origin.
    for _ in 0..10 {
        world.claim(first, &origin, 3);
        world.pass(120, &peers);
    }
    assert_eq!(asked(&world, &origin, 4), [second]);
}

#[test]
fn a_peer_that_was_pruned_after_its_answer_is_not_waited_for() {
    let mut world = World::new();
    let origin = origin("o");
    let (first, second) = (world.peer("first", 1), world.peer("second", 1));
    let peers = [first, second];
    world.publish(second, &origin, 1);
    world.claim(first, &origin, 3);
    world.pass(300, &peers);
    world.claim(first, &origin, 9);
    answer(&mut world, first, &origin, 2, 3);
    // The second peer pushes, so the first one is pruned.
    world.publish(second, &origin, 4);
    world.publish(first, &origin, 4);
    let prune = native::prune(&origin);
    assert!(world.sent.contains(&(first, prune)));
    world.pass(400, &peers);
    assert_eq!(asked(&world, &origin, 5), [first]);
}

#[test]
fn a_node_that_seeks_peers_skips_nothing_before_it_may_have_found_one() {
    let origin = origin("o");
    let (mut world, newcomer) = behind_a_newcomer(&origin);
    world.pass(400, &[newcomer]);
    assert_eq!((world.skipped, &world.heard), (0, &texts([1])));
    let holder = world.peer("holder", 1);
    world.claim(holder, &origin, 4);
    world.pass(100, &[newcomer, holder]);
    assert_eq!(asked(&world, &origin, 2).last(), Some(&holder));
    answer(&mut world, holder, &origin, 2, 3);
    assert_eq!((world.skipped, &world.heard), (0, &texts([1, 2, 3, 4])));
}

#[test]
fn a_node_that_finds_no_other_peer_skips_within_a_second() {
    let (mut world, newcomer) = behind_a_newcomer(&origin("o"));
    world.pass(900, &[newcomer]);
    assert_eq!((world.skipped, &world.heard), (2, &texts([1, 4])));
}

/// A receiver with its link, and another peer, which has consumed everything. This node has sent
/// 12 MiB. The cache holds 32, and up to 16 of them for receivers that are waited for.
fn after_12_mib(world: &mut World) -> (LinkId, LinkId) {
    let (slow, quick) = (world.receiver("slow"), world.receiver("quick"));
    for _ in 0..192 {
        world.input(Input::Broadcast(large()));
    }
    consumed(world, quick, 192);
    consumed(world, slow, 0);
    (slow, quick)
}

fn large() -> Payload {
    let text = format!("[\"{}\"]", "x".repeat(64 << 10));
    Payload::events(Bytes::from(text))
}

/// A peer reports how far it has consumed this node's broadcasts.
fn consumed(world: &mut World, link: LinkId, high: u64) {
    let own = world.state.publish.origin().clone();
    world.consumes(link, &own, high);
}

/// A peer brings 32 MiB of another origin, as much as the cache holds. `reader` consumes all.
fn fill_the_cache(world: &mut World, link: LinkId, first: u64, reader: LinkId) {
    let other = origin("other");
    for first in first..first + 512 {
        world.run(link, &other, first, large(), false);
        world.consumes(reader, &other, first);
    }
}

/// Whether this node repeats its broadcast `first` for a peer.
fn repeats(world: &mut World, link: LinkId, first: u64) -> bool {
    world.sent.clear();
    let range = Range {
        origin: world.state.publish.origin().clone(),
        first,
        last: first,
    };
    let max_age_ms = u32::MAX;
    world.native(link, Native::Graft { range, max_age_ms });
    let mut sent = world.sent.iter();
    sent.any(|(to, data)| *to == link && data.len() > 64 << 10)
}

fn close(world: &mut World, link: LinkId) {
    let reason = "RESET".into();
    world.input(Input::Closed { link, reason });
}

#[test]
fn broadcasts_stay_cached_for_a_receiver_that_is_waited_for() {
    let mut world = World::new();
    let (slow, quick) = after_12_mib(&mut world);
    fill_the_cache(&mut world, quick, 1, slow);
    assert!(repeats(&mut world, slow, 1));
    consumed(&mut world, slow, 192);
    fill_the_cache(&mut world, quick, 513, slow);
    assert!(!repeats(&mut world, slow, 1));
}

#[test]
fn broadcasts_stay_cached_for_a_receiver_that_left_a_moment_ago() {
    let mut world = World::new();
    let (slow, quick) = after_12_mib(&mut world);
    close(&mut world, slow);
    fill_the_cache(&mut world, quick, 1, slow);
    let back = world.receiver("back");
    assert!(repeats(&mut world, back, 1));
}

#[test]
fn broadcasts_do_not_stay_cached_for_a_receiver_that_left_long_ago() {
    let mut world = World::new();
    let (slow, quick) = after_12_mib(&mut world);
    close(&mut world, slow);
    world.pass(6000, &[quick]);
    fill_the_cache(&mut world, quick, 1, slow);
    let back = world.receiver("back");
    assert!(!repeats(&mut world, back, 1));
}

#[test]
fn broadcasts_stay_cached_for_a_new_peer_that_lacks_them() {
    let mut world = World::new();
    let (slow, quick) = after_12_mib(&mut world);
    close(&mut world, slow);
    world.pass(6000, &[quick]);
    let back = world.receiver("back");
    world.input(Input::Broadcast(large()));
    let own = world.state.publish.origin().clone();
    world.claim(back, &own, 100);
    fill_the_cache(&mut world, quick, 1, back);
    assert!(repeats(&mut world, back, 101));
    assert!(!repeats(&mut world, back, 99));
}
