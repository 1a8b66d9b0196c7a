//! A node without its waiting: its state, its timers and its links. One lock guards it, the core's.
//! Nothing in here waits, and nothing in here calls a function that takes the core's lock.

mod admission;
pub(super) mod command;
pub(super) mod gates;
mod links;
mod pressure;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use self::command::Command;
use self::gates::{Gate, Shared};
use super::api::{LinkStats, Refused, Sink, Stats};
use super::link::outlet::{Outlet, STUCK_AFTER};
use super::link::port::{Port, Report, Role};
use super::lock::lock;
use super::secure::Keys;
use super::wait::Watch;
use crate::proto::{
    Bucket, Config, Event, Input, Level, LinkId, Moment, NodeId, Output, State, Timer, Timers,
};

/// How long a driver sleeps without a timer.
const IDLE: Duration = Duration::from_secs(3600);
/// How often a slow peer that holds broadcasts back is checked.
const HELD_BACK_CHECK: Duration = Duration::from_millis(50);
/// Minimum time between two updates of the result of `stats()`.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// The outcome of a dial.
pub(super) type Dialed = (LinkId, Result<(TcpStream, SocketAddr), &'static str>);

/// A node, without its driver task.
pub(super) struct Core {
    pub(super) config: Config,
    runtime: Handle,
    /// Set in a closed network.
    keys: Option<Arc<Keys>>,
    pub(super) sink: Arc<dyn Sink>,
    shared: Arc<Shared>,
    state: State,
    timers: Timers,
    began: Instant,
    outputs: Vec<Output>,
    /// Inputs that follow from outputs, not handled yet.
    pending: VecDeque<Input>,
    links: HashMap<LinkId, Open>,
    /// The number of messages received so far.
    received: u64,
    /// The largest number of bytes queued on any link for the current message.
    passed_on: usize,
    /// Links with new data to write.
    touched: Vec<LinkId>,
    /// Accepted links without a handshake, oldest first.
    unconnected: BTreeMap<LinkId, (IpAddr, Instant)>,
    tasks: JoinSet<()>,
    dials: HashMap<LinkId, AbortHandle>,
    port: Arc<dyn Port>,
    watch: Weak<Watch>,
    dialed: mpsc::UnboundedSender<Dialed>,
    /// Whether the node carries out commands: between start and stop.
    pub(super) is_running: bool,
    /// When the driver will wake up.
    armed: Instant,
    driver: Arc<Notify>,
    levels_changed: bool,
    refused: Refused,
    /// The rate of connections to accept.
    arrivals: Bucket,
    /// The rate of refusals to report: one a second, ten at once.
    refusals: Bucket,
    /// Refusals since the last reported one.
    untold: u64,
    /// Whether a slow peer holds broadcasts back.
    held_back: bool,
    reported_at: Instant,
}

/// A link that has a socket.
struct Open {
    /// Whether it is in `touched`.
    is_touched: bool,
    remote: SocketAddr,
    outlet: Arc<Outlet>,
    /// The rate of bytes that the link may bring for forwarding.
    relayed: Bucket,
    /// The number of the message last forwarded on it, and its bytes: a legacy peer gets a run as
    /// many lines.
    given: (u64, usize),
    level: Level,
    /// Set once the link is a peer's.
    peer: Option<Peer>,
    /// Whether it is a shortcut.
    is_shortcut: bool,
}

struct Peer {
    id: NodeId,
    native: bool,
    windows: bool,
    gate: Arc<Gate>,
}

impl Open {
    fn is_native(&self) -> bool {
        self.is_shortcut || self.peer.as_ref().is_some_and(|peer| peer.native)
    }
}

/// The core's ends of its channels to the driver.
pub(super) struct Wires {
    pub(super) watch: Weak<Watch>,
    pub(super) dialed: mpsc::UnboundedSender<Dialed>,
    pub(super) driver: Arc<Notify>,
}

/// A link's way to report to its node.
struct Uplink(Weak<Mutex<Core>>);

impl Port for Uplink {
    fn report(&self, link: LinkId, report: Report) -> Duration {
        let Some(core) = self.0.upgrade() else {
            return Duration::ZERO;
        };
        let mut core = lock(&core);
        // A stopped node ignores data that its links still read.
        if !core.is_running {
            return Duration::ZERO;
        }
        core.report(link, report);
        core.conclude();
        core.rest(link)
    }

    fn role(&self, link: LinkId) -> Role {
        let core = self.0.upgrade();
        core.map_or(Role::Unconnected, |core| lock(&core).role(link))
    }
}

impl Core {
    /// Thread: the application's. Locks held: none.
    pub(super) fn new(
        config: Config,
        id: NodeId,
        sink: Arc<dyn Sink>,
        shared: Arc<Shared>,
        runtime: Handle,
        wires: Wires,
    ) -> Arc<Mutex<Self>> {
        Arc::new_cyclic(|core| {
            let port = Arc::new(Uplink(core.clone()));
            let core = Self::with(config, id, sink, shared, runtime, wires, port);
            Mutex::new(core)
        })
    }

    fn with(
        config: Config,
        id: NodeId,
        sink: Arc<dyn Sink>,
        shared: Arc<Shared>,
        runtime: Handle,
        wires: Wires,
        port: Arc<dyn Port>,
    ) -> Self {
        let state = State::new(config.clone(), id, fastrand::u64(..));
        let now = Instant::now();
        let arrivals = config.connections_per_second;
        Self {
            config,
            runtime,
            keys: None,
            sink,
            shared,
            state,
            timers: Timers::default(),
            began: now,
            outputs: Vec::new(),
            pending: VecDeque::new(),
            links: HashMap::new(),
            received: 0,
            passed_on: 0,
            touched: Vec::new(),
            unconnected: BTreeMap::new(),
            tasks: JoinSet::new(),
            dials: HashMap::new(),
            port,
            watch: wires.watch,
            dialed: wires.dialed,
            is_running: false,
            armed: now,
            driver: wires.driver,
            levels_changed: false,
            refused: Refused::default(),
            arrivals: Bucket::new(2.0 * arrivals, arrivals, Moment::default()),
            refusals: Bucket::new(10.0, 1.0, Moment::default()),
            untold: 0,
            held_back: false,
            reported_at: now,
        }
    }
}

/// Thread: any. Locks held: the core's, and of the others at most a link's reading lock.
impl Core {
    fn now(&self) -> Moment {
        Moment(self.began.elapsed().as_micros() as u64)
    }

    /// Starts the node, which listens on `port`.
    pub(super) fn start(&mut self, port: u16, keys: Option<Arc<Keys>>) {
        self.keys = keys;
        self.is_running = true;
        self.handle(Input::Started { port });
        self.settle();
    }

    /// Stops the node. Returns the tasks of its links, which say goodbye, and their outlets.
    pub(super) fn stop(&mut self) -> (JoinSet<()>, Vec<Arc<Outlet>>) {
        self.is_running = false;
        let queues = self.links.values().map(|open| open.outlet.clone());
        let queues = queues.collect();
        self.handle(Input::Stop);
        self.settle();
        for (_, dial) in self.dials.drain() {
            dial.abort();
        }
        (std::mem::take(&mut self.tasks), queues)
    }

    /// Handles due timers, and writes. Returns the time of the next turn.
    pub(super) fn turn(&mut self) -> Instant {
        let now = self.now();
        while let Some(timer) = self.timers.pop(now) {
            if timer == Timer::Window {
                self.note_consumed();
                self.note_moving();
            }
            self.handle(Input::TimerFired(timer));
        }
        // Finished links have already reported their end.
        while self.tasks.try_join_next().is_some() {}
        self.settle();
        self.armed = self.due();
        self.armed
    }

    /// Carries out a command on the calling thread, instead of the driver.
    pub(super) fn carry_over(&mut self, command: Command) {
        self.command(command);
        self.conclude();
    }

    /// Ends a turn on a thread other than the driver's.
    fn conclude(&mut self) {
        self.settle();
        if self.due() < self.armed {
            self.driver.notify_one();
        }
    }

    /// Writes queued data; updates gates and counters.
    fn settle(&mut self) {
        while let Some(link) = self.touched.pop() {
            let Some(open) = self.links.get_mut(&link) else {
                continue;
            };
            open.is_touched = false;
            if let Some(level) = open.outlet.flush() {
                self.level(link, level);
                self.handle_pending();
            }
        }
        self.update_gates();
        self.publish_stats();
    }

    fn due(&self) -> Instant {
        let due = match self.timers.next() {
            Some(Moment(micros)) => self.began + Duration::from_micros(micros),
            None => Instant::now() + IDLE,
        };
        match self.held_back {
            true => due.min(Instant::now() + HELD_BACK_CHECK),
            false => due,
        }
    }

    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Broadcast(payload) => self.handle(Input::Broadcast(payload)),
            Command::Direct(link, payload) => self.handle(Input::Direct { link, payload }),
            Command::SendTo(members, payload) => self.handle(Input::SendTo { members, payload }),
            Command::Body(body) => self.handle(Input::Body(body)),
            Command::Line(link, text) => self.handle(Input::Line { link, text }),
            Command::AddPeer(request, target) => self.handle(Input::AddPeer { request, target }),
            Command::ClosePeer(link) => self.handle(Input::ClosePeer { link }),
            Command::Consumed => self.note_consumed(),
            Command::Reconfigure(max_peers, seeds, address) => {
                self.handle(Input::Reconfigure {
                    max_peers,
                    seeds,
                    address,
                });
            }
            // The driver handles it.
            Command::Stop => {}
        }
    }

    fn note_consumed(&mut self) {
        let marks = self.sink.consumed();
        if !marks.is_empty() {
            self.handle(Input::Consumed(marks));
        }
    }

    fn note_moving(&mut self) {
        let moving = self
            .links
            .iter()
            .filter(|(_, open)| open.outlet.is_draining());
        let links: Vec<LinkId> = moving.map(|(link, _)| *link).collect();
        if !links.is_empty() {
            self.handle(Input::Moving(links));
        }
    }

    /// Feeds `input` to the state, and carries out all resulting outputs and inputs.
    fn handle(&mut self, input: Input) {
        let now = self.now();
        let mut outputs = std::mem::take(&mut self.outputs);
        let mut next = Some(input);
        while let Some(input) = next {
            self.state.handle(now, input, &mut outputs);
            for output in outputs.drain(..) {
                self.carry_out(now, output);
            }
            next = self.pending.pop_front();
        }
        self.outputs = outputs;
    }

    fn handle_pending(&mut self) {
        if let Some(input) = self.pending.pop_front() {
            self.handle(input);
        }
    }

    fn carry_out(&mut self, now: Moment, output: Output) {
        match output {
            Output::Send { link, data } => self.push(link, data),
            Output::Event(event) => self.event(event),
            Output::SetTimer { timer, after } => self.timers.set(timer, now.after(after)),
            Output::CancelTimer(timer) => self.timers.cancel(timer),
            Output::Dial { link, target } => self.dial(link, target),
            Output::Shortcut { link } => self.settle_shortcut(link),
            Output::Close { link, how } => self.close(link, how),
            Output::Window {
                link: None,
                outstanding,
                size,
            } => self.shared.broadcast.set_window(outstanding, size),
            Output::Window {
                link: Some(link),
                outstanding,
                size,
            } => {
                // A peer's gate is at hand; a member's gate takes a lock to find.
                let open = self.links.get(&link);
                if let Some(peer) = open.and_then(|open| open.peer.as_ref()) {
                    peer.gate.set_window(outstanding, size);
                } else if let Some(gate) = self.shared.gate(link) {
                    gate.set_window(outstanding, size);
                }
            }
        }
    }
}

