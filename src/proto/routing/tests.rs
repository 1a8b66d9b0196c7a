mod closed;
mod shortcuts;

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::proto::{Identity, NodeId, PublicKey};

/// Nodes in a graph. Their views of it may be old.
struct World {
    now: Moment,
    nodes: Vec<Routing>,
    views: Vec<View>,
    wakes: Vec<Option<Moment>>,
    wire: VecDeque<(usize, LinkId, Frame)>,
    /// The messages that each application was given, with their senders.
    given: Vec<Vec<(u32, String)>>,
    other: Vec<Vec<Output>>,
    /// Applications consume messages at once.
    eager: bool,
    letters: usize,
    /// The links that are shortcuts, and what waits on each of them, by receiver.
    lanes: BTreeMap<LinkId, BTreeMap<usize, VecDeque<Frame>>>,
}

/// The edges that a node believes in. A link and a handle have the number of the node at the other
/// end.
#[derive(Clone, Default)]
struct View {
    me: usize,
    edges: BTreeSet<(usize, usize)>,
    strangers: BTreeSet<usize>,
    largest: Option<usize>,
    crowded: BTreeSet<LinkId>,
}

fn origin(node: usize) -> Origin {
    let id = NodeId::parse(&format!("n{node}")).unwrap();
    Origin { id, epoch: 7 }
}

/// A node's key in a closed network.
fn identity(node: usize) -> Identity {
    Identity::from_private([node as u8; 32]).unwrap()
}

fn number(id: &NodeId) -> usize {
    id.as_str()[1..].parse().unwrap()
}

impl Roads for View {
    fn way_to(&mut self, id: &NodeId) -> Option<(LinkId, u16)> {
        let to = number(id);
        let mut reached = vec![(self.me, usize::MAX, 0)];
        let mut next = 0;
        while let Some((from, first, length)) = reached.get(next).copied() {
            next += 1;
            for (a, b) in &self.edges {
                for (one, other) in [(*a, *b), (*b, *a)] {
                    if one == from && reached.iter().all(|(it, ..)| *it != other) {
                        let first = if from == self.me { other } else { first };
                        reached.push((other, first, length + 1));
                    }
                }
            }
        }
        let (_, first, length) = *reached[1..].iter().find(|(node, ..)| *node == to)?;
        Some((LinkId(first as u32), length))
    }

    fn handle_of(&self, origin: &Origin) -> Option<u32> {
        let node = number(&origin.id);
        (!self.strangers.contains(&node)).then_some(node as u32)
    }

    fn origin(&self, handle: u32) -> Option<Origin> {
        Some(origin(handle as usize))
    }

    fn key(&self, handle: u32) -> Option<PublicKey> {
        Some(*identity(handle as usize).public())
    }

    fn takes(&self, _: LinkId, bytes: usize) -> bool {
        self.largest.is_none_or(|largest| bytes <= largest)
    }

    fn is_crowded(&self, link: LinkId) -> bool {
        self.crowded.contains(&link)
    }

    fn is_full(&self, _: LinkId) -> bool {
        false
    }
}

fn payload(text: &str) -> Payload {
    Payload::events(Bytes::from(format!("[\"{text}\"]")))
}

impl World {
    fn new(count: usize, edges: &[(usize, usize)]) -> Self {
        Self::of(count, edges, |_| None)
    }

    /// Every node has a key.
    fn closed(count: usize, edges: &[(usize, usize)]) -> Self {
        Self::of(count, edges, |node| Some(identity(node)))
    }

    fn of(
        count: usize,
        edges: &[(usize, usize)],
        identity: impl Fn(usize) -> Option<Identity>,
    ) -> Self {
        let config = Config {
            window: 1 << 20,
            waits: true,
            patience: Duration::from_secs(10),
            identity: None,
        };
        let node = |it| {
            let identity = identity(it);
            let config = Config {
                identity,
                ..config.clone()
            };
            Routing::new(config, origin(it), Moment(0))
        };
        let view = |me| View {
            me,
            edges: edges.iter().copied().collect(),
            ..View::default()
        };
        Self {
            now: Moment(0),
            nodes: (0..count).map(node).collect(),
            views: (0..count).map(view).collect(),
            wakes: vec![None; count],
            wire: VecDeque::new(),
            given: vec![Vec::new(); count],
            other: vec![Vec::new(); count],
            eager: true,
            letters: 0,
            lanes: BTreeMap::new(),
        }
    }

