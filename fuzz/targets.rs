//! What is fuzzed: functions from bytes to nothing that panic when something is wrong.
//!
//! `tests/fuzz_targets.rs` runs them on random data, in CI; the programs in `fuzz_targets` hand them
//! to libFuzzer, which sees coverage (`npm run fuzz`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use smokesignal::proto::codec::{DecodeError, Decoder, Limits, native};
use smokesignal::proto::legacy::{canonical, line, packet};
use smokesignal::proto::{
    Beacon, Class, CloseHow, Config, Event, Hello, HelloNative, Input, Intent, Level, LinkId,
    Message, Moment, Native, NodeId, Origin, Outgoing, Output, Payload, PeerAddress, Publish,
    Range, Reject, State, Target, Timers, Topic, Watermark,
};

const LIMITS: Limits = Limits {
    unconnected: 1 << 16,
    line: 8192,
    frame: 8192,
};

/// Lines as 0.2.2 wrote them, to begin from.
pub(crate) const CAPTURE: &str = include_str!("../tests/data/legacy-0.2.2.txt");

/// The legacy wire: any bytes, cut anywhere, give the same messages, and hold a bounded amount.
pub(crate) fn lines(data: &[u8]) {
    compare_cuts(data, false);
}

/// The native wire, after the handshake that leads to it.
pub(crate) fn frames(data: &[u8]) {
    let mut stream = line::handshake(&hello(0, true)).to_vec();
    let greeting = stream.len();
    stream.extend_from_slice(data);
    let messages = compare_cuts(&stream, true);
    assert!(greeting == stream.len() - data.len() && !messages.is_empty());
}

/// A frame of each kind, to begin from.
pub(crate) fn some_frames() -> Vec<Vec<u8>> {
    let class = Class::Own;
    let origin = Origin {
        id: node_id(1),
        epoch: 2,
    };
    let range = Range {
        origin: origin.clone(),
        first: 3,
        last: 9,
    };
    let watermark = Watermark {
        origin: origin.clone(),
        high: 5,
    };
    let payloads = [
        Payload::events("[\"a\",1]\n[\"b\"]".into()),
        Payload::chunk(b"chunk"),
        Payload::rich(b"[\"r\",{\"\\u0000b\":0}]", &[b"bytes"]),
    ];
    let (_, text) = packet::new_packet("node1-u1", b"[\"chat\",1]");
    let mut frames = vec![
        native::i_have(&[watermark.clone(), watermark]),
        native::graft(&range, 100),
        native::gone(&range),
        native::prune(&origin),
        native::heartbeat(),
        native::forward_join(true, 6, &who(1)),
        native::shuffle(7, 6, &[who(1), who(2)]),
        native::contacts(7, &[who(1)]),
        native::goodbye(true),
        native::beacon(&Beacon {
            origin: origin.clone(),
            address: address(1),
            number: 4,
        }),
        native::beacon_tree(&node_id(1), true),
        native::packet(Topic::Broadcast, &text, class),
        native::application(&Bytes::from_static(b"[\"my\",\"path\",1]"), class),
    ];
    for payload in payloads {
        frames.push(native::direct(&payload, class));
        let publish = Publish {
            origin: origin.clone(),
            first: 3,
            hops: 1,
            repair: false,
            payload,
        };
        frames.push(native::publish(&publish, class));
    }
    let join = |frame: Outgoing| [frame.head, frame.body].concat();
    frames.into_iter().map(join).collect()
}

/// JSON in JavaScript's own spelling: what is taken is valid, and spelled like that already.
pub(crate) fn json(data: &[u8]) {
    if let Some(text) = canonical(data) {
        assert_eq!(canonical(&text).as_deref(), Some(&text[..]));
    }
    let items = Payload::events(Bytes::copy_from_slice(data))
        .items()
        .count();
    assert_eq!(
        items,
        data.iter().filter(|byte| **byte == b'\n').count() + 1
    );
    drop(packet::event_data(data));
}

fn compare_cuts(stream: &[u8], offers_native: bool) -> Vec<Message> {
    let whole = feed(stream, stream.len().max(1), offers_native);
    let step = stream.first().map_or(1, |byte| usize::from(*byte % 13) + 1);
    let pieces = feed(stream, step, offers_native);
    assert_eq!(whole, pieces);
    whole.0
}

