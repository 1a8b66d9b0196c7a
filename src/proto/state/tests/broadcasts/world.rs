//! One state among peers that the tests play.

use std::time::Duration;

use bytes::Bytes;

use crate::proto::State;
use crate::proto::{
    Config, Event, Hello, HelloNative, Input, Intent, LinkId, Mark, Message, Moment, Native,
    NodeId, Origin, Outgoing, Output, Payload, Publish, Timer, Timers, Watermark,
};

pub(super) struct World {
    pub(super) state: State,
    now: Moment,
    timers: Timers,
    /// The broadcasts that the application got.
    pub(super) heard: Vec<String>,
    pub(super) skipped: u64,
    /// How many skips were reported to it.
    pub(super) skips: usize,
    /// How often the repair timer fired.
    pub(super) repairs: usize,
    /// All messages sent.
    pub(super) sent: Vec<(LinkId, Outgoing)>,
    /// The mark of the latest message that the application got.
    pub(super) given: Option<Mark>,
    /// Bytes that not all receivers have consumed yet.
    pub(super) outstanding: usize,
    /// Slow receivers reported to the application.
    pub(super) slow: Vec<NodeId>,
}

impl World {
    pub(super) fn new() -> Self {
        let me = NodeId::parse("me").unwrap();
        let mut world = Self {
            state: State::new(Config::default(), me, 1),
            now: Moment(1),
            timers: Timers::default(),
            heard: Vec::new(),
            skipped: 0,
            skips: 0,
            repairs: 0,
            sent: Vec::new(),
            given: None,
            outstanding: 0,
            slow: Vec::new(),
        };
        world.input(Input::Started { port: 1000 });
        world
    }

    pub(super) fn input(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.state.handle(self.now, input, &mut outputs);
        for output in outputs {
            match output {
                Output::SetTimer { timer, after } => self.timers.set(timer, self.now.after(after)),
                Output::CancelTimer(timer) => self.timers.cancel(timer),
                Output::Window { outstanding, .. } => self.outstanding = outstanding,
                Output::Event(Event::SlowReceiver { id }) => self.slow.push(id),
                Output::Event(Event::Broadcast { payload, mark }) => {
                    self.given = mark;
                    let text = std::str::from_utf8(payload.body()).unwrap();
                    self.heard.push(text.to_owned());
                }
                Output::Event(Event::Direct { mark, .. }) => self.given = mark,
                Output::Send { link, data } => self.sent.push((link, data)),
                Output::Event(Event::Skipped { count, .. }) => {
                    self.skipped += count;
                    self.skips += 1;
                }
                _ => {}
            }
        }
    }

    pub(super) fn sent_bytes(&self) -> usize {
        self.sent.iter().map(|(_, data)| data.len()).sum()
    }

    /// Advances the time; `peers` send heartbeats meanwhile.
    pub(super) fn pass(&mut self, millis: u64, peers: &[LinkId]) {
        let end = self.now.after(Duration::from_millis(millis));
        while let Some(at) = self.timers.next().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            for link in peers {
                self.native(*link, Native::Heartbeat);
            }
            if let Some(timer) = self.timers.pop(self.now) {
                self.repairs += usize::from(timer == Timer::Repair);
                self.input(Input::TimerFired(timer));
            }
        }
        self.now = end;
    }

    pub(super) fn peer(&mut self, id: &str, epoch: u64) -> LinkId {
        self.peer_of(id, epoch, false)
    }

    /// A peer that reports its consumption.
    pub(super) fn receiver(&mut self, id: &str) -> LinkId {
        self.peer_of(id, 1, true)
    }

    fn peer_of(&mut self, id: &str, epoch: u64, windows: bool) -> LinkId {
        let link = self.accept();
        self.hello(link, id, epoch, windows);
        link
    }

    /// A connection without a handshake yet.
    pub(super) fn accept(&mut self) -> LinkId {
        let link = self.state.next_link();
        let remote = "10.0.0.9:4000".parse().unwrap();
        self.input(Input::Accepted { link, remote });
        link
    }

    pub(super) fn hello(&mut self, link: LinkId, id: &str, epoch: u64, windows: bool) {
        let hello = Hello {
            id: NodeId::parse(id).unwrap(),
            native: Some(HelloNative {
                version: 1,
                address: "10.0.0.9".to_owned(),
                port: 2000,
                epoch,
                intent: Intent::default(),
                windows,
                max_message: None,
                place: Default::default(),
            }),
        };
        let message = Message::Handshake(hello);
        self.input(Input::Received { link, message });
    }

    pub(super) fn native(&mut self, link: LinkId, native: Native) {
        let message = Message::Native(native);
        self.input(Input::Received { link, message });
    }

    /// A peer pushes a run of one message, its number.
    pub(super) fn publish(&mut self, link: LinkId, origin: &Origin, first: u64) {
        self.run(link, origin, first, numbered(first), false);
    }

    /// A peer repeats such a run, as a repair.
    pub(super) fn repeat(&mut self, link: LinkId, origin: &Origin, first: u64) {
        self.run(link, origin, first, numbered(first), true);
    }

    pub(super) fn run(
        &mut self,
        link: LinkId,
        origin: &Origin,
        first: u64,
        payload: Payload,
        repair: bool,
    ) {
        let publish = Publish {
            origin: origin.clone(),
            first,
            hops: 1,
            repair,
            payload,
        };
        self.native(link, Native::Publish(publish));
    }

    /// A peer reports how far it has consumed an origin.
    pub(super) fn consumes(&mut self, link: LinkId, origin: &Origin, high: u64) {
        let origin = origin.clone();
        self.native(link, Native::Consumed(vec![Watermark { origin, high }]));
    }

    pub(super) fn claim(&mut self, link: LinkId, origin: &Origin, high: u64) {
        let origin = origin.clone();
        self.native(link, Native::IHave(vec![Watermark { origin, high }]));
    }
}

/// One event, with its number as its name.
fn numbered(first: u64) -> Payload {
    Payload::events(Bytes::from(format!("[\"{first}\"]")))
}

pub(super) fn origin(id: &str) -> Origin {
    Origin {
        id: NodeId::parse(id).unwrap(),
        epoch: 5,
    }
}

pub(super) fn texts(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    let text = |number| format!("[\"{number}\"]");
    numbers.into_iter().map(text).collect()
}
