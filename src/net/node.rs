//! The handle of a running node.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::instrument::WithSubscriber;

use super::api::{Room, SendError, Sink, Stats};
use super::core::Core;
use super::core::command::Command;
use super::core::gates::{Gate, Shared};
use super::driver::{self, Ears};
use super::lock::{lock, try_lock};
use super::os::error::error_code;
use super::os::runtime;
use super::secure::Credentials;
use super::wait::Watch;
use crate::proto::members::FIRST_HANDLE;
use crate::proto::{Config, Event, LinkId, NodeId, Payload, Target};

/// A running node. Dropping the handle stops it.
///
/// Thread: any, JavaScript's in practice. Locks held: none. A send runs on the calling thread if
/// the core's lock is free.
pub struct Node {
    /// `None` if the system could not start a thread for it.
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
    /// Starts a node. [`Event::Listening`] follows, or [`Event::Failed`] as its last event.
    ///
    /// `log` receives the node's `tracing` events, and only this node's.
    pub fn start(config: Config, id: NodeId, sink: Arc<dyn Sink>, log: tracing::Dispatch) -> Self {
        Self::launch(config, id, None, sink, log)
    }

    /// Starts a node of a closed network. Its id derives from its key.
    pub fn start_closed(
        config: Config,
        credentials: Credentials,
        sink: Arc<dyn Sink>,
        log: tracing::Dispatch,
    ) -> Self {
        let id = credentials.identity.id().clone();
        let config = Config {
            identity: Some(credentials.identity.clone()),
            ..config
        };
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

    /// Sends to all other nodes of the network.
    pub fn broadcast(&self, payload: Payload) -> Result<Room, SendError> {
        self.check(&payload, None)?;
        self.send_through(&self.shared.broadcast, Command::Broadcast(payload))
    }

    /// Sends to one peer, or to one member.
    pub fn send(&self, to: LinkId, payload: Payload) -> Result<Room, SendError> {
        let gate = self.shared.gate(to).ok_or(SendError::Closed)?;
        self.check(&payload, gate.max_message)?;
        let sent = self.send_through(&gate, Command::Direct(to, payload));
        self.note_waiting(to, sent);
        sent
    }

    /// Sends the same to several members. Returns the result for each. Without room for one of
    /// them, none gets it.
    pub fn send_to(&self, members: &[u32], payload: Payload) -> Vec<Result<Room, SendError>> {
        if let Err(error) = self.check(&payload, None) {
            return vec![Err(error); members.len()];
        }
        let gates = members.iter().map(|handle| {
            let member = LinkId(*handle);
            (member, self.shared.gate(member))
        });
        let gates: Vec<(LinkId, Option<Arc<Gate>>)> = gates.collect();
        let open = gates.iter().filter(|(_, gate)| gate.is_some());
        let command = Command::SendTo(open.map(|(member, _)| member.0).collect(), payload);
        for (member, gate) in &gates {
            let gate = gate.as_ref();
            if gate.is_some_and(|gate| !self.shared.admits(gate, command.bytes())) {
                self.note_waiting(*member, Err(SendError::Overloaded));
                return Vec::new();
            }
        }
        let is_stopped = match self.carry_over(command) {
            Some(command) => self.command(command).is_err(),
            None => false,
        };
        let outcome = |(member, gate): (LinkId, Option<Arc<Gate>>)| {
            let gate = gate.filter(|_| !is_stopped).ok_or(SendError::Closed)?;
            let room = Ok(self.shared.room(&gate));
            self.note_waiting(member, room);
            room
        };
        gates.into_iter().map(outcome).collect()
    }

    /// Changes the text in this node's record.
    pub fn set_body(&self, body: String) {
        // A stopped node needs no command.
        self.command(Command::Body(body)).ok();
    }

    /// Makes sure that a sender that must wait for a member gets a drain event.
    fn note_waiting(&self, to: LinkId, sent: Result<Room, SendError>) {
        let waits = matches!(sent, Ok(Room::Pressed) | Err(SendError::Overloaded));
        if waits && to.0 >= FIRST_HANDLE {
            self.shared.waits_for(to);
            // Room may have appeared in between, and only a turn of the core would notice.
            self.consumed();
        }
    }

    /// Sends one peer a custom line: a JSON array with a path of the application's own.
    pub fn line(&self, peer: LinkId, text: Bytes) -> Result<Room, SendError> {
        if text.len() > self.max_message {
            return Err(SendError::TooLarge);
        }
        let gate = self.shared.gate(peer).ok_or(SendError::Closed)?;
        self.send_through(&gate, Command::Line(peer, text))
    }

    /// Dials a peer. [`Event::Dialed`] with `request` tells the outcome.
    pub fn add_peer(&self, request: u32, target: Target) {
        // A stopped node needs no command.
        self.command(Command::AddPeer(request, target)).ok();
    }

    /// Closes a peer; [`Event::PeerRemoved`] follows.
    pub fn close_peer(&self, peer: LinkId) {
        // A stopped node needs no command.
        self.command(Command::ClosePeer(peer)).ok();
    }

    /// Tells peers that the application has consumed much.
    pub fn consumed(&self) {
        if let Some(command) = self.carry_over(Command::Consumed) {
            // A stopped node needs no command.
            self.command(command).ok();
        }
    }

    /// Changes the number of peers to accept, the seeds, and the address that others dial.
    pub fn reconfigure(&self, max_peers: usize, seeds: Vec<Target>, address: String) {
        // A stopped node needs no command.
        self.command(Command::Reconfigure(max_peers, seeds, address))
            .ok();
    }

    /// Stops the node; [`Event::Stopped`] is the last event. Idempotent.
    pub fn stop(&self) {
        // A stopped node needs no command.
        self.command(Command::Stop).ok();
    }

    /// The counters, at most a second old.
    pub fn stats(&self) -> Stats {
        lock(&self.shared.report).clone()
    }

    /// The node's sockets, for a thread that reads them while it is idle.
    pub fn watch(&self) -> Option<Arc<Watch>> {
        self.watch.upgrade()
    }

    /// `theirs`: the receiver's message limit, if known.
    fn check(&self, payload: &Payload, theirs: Option<usize>) -> Result<(), SendError> {
        let largest = theirs.map_or(self.max_message, |theirs| theirs.min(self.max_message));
        // The JavaScript side bounds a batch of several messages; this limit is for a single one.
        if payload.count() == 1 && payload.body().len() > largest + 8 {
            return Err(SendError::TooLarge);
        }
        Ok(())
    }

    fn send_through(&self, gate: &Gate, command: Command) -> Result<Room, SendError> {
        let bytes = command.bytes();
        if !self.shared.admits(gate, bytes) {
            return Err(SendError::Overloaded);
        }
        if let Some(command) = self.carry_over(command) {
            self.command(command)?;
        }
        Ok(self.shared.room(gate))
    }

    /// Carries out `command` on this thread if the core is free and no earlier command is on its
    /// way to the driver. Otherwise returns it.
    fn carry_over(&self, command: Command) -> Option<Command> {
        let Some(core) = &self.core else {
            return Some(command);
        };
        if !self.shared.is_idle() {
            return Some(command);
        }
        let Some(mut core) = try_lock(core) else {
            return Some(command);
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
