//! The one task that owns a node's state.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::instrument::WithSubscriber as _;

use super::error_code;
use super::handle::{Command, Gate, LinkStats, Refused, Shared, Sink, Stats};
use super::link::{End, Link, Report, Security};
use super::listener::{listen, plain, tune};
use super::queue::{Pushed, Queue};
use super::secure::{Credentials, Keys, Refusal};
use crate::proto::codec::{Decoder, Limits};
use crate::proto::{
    Bucket, Class, CloseHow, Config, Event, Input, Level, LinkId, Moment, NodeId, Outgoing, Output,
    State, Target, Timers,
};

/// Messages that links have read and the driver has not: beyond, links stop reading.
const REPORTS: usize = 64;
/// How much is taken in before the outputs' consequences are looked at.
const BATCH: usize = 64;
/// How long a stop waits for links to flush and say goodbye.
const STOP_DEADLINE: Duration = Duration::from_millis(1500);
/// After an accept error such as EMFILE.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a slow peer that holds broadcasts back is looked at.
const HELD_BACK_CHECK: Duration = Duration::from_millis(50);
/// A connection is not made to yield to a newer one before it has had this long for its handshake.
const STRANGER_GRACE: Duration = Duration::from_millis(500);
/// How often `stats()` is renewed.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// The code of a dial to an address that [`Config::allow`] does not have.
const NOT_ALLOWED: &str = "NOT_ALLOWED";