    fn input(&mut self, node: usize, input: Input) {
        let mut out = Vec::new();
        let view = &mut self.views[node];
        self.nodes[node].handle(self.now, input, view, &mut out);
        for output in out {
            match output {
                Output::Send(link, frame, _) => {
                    self.letters += usize::from(matches!(frame, Frame::Letter(_)));
                    let mut bytes = BytesMut::new();
                    let rest = frame.write(&mut bytes);
                    bytes.extend_from_slice(&rest);
                    let frame = Frame::read(frame.kind(), bytes.freeze()).unwrap();
                    let from = LinkId(node as u32);
                    match self.lanes.get_mut(&link) {
                        Some(ends) => {
                            let others = ends.iter_mut().filter(|(to, _)| **to != node);
                            others.for_each(|(_, queue)| queue.push_back(frame.clone()));
                        }
                        None => self.wire.push_back((link.0 as usize, from, frame)),
                    }
                }
                Output::Deliver(handle, payload, mark) => {
                    let text = String::from_utf8(payload.body().to_vec()).unwrap();
                    self.given[node].push((handle, text));
                    if self.eager {
                        self.input(node, Input::Consumed(mark.stream, mark.last));
                    }
                }
                Output::WakeAt(at) => self.wakes[node] = Some(at),
                other => self.other[node].push(other),
            }
        }
    }

