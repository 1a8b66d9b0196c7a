//! The class that `lib/*.js` builds on.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use napi::bindgen_prelude::{BufferSlice, Function, FunctionRef, Uint8Array, Uint32Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Result, Status};
use napi_derive::napi;

use crate::net::{Node, Room, SendError};
use crate::proto::{Config, Kind, LinkId, NodeId, Payload, Target};

use super::config::{self, Seed, StartConfig, invalid};
use super::counters::Counters;
use super::filter::{BROADCAST, Filter};
use super::log::Log;
use super::poll::{self, Poll};
use super::queue::Queue;

/// The outcome of a message, as the number that `emit`, `emitRich`, `write` and `line` return.
mod outcome {
    pub(super) const ROOM: u32 = 0;
    pub(super) const PRESSED: u32 = 1;
    pub(super) const OVERLOADED: u32 = 2;
    pub(super) const CLOSED: u32 = 3;
    pub(super) const TOO_LARGE: u32 = 4;
}

/// How other threads call JavaScript. Tools that list open handles show it, so it exists only while
/// the node runs.
type Bell = ThreadsafeFunction<(), (), (), Status, false, true>;

/// A node of the network and its queue to JavaScript.
#[napi]
pub struct NativeNode {
    queue: Arc<Queue>,
    node: Mutex<Option<Node>>,
    doorbell: Rc<FunctionRef<(), ()>>,
    bell: Arc<Mutex<Option<Bell>>>,
    poll: RefCell<Option<Poll>>,
}

#[derive(serde::Serialize)]
struct Stats {
    #[serde(flatten)]
    network: crate::net::Stats,
    #[serde(flatten)]
    crossing: Counters,
}

#[napi]
impl NativeNode {
    /// `doorbell` is called when `drain()` has something, and not again until `drain()` has
    /// returned `null`. It does not keep the process alive.
    #[napi(constructor)]
    pub fn new(doorbell: Function<(), ()>) -> Result<Self> {
        let bell = Arc::new(Mutex::new(None::<Bell>));
        let rung = bell.clone();
        let ring = move || {
            poll::is_at_the_door()
                || lock(&rung).as_ref().is_none_or(|bell| {
                    bell.call((), ThreadsafeFunctionCallMode::NonBlocking) != Status::Closing
                })
        };
        Ok(Self {
            doorbell: Rc::new(doorbell.create_ref()?),
            bell,
            queue: Arc::new(Queue::new(ring)),
            node: Mutex::new(None),
            poll: RefCell::new(None),
        })
    }

    /// Starts the node. The outcome comes through `drain()`.
    #[napi]
    pub fn start(&self, env: &Env, config: StartConfig) -> Result<()> {
        let id =
            NodeId::parse(&config.id).ok_or_else(|| invalid("a node id that cannot be sent"))?;
        let credentials = config::credentials(&config)?;
        config::checked_body(config.body.clone().unwrap_or_default())?;
        let allow = config::networks(&config.allow)?;
        let log = Log::dispatch(self.queue.clone(), config.log_levels);
        self.queue.begin(config::bounds(&config));
        self.hang_bell(env)?;
        let mut node = self.node();
        // Drops the old node first, because it may hold the port.
        *node = None;
        let uses_libuv = config.uses_libuv;
        let config = Config {
            allow,
            ..config.into()
        };
        let queue = self.queue.clone();
        *node = Some(match credentials {
            Some(credentials) => Node::start_closed(config, credentials, queue, log),
            None => Node::start(config, id, queue, log),
        });
        let poll = node.as_ref().filter(|_| uses_libuv);
        self.poll
            .replace(poll.and_then(|node| self.wait_for(env, node)));
        Ok(())
    }

    /// Stops the node; `{"t":"stopped"}` follows.
    #[napi]
    pub fn stop(&self) {
        self.poll.replace(None);
        if let Some(node) = &*self.node() {
            node.stop();
        }
    }

    /// Stops ringing until the node is started again. JavaScript must then drain the events of the
    /// meantime.
    #[napi]
    pub fn rest(&self) {
        *lock(&self.bell) = None;
    }

