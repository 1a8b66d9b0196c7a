//! What the rest of the program holds of a running node.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::instrument::WithSubscriber;

use super::core::Core;
use super::driver::{self, Ears};
use super::queue::Queue;
use super::secure::Credentials;
use super::watch::Watch;
use super::{error_code, runtime};
use crate::proto::{Config, Counters, Event, Level, LinkId, Mark, NodeId, Payload, Target};

/// Bytes on their way from the application to the driver above which a send reports pressure.
const CROSSING_HIGH: usize = 2 << 20;
/// What a message may weigh beside its own bytes: a legacy packet around it.
const MESSAGE_OVERHEAD: usize = 192;

/// Where a node's events go.
///
/// Called from the node's driver, one event at a time and in order. An implementation must not
/// block: the node's whole network life waits for it.
pub trait Sink: Send + Sync + 'static {
    /// Something happened.
    fn event(&self, event: Event);

    /// Whether the application takes events more slowly than they come, but does take them.
    ///
    /// Of an application that takes none at all nothing is to be said: its node still relays.
    fn congestion(&self) -> Congestion {
        Congestion::None
    }

    /// Up to where the application has consumed each stream of messages that went on since the last
    /// call.
    fn consumed(&self) -> Vec<Mark>;
}

/// Which links shall read no more for the time being, so that TCP slows their senders down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Congestion {
    /// None.
    None,
    /// Those whose peers do not wait for what is consumed.
    Light,
    /// All.
    Heavy,
}

/// Whether the application may go on sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Yes.
    Free,
    /// It was taken, but the application should wait for [`Event::Drain`].
    Pressed,
}

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// The application went on sending under pressure until the queue's limit was reached.
    #[error("the queue is full: wait for 'drain' after emit or write returned false")]
    Overloaded,
    /// A message is larger than [`Config::max_message`].
    #[error("the message is larger than maxMessageSize")]
    TooLarge,
    /// The node has stopped or the peer is gone; there is nobody to send to.
    #[error("closed")]
    Closed,
}

/// What the application asks of the driver.
#[derive(Debug)]
pub(super) enum Command {
    Broadcast(Payload),
    Direct(LinkId, Payload),
    Line(LinkId, Bytes),
    AddPeer(u32, Target),
    ClosePeer(LinkId),
    /// The application has consumed much.
    Consumed,
    Reconfigure(usize, Vec<Target>),
    Stop,
}

impl Command {
    /// What it weighs while it crosses.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Broadcast(payload) | Self::Direct(_, payload) => {
                payload.body().len() + payload.count() as usize * MESSAGE_OVERHEAD
            }
            Self::Line(_, text) => text.len() + MESSAGE_OVERHEAD,
            Self::AddPeer(..)
            | Self::ClosePeer(_)
            | Self::Reconfigure(..)
            | Self::Consumed
            | Self::Stop => 0,
        }
    }
}

/// A way out of the node, to one peer or to all: how full it is. Kept by the driver, read by senders.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The queue behind it, if it leads to one peer.
    queue: Option<Arc<Queue>>,
    /// A [`Level`], as its number.
    level: AtomicU8,
    /// Bytes that were sent and not consumed, and how many there may be before senders are to wait.
    outstanding: AtomicUsize,
    window: AtomicUsize,
    /// There were more, and have not become half as many since.
    is_behind: AtomicBool,
    /// Whether a sender was told to wait.
    waiting: AtomicBool,
    /// The largest message that is taken there, if it is known.
    max_message: Option<usize>,
}

/// What handle and driver share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Bytes of commands on their way, each with what it may weigh beside its own.
    crossing: AtomicUsize,
    /// Commands on their way.
    commands: AtomicUsize,
    limit: usize,
    pub(super) broadcast: Gate,
    peers: Mutex<HashMap<LinkId, Arc<Gate>>>,
    pub(super) report: Mutex<Stats>,
}

