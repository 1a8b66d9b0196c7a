//! Peers that forge broadcasts and watermarks: real broadcasts still arrive exactly once.

use bytes::Bytes;

use super::world::{World, origin, texts};
use crate::proto::{Input, LinkId, Native, Origin, Payload, Publish, Range};

const FAR: u64 = 1 << 60;

impl World {
    /// The liar claims a watermark, and that all broadcasts below it are gone.
    fn claim_without_proof(&mut self, liar: LinkId, peers: &[LinkId], origin: &Origin) {
        self.claim(liar, origin, FAR);
        self.pass(200, peers);
        let gone = Range {
            origin: origin.clone(),
            first: 1,
            last: FAR,
        };
        self.native(liar, Native::Gone(gone));
    }
}

#[test]
fn a_forged_watermark_does_not_stop_an_active_origin() {
    let mut world = World::new();
    let (relay, liar) = (world.peer("relay", 1), world.peer("liar", 2));
    let far_away = origin("faraway");
    world.claim(relay, &far_away, 0);
    for number in 1..=30 {
        world.publish(relay, &far_away, number);
        world.claim_without_proof(liar, &[relay, liar], &far_away);
        world.publish(liar, &far_away, FAR + number);
        world.pass(1000, &[relay, liar]);
    }
    assert_eq!(world.heard, texts(1..=30));
    assert_eq!(world.skipped, 0);
}

#[test]
fn a_skip_caused_by_a_liar_is_undone_when_the_origin_goes_on() {
    let mut world = World::new();
    let (relay, liar) = (world.peer("relay", 1), world.peer("liar", 2));
    let far_away = origin("faraway");
    world.claim(relay, &far_away, 0);
    for number in 1..=3 {
        world.publish(relay, &far_away, number);
    }
    world.pass(20_000, &[relay, liar]);
    world.claim_without_proof(liar, &[relay, liar], &far_away);
    world.pass(20_000, &[relay, liar]);
    assert_eq!(world.skipped, FAR - 3, "nobody knows better yet");
    for number in 4..=6 {
        world.publish(relay, &far_away, number);
    }
    assert_eq!(world.heard, texts(1..=6));
}

#[test]
fn a_newcomer_recovers_from_a_forged_first_watermark() {
    let mut world = World::new();
    let liar = world.peer("liar", 2);
    let far_away = origin("faraway");
    world.claim(liar, &far_away, FAR);
    let relay = world.peer("relay", 1);
    for number in 1..=3 {
        world.publish(relay, &far_away, number);
    }
    assert_eq!(world.heard, texts(1..=3));
}

#[test]
fn nothing_is_skipped_beyond_the_origins_own_watermark() {
    let mut world = World::new();
    let (source, liar) = (world.peer("source", 5), world.peer("liar", 2));
    let neighbour = origin("source");
    world.claim(source, &neighbour, 0);
    world.publish(source, &neighbour, 1);
    world.pass(20_000, &[source, liar]);
    world.claim_without_proof(liar, &[source, liar], &neighbour);
    world.publish(liar, &neighbour, FAR);
    world.pass(20_000, &[source, liar]);
    world.publish(source, &neighbour, 2);
    assert_eq!(world.heard, texts(1..=2));
    assert_eq!(world.skipped, 0);
}

#[test]
fn a_gap_that_no_peer_can_fill_is_skipped_at_once() {
    let mut world = World::new();
    let (one, other) = (world.peer("one", 1), world.peer("other", 2));
    let far_away = origin("faraway");
    world.claim(one, &far_away, 0);
    world.publish(one, &far_away, 1);
    for link in [one, other] {
        world.publish(link, &far_away, 10);
    }
    // Each peer is asked in turn. Unrequested answers are harmless.
    for link in [one, other, one] {
        world.pass(300, &[one, other]);
        let gone = Range {
            origin: far_away.clone(),
            first: 2,
            last: 9,
        };
        world.native(link, Native::Gone(gone));
    }
    world.pass(300, &[one, other]);
    assert_eq!(world.heard, texts([1, 10]));
    assert_eq!(world.skipped, 8);
}