    /// Dials. `{"t":"dialed"}` with `request` follows.
    #[napi]
    pub fn add_peer(&self, request: u32, address: String, port: u16) {
        if let Some(node) = &*self.node() {
            node.add_peer(
                request,
                Target {
                    host: address,
                    port,
                },
            );
        }
    }

    /// Changes these options of a running node.
    #[napi]
    pub fn reconfigure(&self, max_peer_no: f64, seeds: Vec<Seed>, address: String) {
        if let Some(node) = &*self.node() {
            node.reconfigure(config::count(max_peer_no), config::targets(seeds), address);
        }
    }

    /// Drops a peer; `{"t":"remove"}` follows.
    #[napi]
    pub fn close_peer(&self, peer: u32) {
        if let Some(node) = &*self.node() {
            node.close_peer(LinkId(peer));
        }
    }

    /// Sends events: JSON arrays joined by newlines.
    #[napi]
    pub fn emit(&self, channel: u32, text: String) -> u32 {
        self.send(channel, || Payload::events(Bytes::from(text)))
    }

    /// The same for the first `length` bytes of `buffer`, in UTF-8. Cheaper than a string, which
    /// takes Node-API two passes.
    #[napi]
    pub fn emit_bytes(&self, channel: u32, buffer: &[u8], length: u32) -> u32 {
        let text = buffer.get(..length as usize).unwrap_or(buffer);
        self.send(channel, || Payload::events(Bytes::copy_from_slice(text)))
    }

    /// Sends one event with attachments, which the JSON refers to as `{"\u0000b":index}`.
    #[napi]
    pub fn emit_rich(&self, channel: u32, json: String, attachments: Vec<Uint8Array>) -> u32 {
        self.send(channel, || rich(&json, &attachments))
    }

    /// Sends a run of `count` stream chunks or events with attachments (`kind`): the first `length`
    /// bytes of `buffer`, in wire format.
    #[napi]
    pub fn emit_run(
        &self,
        channel: u32,
        kind: u8,
        count: u32,
        buffer: &[u8],
        length: u32,
    ) -> Result<u32> {
        let run = buffer.get(..length as usize).unwrap_or(buffer);
        let kind = Kind::from_byte(kind);
        let payload =
            kind.and_then(|kind| Payload::parse(kind, count, Bytes::copy_from_slice(run)));
        let payload = payload.ok_or_else(|| invalid("a run that does not add up"))?;
        Ok(self.send(channel, || payload))
    }

    /// Sends a JSON array to several members, with attachments as in `emitRich`. Returns the
    /// outcome for each. Empty if one of them has no room; then nothing was sent.
    #[napi]
    pub fn emit_to(
        &self,
        members: Uint32Array,
        json: String,
        attachments: Option<Vec<Uint8Array>>,
    ) -> Vec<u32> {
        let Some(node) = &*self.node() else {
            return vec![outcome::CLOSED; members.len()];
        };
        let payload = match attachments {
            None => Payload::events(Bytes::from(json)),
            Some(attachments) => rich(&json, &attachments),
        };
        let outcomes = node.send_to(&members, payload);
        outcomes.into_iter().map(outcome).collect()
    }

    /// Replaces the text in this node's record, at most 2048 bytes in UTF-8.
    #[napi]
    pub fn set_body(&self, body: String) -> Result<()> {
        let body = config::checked_body(body)?;
        if let Some(node) = &*self.node() {
            node.set_body(body);
        }
        Ok(())
    }

    /// Sends a stream chunk.
    #[napi]
    pub fn write(&self, channel: u32, chunk: &[u8]) -> u32 {
        self.send(channel, || Payload::chunk(chunk))
    }

    /// Sends one peer a JSON array with a path of the application's own.
    #[napi]
    pub fn line(&self, peer: u32, text: String) -> u32 {
        match &*self.node() {
            Some(node) => outcome(node.line(LinkId(peer), Bytes::from(text))),
            None => outcome::CLOSED,
        }
    }

    /// Sets the events of a channel that have listeners (`null`: all), and whether its stream (bit
    /// 0) and its raw lines (bit 1) are read.
    #[napi]
    pub fn set_filter(&self, channel: u32, names: Option<Vec<String>>, flags: u32) {
        self.queue.set_filter(channel, Filter::new(names, flags));
    }