fn feed(stream: &[u8], step: usize, native: bool) -> (Vec<Message>, Result<(), DecodeError>) {
    let mut decoder = Decoder::new(LIMITS, native);
    if stream.last().is_some_and(|byte| byte % 2 == 0) {
        decoder.connected();
    }
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for piece in stream.chunks(step) {
        input.extend_from_slice(piece);
        loop {
            match decoder.next(&mut input) {
                Ok(Some(message)) => {
                    walk(&message);
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
        assert!(input.len() <= LIMITS.line.max(LIMITS.frame + 4), "bounded");
    }
    (messages, Ok(()))
}

/// A payload holds as many items as it says, also when the first are skipped.
fn walk(message: &Message) {
    let payload = match message {
        Message::Direct(payload) => payload,
        Message::Native(Native::Publish(publish)) => &publish.payload,
        _ => return,
    };
    let count = payload.count();
    assert_eq!(payload.items().count() as u64, u64::from(count));
    let rest = payload
        .skip(count / 2)
        .map_or(0, |rest| rest.items().count());
    assert_eq!(rest as u64, u64::from(count - count / 2));
}

/// The state machine, fed with whatever the data makes up: it never panics, speaks on live links
/// only, reports peers consistently, and asks for no more timers than it has things to wait for.
pub(crate) fn state(data: &[u8]) {
    let mut world = World::new(data);
    while world.source.has_more() {
        world.step();
    }
    world.input(Input::Stop);
    assert!(world.links.is_empty(), "stop closes every link");
    assert!(world.peers.is_empty(), "and tells of every peer");
    assert!(world.timers.is_empty(), "and waits for nothing");
}

/// Decisions, read off the data; zeros when it is used up.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn has_more(&self) -> bool {
        !self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    fn chance(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Sequence numbers: mostly small, so that they meet; now and then extreme.
    fn sequence(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..=199 => u64::from(byte % 40) + 1,
            byte @ 200..=229 => u64::from(byte) * 1000 + u64::from(self.byte()),
            230..=240 => (1 << 40) + u64::from(self.byte()),
            255 => u64::MAX,
            _ => u64::MAX - 1 - u64::from(self.byte()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Dialing,
    Open,
    /// We have said all we had to say; the other side closes.
    HalfClosed,
}

/// A driver without a network.
struct World<'a> {
    source: Source<'a>,
    state: State,
    now: Moment,
    timers: Timers,
    links: BTreeMap<LinkId, Phase>,
    peers: BTreeSet<LinkId>,
    /// The node's own, as it says in its handshakes.
    epoch: u64,
}

impl<'a> World<'a> {
    fn new(data: &'a [u8]) -> Self {
        let mut source = Source(data);
        let seed = u64::from(source.byte());
        let config = Config {
            max_peers: source.below(6) + 1,
            native: source.below(8) > 0,
            seeds: vec![target(90); source.below(3)],
            seen_max: 64,
            ..Config::default()
        };
        let mut world = Self {
            source,
            state: State::new(config, node_id(7), seed),
            now: Moment(1),
            timers: Timers::default(),
            links: BTreeMap::new(),
            peers: BTreeSet::new(),
            epoch: 0,
        };
        world.input(Input::Started { port: 1000 });
        world
    }

    fn step(&mut self) {
        let millis = match self.source.byte() {
            byte @ 0..=200 => u64::from(byte % 8),
            byte @ 201..=250 => u64::from(byte) * 4,
            _ => 31_000,
        };
        self.now = self.now.after(Duration::from_millis(millis));
        let mut due = 0;
        while let Some(timer) = self.timers.pop(self.now) {
            self.input(Input::TimerFired(timer));
            due += 1;
            assert!(due < 10_000, "timers that fire without an end");
        }
        let input = self.any_input();
        self.input(input);
    }

    fn any_link(&mut self) -> LinkId {
        let index = self.source.below(self.links.len() + 1);
        // Also one that is long gone, or never was.
        let gone = LinkId(u32::from(self.source.byte()));
        self.links.keys().nth(index).copied().unwrap_or(gone)
    }

    fn any_input(&mut self) -> Input {
        let link = self.any_link();
        match self.source.below(28) {
            0 | 1 => {
                let link = self.state.next_link();
                self.links.insert(link, Phase::Open);
                let remote = address(self.source.byte());
                Input::Accepted { link, remote }
            }
            2 => {
                let Some(link) = self.first(Phase::Dialing) else {
                    return self.broadcast();
                };
                self.links.insert(link, Phase::Open);
                let remote = address(self.source.byte());
                Input::Connected { link, remote }
            }
            3 => {
                let Some(link) = self.first(Phase::Dialing) else {
                    return self.broadcast();
                };
                self.links.remove(&link);
                let code = "ECONNREFUSED".to_owned();
                Input::DialFailed { link, code }
            }
            4 if self.links.get(&link).is_some_and(|l| *l != Phase::Dialing) => {
                self.links.remove(&link);
                let reason = if self.source.chance() { "FIN" } else { "SLOW" };
                let reason = reason.to_owned();
                Input::Closed { link, reason }
            }
            5 => {
                let level = [Level::Low, Level::High, Level::Full][self.source.below(3)];
                Input::Pressure { link, level }
            }
            6 => self.broadcast(),
            7 => Input::Direct {
                link,
                payload: self.payload(),
            },
            8 => Input::Line {
                link,
                text: Bytes::from_static(b"[\"my\",\"path\",1]"),
            },
            9 => Input::AddPeer {
                request: 1,
                target: target(self.source.byte()),
            },
            10 if self.source.below(4) == 0 => Input::ClosePeer { link },
            _ => Input::Received {
                link,
                message: self.message(),
            },
        }
    }

    fn first(&self, phase: Phase) -> Option<LinkId> {
        let mut links = self.links.iter();
        links.find(|(_, p)| **p == phase).map(|(link, _)| *link)
    }

    fn broadcast(&mut self) -> Input {
        Input::Broadcast(self.payload())
    }

    fn payload(&mut self) -> Payload {
        let small = [
            "[\"a\"]",
            "[\"a\",1]\n[\"b\"]",
            "[\"error\"]",
            "no JSON",
            "[\"c\"]\n\n",
        ];
        match self.source.below(8) {
            5 => Payload::chunk(b"chunk"),
            6 => Payload::rich(b"[\"r\",{\"\\u0000b\":0}]", &[b"bytes"]),
            7 => Payload::events(vec![b'x'; 200_000].into()),
            index => Payload::events(small[index].into()),
        }
    }

    fn origin(&mut self) -> Origin {
        let id = self.source.byte();
        // Now and then somebody claims our own numbers.
        let is_own = id % 8 == 7;
        let epoch = if is_own {
            self.epoch
        } else {
            u64::from(id / 64)
        };
        Origin {
            id: node_id(id % 8),
            epoch,
        }
    }

    fn message(&mut self) -> Message {
        match self.source.below(24) {
            0 | 1 => Message::Handshake(self.hello()),
            2 => Message::HandshakeAck(self.hello()),
            3 => Message::PeerRequest(who(self.source.byte())),
            4 => self.packet(),
            5 => Message::Direct(self.payload()),
            6 => Message::Rejected(Reject::BadHash),
            7 => Message::Native(Native::Prune(self.origin())),
            8 | 9 => {
                let count = self.source.below(5);
                let watermark = |source: &mut Self| Watermark {
                    origin: source.origin(),
                    high: source.source.sequence(),
                };
                Message::Native(Native::IHave((0..count).map(|_| watermark(self)).collect()))
            }
            10 => {
                let range = self.range();
                let max_age_ms = if self.source.chance() { u32::MAX } else { 100 };
                Message::Native(Native::Graft { range, max_age_ms })
            }
            11 => Message::Native(Native::Gone(self.range())),
            12 => Message::Native(Native::ForwardJoin {
                urgent: self.source.chance(),
                ttl: self.source.byte(),
                who: who(self.source.byte()),
            }),
            13 => Message::Native(Native::Shuffle {
                nonce: u32::from(self.source.byte() % 4),
                ttl: self.source.byte(),
                contacts: self.contacts(),
            }),
            14 => Message::Native(Native::Contacts {
                nonce: u32::from(self.source.byte() % 4),
                contacts: self.contacts(),
            }),
            15 => Message::Native(Native::Beacon(Beacon {
                origin: self.origin(),
                address: address(self.source.byte()),
                number: self.source.sequence(),
            })),
            16 => Message::Native(Native::BeaconTree {
                seed: node_id(self.source.byte() % 9),
                wanted: self.source.chance(),
            }),
            18 => Message::Native(Native::Consumed(vec![Watermark {
                origin: self.origin(),
                high: self.source.sequence(),
            }])),
            19 => Message::Native(Native::Stalled {
                origin: self.origin(),
                id: node_id(self.source.byte() % 9),
            }),
            20 => Message::Native(Native::Oversized(self.range())),
            21 => Message::Native(Native::DirectConsumed(self.source.sequence())),
            17 => Message::Native(Native::Goodbye {
                keep: self.source.chance(),
            }),
            _ => {
                let (origin, first, payload) =
                    (self.origin(), self.source.sequence(), self.payload());
                let publish = Publish {
                    origin,
                    // As the decoder makes sure.
                    first: first.min(u64::MAX - u64::from(payload.count())),
                    hops: self.source.byte(),
                    repair: self.source.chance(),
                    payload,
                };
                Message::Native(Native::Publish(publish))
            }
        }
    }

    fn hello(&mut self) -> Hello {
        let mut hello = hello(self.source.below(9) as u8, self.source.chance());
        if let Some(native) = &mut hello.native {
            native.intent = Intent::ALL[self.source.below(Intent::ALL.len())];
            native.windows = self.source.chance();
            native.max_message = self.source.chance().then_some(16);
        }
        hello
    }

    fn contacts(&mut self) -> Vec<PeerAddress> {
        let count = self.source.below(9);
        (0..count).map(|_| who(self.source.byte())).collect()
    }

    fn range(&mut self) -> Range {
        let origin = self.origin();
        let (one, other) = (self.source.sequence(), self.source.sequence());
        Range {
            origin,
            first: one.min(other),
            last: one.max(other),
        }
    }

    /// A packet by way of the decoder, which alone makes them.
    fn packet(&mut self) -> Message {
        let from = self.source.byte();
        let id = node_id(from % 8);
        let prefix = match self.source.below(3) {
            0 => format!("{id}-u{}", self.source.byte()),
            1 => format!("{id}-n{:0>13}{:0>13}", 0, self.source.below(40) + 1),
            _ => format!("{id}-n{:0>13}{}", 0, "3w5e11264sgsd"),
        };
        let (topic, data) = match self.source.below(4) {
            0 => (0, b"[\"chat\",1]".to_vec()),
            1 => (0, packet::chunk_data(b"chunk")),
            2 => (1, packet::peer_request_data(&who(from))),
            _ => (
                2,
                packet::ping_data(address(from), address(self.source.byte())),
            ),
        };
        let topic = [Topic::Broadcast, Topic::PeerRequest, Topic::Ping][topic];
        let (_, text) = packet::new_packet(&prefix, &data);
        let mut bytes = BytesMut::from(&line::packet(topic, &text)[..]);
        let mut decoder = Decoder::new(LIMITS, false);
        match decoder.next(&mut bytes) {
            Ok(Some(message)) => message,
            other => panic!("a good packet is read as {other:?}"),
        }
    }

    /// Feeds an input, carries out what comes of it, and looks whether that makes sense.
    fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut outputs = Vec::new();
            self.state.handle(self.now, input, &mut outputs);
            for output in outputs {
                self.carry_out(output);
            }
        }
        let bound = self.links.len() + 16;
        assert!(self.timers.len() <= bound, "{} timers", self.timers.len());
        assert_eq!(self.state.peers().count(), self.peers.len());
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Dial { link, .. } => {
                assert_eq!(
                    self.links.insert(link, Phase::Dialing),
                    None,
                    "a fresh link"
                );
            }
            Output::Send { link, data } => {
                self.learn_epoch(&data.head);
                assert_eq!(self.links.get(&link), Some(&Phase::Open), "{link} is open");
            }
            Output::Close { link, how } => match how {
                CloseHow::HalfClose => {
                    self.links.insert(link, Phase::HalfClosed);
                }
                CloseHow::Flush | CloseHow::Abort => {
                    self.links.remove(&link);
                }
            },
            Output::Shortcut { link } => {
                assert_eq!(self.links.get(&link), Some(&Phase::Open), "{link} is open");
            }
            Output::SetTimer { timer, after } => self.timers.set(timer, self.now.after(after)),
            Output::CancelTimer(timer) => self.timers.cancel(timer),
            Output::Event(event) => self.event(&event),
            Output::Window {
                outstanding, size, ..
            } => assert!(size > 0, "{outstanding} of {size}"),
        }
    }

    fn learn_epoch(&mut self, line: &[u8]) {
        if !line.starts_with(b"[\"smoke\",\"handshake") {
            return;
        }
        let mut bytes = BytesMut::from(line);
        if let Ok(Some(Message::Handshake(hello) | Message::HandshakeAck(hello))) =
            Decoder::new(LIMITS, false).next(&mut bytes)
        {
            self.epoch = hello.native.map_or(0, |native| native.epoch);
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::PeerAdded { link, .. } => {
                assert!(self.peers.insert(*link), "added once");
                assert_eq!(self.links.get(link), Some(&Phase::Open));
            }
            Event::PeerRemoved { link, .. } => assert!(self.peers.remove(link), "removed once"),
            Event::Direct { link, .. } | Event::Line { link, .. } => {
                assert!(self.peers.contains(link), "only peers speak");
            }
            _ => {}
        }
    }
}

fn node_id(number: u8) -> NodeId {
    let id = format!("node{number}");
    NodeId::parse(&id).unwrap_or_else(|| unreachable!("{id} is an id"))
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 1000 + u16::from(number)))
}

fn target(number: u8) -> Target {
    let address = address(number);
    Target {
        host: address.ip().to_string(),
        port: address.port(),
    }
}

fn who(number: u8) -> PeerAddress {
    PeerAddress {
        id: node_id(number % 8),
        address: address(number).ip(),
        port: address(number).port(),
    }
}

fn hello(number: u8, native: bool) -> Hello {
    let address = address(number);
    let native = native.then(|| HelloNative {
        version: 1,
        address: address.ip().to_string(),
        port: address.port(),
        epoch: u64::from(number),
        intent: Intent::default(),
        windows: false,
        max_message: None,
        place: Default::default(),
    });
    Hello {
        id: node_id(number),
        native,
    }
}