/// A snapshot of what a node has counted.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Totals of the protocol.
    #[serde(flatten)]
    pub counters: Counters,
    /// Links that came to nothing.
    #[serde(flatten)]
    pub refused: Refused,
    /// Connections that have not become peers yet.
    pub unconnected: usize,
    /// The links that are peers.
    pub links: Vec<LinkStats>,
}

/// How many links came to nothing, or were slowed down, and why. All are totals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Not encrypted, and this node has a secret.
    pub refused_plaintext: u64,
    /// Encrypted, and this node has no secret.
    pub refused_encrypted: u64,
    /// Encrypted with another secret.
    pub refused_secret: u64,
    /// Dials that the other side ended in the handshake: it has no secret, or another.
    pub unanswered: u64,
    /// With an id that does not belong to the key.
    pub refused_identity: u64,
    /// Closed because a message was changed, repeated or left out on its way.
    pub corrupted: u64,
    /// Of or to an address that is not in [`Config::allow`].
    pub refused_address: u64,
    /// Beyond [`Config::max_unconnected`] or [`Config::handshakes_per_second`].
    pub refused_crowded: u64,
    /// Beyond [`Config::max_unconnected_per_address`].
    pub refused_per_address: u64,
    /// Times that no more connections were accepted because of [`Config::connections_per_second`].
    pub crowds: u64,
    /// Reads that were put off because of [`Config::relayed_bytes_per_second`].
    pub slowed: u64,
}

/// A snapshot of one peer's link.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkStats {
    /// The peer.
    pub id: String,
    /// Whether the link carries native frames.
    pub native: bool,
    /// Bytes that wait to be written.
    pub queued_bytes: usize,
}

impl Gate {
    pub(super) fn new(queue: Arc<Queue>, max_message: Option<usize>) -> Self {
        Self {
            queue: Some(queue),
            max_message,
            ..Self::default()
        }
    }

    /// Says how much of what went through has not been consumed.
    pub(super) fn set_window(&self, outstanding: usize, window: usize) {
        self.outstanding.store(outstanding, SeqCst);
        self.window.store(window, SeqCst);
        let is_behind = match self.is_behind.load(SeqCst) {
            true => outstanding > window / 2,
            false => outstanding > window,
        };
        self.is_behind.store(is_behind, SeqCst);
    }

    /// Whether `bytes` more are too many for those who consume them: nobody who waits as told gets
    /// that far. One message of any size gets through if nothing is outstanding.
    fn is_overrun(&self, bytes: usize, limit: usize) -> bool {
        let outstanding = self.outstanding.load(SeqCst);
        let most = limit.max(2 * self.window.load(SeqCst));
        outstanding > 0 && outstanding + bytes > most
    }

    /// Whether senders are to wait.
    fn is_pressed(&self) -> bool {
        self.level.load(SeqCst) > Level::Low as u8 || self.is_behind.load(SeqCst)
    }

    pub(super) fn set(&self, level: Level) {
        self.level.store(level as u8, SeqCst);
    }

    /// Whether a sender that was told to wait shall be told to go on; at most once.
    pub(super) fn opens(&self) -> bool {
        !self.is_pressed() && self.waiting.swap(false, SeqCst)
    }
}

impl Shared {
    fn new(limit: usize) -> Self {
        Self {
            crossing: AtomicUsize::new(0),
            commands: AtomicUsize::new(0),
            limit,
            broadcast: Gate::default(),
            peers: Mutex::default(),
            report: Mutex::default(),
        }
    }

    fn crosses(&self, bytes: usize) {
        self.crossing.fetch_add(bytes, SeqCst);
        self.commands.fetch_add(1, SeqCst);
    }

    /// The driver has carried out a command of `bytes`.
    pub(super) fn crossed(&self, bytes: usize) {
        self.crossing.fetch_sub(bytes, SeqCst);
        self.commands.fetch_sub(1, SeqCst);
    }

    /// Whether little enough is crossing for senders to go on.
    pub(super) fn is_calm(&self) -> bool {
        self.crossing.load(SeqCst) < CROSSING_HIGH / 4
    }

