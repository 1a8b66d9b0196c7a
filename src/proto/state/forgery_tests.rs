//! Peers that lie about other nodes' broadcasts: what those really say still arrives, once.

use std::time::Duration;

use bytes::Bytes;

use super::State;
use crate::proto::{
    Config, Event, Hello, HelloNative, Input, Intent, LinkId, Message, Moment, Native, NodeId,
    Origin, Output, Payload, Publish, Range, Timers, Watermark,
};

const FAR: u64 = 1 << 60;

struct World {
    state: State,
    now: Moment,
    timers: Timers,
    /// What the application heard.
    heard: Vec<String>,
    skipped: u64,
    /// Bytes sent.
    sent: usize,
}

impl World {
    fn new() -> Self {
        let me = NodeId::parse("me").unwrap();
        let mut world = Self {
            state: State::new(Config::default(), me, 1),
            now: Moment(1),
            timers: Timers::default(),
            heard: Vec::new(),
            skipped: 0,
            sent: 0,
        };
        world.input(Input::Started { port: 1000 });
        world
    }

    fn input(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.state.handle(self.now, input, &mut outputs);
        for output in outputs {
            match output {
                Output::SetTimer { timer, after } => self.timers.set(timer, self.now.after(after)),
                Output::CancelTimer(timer) => self.timers.cancel(timer),
                Output::Event(Event::Broadcast(payload)) => {
                    let text = std::str::from_utf8(payload.body()).unwrap();
                    self.heard.push(text.to_owned());
                }
                Output::Send { data, .. } => self.sent += data.len(),
                Output::Event(Event::Skipped { count, .. }) => self.skipped += count,
                _ => {}
            }
        }
    }

    /// Time goes by; everyone is heard of now and then.
    fn pass(&mut self, millis: u64, peers: &[LinkId]) {
        let end = self.now.after(Duration::from_millis(millis));
        while let Some(at) = self.timers.next().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            for link in peers {
                self.native(*link, Native::Heartbeat);
            }
            if let Some(timer) = self.timers.pop(self.now) {
                self.input(Input::TimerFired(timer));
            }
        }
        self.now = end;
    }

    fn peer(&mut self, id: &str, epoch: u64) -> LinkId {
        let link = self.state.next_link();
        let remote = "10.0.0.9:4000".parse().unwrap();
        self.input(Input::Accepted { link, remote });
        let hello = Hello {
            id: NodeId::parse(id).unwrap(),
            native: Some(HelloNative {
                version: 1,
                address: "10.0.0.9".to_owned(),
                port: 2000,
                epoch,
                intent: Intent::default(),
            }),
        };
        let message = Message::Handshake(hello);
        self.input(Input::Received { link, message });
        link
    }

    fn native(&mut self, link: LinkId, native: Native) {
        let message = Message::Native(native);
        self.input(Input::Received { link, message });
    }

    fn publish(&mut self, link: LinkId, origin: &Origin, first: u64) {
        let publish = Publish {
            origin: origin.clone(),
            first,
            hops: 1,
            repair: false,
            payload: Payload::events(Bytes::from(format!("[\"{first}\"]"))),
        };
        self.native(link, Native::Publish(publish));
    }

    fn claim(&mut self, link: LinkId, origin: &Origin, high: u64) {
        let origin = origin.clone();
        self.native(link, Native::IHave(vec![Watermark { origin, high }]));
    }

    /// The liar claims a number, and that nobody can have what lies before it.
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

fn origin(id: &str) -> Origin {
    Origin {
        id: NodeId::parse(id).unwrap(),
        epoch: 5,
    }
}

fn texts(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    let text = |number| format!("[\"{number}\"]");
    numbers.into_iter().map(text).collect()
}

#[test]
fn a_watermark_from_the_future_does_not_stop_an_origin_that_speaks() {
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
fn what_was_skipped_on_a_liars_word_is_taken_back_when_the_origin_goes_on() {
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
fn a_newcomer_that_was_first_told_a_lie_hears_the_truth() {
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
fn nothing_is_skipped_beyond_what_the_origin_itself_says() {
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
fn a_gap_that_all_peers_know_of_and_nobody_can_fill_is_skipped_at_once() {
    let mut world = World::new();
    let (one, other) = (world.peer("one", 1), world.peer("other", 2));
    let far_away = origin("faraway");
    world.claim(one, &far_away, 0);
    world.publish(one, &far_away, 1);
    for link in [one, other] {
        world.publish(link, &far_away, 10);
    }
    for link in [one, other] {
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
fn nobody_else_speaks_for_this_node() {
    let mut world = World::new();
    let liar = world.peer("liar", 2);
    let own = world.state.publisher.origin().clone();
    world.publish(liar, &own, 1);
    world.publish(liar, &own, FAR);
    world.claim(liar, &own, FAR);
    world.pass(20_000, &[liar]);
    world.input(Input::Broadcast(Payload::events("[\"mine\"]".into())));
    assert!(world.heard.is_empty());
    let stream = world.state.publisher.streams.get(&own).unwrap();
    assert_eq!(stream.next, 2, "our numbers are our own");
}

#[test]
fn origins_that_are_only_claimed_push_no_real_one_out() {
    let mut world = World::new();
    let (relay, liar) = (world.peer("relay", 1), world.peer("liar", 2));
    let far_away = origin("faraway");
    let own = world.state.publisher.origin().clone();
    world.input(Input::Broadcast(Payload::events("[\"mine\"]".into())));
    world.claim(relay, &far_away, 0);
    world.publish(relay, &far_away, 1);
    for number in 0..40_000 {
        world.claim(liar, &origin(&format!("fake{number}")), 7);
    }
    let streams = &world.state.publisher.streams;
    assert_eq!(streams.get(&own).unwrap().next, 2);
    assert_eq!(streams.get(&far_away).unwrap().next, 2);
    assert!(streams.iter().count() <= super::super::streams::MAX_STREAMS);
    assert!(world.state.publisher.gaps.len() <= 1024);
}

#[test]
fn a_peer_that_asks_for_everything_again_and_again_gets_a_bounded_amount() {
    let mut world = World::new();
    let greedy = world.peer("greedy", 1);
    let own = world.state.publisher.origin().clone();
    for _ in 0..8 {
        let text = format!("[\"{}\"]", "x".repeat(1 << 20));
        world.input(Input::Broadcast(Payload::events(text.into())));
    }
    let before = world.sent;
    for _ in 0..1000 {
        let range = Range {
            origin: own.clone(),
            first: 1,
            last: FAR,
        };
        let max_age_ms = u32::MAX;
        world.native(greedy, Native::Graft { range, max_age_ms });
    }
    let repeated = world.sent - before;
    assert!(
        repeated > 32 << 20,
        "what an honest peer may miss is to be had"
    );
    assert!(repeated < 66 << 20, "{repeated} bytes");
}
