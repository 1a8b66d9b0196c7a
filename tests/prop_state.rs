//! Random inputs in random order: the invariants of one node hold.
//!
//! `PROPTEST_CASES` sets the number of cases; failing cases are kept beside this file.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use smokesignal::Config;
use smokesignal::proto::{
    Beacon, Event, Hello, HelloNative, Input, Intent, Item, Level, LinkId, Mark, Message, Moment,
    Native, NodeId, Origin, Output, Payload, PeerAddress, Place, Publish, Range, State, Target,
    Timer, Timers, Watermark,
};

const MIN: usize = 3;
const MAX: usize = 5;

/// One input of a node. Numbers name links, peers and so on, modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    Accept,
    Handshake(usize, u8, bool, Intent),
    Ack(usize, u8, bool, Intent),
    Connected(usize),
    DialFailed(usize),
    Publish(usize, u8, u64, u32, bool),
    IHave(usize, u8, u64),
    Graft(usize, u8, u64, u64),
    Gone(usize, u8, u64, u64),
    Prune(usize, u8),
    ForwardJoin(usize, bool, u8, u8),
    Shuffle(usize, u32, u8, u8),
    Contacts(usize, u32, u8),
    Goodbye(usize, bool),
    Beacon(usize, u8, u64),
    BeaconTree(usize, u8, bool),
    Request(usize, u8),
    Closed(usize),
    Pressure(usize, Level),
    Broadcast(u8),
    ClosePeer(usize),
    Pass(u32),
    Consume(u8),
    Moving(usize),
    Consumed(usize, u8, u64),
    DirectConsumed(usize, u64),
    Oversized(usize, u8, u64, u64),
    Stalled(usize, u8, u8),
}

fn intent() -> impl Strategy<Value = Intent> {
    prop::sample::select(Intent::ALL.to_vec())
}

fn step() -> impl Strategy<Value = Step> {
    let link = 0..8_usize;
    let who = 0..12_u8;
    let seq = 1..40_u64;
    // Claims include numbers that no broadcast has.
    let far = u64::MAX - 3..=u64::MAX;
    let claim = prop_oneof![9 => 0..60_u64, 1 => far.clone()];
    let asked = prop_oneof![9 => seq.clone(), 1 => far];
    let level = prop::sample::select(vec![Level::Low, Level::High, Level::Full]);
    prop_oneof![
        3 => Just(Step::Accept),
        4 => (link.clone(), who.clone(), prop::bool::weighted(0.8), intent())
            .prop_map(|(l, w, n, i)| Step::Handshake(l, w, n, i)),
        2 => (link.clone(), who.clone(), prop::bool::weighted(0.8), intent())
            .prop_map(|(l, w, n, i)| Step::Ack(l, w, n, i)),
        2 => link.clone().prop_map(Step::Connected),
        2 => link.clone().prop_map(Step::DialFailed),
        10 => (link.clone(), 0..3_u8, seq.clone(), 1..5_u32, any::<bool>())
            .prop_map(|(l, o, f, c, r)| Step::Publish(l, o, f, c, r)),
        4 => (link.clone(), 0..3_u8, claim.clone()).prop_map(|(l, o, h)| Step::IHave(l, o, h)),
        2 => (link.clone(), 0..4_u8, asked.clone(), 0..20_u64)
            .prop_map(|(l, o, f, n)| Step::Graft(l, o, f, n)),
        2 => (link.clone(), 0..3_u8, asked.clone(), 0..20_u64)
            .prop_map(|(l, o, f, n)| Step::Gone(l, o, f, n)),
        2 => (link.clone(), 0..4_u8).prop_map(|(l, o)| Step::Prune(l, o)),
        2 => (link.clone(), any::<bool>(), any::<u8>(), who.clone())
            .prop_map(|(l, u, t, w)| Step::ForwardJoin(l, u, t, w)),
        2 => (link.clone(), 0..4_u32, any::<u8>(), 0..32_u8)
            .prop_map(|(l, n, t, c)| Step::Shuffle(l, n, t, c)),
        2 => (link.clone(), 0..4_u32, 0..32_u8).prop_map(|(l, n, c)| Step::Contacts(l, n, c)),
        1 => (link.clone(), any::<bool>()).prop_map(|(l, k)| Step::Goodbye(l, k)),
        2 => (link.clone(), who.clone(), 0..9_u64).prop_map(|(l, w, n)| Step::Beacon(l, w, n)),
        1 => (link.clone(), who.clone(), any::<bool>())
            .prop_map(|(l, w, y)| Step::BeaconTree(l, w, y)),
        1 => (link.clone(), who.clone()).prop_map(|(l, w)| Step::Request(l, w)),
        2 => link.clone().prop_map(Step::Closed),
        1 => (link.clone(), level).prop_map(|(l, v)| Step::Pressure(l, v)),
        2 => (1..4_u8).prop_map(Step::Broadcast),
        1 => link.clone().prop_map(Step::ClosePeer),
        3 => (0..4_u8).prop_map(Step::Consume),
        1 => link.clone().prop_map(Step::Moving),
        2 => (link.clone(), 0..3_u8, claim).prop_map(|(l, o, h)| Step::Consumed(l, o, h)),
        1 => (link.clone(), any::<u64>()).prop_map(|(l, n)| Step::DirectConsumed(l, n)),
        1 => (link.clone(), 0..3_u8, asked, 0..20_u64)
            .prop_map(|(l, o, f, n)| Step::Oversized(l, o, f, n)),
        1 => (link, 0..3_u8, who).prop_map(|(l, o, w)| Step::Stalled(l, o, w)),
        5 => (0..3_000_000_u32).prop_map(Step::Pass),
    ]
}