    pub(super) fn peers(&self) -> MutexGuard<'_, HashMap<LinkId, Arc<Gate>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self, peer: LinkId) -> Option<Arc<Gate>> {
        self.peers().get(&peer).cloned()
    }

    /// Whether `bytes` more would exceed what may wait behind `gate`, on its way there included.
    fn is_full(&self, gate: &Gate, bytes: usize) -> bool {
        if gate.is_overrun(bytes, self.limit) {
            return true;
        }
        let crossing = self.crossing.load(SeqCst);
        let level = gate.level.load(SeqCst);
        if level == Level::Low as u8 && crossing + bytes <= self.limit / 2 {
            return false;
        }
        let queued = match &gate.queue {
            Some(queue) => queue.bytes(),
            // To all: as long as one peer has room.
            None => self
                .peers()
                .values()
                .filter_map(|p| Some(p.queue.as_ref()?.bytes()))
                .min()
                .unwrap_or(0),
        };
        // One message larger than the limit still gets through when nothing waits.
        queued + crossing > 0 && queued + crossing + bytes > self.limit
    }

    fn is_pressed(&self, gate: &Gate) -> bool {
        gate.is_pressed() || self.crossing.load(SeqCst) > CROSSING_HIGH
    }
}

/// A running node. Dropping the handle stops it.
pub struct Node {
    /// `None` where the system gave no thread for it.
    core: Option<Arc<Mutex<Core>>>,
    watch: Weak<Watch>,
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    log: tracing::Dispatch,
    max_message: usize,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node. Whether it could listen comes as [`Event::Listening`] or [`Event::Failed`]
    /// (after which nothing more comes and the node is gone).
    ///
    /// `log` receives the node's `tracing` events, and only this node's.
    pub fn start(config: Config, id: NodeId, sink: Arc<dyn Sink>, log: tracing::Dispatch) -> Self {
        Self::launch(config, id, None, sink, log)
    }

    /// The same for a node of a closed network; its id is that of its key.
    pub fn start_closed(
        config: Config,
        credentials: Credentials,
        sink: Arc<dyn Sink>,
        log: tracing::Dispatch,
    ) -> Self {
        let id = credentials.identity.id().clone();
        Self::launch(config, id, Some(credentials), sink, log)
    }