    /// Adds a name to a channel's filter. Returns whether the last drained text omitted events
    /// without a listener.
    #[napi]
    pub fn listen(&self, channel: u32, name: String) -> bool {
        self.queue.listen(channel, name)
    }

    /// Removes names from a channel's filter.
    #[napi]
    pub fn unlisten(&self, channel: u32, names: Vec<String>) {
        self.queue.unlisten(channel, &names);
    }

    /// JSON text of the next messages and notices, at least one; `null` when nothing is left.
    #[napi]
    pub fn drain(&self) -> Option<String> {
        let text = self.queue.drain();
        if self.queue.has_news()
            && let Some(node) = &*self.node()
        {
            node.consumed();
        }
        if let (None, Some(poll)) = (&text, &*self.poll.borrow()) {
            poll.drained();
        }
        text
    }

    /// From now on, stream chunks of a channel wait for their reader.
    #[napi]
    pub fn hold(&self, channel: u32) {
        self.queue.hold(channel);
    }

    /// The reader took this many of their bytes, or (`null`) none wait any more.
    #[napi]
    pub fn read(&self, channel: u32, bytes: Option<u32>) {
        self.queue.read(channel, bytes.map(|bytes| bytes as usize));
        if self.queue.has_news()
            && let Some(node) = &*self.node()
        {
            node.consumed();
        }
    }

    /// Only the first `consumed` messages and notices of the last drained text were consumed.
    #[napi]
    pub fn rewind(&self, consumed: u32) {
        self.queue.rewind(consumed as usize);
    }

    /// The buffers that messages of the last drained text refer to. Several share one.
    #[napi]
    pub fn take<'env>(&self, env: &'env Env) -> Result<Vec<BufferSlice<'env>>> {
        self.queue
            .buffers()
            .iter()
            .map(|buffer| BufferSlice::copy_from(env, buffer))
            .collect()
    }

    /// The counters of the node and the queue, as JSON text.
    #[napi]
    pub fn stats(&self) -> String {
        let network = self.node().as_ref().map(Node::stats).unwrap_or_default();
        let crossing = self.queue.counters();
        serde_json::json!(Stats { network, crossing }).to_string()
    }

    fn send(&self, channel: u32, payload: impl FnOnce() -> Payload) -> u32 {
        match &*self.node() {
            Some(node) if channel == BROADCAST => outcome(node.broadcast(payload())),
            Some(node) => outcome(node.send(LinkId(channel), payload())),
            None => outcome::CLOSED,
        }
    }

    fn hang_bell(&self, env: &Env) -> Result<()> {
        let mut bell = lock(&self.bell);
        if bell.is_none() {
            let doorbell = self.doorbell.borrow_back(env)?;
            let builder = doorbell.build_threadsafe_function::<()>();
            *bell = Some(builder.weak::<true>().build()?);
        }
        Ok(())
    }

    #[cfg(shared_reads)]
    fn wait_for(&self, env: &Env, node: &Node) -> Option<Poll> {
        let (queue, doorbell) = (self.queue.clone(), self.doorbell.clone());
        Poll::open(*env, node.watch()?, queue, doorbell)
    }

    #[cfg(not(shared_reads))]
    fn wait_for(&self, _: &Env, _: &Node) -> Option<Poll> {
        None
    }

    fn node(&self) -> MutexGuard<'_, Option<Node>> {
        lock(&self.node)
    }
}

fn rich(json: &str, attachments: &[Uint8Array]) -> Payload {
    let attachments: Vec<&[u8]> = attachments.iter().map(|array| &**array).collect();
    Payload::rich(json.as_bytes(), &attachments)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The id of the node with this private key in a closed network.
#[napi]
#[allow(
    unreachable_pub,
    dead_code,
    reason = "the addon exports it; Rust code does not see it"
)]
pub fn identity_id(private: &[u8]) -> Result<String> {
    Ok(config::identity(private)?.id().to_string())
}

fn outcome(result: std::result::Result<Room, SendError>) -> u32 {
    match result {
        Ok(Room::Free) => outcome::ROOM,
        Ok(Room::Pressed) => outcome::PRESSED,
        Err(SendError::Overloaded) => outcome::OVERLOADED,
        Err(SendError::Closed) => outcome::CLOSED,
        Err(SendError::TooLarge) => outcome::TOO_LARGE,
    }
}