fn id(number: u8) -> NodeId {
    // The node itself is "n05"; some peers claim that id.
    NodeId::parse(&format!("n{number:02}")).unwrap()
}

fn contact(number: u8) -> PeerAddress {
    PeerAddress {
        id: id(number),
        address: [10, 0, 0, number].into(),
        port: 4000,
    }
}

fn hello(number: u8, native: bool, intent: Intent) -> Hello {
    let native = native.then(|| HelloNative {
        version: 1,
        address: contact(number).address.to_string(),
        port: 4000,
        epoch: 1,
        intent,
        windows: number.is_multiple_of(2),
        max_message: (number == 4).then_some(4),
        place: Place {
            shortcut: number.is_multiple_of(3),
            ..Place::default()
        },
    });
    Hello {
        id: id(number),
        native,
    }
}

fn origin(number: u8) -> Origin {
    Origin {
        id: NodeId::parse(&format!("o{number}")).unwrap(),
        epoch: 1,
    }
}

fn text(origin: u8, seq: u64) -> String {
    format!("[\"m\",{origin},{seq}]")
}

/// The node under test, with the state of its driver.
struct Bench {
    state: State,
    now: Moment,
    timers: Timers,
    /// Links that the node has not closed.
    links: Vec<LinkId>,
    dials: Vec<LinkId>,
    peers: HashMap<LinkId, NodeId>,
    /// Delivered broadcasts, by origin and sequence number.
    delivered: BTreeSet<(u8, u64)>,
    /// Marks that the application got and has not consumed.
    given: Vec<Mark>,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let config = Config {
            address: "10.0.0.5".to_owned(),
            min_peers: MIN,
            max_peers: MAX,
            seeds: vec![Target::from(SocketAddr::from((contact(1).address, 4000)))],
            ..Config::default()
        };
        let mut bench = Self {
            state: State::new(config, id(5), seed),
            now: Moment(1_000_000),
            timers: Timers::default(),
            links: Vec::new(),
            dials: Vec::new(),
            peers: HashMap::new(),
            delivered: BTreeSet::new(),
            given: Vec::new(),
        };
        bench.input(Input::Started { port: 4000 });
        bench
    }

    fn input(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.state.handle(self.now, input, &mut outputs);
        for output in outputs {
            match output {
                Output::Dial { link, .. } => self.dials.push(link),
                Output::Send { link, data } => {
                    assert!(
                        self.links.contains(&link),
                        "sends on {link}, which is closed"
                    );
                    assert!(!data.is_empty());
                }
                Output::Close { link, how } => {
                    self.dials.retain(|other| *other != link);
                    if how != smokesignal::proto::CloseHow::HalfClose {
                        self.links.retain(|other| *other != link);
                    }
                }
                Output::Shortcut { link } => panic!("{link} is a shortcut to a stranger"),
                Output::SetTimer { timer, after } => self.timers.set(timer, self.now.after(after)),
                Output::CancelTimer(timer) => self.timers.cancel(timer),
                Output::Event(event) => {
                    self.given.extend(event.mark());
                    self.event(event);
                }
                Output::Window {
                    outstanding, size, ..
                } => assert!(size > 0, "{outstanding} of {size}"),
            }
        }
        self.check();
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::PeerAdded { link, id: peer, .. } => {
                assert_ne!(peer, id(5), "a peer of itself");
                assert!(
                    !self.peers.values().any(|other| *other == peer),
                    "{peer} twice"
                );
                assert!(self.links.contains(&link));
                assert_eq!(self.peers.insert(link, peer), None);
            }
            Event::PeerRemoved { link, .. } => {
                assert!(self.peers.remove(&link).is_some(), "{link} was no peer");
            }
            Event::Broadcast { payload, .. } => {
                for item in payload.items() {
                    let Item::Event(text) = item else {
                        panic!("{item:?}")
                    };
                    let (_, origin, seq): (String, u8, u64) =
                        serde_json::from_slice(&text).unwrap();
                    // They may be out of order: these peers lie about their broadcasts.
                    assert!(
                        self.delivered.insert((origin, seq)),
                        "{seq} of {origin} twice"
                    );
                }
            }
            _ => {}
        }
    }

    fn check(&self) {
        let peers: HashMap<LinkId, NodeId> = self
            .state
            .peers()
            .map(|(link, id)| (link, id.clone()))
            .collect();
        assert_eq!(peers, self.peers, "events name the peers");
        assert!(peers.len() <= MAX);
        let footprint = self.state.footprint();
        assert_eq!(footprint.links, self.links.len() + self.dials.len());
        assert!(footprint.addresses <= 30 + 64 + 64 + 16, "{footprint:?}");
        assert!(footprint.beacons <= 16, "{footprint:?}");
        assert!(footprint.held_bytes <= 8 << 20, "{footprint:?}");
        // Periodic timers, one per link without a handshake, and one per ping.
        assert!(
            self.timers.len() <= 16 + footprint.links,
            "{:?}",
            self.timers
        );
    }

    fn link(&self, number: usize) -> Option<LinkId> {
        self.links.get(number % self.links.len().max(1)).copied()
    }

    fn receive(&mut self, link: usize, message: Message) {
        if let Some(link) = self.link(link) {
            self.input(Input::Received { link, message });
        }
    }

    /// The decoder accepts native frames only on native links.
    fn frame(&mut self, link: usize, native: Native) {
        self.receive(link, Message::Native(native));
    }

    fn step(&mut self, step: Step) {
        let remote = (contact(9).address, 50_000).into();
        match step {
            Step::Accept if self.links.len() < 8 => {
                let link = self.state.next_link();
                self.links.push(link);
                self.input(Input::Accepted { link, remote });
            }
            Step::Accept => {}
            Step::Handshake(link, who, native, intent) => {
                self.receive(link, Message::Handshake(hello(who, native, intent)));
            }
            Step::Ack(link, who, native, intent) => {
                self.receive(link, Message::HandshakeAck(hello(who, native, intent)));
            }
            Step::Connected(dial) => {
                if !self.dials.is_empty() {
                    let link = self.dials.remove(dial % self.dials.len());
                    self.links.push(link);
                    self.input(Input::Connected { link, remote });
                }
            }
            Step::DialFailed(dial) => {
                if !self.dials.is_empty() {
                    let link = self.dials.remove(dial % self.dials.len());
                    let code = "ECONNREFUSED".to_owned();
                    self.input(Input::DialFailed { link, code });
                }
            }
            Step::Publish(link, number, first, count, repair) => {
                let texts: Vec<_> = (first..)
                    .take(count as usize)
                    .map(|s| text(number, s))
                    .collect();
                self.frame(
                    link,
                    Native::Publish(Publish {
                        origin: origin(number),
                        first,
                        hops: 1,
                        repair,
                        payload: Payload::events(texts.join("\n").into()),
                    }),
                );
            }
            Step::IHave(link, number, high) => {
                let origin = origin(number);
                self.frame(link, Native::IHave(vec![Watermark { origin, high }]));
            }
            Step::Graft(link, number, first, more) => {
                let range = Range {
                    origin: origin(number),
                    first,
                    last: first.saturating_add(more),
                };
                let max_age_ms = u32::MAX;
                self.frame(link, Native::Graft { range, max_age_ms });
            }
            Step::Gone(link, number, first, more) => {
                let last = first.saturating_add(more);
                let origin = origin(number);
                self.frame(
                    link,
                    Native::Gone(Range {
                        origin,
                        first,
                        last,
                    }),
                );
            }
            Step::Prune(link, number) => self.frame(link, Native::Prune(origin(number))),
            Step::ForwardJoin(link, urgent, ttl, who) => {
                let who = contact(who);
                self.frame(link, Native::ForwardJoin { urgent, ttl, who });
            }
            Step::Shuffle(link, nonce, ttl, count) => {
                let contacts = (100..100 + count).map(contact).collect();
                self.frame(
                    link,
                    Native::Shuffle {
                        nonce,
                        ttl,
                        contacts,
                    },
                );
            }
            Step::Contacts(link, nonce, count) => {
                let contacts = (100..100 + count).map(contact).collect();
                self.frame(link, Native::Contacts { nonce, contacts });
            }
            Step::Goodbye(link, keep) => self.frame(link, Native::Goodbye { keep }),
            Step::Beacon(link, who, number) => {
                let beacon = Beacon {
                    origin: Origin {
                        id: id(who),
                        epoch: 1,
                    },
                    address: (contact(who).address, 4000).into(),
                    number,
                };
                self.frame(link, Native::Beacon(beacon));
            }
            Step::BeaconTree(link, who, wanted) => {
                let seed = id(who);
                self.frame(link, Native::BeaconTree { seed, wanted });
            }
            Step::Request(link, who) => self.receive(link, Message::PeerRequest(contact(who))),
            Step::Closed(link) => {
                if let Some(link) = self.link(link) {
                    self.links.retain(|other| *other != link);
                    let reason = "FIN".to_owned();
                    self.input(Input::Closed { link, reason });
                }
            }
            Step::Pressure(link, level) => {
                if let Some(link) = self.link(link) {
                    self.input(Input::Pressure { link, level });
                }
            }
            Step::Broadcast(count) => {
                let texts = vec!["[\"own\"]"; usize::from(count)];
                self.input(Input::Broadcast(Payload::events(texts.join("\n").into())));
            }
            Step::ClosePeer(link) => {
                if let Some(link) = self.link(link) {
                    self.input(Input::ClosePeer { link });
                }
            }
            Step::Consume(count) => {
                let count = usize::from(count).min(self.given.len());
                let marks = self.given.drain(..count).collect();
                self.input(Input::Consumed(marks));
            }
            Step::Moving(link) => {
                let links = self.link(link).into_iter().collect();
                self.input(Input::Moving(links));
            }
            Step::Consumed(link, number, high) => {
                let origin = origin(number);
                self.frame(link, Native::Consumed(vec![Watermark { origin, high }]));
            }
            Step::DirectConsumed(link, count) => self.frame(link, Native::DirectConsumed(count)),
            Step::Oversized(link, number, first, more) => {
                let range = Range {
                    origin: origin(number),
                    first,
                    last: first.saturating_add(more),
                };
                self.frame(link, Native::Oversized(range));
            }
            Step::Stalled(link, number, who) => {
                let (origin, id) = (origin(number), id(who));
                self.frame(link, Native::Stalled { origin, id });
            }
            Step::Pass(micros) => self.pass(Duration::from_micros(u64::from(micros))),
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now.after(time);
        let mut fired = 0;
        while let Some(at) = self.timers.next().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            while let Some(timer) = self.timers.pop(self.now) {
                fired += 1;
                assert!(fired < 10_000, "{timer:?} never ends");
                self.input(Input::TimerFired(timer));
            }
        }
        self.now = until;
    }
}

proptest! {
    #[test]
    fn the_invariants_of_one_node_hold(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..150)) {
        let mut bench = Bench::new(seed);
        for step in steps {
            bench.step(step);
        }
        // Left alone, the node gives up missing broadcasts and closes silent links.
        bench.pass(Duration::from_secs(60));
        prop_assert_eq!(bench.state.footprint().held_bytes, 0);
        bench.input(Input::Stop);
        prop_assert!(bench.peers.is_empty());
        prop_assert_eq!(bench.state.footprint().links, 0);
        let left: Vec<Timer> = std::iter::from_fn(|| bench.timers.pop(Moment(u64::MAX))).collect();
        prop_assert_eq!(left, vec![]);
    }
}
