//! Broadcast trees: which peers keep pushing, and which are pruned.

use super::world::{World, origin};
use crate::proto::codec::native;
use crate::proto::{Class, Input, Level, LinkId, Native, Payload, Range, Watermark};

impl World {
    /// The links that were pruned for that origin.
    fn pruned(&self, id: &str) -> Vec<LinkId> {
        let prune = native::prune(&origin(id));
        let prunes = self.sent.iter().filter(|(_, data)| *data == prune);
        prunes.map(|(link, _)| *link).collect()
    }
}

#[test]
fn the_slower_peer_is_pruned_once() {
    let mut world = World::new();
    let (fast, slow) = (world.peer("fast", 1), world.peer("slow", 2));
    for number in 1..=3 {
        world.publish(fast, &origin("o"), number);
        world.publish(slow, &origin("o"), number);
    }
    assert_eq!(world.pruned("o"), [slow]);
}

#[test]
fn peers_that_overtake_each_other_are_never_all_pruned() {
    let mut world = World::new();
    let peers: Vec<LinkId> = ["a", "b", "c"].map(|id| world.peer(id, 1)).into();
    for number in 1..=30 {
        // Broadcasts in flight from a pruned peer sometimes arrive first.
        let first = number as usize % peers.len();
        for turn in 0..peers.len() {
            let link = peers[(first + turn) % peers.len()];
            world.publish(link, &origin("o"), number);
        }
    }
    assert!(world.pruned("o").len() < peers.len());
    assert_eq!(world.heard.len(), 30);
}

#[test]
fn the_origin_is_preferred_to_a_faster_relay() {
    let mut world = World::new();
    let (relay, source) = (world.peer("relay", 1), world.peer("o", 5));
    for number in 1..=3 {
        world.publish(relay, &origin("o"), number);
        world.publish(source, &origin("o"), number);
    }
    assert_eq!(world.pruned("o"), [relay]);
}

#[test]
fn a_newcomer_that_asks_late_gets_all_broadcasts_since_it_joined() {
    let mut world = World::new();
    let text = |number: u64| Payload::events(format!("[\"{number}\"]").into());
    world.input(Input::Broadcast(text(1)));
    world.pass(100, &[]);
    let newcomer = world.peer("newcomer", 1);
    world.input(Input::Broadcast(text(2)));
    // The newcomer asked 10 ms after it joined; the graft took longer to arrive.
    world.pass(500, &[newcomer]);
    world.sent.clear();
    let range = Range {
        origin: world.state.publish.origin().clone(),
        first: 1,
        last: 2,
    };
    let gone = native::gone(&Range {
        last: 1,
        ..range.clone()
    });
    let max_age_ms = 10;
    world.native(newcomer, Native::Graft { range, max_age_ms });
    let [(_, first), (_, second)] = &world.sent[..] else {
        panic!("{:?}", world.sent);
    };
    assert_eq!((&first.head, &first.body), (&gone.head, &gone.body));
    assert_eq!(second.body, "[\"2\"]");
}

#[test]
fn a_newcomer_gets_broadcasts_from_the_start_of_its_connection() {
    let mut world = World::new();
    world.input(Input::Broadcast(Payload::events("[\"1\"]".into())));
    world.pass(100, &[]);
    let newcomer = world.accept();
    // The newcomer may have accepted this node already.
    world.input(Input::Broadcast(Payload::events("[\"2\"]".into())));
    world.sent.clear();
    world.hello(newcomer, "newcomer", 1, false);
    let own = world.state.publish.origin().clone();
    let at = |high| Watermark {
        origin: own.clone(),
        high,
    };
    let mut greeting = native::i_have(&[at(1), at(2)]);
    greeting.class = Class::Own;
    assert!(
        world.sent.contains(&(newcomer, greeting)),
        "{:?}",
        world.sent
    );
}

#[test]
fn a_newcomer_asks_for_broadcasts_sent_while_it_joined() {
    let mut world = World::new();
    let peer = world.peer("peer", 1);
    let speaker = origin("speaker");
    let at = |high| Watermark {
        origin: speaker.clone(),
        high,
    };
    world.native(peer, Native::IHave(vec![at(1), at(2)]));
    world.pass(100, &[peer]);
    let range = Range {
        origin: speaker.clone(),
        first: 2,
        last: 2,
    };
    assert!(
        world
            .sent
            .contains(&(peer, native::graft(&range, u32::MAX)))
    );
}

#[test]
fn a_peer_that_brings_broadcasts_is_asked_once() {
    let mut world = World::new();
    let peer = world.peer("peer", 1);
    let (missed, other) = (origin("missed"), origin("other"));
    world.publish(peer, &missed, 1);
    world.publish(peer, &missed, 10);
    world.sent.clear();
    for number in 1..=20 {
        world.publish(peer, &other, number);
        world.pass(100, &[peer]);
    }
    let range = Range {
        origin: missed,
        first: 2,
        last: 9,
    };
    let graft = native::graft(&range, u32::MAX);
    let asked = world.sent.iter().filter(|(_, data)| *data == graft).count();
    assert_eq!(asked, 1);
}

#[test]
fn a_full_link_gets_no_answers_and_the_watermark_once_it_has_room() {
    let mut world = World::new();
    let peer = world.peer("peer", 1);
    world.input(Input::Broadcast(Payload::events("[\"1\"]".into())));
    let own = world.state.publish.origin().clone();
    world.input(Input::Pressure {
        link: peer,
        level: Level::Full,
    });
    world.sent.clear();
    let range = Range {
        origin: own.clone(),
        first: 1,
        last: 1,
    };
    let max_age_ms = u32::MAX;
    world.native(peer, Native::Graft { range, max_age_ms });
    assert_eq!(world.sent, []);
    world.input(Input::Pressure {
        link: peer,
        level: Level::Low,
    });
    let mut watermark = native::i_have(&[Watermark {
        origin: own,
        high: 1,
    }]);
    watermark.class = Class::Own;
    assert_eq!(world.sent, [(peer, watermark)]);
}