/// A connection being made, done.
type Dialed = (LinkId, Result<(TcpStream, SocketAddr), &'static str>);

pub(super) struct Driver {
    config: Config,
    /// Only before the node starts.
    credentials: Option<Credentials>,
    /// Of a closed network.
    keys: Option<Arc<Keys>>,
    sink: Arc<dyn Sink>,
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Command>,
    state: State,
    timers: Timers,
    began: Instant,
    outputs: Vec<Output>,
    /// Inputs that carrying out outputs gave rise to.
    pending: VecDeque<Input>,
    links: HashMap<LinkId, Open>,
    /// Accepted links that have not become peers, oldest first.
    strangers: BTreeMap<LinkId, (IpAddr, Instant)>,
    tasks: JoinSet<()>,
    dials: JoinSet<Dialed>,
    dial_aborts: HashMap<LinkId, AbortHandle>,
    reports: mpsc::Receiver<(LinkId, Report)>,
    reporter: mpsc::Sender<(LinkId, Report)>,
    levels_changed: bool,
    refused: Refused,
    /// How often the application hears of refused links: once a second, ten at once.
    refusals: Bucket,
    untold: u64,
    /// Whether a slow peer holds broadcasts back.
    held_back: bool,
    reported_at: Instant,
}

/// A link that has a socket.
struct Open {
    remote: SocketAddr,
    queue: Arc<Queue>,
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

impl Driver {
    pub(super) fn new(
        config: Config,
        id: NodeId,
        credentials: Option<Credentials>,
        sink: Arc<dyn Sink>,
        shared: Arc<Shared>,
        inbox: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let (reporter, reports) = mpsc::channel(REPORTS);
        let state = State::new(config.clone(), id, fastrand::u64(..));
        Self {
            config,
            credentials,
            keys: None,
            sink,
            shared,
            inbox,
            state,
            timers: Timers::default(),
            began: Instant::now(),
            outputs: Vec::new(),
            pending: VecDeque::new(),
            links: HashMap::new(),
            strangers: BTreeMap::new(),
            tasks: JoinSet::new(),
            dials: JoinSet::new(),
            dial_aborts: HashMap::new(),
            reports,
            reporter,
            levels_changed: false,
            refused: Refused::default(),
            refusals: Bucket::new(10.0, 1.0, Moment::default()),
            untold: 0,
            held_back: false,
            reported_at: Instant::now(),
        }
    }

    /// Runs the node from start to stop.
    pub(super) async fn run(mut self) {
        if let Err(reason) = self.derive_keys().await {
            let code = "EIO".to_owned();
            let message = format!("cannot derive a key from the secret: {reason}");
            return self.sink.event(Event::Failed { code, message });
        }
        let listening = listen(self.config.port).and_then(|l| Ok((l.local_addr()?.port(), l)));
        let (port, listener) = match listening {
            Ok(listening) => listening,
            Err(error) => {
                let code = error_code(&error).to_owned();
                let message = format!("cannot listen on port {}: {error}", self.config.port);
                tracing::error!(fatal = true, "{message}");
                return self.sink.event(Event::Failed { code, message });
            }
        };
        tracing::debug!(port, "server is listening");
        self.handle(Input::Started { port });
        self.serve(&listener).await;
        drop(listener);
        self.handle(Input::Stop);
        self.finish().await;
        self.sink.event(Event::Stopped);
    }

    async fn derive_keys(&mut self) -> Result<(), &'static str> {
        if let Some(credentials) = self.credentials.take() {
            let keys = Keys::derive(credentials, self.config.handshakes_per_second).await?;
            self.keys = Some(Arc::new(keys));
        } else if is_public(&self.config.address) {
            let address = &self.config.address;
            tracing::warn!(
                address,
                "anyone who reaches this address can join: set a secret"
            );
        }
        Ok(())
    }

    /// Runs until the application wants it to stop.
    async fn serve(&mut self, listener: &TcpListener) {
        let mut commands = Vec::new();
        let mut reports = Vec::new();
        loop {
            let due = self.due();
            tokio::select! {
                count = self.inbox.recv_many(&mut commands, BATCH) => {
                    if count == 0 {
                        return;
                    }
                }
                _ = self.reports.recv_many(&mut reports, BATCH) => {}
                accepted = listener.accept() => self.accept(accepted).await,
                Some(dialed) = self.dials.join_next() => self.dialed(dialed),
                Some(_) = self.tasks.join_next() => {}
                () = sleep_until(due) => {}
            }
            for command in commands.drain(..) {
                if matches!(command, Command::Stop) {
                    return;
                }
                self.command(command);
            }
            for (link, report) in reports.drain(..) {
                self.report(link, report);
            }
            self.fire_timers();
            self.update_gates();
            self.publish_stats();
        }
    }

    fn due(&self) -> Instant {
        let far = Duration::from_secs(3600);
        let due = match self.timers.next() {
            Some(Moment(micros)) => self.began + Duration::from_micros(micros),
            None => Instant::now() + far,
        };
        match self.held_back {
            true => due.min(Instant::now() + HELD_BACK_CHECK),
            false => due,
        }
    }

    fn now(&self) -> Moment {
        Moment(self.began.elapsed().as_micros() as u64)
    }

    fn fire_timers(&mut self) {
        let now = self.now();
        while let Some(timer) = self.timers.pop(now) {
            self.handle(Input::TimerFired(timer));
        }
    }

    fn command(&mut self, command: Command) {
        let bytes = command.bytes();
        match command {
            Command::Broadcast(payload) => self.handle(Input::Broadcast(payload)),
            Command::Direct(link, payload) => self.handle(Input::Direct { link, payload }),
            Command::Line(link, text) => self.handle(Input::Line { link, text }),
            Command::AddPeer(request, target) => self.handle(Input::AddPeer { request, target }),
            Command::ClosePeer(link) => self.handle(Input::ClosePeer { link }),
            Command::Stop => {}
        }
        self.shared.crossed(bytes);
    }

    fn report(&mut self, link: LinkId, report: Report) {
        match report {
            // Of a link that was closed: whatever it read is no longer wanted.
            _ if !self.links.contains_key(&link) => {}
            Report::Received(messages) => {
                for message in messages {
                    self.handle(Input::Received { link, message });
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

    async fn accept(&mut self, accepted: std::io::Result<(TcpStream, SocketAddr)>) {
        let (stream, remote) = match accepted {
            Ok((stream, remote)) => (stream, plain(remote)),
            Err(error) => {
                // Out of descriptors, most likely: existing links must not starve for it.
                tracing::warn!(%error, "cannot accept a connection");
                return tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        };
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
            return;
        }
        if self.strangers.len() >= self.config.max_unconnected {
            // The oldest has had the most time to say something; but if it has had hardly any, so
            // many come at once that none would ever get through if each displaced another.
            let oldest = self.strangers.values().next();
            if oldest.is_some_and(|(_, since)| since.elapsed() < STRANGER_GRACE) {
                self.refused.refused_crowded += 1;
                tracing::debug!(%remote, "refused: too many connections without a handshake");
                return;
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
        tune(&stream);
        let queue = Arc::new(Queue::new(self.config.link_queue));
        let limits = Limits::from(&self.config);
        let task = Link {
            id: link,
            stream,
            security,
            queue: queue.clone(),
            decoder: Decoder::new(limits, self.config.native),
            reports: self.reporter.clone(),
            sink: self.sink.clone(),
        };
        self.links.insert(
            link,
            Open {
                remote,
                queue,
                level: Level::Low,
                peer: None,
            },
        );
        self.tasks.spawn(task.run().with_current_subscriber());
    }

    fn dial(&mut self, link: LinkId, target: Target) {
        let deadline = self.config.dial_timeout;
        let config = self.config.clone();
        let abort = self.dials.spawn(async move {
            let connecting = timeout(deadline, connect(&target, &config));
            (link, connecting.await.unwrap_or(Err("ETIMEDOUT")))
        });
        self.dial_aborts.insert(link, abort);
    }

    fn dialed(&mut self, dialed: Result<Dialed, tokio::task::JoinError>) {
        // Aborted dials have been forgotten by the state already.
        let Ok((link, result)) = dialed else { return };
        self.dial_aborts.remove(&link);
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

impl Driver {
    fn close(&mut self, link: LinkId, how: CloseHow) {
        if let Some(dial) = self.dial_aborts.remove(&link) {
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
        let Some(open) = self.links.get(&link) else {
            return;
        };
        let class = data.class;
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

    /// Waits for the links to write what is queued and to say goodbye.
    async fn finish(&mut self) {
        self.dials.abort_all();
        let goodbyes = async {
            loop {
                tokio::select! {
                    task = self.tasks.join_next() => if task.is_none() { return },
                    // Nobody wants these any more, but links must not wait for room.
                    _ = self.reports.recv() => {}
                }
            }
        };
        drop(timeout(STOP_DEADLINE, goodbyes).await);
        self.tasks.shutdown().await;
    }
}

async fn connect(
    target: &Target,
    config: &Config,
) -> Result<(TcpStream, SocketAddr), &'static str> {
    let addresses = match target.host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, target.port)],
        Err(_) => {
            let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
            let mut found: Vec<_> = found.map_err(|_| "ENOTFOUND")?.collect();
            // Every address of a name is a way in; each dial begins with another.
            fastrand::shuffle(&mut found);
            found
        }
    };
    let is_allowed = |address: &SocketAddr| config.allows(address.ip());
    let allowed: Vec<_> = addresses.into_iter().filter(is_allowed).collect();
    if allowed.is_empty() {
        return Err(NOT_ALLOWED);
    }
    let result = TcpStream::connect(&allowed[..]).await;
    let stream = result.map_err(|error| error_code(&error))?;
    let remote = stream.peer_addr().map_err(|error| error_code(&error))?;
    Ok((stream, remote))
}

/// Whether more than this machine and a private network may reach `address`, as far as it tells.
fn is_public(address: &str) -> bool {
    match address.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => {
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified())
        }
        Ok(IpAddr::V6(ip)) => {
            !(ip.is_unique_local()
                || ip.is_loopback()
                || ip.is_unicast_link_local()
                || ip.is_unspecified())
        }
        Err(_) => false,
    }
}