impl Core {
    /// How long a link that takes no bytes still holds senders back.
    fn patience(&self) -> Duration {
        match self.config.waits_for_receivers {
            true => self.config.slow_receiver_timeout,
            false => STUCK_AFTER,
        }
    }

    /// The bytes queued on all links.
    pub(super) fn queued(&self) -> usize {
        self.links.values().map(|open| open.outlet.bytes()).sum()
    }

    /// Whether all broadcasts of the application are queued for every peer.
    pub(super) fn has_said_all(&self) -> bool {
        self.links.keys().all(|link| self.state.has_said_all(*link))
    }

    /// Hands an event to the application; keeps the gates in step with the peers.
    fn event(&mut self, event: Event) {
        match &event {
            Event::PeerAdded {
                link,
                id,
                native,
                windows,
                max_message,
                ..
            } => {
                self.unconnected.remove(link);
                if let Some(open) = self.links.get_mut(link) {
                    let max_message = max_message.map(|max| max as usize);
                    let gate = Arc::new(Gate::new(open.outlet.clone(), max_message));
                    self.shared.peers().insert(*link, gate.clone());
                    open.peer = Some(Peer {
                        id: id.clone(),
                        native: *native,
                        windows: *windows,
                        gate,
                    });
                    self.levels_changed = true;
                }
            }
            Event::PeerRemoved { link, .. } => {
                self.shared.peers().remove(link);
                self.levels_changed = true;
            }
            Event::MemberJoined(member) if !member.is_stub => {
                self.shared.member_joined(LinkId(member.handle));
            }
            Event::MemberLeft(member) => self.shared.member_left(*member),
            _ => {}
        }
        self.sink.event(event);
    }

    fn publish_stats(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.reported_at) < REPORT_EVERY {
            return;
        }
        self.reported_at = now;
        let link_stats = |open: &Open| {
            let peer = open.peer.as_ref()?;
            Some(LinkStats {
                id: peer.id.to_string(),
                native: peer.native,
                queued_bytes: open.outlet.bytes(),
            })
        };
        let links = self.links.values().filter_map(link_stats).collect();
        let stats = Stats {
            counters: self.state.counters(),
            refused: self.refused,
            unconnected: self.unconnected.len(),
            links,
        };
        *lock(&self.shared.report) = stats;
    }
}