    fn launch(
        config: Config,
        id: NodeId,
        credentials: Option<Credentials>,
        sink: Arc<dyn Sink>,
        log: tracing::Dispatch,
    ) -> Self {
        let (commands, inbox) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(config.link_queue));
        let max_message = config.max_message;
        let (mut core, mut watch) = (None, Weak::new());
        let ready = runtime::handle().and_then(|runtime| Ok((runtime, Watch::new(log.clone())?)));
        match ready {
            Ok((runtime, watching)) => {
                let watching = Arc::new(watching);
                watch = Arc::downgrade(&watching);
                let (wires, ears) = Ears::new(watching);
                let node = Core::new(config, id, sink, shared.clone(), runtime.clone(), wires);
                let node = core.insert(node).clone();
                let driver = driver::run(node, credentials, shared.clone(), inbox, ears);
                drop(runtime.spawn(driver.with_subscriber(log.clone())));
            }
            Err(error) => {
                let code = error_code(&error).to_owned();
                let message = format!("cannot start: {error}");
                sink.event(Event::Failed { code, message });
            }
        }
        Self {
            core,
            watch,
            commands,
            shared,
            log,
            max_message,
        }
    }

    /// Sends to everyone else in the network.
    pub fn broadcast(&self, payload: Payload) -> Result<Room, SendError> {
        self.check(&payload, None)?;
        self.send_through(&self.shared.broadcast, Command::Broadcast(payload))
    }

    /// Sends to one peer.
    pub fn send(&self, peer: LinkId, payload: Payload) -> Result<Room, SendError> {
        let gate = self.shared.gate(peer).ok_or(SendError::Closed)?;
        self.check(&payload, gate.max_message)?;
        self.send_through(&gate, Command::Direct(peer, payload))
    }

    /// Sends one peer a JSON array with a path of the application's own.
    pub fn line(&self, peer: LinkId, text: Bytes) -> Result<Room, SendError> {
        if text.len() > self.max_message {
            return Err(SendError::TooLarge);
        }
        let gate = self.shared.gate(peer).ok_or(SendError::Closed)?;
        self.send_through(&gate, Command::Line(peer, text))
    }

    /// Dials; the outcome comes as [`Event::Dialed`] with `request`.
    pub fn add_peer(&self, request: u32, target: Target) {
        // A node that is gone has nothing left to do.
        self.command(Command::AddPeer(request, target)).ok();
    }

    /// Drops a peer; [`Event::PeerRemoved`] follows.
    pub fn close_peer(&self, peer: LinkId) {
        // A node that is gone has nothing left to do.
        self.command(Command::ClosePeer(peer)).ok();
    }

    /// The application has consumed much since it was asked: those who wait are to know.
    pub fn consumed(&self) {
        if let Some(command) = self.carry_over(Command::Consumed) {
            // A node that is gone tells nobody.
            self.command(command).ok();
        }
    }

    /// Accepts that many peers from now on, and enters the network through these seeds.
    pub fn reconfigure(&self, max_peers: usize, seeds: Vec<Target>) {
        // A node that is gone has nothing left to do.
        self.command(Command::Reconfigure(max_peers, seeds)).ok();
    }

    /// Closes everything; [`Event::Stopped`] is the last event. Idempotent.
    pub fn stop(&self) {
        // A node that is gone has nothing left to do.
        self.command(Command::Stop).ok();
    }

    /// What has been counted so far; at most a second old.
    pub fn stats(&self) -> Stats {
        self.shared
            .report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the application's thread can wait for, and then read, in the core's place.
    pub fn watch(&self) -> Option<Arc<Watch>> {
        self.watch.upgrade()
    }

    /// `theirs`: the largest message that the receiver takes, if it is one and has said so.
    fn check(&self, payload: &Payload, theirs: Option<usize>) -> Result<(), SendError> {
        let largest = theirs.map_or(self.max_message, |theirs| theirs.min(self.max_message));
        // A run of several messages is bounded by whoever batches; a single one by the option.
        if payload.count() == 1 && payload.body().len() > largest + 8 {
            return Err(SendError::TooLarge);
        }
        Ok(())
    }

    fn send_through(&self, gate: &Gate, command: Command) -> Result<Room, SendError> {
        let bytes = command.bytes();
        if self.shared.is_full(gate, bytes) {
            gate.waiting.store(true, SeqCst);
            // The driver may have made room, and found nobody waiting, since we looked.
            if self.shared.is_full(gate, bytes) {
                return Err(SendError::Overloaded);
            }
        }
        if let Some(command) = self.carry_over(command) {
            self.command(command)?;
        }
        if !self.shared.is_pressed(gate) {
            return Ok(Room::Free);
        }
        gate.waiting.store(true, SeqCst);
        // Likewise.
        Ok(if self.shared.is_pressed(gate) {
            Room::Pressed
        } else {
            Room::Free
        })
    }

    /// Carries `command` out on this thread if the driver is not at work and nothing is on its way to
    /// it; otherwise returns it.
    fn carry_over(&self, command: Command) -> Option<Command> {
        let Some(core) = &self.core else {
            return Some(command);
        };
        if self.shared.commands.load(SeqCst) > 0 {
            return Some(command);
        }
        let mut core = match core.try_lock() {
            Ok(core) => core,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Some(command),
        };
        if !core.is_running {
            return Some(command);
        }
        tracing::dispatcher::with_default(&self.log, || core.carry_over(command));
        None
    }

    fn command(&self, command: Command) -> Result<(), SendError> {
        let bytes = command.bytes();
        self.shared.crosses(bytes);
        self.commands.send(command).map_err(|_| {
            self.shared.crossed(bytes);
            SendError::Closed
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}
