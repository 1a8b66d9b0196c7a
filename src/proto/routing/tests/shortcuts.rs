//! Pairs that move from the overlay to a shortcut and back.

use super::*;

/// A shortcut between the nodes 0 and 2 of a line.
const LANE: LinkId = LinkId(1000);

impl World {
    fn up(&mut self, lane: LinkId) {
        self.prepare(lane);
        self.input(0, Input::ShortcutUp(2, lane));
        self.input(2, Input::ShortcutUp(0, lane));
    }

    fn prepare(&mut self, lane: LinkId) {
        let ends = [0, 2].map(|node| (node, VecDeque::new()));
        self.lanes.insert(lane, ends.into());
    }

    /// Delivers what waits on a shortcut for a node.
    fn cross(&mut self, lane: LinkId, to: usize) {
        while let Some(frame) = self.next_on(lane, to) {
            self.input(to, Input::Frame(lane, frame));
        }
    }

    fn next_on(&mut self, lane: LinkId, to: usize) -> Option<Frame> {
        self.lanes.get_mut(&lane)?.get_mut(&to)?.pop_front()
    }

    fn lost(&self, node: usize) -> u64 {
        self.nodes[node].counters().missed
    }
}

fn world() -> World {
    World::new(3, &LINE[..2])
}

#[test]
fn letters_that_come_early_over_a_shortcut_wait_for_those_on_the_overlay() {
    let mut world = world();
    world.send(0, &[2], "a");
    world.send(0, &[2], "b");
    world.up(LANE);
    world.send(0, &[2], "c");
    world.cross(LANE, 2);
    assert_eq!(world.texts(2), [""; 0]);
    assert!(world.nodes[2].early_bytes() > 0);
    world.deliver();
    assert_eq!(world.texts(2), ["[\"a\"]", "[\"b\"]", "[\"c\"]"]);
    assert_eq!((world.nodes[2].early_bytes(), world.lost(2)), (0, 0));
    world.cross(LANE, 0);
    assert_eq!(world.window(0, 2), 0);
}

#[test]
fn letters_that_come_early_over_the_overlay_wait_for_those_on_the_shortcut() {
    let mut world = world();
    world.up(LANE);
    world.send(0, &[2], "a");
    world.cross(LANE, 2);
    world.send(0, &[2], "b");
    world.input(0, Input::ShortcutEnds(LANE));
    world.send(0, &[2], "c");
    world.deliver();
    assert_eq!(world.texts(2), ["[\"a\"]"]);
    world.cross(LANE, 2);
    assert_eq!(world.texts(2), ["[\"a\"]", "[\"b\"]", "[\"c\"]"]);
    assert_eq!(world.lost(2), 0);
}

#[test]
fn the_note_that_ends_a_path_tells_what_was_lost_on_it() {
    let mut world = world();
    world.send(0, &[2], "a");
    world.send(0, &[2], "b");
    world.up(LANE);
    world.send(0, &[2], "c");
    world.cross(LANE, 2);
    // The overlay loses the first two letters, and not the note behind them.
    world.wire.drain(..2);
    world.deliver();
    assert_eq!(world.texts(2), ["[\"c\"]"]);
    assert_eq!(world.lost(2), 2);
}

#[test]
fn a_silent_path_is_waited_for_no_longer_than_for_a_record() {
    let mut world = world();
    world.send(0, &[2], "a");
    world.deliver();
    world.send(0, &[2], "lost");
    world.up(LANE);
    world.wire.clear();
    world.send(0, &[2], "b");
    world.cross(LANE, 2);
    world.run(Duration::from_millis(1900));
    assert_eq!(world.texts(2), ["[\"a\"]"]);
    world.run(Duration::from_millis(700));
    assert_eq!(world.texts(2), ["[\"a\"]", "[\"b\"]"]);
    world.send(0, &[2], "c");
    world.cross(LANE, 2);
    world.cross(LANE, 0);
    assert_eq!((world.lost(2), world.window(0, 2)), (1, 0));
}

#[test]
fn a_shortcut_that_breaks_is_not_waited_for() {
    let mut world = world();
    world.up(LANE);
    world.send(0, &[2], "a");
    world.cross(LANE, 2);
    world.send(0, &[2], "lost");
    world.prepare(LANE);
    world.input(0, Input::ShortcutDown(LANE));
    world.send(0, &[2], "b");
    world.deliver();
    assert_eq!(world.texts(2), ["[\"a\"]"], "the shortcut may bring more");
    world.input(2, Input::ShortcutDown(LANE));
    world.deliver();
    assert_eq!(world.texts(2), ["[\"a\"]", "[\"b\"]"]);
    assert_eq!((world.lost(2), world.window(0, 2)), (1, 0));
}