    fn deliver(&mut self) {
        while let Some((to, link, frame)) = self.wire.pop_front() {
            self.input(to, Input::Frame(link, frame));
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now.after(time);
        self.deliver();
        loop {
            let wakes = self.wakes.iter().enumerate();
            let next = wakes.filter_map(|(node, at)| Some(((*at)?, node))).min();
            let Some((at, node)) = next.filter(|(at, _)| *at <= end) else {
                break;
            };
            self.now = at.max(self.now);
            self.wakes[node] = None;
            self.input(node, Input::Wake);
            self.deliver();
        }
        self.now = end;
    }

    fn send(&mut self, from: usize, to: &[u32], text: &str) {
        self.input(from, Input::Send(to.to_vec(), payload(text)));
    }

    fn texts(&self, node: usize) -> Vec<&str> {
        self.given[node]
            .iter()
            .map(|(_, text)| text.as_str())
            .collect()
    }

    /// The bytes outstanding from one node to another.
    fn window(&self, from: usize, to: u32) -> usize {
        let windows = self.other[from].iter().rev();
        let mut bytes = windows.filter_map(|output| match output {
            Output::Window(handle, bytes) if *handle == to => Some(*bytes),
            _ => None,
        });
        bytes.next().unwrap_or(0)
    }
}

const LINE: [(usize, usize); 3] = [(0, 1), (1, 2), (2, 3)];

#[test]
fn letters_cross_a_line_in_order_and_their_window_opens_again() {
    let mut world = World::new(4, &LINE);
    for text in ["a", "b", "c"] {
        world.send(0, &[3], text);
    }
    assert!(world.window(0, 3) > 0);
    world.deliver();
    assert_eq!(world.texts(3), ["[\"a\"]", "[\"b\"]", "[\"c\"]"]);
    assert!(world.given[3].iter().all(|(from, _)| *from == 0));
    assert_eq!(world.window(0, 3), 0);
    assert_eq!(world.nodes[1].counters().routed, 3);
    assert_eq!(
        world.nodes[1].footprint(),
        (0, 0),
        "a relay remembers nothing"
    );
}

#[test]
fn one_letter_to_several_is_one_copy_on_each_link() {
    let mut world = World::new(6, &[(0, 1), (1, 2), (2, 3), (2, 4), (2, 5)]);
    world.send(0, &[3, 4, 5], "x");
    world.deliver();
    assert_eq!(world.letters, 5);
    for node in 3..6 {
        assert_eq!(world.texts(node), ["[\"x\"]"]);
    }
}

#[test]
fn a_letter_ends_where_the_views_of_nodes_disagree() {
    let mut world = World::new(5, &[]);
    // Each of 1, 2 and 3 believes that the next one in their circle is the way to 4.
    world.views[0].edges = [(0, 1), (1, 4)].into();
    for (me, next) in [(1, 2), (2, 3), (3, 1)] {
        world.views[me].edges = [(0, 1), (me, next), (next, 4)].into();
    }
    world.send(0, &[4], "x");
    world.run(Duration::from_millis(10));
    assert!(
        world.letters <= 1 + 2 + usize::from(DETOUR),
        "{}",
        world.letters
    );
    assert!(
        world.other[0].contains(&Output::Undelivered(4, 1)),
        "{:?}",
        world.other[0]
    );
}

#[test]
fn undelivered_messages_are_all_counted_and_some_are_reported() {
    let mut world = World::new(3, &LINE[..2]);
    world.views[1].largest = Some(100);
    for _ in 0..50 {
        world.send(0, &[2], &"x".repeat(200));
    }
    world.deliver();
    let reports = |world: &World| {
        let is_report = |output: &&Output| matches!(output, Output::Undelivered(2, 1));
        world.other[0].iter().filter(is_report).count()
    };
    assert_eq!(reports(&world), 10);
    assert_eq!(world.nodes[0].counters().undelivered, 50);
    world.run(Duration::from_secs(3));
    world.send(0, &[2], &"x".repeat(200));
    world.deliver();
    assert_eq!(reports(&world), 11);
}

#[test]
fn no_letter_goes_back_where_it_came_from() {
    let mut world = World::new(3, &[]);
    world.views[0].edges = [(0, 1), (1, 2)].into();
    world.views[1].edges = [(0, 1), (0, 2)].into();
    world.send(0, &[2], "x");
    world.deliver();
    assert_eq!(world.letters, 1);
    assert!(world.other[0].contains(&Output::Undelivered(2, 1)));
}

#[test]
fn late_messages_are_dropped() {
    let mut world = World::new(2, &[(0, 1)]);
    for text in ["a", "b", "c"] {
        world.send(0, &[1], text);
    }
    world.wire.swap(0, 1);
    let again = world.wire[0].clone();
    world.wire.push_back(again);
    world.deliver();
    assert_eq!(world.texts(1), ["[\"b\"]", "[\"c\"]"]);
    assert_eq!(world.nodes[1].counters().missed, 2);
}

#[test]
fn senders_do_not_wait_for_lost_messages() {
    let mut world = World::new(4, &LINE);
    world.send(0, &[3], "a");
    world.deliver();
    world.send(0, &[3], "b");
    world.wire.clear();
    assert!(world.window(0, 3) > 0);
    world.run(Duration::from_secs(3));
    assert_eq!(world.window(0, 3), 0);
    assert_eq!(world.nodes[3].counters().missed, 1);
    world.send(0, &[3], "c");
    world.deliver();
    assert_eq!(world.texts(3), ["[\"a\"]", "[\"c\"]"]);
}

#[test]
fn a_receiver_that_consumes_nothing_is_given_up() {
    let mut world = World::new(2, &[(0, 1)]);
    world.eager = false;
    world.send(0, &[1], "a");
    world.run(Duration::from_secs(9));
    assert!(world.window(0, 1) > 0);
    world.run(Duration::from_secs(3));
    assert!(world.other[0].contains(&Output::Slow(1)));
    assert_eq!(world.window(0, 1), 0);
    for _ in 0..1000 {
        world.send(0, &[1], "more");
    }
    assert_eq!(world.window(0, 1), 0, "nor remembered");
    world.input(1, Input::Consumed(0, 1));
    world.deliver();
    world.send(0, &[1], "on");
    assert!(world.window(0, 1) > 0, "it goes on, and counts again");
}

#[test]
fn letters_of_a_node_that_is_no_member_yet_wait_for_its_record() {
    let mut world = World::new(2, &[(0, 1)]);
    world.views[1].strangers.insert(0);
    for _ in 0..2000 {
        world.send(0, &[1], &"x".repeat(100));
    }
    world.deliver();
    assert!(world.texts(1).is_empty());
    let (_, bytes) = world.nodes[1].footprint();
    assert!((MAX_HELD - 1000..=MAX_HELD).contains(&bytes), "{bytes}");
    world.views[1].strangers.clear();
    world.input(1, Input::Joined(0));
    assert!(world.texts(1).len() > 500);
    world.views[1].strangers.insert(0);
    world.send(0, &[1], "too late");
    world.run(Duration::from_secs(3));
    assert_eq!(world.nodes[1].footprint().1, 0);
}

#[test]
fn a_member_that_comes_back_is_another_session() {
    let mut world = World::new(2, &[(0, 1)]);
    for text in ["a", "b"] {
        world.send(0, &[1], text);
    }
    world.deliver();
    // Only the sender has seen the member leave.
    world.input(0, Input::Left(1));
    world.send(0, &[1], "c");
    world.deliver();
    assert_eq!(world.texts(1).last(), Some(&"[\"c\"]"));
    // Only the receiver has.
    world.send(0, &[1], "late");
    let late = world.wire.pop_front().unwrap();
    world.send(0, &[1], "in time");
    world.deliver();
    world.input(1, Input::Left(0));
    world.wire.push_back(late);
    world.send(0, &[1], "d");
    world.deliver();
    assert!(!world.texts(1).contains(&"[\"late\"]"));
    assert_eq!(world.texts(1).last(), Some(&"[\"d\"]"));
    assert_eq!(world.window(0, 1), 0);
}

#[test]
fn messages_too_large_for_a_peer_are_not_sent() {
    let mut world = World::new(3, &LINE[..2]);
    world.views[1].largest = Some(100);
    world.send(0, &[2], &"x".repeat(200));
    world.deliver();
    assert!(world.texts(2).is_empty());
    assert!(world.other[0].contains(&Output::Undelivered(2, 1)));
}

#[test]
fn senders_over_a_crowded_link_wait() {
    let mut world = World::new(3, &LINE[..2]);
    world.send(0, &[2], "a");
    world.deliver();
    assert_eq!(world.window(0, 2), 0);
    world.views[0].crowded.insert(LinkId(1));
    world.input(0, Input::Pressure);
    assert!(world.window(0, 2) > 1 << 20);
    world.views[0].crowded.clear();
    world.input(0, Input::Pressure);
    assert_eq!(world.window(0, 2), 0);
}

#[test]
fn forged_notes_change_only_a_count() {
    let mut world = World::new(3, &LINE[..2]);
    world.eager = false;
    world.send(0, &[2], "a");
    world.deliver();
    let before = world.window(0, 2);
    for (from, session, what) in [
        (1, 1, What::Consumed(9)),
        (2, 9, What::Consumed(9)),
        (2, 1, What::Consumed(0)),
    ] {
        let note = Note {
            hops: 9,
            from: origin(from),
            to: origin(0),
            session,
            what,
            code: None,
        };
        world.input(0, Input::Frame(LinkId(1), Frame::Note(note)));
    }
    assert_eq!(world.window(0, 2), before);
    // A note that claims far more than was sent.
    let note = Note {
        hops: 9,
        from: origin(2),
        to: origin(0),
        session: 1,
        what: What::Consumed(u64::MAX),
        code: None,
    };
    world.input(0, Input::Frame(LinkId(1), Frame::Note(note)));
    world.send(0, &[2], "b");
    world.input(2, Input::Consumed(0, 1));
    world.deliver();
    assert!(world.window(0, 2) > 0);
}