#[test]
fn the_highest_sequence_numbers_leave_no_gap() {
    for high in [u64::MAX - 1, u64::MAX] {
        let mut world = World::new();
        let (liar, silent) = (world.peer("liar", 1), world.peer("silent", 2));
        let peers = [liar, silent];
        let (fresh, known) = (origin("fresh"), origin("known"));
        world.claim(silent, &known, 0);
        world.publish(silent, &known, 1);
        for origin in [&fresh, &known] {
            world.claim(liar, origin, high);
        }
        world.pass(300, &peers);
        for origin in [&fresh, &known] {
            let origin = origin.clone();
            let (first, last) = (1, high);
            let gone = Range {
                origin,
                first,
                last,
            };
            world.native(liar, Native::Gone(gone));
        }
        world.pass(60_000, &peers);
        assert_eq!(world.state.publish.gaps(), 0);
        assert_eq!(world.skips, 1, "of the one that had begun");
        // The origin's own broadcast overrides the claim.
        world.publish(silent, &known, 2);
        assert_eq!(world.heard, texts([1, 2]));
    }
}

#[test]
fn repeated_requests_for_old_broadcasts_cost_a_bounded_search() {
    let mut world = World::new();
    let own = world.state.publish.origin().clone();
    let runs = 20_000;
    for _ in 0..runs {
        world.input(Input::Broadcast(Payload::events("[\"old\"]".into())));
    }
    world.pass(100, &[]);
    let greedy = world.peer("greedy", 1);
    world.sent.clear();
    for _ in 0..1000 {
        let (origin, first, last) = (own.clone(), 1, FAR);
        let range = Range {
            origin,
            first,
            last,
        };
        let max_age_ms = 10;
        world.native(greedy, Native::Graft { range, max_age_ms });
    }
    // Each answer walked over all of them.
    let walked = world.sent.len() * runs;
    assert!(walked <= 64 * 16_384 + runs, "{walked}");
}

#[test]
fn too_many_gaps_hold_no_broadcast_forever() {
    let mut world = World::new();
    let liar = world.peer("liar", 1);
    for number in 0..2000 {
        let origin = origin(&format!("o{number}"));
        world.publish(liar, &origin, 1000);
    }
    assert_eq!(world.state.publish.gaps(), 1024);
    world.pass(60_000, &[liar]);
    assert_eq!(world.state.publish.gaps(), 0);
    assert_eq!(world.state.footprint().held_bytes, 0);
}

#[test]
fn held_and_cached_runs_do_not_keep_a_receive_buffer_alive() {
    for first in [1, 2] {
        let mut world = World::new();
        let peer = world.peer("peer", 1);
        let buffer = Bytes::from(vec![b' '; 64 << 10]);
        let publish = Publish {
            origin: origin("o"),
            first,
            hops: 1,
            repair: false,
            payload: Payload::events(buffer.slice(..1000)),
        };
        world.native(peer, Native::Publish(publish));
        let [_, cached, held] = world.state.publish.footprint();
        assert_eq!((cached > 0, held > 0), (first == 1, first == 2));
        assert!(buffer.is_unique(), "{first}");
    }
}

#[test]
fn many_gaps_are_checked_less_often() {
    let mut world = World::new();
    let liar = world.peer("liar", 1);
    for number in 0..4000 {
        let origin = origin(&format!("o{number}"));
        world.publish(liar, &origin, 1);
        world.claim(liar, &origin, FAR);
        if number % 40 == 0 {
            world.pass(3, &[liar]);
        }
    }
    assert_eq!(world.state.publish.gaps(), 4000);
    world.repairs = 0;
    world.pass(1000, &[liar]);
    assert!(world.repairs <= 1000 / 62, "{}", world.repairs);
}

#[test]
fn no_graft_asks_beyond_the_highest_sequence_number() {
    let mut world = World::new();
    let (slow, fast) = (world.peer("slow", 1), world.peer("fast", 2));
    let far_away = origin("faraway");
    let last = u64::MAX - 1;
    world.claim(fast, &far_away, last - 1);
    world.pass(2000, &[slow, fast]);
    world.claim(fast, &far_away, last);
    world.pass(100, &[slow, fast]);
    world.sent.clear();
    world.publish(slow, &far_away, last);
    assert_eq!(world.heard, texts([last]));
    assert!(world.sent.is_empty(), "{:?}", world.sent);
}