#[test]
fn a_window_opens_again_when_all_that_was_sent_over_a_shortcut_is_lost() {
    let mut world = world();
    world.up(LANE);
    world.send(0, &[2], "a");
    world.prepare(LANE);
    for node in [0, 2] {
        world.input(node, Input::ShortcutDown(LANE));
    }
    assert!(world.window(0, 2) > 0);
    world.run(Duration::from_secs(3));
    assert_eq!((world.lost(2), world.window(0, 2)), (1, 0));
}

#[test]
fn senders_wait_while_their_shortcut_is_crowded() {
    let mut world = world();
    world.up(LANE);
    world.views[0].crowded.insert(LinkId(1));
    world.input(0, Input::Pressure);
    world.send(0, &[2], "a");
    assert!(world.window(0, 2) < 1 << 20, "the overlay does not matter");
    world.views[0].crowded.insert(LANE);
    world.input(0, Input::Pressure);
    assert!(world.window(0, 2) > 1 << 20);
}

#[test]
fn a_shortcut_brings_only_letters_and_notes_from_its_one_end_to_the_other() {
    let mut world = world();
    world.up(LANE);
    world.send(0, &[2], "a");
    world.next_on(LANE, 2).unwrap();
    let Some(Frame::Letter(letter)) = world.next_on(LANE, 2) else {
        panic!("a letter")
    };
    let changes: [fn(&mut Letter); 4] = [
        |letter| letter.from = origin(1),
        |letter| letter.from.epoch += 1,
        |letter| letter.to[0].origin = origin(1),
        |letter| {
            letter.to.push(Receiver {
                origin: origin(1),
                ..letter.to[0].clone()
            })
        },
    ];
    for change in changes {
        let mut letter = letter.clone();
        change(&mut letter);
        world.input(2, Input::Frame(LANE, Frame::Letter(letter)));
        assert_eq!(world.other[2].pop(), Some(Output::Stray(LANE)));
    }
    let note = Note {
        hops: 1,
        from: origin(0),
        to: origin(1),
        session: 1,
        what: What::Sent(9),
        code: None,
    };
    world.input(2, Input::Frame(LANE, Frame::Note(note)));
    assert_eq!(world.other[2].pop(), Some(Output::Stray(LANE)));
    assert!(world.wire.is_empty() && world.texts(2).is_empty());
}

#[test]
fn a_note_of_the_greatest_number_makes_letters_late_and_does_no_harm() {
    for path in [LinkId(1), LANE] {
        let mut world = world();
        world.up(LANE);
        world.send(0, &[2], "a");
        world.cross(LANE, 2);
        let note = Note {
            hops: 1,
            from: origin(0),
            to: origin(2),
            session: 1,
            what: What::Sent(u64::MAX),
            code: None,
        };
        for _ in 0..4 {
            world.input(2, Input::Frame(path, Frame::Note(note.clone())));
            world.run(Duration::from_secs(1));
        }
        world.input(2, Input::ShortcutDown(LANE));
        world.input(2, Input::Frame(LinkId(1), Frame::Note(note)));
        world.send(0, &[2], "b");
        world.cross(LANE, 2);
        assert_eq!(world.texts(2), ["[\"a\"]"], "{path}");
    }
}

#[test]
fn early_letters_are_bounded() {
    let mut world = world();
    world.send(0, &[2], "lost");
    world.wire.clear();
    world.up(LANE);
    world.wire.clear();
    for _ in 0..30 {
        world.send(0, &[2], &"x".repeat(100_000));
        world.cross(LANE, 2);
        let early = world.nodes[2].early_bytes();
        assert!(early <= MAX_EARLY_OF_ONE, "{early}");
    }
    assert_eq!(
        world.texts(2).len(),
        30,
        "those that were too many were given"
    );
    assert_eq!(world.nodes[2].early_bytes(), 0);
    // The letters of a member that leaves go with it.
    world.input(2, Input::ShortcutDown(LANE));
    world.up(LinkId(1001));
    world.input(2, Input::Left(0));
    assert_eq!(world.nodes[2].early_bytes(), 0);
}

/// What becomes of a shortcut in the random runs below.
#[derive(Default)]
struct Life {
    lane: Option<LinkId>,
    /// For each end: it is up, it has said goodbye, and it has got a frame.
    ends: BTreeMap<usize, (bool, bool, bool)>,
    made: u32,
}

impl Life {
    fn begin(&mut self, world: &mut World, first: usize) {
        self.made += 1;
        let lane = LinkId(1000 + self.made);
        world.prepare(lane);
        (self.lane, self.ends) = (Some(lane), [0, 2].map(|it| (it, <_>::default())).into());
        self.rise(world, first);
    }

    fn rise(&mut self, world: &mut World, node: usize) {
        let (Some(lane), Some(end)) = (self.lane, self.ends.get_mut(&node)) else {
            return;
        };
        if !std::mem::replace(&mut end.0, true) {
            world.input(node, Input::ShortcutUp(2 - node as u32, lane));
        }
    }

