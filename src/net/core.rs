//! What a node is made of, apart from waiting: its state and its links, and what one does to the other.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};
use tracing::instrument::WithSubscriber as _;

use super::dial::{NOT_ALLOWED, connect};
use super::handle::{Command, Gate, LinkStats, Refused, Shared, Sink, Stats};
use super::link::{End, Link, Report, Security};
use super::listener::{plain, reset, tune};
use super::queue::{Pushed, Queue};
use super::secure::{Keys, Refusal};
use super::watch::Watch;
use crate::proto::codec::{Decoder, Limits};
use crate::proto::{
    Bucket, Class, CloseHow, Config, Event, Input, Level, LinkId, Moment, NodeId, Outgoing, Output,
    State, Target, Timers,
};

/// How long a driver sleeps that has nothing to wait for.
const IDLE: Duration = Duration::from_secs(3600);
/// How often a slow peer that holds broadcasts back is looked at.
const HELD_BACK_CHECK: Duration = Duration::from_millis(50);
/// A connection is not made to yield to a newer one before it has had this long for its handshake.
const STRANGER_GRACE: Duration = Duration::from_millis(500);
/// A link that rests does not hear its peer's heartbeats, so it looks in between.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// The least for which no connection is accepted when there are too many: timers are coarse.
const ARRIVAL_PAUSE: Duration = Duration::from_millis(10);
/// How often `stats()` is renewed.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// A connection being made, done.
pub(super) type Dialed = (LinkId, Result<(TcpStream, SocketAddr), &'static str>);

/// A node, but for its driver task.
///
/// Behind a lock: what the application sends is carried out on its own thread when the driver is idle,
/// which saves waking another one. Nothing in here waits.
pub(super) struct Core {
    pub(super) config: Config,
    runtime: Handle,
    /// Of a closed network.
    keys: Option<Arc<Keys>>,
    pub(super) sink: Arc<dyn Sink>,
    shared: Arc<Shared>,
    state: State,
    timers: Timers,
    began: Instant,
    outputs: Vec<Output>,
    /// Inputs that carrying out outputs gave rise to.
    pending: VecDeque<Input>,
    links: HashMap<LinkId, Open>,
    /// Of the input at hand: the most bytes that one link was given to pass on.
    passed_on: usize,
    /// Links that were given something to write.
    touched: Vec<LinkId>,
    /// Accepted links that have not become peers, oldest first.
    strangers: BTreeMap<LinkId, (IpAddr, Instant)>,
    tasks: JoinSet<()>,
    dials: HashMap<LinkId, AbortHandle>,
    reporter: Reporter,
    watch: Weak<Watch>,
    dialed: mpsc::UnboundedSender<Dialed>,
    /// Whether commands are taken: between start and stop.
    pub(super) is_running: bool,
    /// When the driver wakes up by itself.
    armed: Instant,
    driver: Arc<Notify>,
    levels_changed: bool,
    refused: Refused,
    /// Connections that may be accepted.
    arrivals: Bucket,
    /// How often the application hears of refused links: once a second, ten at once.
    refusals: Bucket,
    untold: u64,
    /// Whether a slow peer holds broadcasts back.
    held_back: bool,
    reported_at: Instant,
}

/// A link that has a socket.
struct Open {
    /// Whether it is among the touched.
    is_touched: bool,
    remote: SocketAddr,
    queue: Arc<Queue>,
    /// The bytes it brings that are passed on.
    relayed: Bucket,
    level: Level,
    /// Set once it is a peer.
    peer: Option<Peer>,
}

struct Peer {
    id: NodeId,
    native: bool,
    gate: Arc<Gate>,
}

impl Open {
    fn is_native(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.native)
    }
}

/// What leads to a node's driver.
pub(super) struct Wires {
    pub(super) watch: Weak<Watch>,
    pub(super) dialed: mpsc::UnboundedSender<Dialed>,
    pub(super) driver: Arc<Notify>,
}

/// How a link tells its node what comes.
#[derive(Clone)]
pub(super) struct Reporter(Weak<Mutex<Core>>);

impl Reporter {
    /// Has the node deal with `report`, on the caller's thread, and returns how long the link shall read
    /// no more. A node that has stopped ignores it: a link that says goodbye still reads what is on its
    /// way.
    pub(super) fn report(&self, link: LinkId, report: Report) -> Duration {
        let Some(core) = self.0.upgrade() else {
            return Duration::ZERO;
        };
        let mut core = lock(&core);
        if !core.is_running {
            return Duration::ZERO;
        }
        core.report(link, report);
        core.conclude();
        core.rest(link)
    }

    /// The last report.
    pub(super) fn ended(&self, link: LinkId, end: impl Into<End>) {
        self.report(link, Report::Closed(end.into()));
    }
}