#[test]
fn no_peer_can_broadcast_as_this_node() {
    let mut world = World::new();
    let liar = world.peer("liar", 2);
    let own = world.state.publish.origin().clone();
    world.publish(liar, &own, 1);
    world.publish(liar, &own, FAR);
    world.claim(liar, &own, FAR);
    world.pass(20_000, &[liar]);
    world.input(Input::Broadcast(Payload::events("[\"mine\"]".into())));
    assert!(world.heard.is_empty());
    let next = world.state.publish.next_of(&own);
    assert_eq!(next, Some(2), "our numbers are our own");
}

#[test]
fn claimed_origins_evict_no_real_one() {
    let mut world = World::new();
    let relay = world.peer("relay", 1);
    let far_away = origin("faraway");
    let own = world.state.publish.origin().clone();
    world.input(Input::Broadcast(Payload::events("[\"mine\"]".into())));
    world.claim(relay, &far_away, 0);
    world.publish(relay, &far_away, 1);
    for life in 0..5 {
        let liar = world.peer(&format!("liar{life}"), 2 + life);
        for number in 0..10_000 {
            world.claim(liar, &origin(&format!("fake{life}x{number}")), 7);
        }
        assert_eq!(world.state.peers.len(), 1, "the liar is thrown out");
    }
    let publish = &world.state.publish;
    assert_eq!(publish.next_of(&own), Some(2));
    assert_eq!(publish.next_of(&far_away), Some(2));
    assert!(publish.footprint()[0] <= crate::proto::publish::MAX_CLAIMED + 2);
    assert!(world.state.publish.gaps() <= 1024);
}

#[test]
fn forged_origins_evict_no_recent_one() {
    let mut world = World::new();
    let (relay, liar) = (world.peer("relay", 1), world.peer("liar", 2));
    let far_away = origin("faraway");
    for number in 1..=3 {
        world.publish(relay, &far_away, number);
    }
    for number in 0..50_000 {
        world.publish(liar, &origin(&format!("made_up{number}")), 1);
        if number % 2000 == 0 {
            world.pass(1000, &[relay, liar]);
        }
    }
    world.heard.clear();
    // A repeated broadcast and a new one.
    for number in 3..=4 {
        world.publish(relay, &far_away, number);
    }
    assert_eq!(world.heard, texts([4]));
    assert!(world.state.counters().relays_refused > 40_000);
}

#[test]
fn the_oldest_origins_are_evicted_first() {
    let mut world = World::new();
    let relays = [1, 2, 3, 4].map(|n| world.peer(&format!("relay{n}"), n));
    let own = world.state.publish.origin().clone();
    let most = crate::proto::publish::MAX_STREAMS;
    for number in 0..most {
        let relay = relays[number % relays.len()];
        world.publish(relay, &origin(&format!("o{number}")), 1);
        world.pass(1, &relays);
    }
    let streams = |world: &World| world.state.footprint().streams;
    assert_eq!(streams(&world), most - most / 16 + 1);
    let has = |name: &str| world.state.publish.next_of(&origin(name)).is_some();
    let oldest = most / 16 - 1;
    assert!(!has("o0") && !has(&format!("o{oldest}")));
    assert!(has(&format!("o{}", oldest + 1)) && has(&format!("o{}", most - 1)));
    assert!(world.state.publish.next_of(&own).is_some());
}

#[test]
fn repeated_grafts_get_a_bounded_number_of_bytes() {
    let mut world = World::new();
    let greedy = world.peer("greedy", 1);
    let own = world.state.publish.origin().clone();
    for _ in 0..8 {
        let text = format!("[\"{}\"]", "x".repeat(1 << 20));
        world.input(Input::Broadcast(Payload::events(text.into())));
    }
    let before = world.sent_bytes();
    for _ in 0..1000 {
        let range = Range {
            origin: own.clone(),
            first: 1,
            last: FAR,
        };
        let max_age_ms = u32::MAX;
        world.native(greedy, Native::Graft { range, max_age_ms });
    }
    let repeated = world.sent_bytes() - before;
    assert!(
        repeated > 32 << 20,
        "what an honest peer may miss is to be had"
    );
    assert!(repeated < 66 << 20, "{repeated} bytes");
}