    fn is_whole(&self) -> bool {
        self.ends.len() == 2
            && self
                .ends
                .values()
                .all(|(is_up, _, has_got)| *is_up && *has_got)
    }

    fn bid_farewell(&mut self, world: &mut World, node: usize) {
        let Some(lane) = self.lane else { return };
        // A shortcut lives longer than its handshake takes.
        if self.is_whole() {
            let Some(end) = self.ends.get_mut(&node) else {
                return;
            };
            end.1 = true;
            world.input(node, Input::ShortcutEnds(lane));
        }
    }

    /// What comes first for a node on the shortcut: a frame, the other end's goodbye, or the end.
    fn step(&mut self, world: &mut World, node: usize) {
        let Some(lane) = self.lane.filter(|_| self.ends.contains_key(&node)) else {
            return;
        };
        // The ack comes before everything else.
        self.rise(world, node);
        if let Some(frame) = world.next_on(lane, node) {
            if let Some(end) = self.ends.get_mut(&node) {
                end.2 = true;
            }
            return world.input(node, Input::Frame(lane, frame));
        }
        let other = self.ends.get(&(2 - node)).copied();
        if other.is_none_or(|(_, goodbye, _)| goodbye) {
            world.input(node, Input::ShortcutEnds(lane));
            world.input(node, Input::ShortcutDown(lane));
            self.ends.remove(&node);
        }
        if self.ends.is_empty() {
            self.lane = None;
        }
    }

    /// The link breaks: what is on it is lost, and its ends hear of it one after the other.
    fn snap(&mut self, world: &mut World, node: usize) {
        let Some(lane) = self.lane else { return };
        world.lanes.insert(lane, BTreeMap::new());
        if self.ends.remove(&node).is_some() {
            world.input(node, Input::ShortcutDown(lane));
        }
        if self.ends.is_empty() {
            self.lane = None;
        }
    }
}

/// Two nodes talk while their shortcut comes and goes. Returns how much each was given and sent.
fn play(seed: u64, snaps: bool) -> [(Vec<u64>, u64); 2] {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut world = world();
    let mut life = Life::default();
    let mut said = [0, 0];
    for _ in 0..rng.usize(10..200) {
        let node = [0, 2][rng.usize(..2)];
        match rng.u32(..12) {
            0..4 => {
                said[node / 2] += 1;
                let text = said[node / 2].to_string();
                world.send(node, &[2 - node as u32], &text);
            }
            4..7 if !world.wire.is_empty() => {
                // Any link may be the next one, but each brings its frames in order.
                let (to, link, _) = world.wire[rng.usize(..world.wire.len())];
                let is_first = |it: &(usize, LinkId, Frame)| it.0 == to && it.1 == link;
                let first = world.wire.iter().position(is_first).unwrap();
                let (to, link, frame) = world.wire.remove(first).unwrap();
                world.input(to, Input::Frame(link, frame));
            }
            7..10 => life.step(&mut world, node),
            10 if life.lane.is_none() => life.begin(&mut world, node),
            10 => life.bid_farewell(&mut world, node),
            11 if snaps && rng.u32(..4) == 0 => life.snap(&mut world, node),
            11 if snaps => world.now = world.now.after(Duration::from_millis(rng.u64(..900))),
            _ => {}
        }
    }
    for _ in 0..1000 {
        world.deliver();
        life.step(&mut world, 0);
        life.step(&mut world, 2);
    }
    world.run(Duration::from_secs(5));
    for _ in 0..1000 {
        world.deliver();
        life.step(&mut world, 0);
        life.step(&mut world, 2);
    }
    for node in [0, 2] {
        assert_eq!(world.window(node, 2 - node as u32), 0, "seed {seed}");
        assert_eq!(world.nodes[node].early_bytes(), 0, "seed {seed}");
    }
    [2, 0].map(|node| {
        let numbers = world.texts(node).into_iter();
        let numbers = numbers.map(|text| text[2..text.len() - 2].parse().unwrap());
        (numbers.collect(), said[1 - node / 2])
    })
}

#[test]
fn moves_in_peace_lose_nothing_and_keep_the_order() {
    for seed in 0..3000 {
        for (given, said) in play(seed, false) {
            assert_eq!(given, (1..=said).collect::<Vec<u64>>(), "seed {seed}");
        }
    }
}

#[test]
fn messages_stay_in_order_and_come_at_most_once_when_shortcuts_break() {
    for seed in 0..3000 {
        for (given, said) in play(seed, true) {
            assert!(given.is_sorted_by(|a, b| a < b), "seed {seed}: {given:?}");
            assert!(given.iter().all(|number| *number <= said), "seed {seed}");
        }
    }
}