/// Locks a core; nobody holds one for long.
pub(super) fn lock(core: &Mutex<Core>) -> MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(super) fn new(
        config: Config,
        id: NodeId,
        sink: Arc<dyn Sink>,
        shared: Arc<Shared>,
        runtime: Handle,
        wires: Wires,
    ) -> Arc<Mutex<Self>> {
        Arc::new_cyclic(|core| {
            let reporter = Reporter(core.clone());
            let core = Self::with(config, id, sink, shared, runtime, wires, reporter);
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
        reporter: Reporter,
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
            passed_on: 0,
            touched: Vec::new(),
            strangers: BTreeMap::new(),
            tasks: JoinSet::new(),
            dials: HashMap::new(),
            reporter,
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
    fn now(&self) -> Moment {
        Moment(self.began.elapsed().as_micros() as u64)
    }

    /// Begins: the node listens on `port`.
    pub(super) fn start(&mut self, port: u16, keys: Option<Arc<Keys>>) {
        self.keys = keys;
        self.is_running = true;
        self.handle(Input::Started { port });
        self.settle();
    }

    /// Ends: returns the links' tasks, which say goodbye.
    pub(super) fn stop(&mut self) -> JoinSet<()> {
        self.is_running = false;
        self.handle(Input::Stop);
        self.settle();
        for (_, dial) in self.dials.drain() {
            dial.abort();
        }
        std::mem::take(&mut self.tasks)
    }

    /// Does what is due, and returns when the next turn is.
    pub(super) fn turn(&mut self) -> Instant {
        let now = self.now();
        while let Some(timer) = self.timers.pop(now) {
            self.handle(Input::TimerFired(timer));
        }
        // Those that ended have said so, or nobody wanted to know.
        while self.tasks.try_join_next().is_some() {}
        self.settle();
        self.armed = self.due();
        self.armed
    }

    /// Carries out a command on the thread that gives it.
    pub(super) fn carry_over(&mut self, command: Command) {
        self.command(command);
        self.conclude();
    }

    /// Ends what was not done by the driver.
    fn conclude(&mut self) {
        self.settle();
        if self.due() < self.armed {
            self.driver.notify_one();
        }
    }

    /// Writes what was queued, and tells everyone whom it concerns how things are now.
    fn settle(&mut self) {
        while let Some(link) = self.touched.pop() {
            let Some(open) = self.links.get_mut(&link) else {
                continue;
            };
            open.is_touched = false;
            if let Some(level) = open.queue.flush() {
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
            Command::Line(link, text) => self.handle(Input::Line { link, text }),
            Command::AddPeer(request, target) => self.handle(Input::AddPeer { request, target }),
            Command::ClosePeer(link) => self.handle(Input::ClosePeer { link }),
            // The driver's own business.
            Command::Stop => {}
        }
    }

    fn report(&mut self, link: LinkId, report: Report) {
        match report {
            // Of a link that was closed: whatever it read is no longer wanted.
            _ if !self.links.contains_key(&link) => {}
            Report::Received(messages) => {
                for message in messages {
                    self.passed_on = 0;
                    self.handle(Input::Received { link, message });
                    if self.passed_on > 0
                        && let Some(open) = self.links.get_mut(&link)
                    {
                        open.relayed.spend(self.passed_on as f64);
                    }
                }
            }
            Report::Pressure(level) => {
                self.level(link, level);
                self.handle_pending();
            }
            Report::Closed(end) => {
                let open = self.links.remove(&link);
                let reason = match end {
                    End::Because(reason) => reason,
                    End::Refused(refusal) => {
                        if let Some(open) = open {
                            self.refuse(open.remote, refusal);
                        }
                        refusal.code()
                    }
                };
                self.strangers.remove(&link);
                self.handle(Input::Closed {
                    link,
                    reason: reason.to_owned(),
                });
            }
        }
    }

    /// How long a link shall read no more, because what it brought was passed on faster than it may be.
    fn rest(&mut self, link: LinkId) -> Duration {
        let now = self.now();
        let Some(open) = self.links.get_mut(&link) else {
            return Duration::ZERO;
        };
        let debt = open.relayed.debt(now).min(LONGEST_REST);
        self.refused.slowed += u64::from(!debt.is_zero());
        debt
    }

    /// Takes a connection that somebody else made, if there is room for it; returns how long no other
    /// shall be taken.
    pub(super) fn accept(&mut self, stream: TcpStream, remote: SocketAddr) -> Duration {
        self.admit(stream, remote);
        self.arrivals.spend(1.0);
        let debt = self.arrivals.debt(self.now());
        if debt < ARRIVAL_PAUSE {
            return Duration::ZERO;
        }
        self.refused.crowds += 1;
        debt
    }

    fn admit(&mut self, stream: TcpStream, remote: SocketAddr) {
        let remote = plain(remote);
        let ip = remote.ip();
        if !self.config.allows(ip) {
            return self.refuse(remote, Refusal::Address);
        }
        let same = self
            .strangers
            .values()
            .filter(|(other, _)| *other == ip)
            .count();
        if !ip.is_loopback() && same >= self.config.max_unconnected_per_address {
            self.refused.refused_per_address += 1;
            tracing::debug!(%remote, "refused: too many connections of one address without a handshake");
            return reset(&stream);
        }
        if self.strangers.len() >= self.config.max_unconnected {
            // The oldest has had the most time to say something; but if it has had hardly any, so
            // many come at once that none would ever get through if each displaced another.
            let oldest = self.strangers.values().next();
            if oldest.is_some_and(|(_, since)| since.elapsed() < STRANGER_GRACE) {
                self.refused.refused_crowded += 1;
                tracing::debug!(%remote, "refused: too many connections without a handshake");
                return reset(&stream);
            }
            if let Some((oldest, _)) = self.strangers.pop_first() {
                self.refused.refused_crowded += 1;
                self.close(oldest, CloseHow::Abort);
                self.handle(Input::Closed {
                    link: oldest,
                    reason: "CROWDED".to_owned(),
                });
            }
        }
        let link = self.state.next_link();
        self.strangers.insert(link, (ip, Instant::now()));
        let security = match &self.keys {
            Some(keys) => Security::Accepts(keys.clone()),
            None => Security::Plain,
        };
        self.open(link, stream, remote, security);
        self.handle(Input::Accepted { link, remote });
    }

    /// Counts a link that was not to be trusted, and tells of it if that was not just done.
    fn refuse(&mut self, remote: SocketAddr, refusal: Refusal) {
        let counts = &mut self.refused;
        let count = match refusal {
            Refusal::Plaintext => &mut counts.refused_plaintext,
            Refusal::Encrypted => &mut counts.refused_encrypted,
            Refusal::Secret => &mut counts.refused_secret,
            Refusal::Unanswered => &mut counts.unanswered,
            Refusal::Identity => &mut counts.refused_identity,
            Refusal::Corrupted => &mut counts.corrupted,
            Refusal::Crowded => &mut counts.refused_crowded,
            Refusal::Address => &mut counts.refused_address,
        };
        *count += 1;
        let now = self.now();
        if !self.refusals.take(now) {
            self.untold += 1;
            return;
        }
        let untold = std::mem::take(&mut self.untold);
        tracing::warn!(%remote, untold, "{}", refusal.sentence());
        let reason = refusal.name();
        self.sink.event(Event::Refused { remote, reason });
    }

    fn open(&mut self, link: LinkId, stream: TcpStream, remote: SocketAddr, security: Security) {
        // Gone only if the driver is, and then nobody waits for links any more.
        let Some(watch) = self.watch.upgrade() else {
            return;
        };
        tune(&stream);
        let queue = Arc::new(Queue::new(self.config.link_queue));
        let rate = self.config.relayed_bytes_per_second;
        let limits = Limits::from(&self.config);
        let task = Link {
            id: link,
            stream,
            security,
            queue: queue.clone(),
            decoder: Decoder::new(limits, self.config.native),
            watch,
            reports: self.reporter.clone(),
            sink: self.sink.clone(),
        };
        self.links.insert(
            link,
            Open {
                is_touched: false,
                remote,
                queue,
                relayed: Bucket::new(rate / 8.0, rate, self.now()),
                level: Level::Low,
                peer: None,
            },
        );
        let task = task.run().with_current_subscriber();
        self.tasks.spawn_on(task, &self.runtime);
    }

    fn dial(&mut self, link: LinkId, target: Target) {
        let deadline = self.config.dial_timeout;
        let config = self.config.clone();
        let dialed = self.dialed.clone();
        let dial = self.runtime.spawn(async move {
            let connecting = timeout(deadline, connect(&target, &config));
            let result = connecting.await.unwrap_or(Err("ETIMEDOUT"));
            // A node that has stopped wants no connection.
            drop(dialed.send((link, result)));
        });
        self.dials.insert(link, dial.abort_handle());
    }

    /// Takes a connection that we made.
    pub(super) fn dialed(&mut self, (link, result): Dialed) {
        // Otherwise it was aborted, too late; the state has forgotten it already.
        if self.dials.remove(&link).is_none() {
            return;
        }
        match result {
            Ok((stream, remote)) => {
                let remote = plain(remote);
                let security = match &self.keys {
                    Some(keys) => Security::Dials(keys.clone()),
                    None => Security::Plain,
                };
                self.open(link, stream, remote, security);
                self.handle(Input::Connected { link, remote });
            }
            Err(code) => {
                self.refused.refused_address += u64::from(code == NOT_ALLOWED);
                self.handle(Input::DialFailed {
                    link,
                    code: code.to_owned(),
                });
            }
        }
    }

    /// Feeds the state and carries out what it wants done, and what follows from that.
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
            Output::Close { link, how } => self.close(link, how),
        }
    }
}

impl Core {
    fn close(&mut self, link: LinkId, how: CloseHow) {
        if let Some(dial) = self.dials.remove(&link) {
            dial.abort();
        }
        self.strangers.remove(&link);
        // A half-closed link still has to report that the other side closed it.
        let open = match how {
            CloseHow::HalfClose => self.links.get(&link).map(|open| open.queue.clone()),
            CloseHow::Flush | CloseHow::Abort => self.links.remove(&link).map(|open| open.queue),
        };
        if let Some(queue) = open {
            queue.close(how);
        }
    }

    /// Passes an event on to the application, and keeps the gates in step with the peers.
    fn event(&mut self, event: Event) {
        match &event {
            Event::PeerAdded {
                link, id, native, ..
            } => {
                self.strangers.remove(link);
                if let Some(open) = self.links.get_mut(link) {
                    let gate = Arc::new(Gate::new(open.queue.clone()));
                    self.shared.peers().insert(*link, gate.clone());
                    open.peer = Some(Peer {
                        id: id.clone(),
                        native: *native,
                        gate,
                    });
                    self.levels_changed = true;
                }
            }
            Event::PeerRemoved { link, .. } => {
                self.shared.peers().remove(link);
                self.levels_changed = true;
            }
            _ => {}
        }
        self.sink.event(event);
    }

    fn push(&mut self, link: LinkId, data: Outgoing) {
        let Some(open) = self.links.get_mut(&link) else {
            return;
        };
        if !std::mem::replace(&mut open.is_touched, true) {
            self.touched.push(link);
        }
        let class = data.class;
        if class == Class::Forward {
            self.passed_on = self.passed_on.max(data.len());
        }
        match open.queue.push(data) {
            Pushed::Queued => {}
            Pushed::Level(level) => self.level(link, level),
            Pushed::Displaced => self.level(link, Level::Full),
            // A native peer repairs what it misses; a legacy peer would never know.
            Pushed::Refused if class == Class::Own && !open.is_native() => self.give_up(link),
            Pushed::Refused => self.level(link, Level::Full),
            Pushed::Hopeless => self.give_up(link),
        }
    }

    /// Closes a link whose other end does not read.
    fn give_up(&mut self, link: LinkId) {
        self.close(link, CloseHow::Abort);
        self.pending.push_back(Input::Closed {
            link,
            reason: "SLOW".to_owned(),
        });
    }

    fn level(&mut self, link: LinkId, level: Level) {
        let Some(open) = self.links.get_mut(&link) else {
            return;
        };
        if open.level != level {
            open.level = level;
            self.levels_changed = true;
            self.pending.push_back(Input::Pressure { link, level });
        }
    }

    /// Tells senders how full their ways out are, and those that wait when they may go on.
    fn update_gates(&mut self) {
        if std::mem::take(&mut self.levels_changed) || self.held_back {
            self.set_gates();
        }
        if !self.shared.is_calm() {
            return;
        }
        if self.shared.broadcast.opens() {
            self.sink.event(Event::Drain(None));
        }
        for (link, open) in &self.links {
            if open.peer.as_ref().is_some_and(|peer| peer.gate.opens()) {
                self.sink.event(Event::Drain(Some(*link)));
            }
        }
    }

    /// Broadcasts are held back by the slowest peer that moves at all, and by a peer that does not
    /// only when there is no other.
    fn set_gates(&mut self) {
        let mut lowest = None;
        self.held_back = false;
        for open in self.links.values() {
            let Some(peer) = &open.peer else { continue };
            peer.gate.set(open.level);
            lowest = Some(lowest.map_or(open.level, |level: Level| level.min(open.level)));
            self.held_back |= open.level >= Level::High && open.queue.is_moving();
        }
        let lowest = lowest.unwrap_or(Level::Low);
        let level = if self.held_back {
            lowest.max(Level::High)
        } else {
            lowest
        };
        self.shared.broadcast.set(level);
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
                queued_bytes: open.queue.bytes(),
            })
        };
        let links = self.links.values().filter_map(link_stats).collect();
        let stats = Stats {
            counters: self.state.counters(),
            refused: self.refused,
            unconnected: self.strangers.len(),
            links,
        };
        *self
            .shared
            .report
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = stats;
    }
}
