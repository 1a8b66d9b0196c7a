//! Letters and notes between members of a closed network.

use super::*;

/// The letter on the wire after node 0 has sent one to node 2 through node 1.
fn letter(world: &mut World, text: &str) -> Letter {
    world.send(0, &[2], text);
    let (_, _, frame) = world.wire.pop_front().unwrap();
    let Frame::Letter(letter) = frame else {
        panic!("{frame:?}")
    };
    letter
}

fn hand(world: &mut World, letter: Letter) {
    world.input(2, Input::Frame(LinkId(1), Frame::Letter(letter)));
}

#[test]
fn letters_arrive_and_their_window_opens_again() {
    let mut world = World::closed(4, &LINE);
    for text in ["a", "b"] {
        world.send(0, &[3], text);
    }
    world.send(0, &[1, 2, 3], "c");
    world.deliver();
    assert_eq!(world.texts(3), ["[\"a\"]", "[\"b\"]", "[\"c\"]"]);
    assert_eq!(world.texts(1), ["[\"c\"]"]);
    assert_eq!(world.window(0, 3), 0);
}

#[test]
fn a_letter_that_was_changed_on_its_way_is_refused() {
    let mut world = World::closed(3, &LINE[..2]);
    let sent = letter(&mut world, "pay 1");
    let changes: [fn(&mut Letter); 6] = [
        |letter| letter.payload = payload("pay 9"),
        |letter| letter.from = origin(1),
        |letter| letter.from.epoch += 1,
        |letter| letter.to[0].first += 1,
        |letter| letter.to[0].session += 1,
        |letter| letter.to[0].code = None,
    ];
    for change in changes {
        let mut letter = sent.clone();
        change(&mut letter);
        hand(&mut world, letter);
    }
    assert!(world.texts(2).is_empty());
    assert_eq!(world.nodes[2].counters().forged, 6);
    hand(&mut world, sent);
    assert_eq!(world.texts(2), ["[\"pay 1\"]"]);
}

#[test]
fn a_letter_that_comes_again_or_that_is_for_another_is_dropped() {
    let mut world = World::closed(3, &LINE[..2]);
    let sent = letter(&mut world, "pay 1");
    for _ in 0..3 {
        hand(&mut world, sent.clone());
    }
    assert_eq!(world.texts(2).len(), 1);
    // Node 1 delivers to itself a letter for node 2.
    let mut stolen = sent;
    stolen.to[0].origin = origin(1);
    world.input(1, Input::Frame(LinkId(0), Frame::Letter(stolen)));
    assert!(world.texts(1).is_empty());
    assert_eq!(world.nodes[1].counters().forged, 1);
}

#[test]
fn a_letter_that_waited_for_its_senders_record_is_then_checked() {
    let mut world = World::closed(3, &LINE[..2]);
    world.views[2].strangers.insert(0);
    let sent = letter(&mut world, "pay 1");
    let mut forged = sent.clone();
    forged.payload = payload("pay 9");
    hand(&mut world, forged);
    hand(&mut world, sent);
    world.views[2].strangers.clear();
    world.input(2, Input::Joined(0));
    assert_eq!(world.texts(2), ["[\"pay 1\"]"]);
    assert_eq!(world.nodes[2].counters().forged, 1);
}

#[test]
fn a_forged_note_neither_opens_a_window_nor_makes_a_receiver_skip() {
    let mut world = World::closed(3, &LINE[..2]);
    world.eager = false;
    world.send(0, &[2], "a");
    world.deliver();
    let before = world.window(0, 2);
    let note = |from, to, what, code| Note {
        hops: 9,
        from: origin(from),
        to: origin(to),
        session: 1,
        what,
        code,
    };
    for (to, from, what) in [(0, 2, What::Consumed(1)), (2, 0, What::Sent(1000))] {
        for code in [None, Some([7; 16])] {
            let forged = Frame::Note(note(from, to, what.clone(), code));
            world.input(to, Input::Frame(LinkId(1), forged));
        }
        assert_eq!(world.nodes[to].counters().forged, 2);
    }
    assert_eq!(world.window(0, 2), before);
    world.eager = true;
    world.send(0, &[2], "b");
    world.deliver();
    assert_eq!(world.texts(2).last(), Some(&"[\"b\"]"));
}

#[test]
fn open_networks_refuse_sealed_frames() {
    let mut closed = World::closed(3, &LINE[..2]);
    let sealed = letter(&mut closed, "x");
    let mut open = World::new(3, &LINE[..2]);
    hand(&mut open, sealed);
    assert!(open.texts(2).is_empty());
    assert_eq!(open.nodes[2].counters().forged, 1);
}

#[test]
fn keys_are_forgotten_with_their_members() {
    let mut world = World::closed(3, &LINE[..2]);
    world.send(0, &[1, 2], "x");
    world.deliver();
    assert_eq!(world.nodes[0].seals.len(), 2);
    for handle in [1, 2] {
        world.input(0, Input::Left(handle));
    }
    assert_eq!(world.nodes[0].seals.len(), 0);
}
