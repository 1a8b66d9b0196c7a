//! The class that `lib/*.js` builds on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use napi::bindgen_prelude::{BufferSlice, Function, Uint8Array};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, Error, Result, Status};
use napi_derive::napi;

use crate::net::{Node, Room, SendError};
use crate::proto::{Config, LinkId, NodeId, Payload, Target};

use super::filter::{BROADCAST, Filter};
use super::log::Log;
use super::queue::{Counters, Queue};

/// What became of a message, as the number that `emit`, `emitRich`, `write` and `line` return.
mod outcome {
    pub(super) const ROOM: u32 = 0;
    pub(super) const PRESSED: u32 = 1;
    pub(super) const OVERLOADED: u32 = 2;
    pub(super) const CLOSED: u32 = 3;
    pub(super) const TOO_LARGE: u32 = 4;
}

/// Where a seed can be dialled.
#[napi(object)]
pub struct Seed {
    /// An IP literal or a host name.
    pub address: String,
    /// The TCP port.
    pub port: u16,
}

/// What a node is started with. JavaScript has checked every value.
#[napi(object)]
pub struct StartConfig {
    /// The node's network-wide name.
    pub id: String,
    /// The address that others dial.
    pub address: String,
    /// The port to listen on; 0 = any free one.
    pub port: u16,
    /// How many peers to seek.
    pub min_peer_no: f64,
    /// How many peers to accept; may be infinite.
    pub max_peer_no: f64,
    /// Nodes to enter the network through.
    pub seeds: Vec<Seed>,
    /// In milliseconds.
    pub ping_timeout: f64,
    /// The largest message, in bytes.
    pub max_message_size: f64,
    /// The methods that the logger has, as bits: trace = 1, debug, info, warn, error, fatal = 32.
    pub log_levels: u32,
}

/// A node of the network and the queue of what it tells JavaScript.
#[napi]
pub struct NativeNode {
    queue: Arc<Queue>,
    node: Mutex<Option<Node>>,
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
    /// `doorbell` is called when `drain()` has something, and not again before `drain()` has
    /// returned `null`. It does not keep the process alive.
    #[napi(constructor)]
    pub fn new(doorbell: Function<(), ()>) -> Result<Self> {
        let doorbell = doorbell
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build()?;
        let ring =
            move || doorbell.call((), ThreadsafeFunctionCallMode::NonBlocking) != Status::Closing;
        Ok(Self {
            queue: Arc::new(Queue::new(ring)),
            node: Mutex::new(None),
        })
    }

    /// Starts the node; the outcome comes through `drain()`.
    #[napi]
    pub fn start(&self, config: StartConfig) -> Result<()> {
        let id = NodeId::parse(&config.id)
            .ok_or_else(|| Error::new(Status::InvalidArg, "a node id that cannot be sent"))?;
        let log = Log::dispatch(self.queue.clone(), config.log_levels);
        self.queue.clear_filters();
        let mut node = self.node();
        // The old one first: it may hold the port.
        *node = None;
        *node = Some(Node::start(config.into(), id, self.queue.clone(), log));
        Ok(())
    }

    /// Stops the node; `{"t":"stopped"}` follows.
    #[napi]
    pub fn stop(&self) {
        if let Some(node) = &*self.node() {
            node.stop();
        }
    }

    /// Dials; `{"t":"dialed"}` with `request` follows.
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

    /// The same, the text being the first `length` bytes of `buffer`, in UTF-8. Cheaper than a
    /// string, which Node-API has to walk over twice.
    #[napi]
    pub fn emit_bytes(&self, channel: u32, buffer: &[u8], length: u32) -> u32 {
        let text = buffer.get(..length as usize).unwrap_or(buffer);
        self.send(channel, || Payload::events(Bytes::copy_from_slice(text)))
    }

    /// Sends one event with attachments, which stand in the JSON as `{"\u0000b":index}`.
    #[napi]
    pub fn emit_rich(&self, channel: u32, json: String, attachments: Vec<Uint8Array>) -> u32 {
        self.send(channel, || {
            let attachments: Vec<&[u8]> = attachments.iter().map(|array| &**array).collect();
            Payload::rich(json.as_bytes(), &attachments)
        })
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

    /// Says which events of a channel have listeners (`null`: take them all for listened to), and
    /// whether its stream (bit 0) and its raw lines (bit 1) are read.
    #[napi]
    pub fn set_filter(&self, channel: u32, names: Option<Vec<String>>, flags: u32) {
        self.queue.set_filter(channel, Filter::new(names, flags));
    }

    /// JSON text of the next items, at least one; `null` when nothing is left.
    #[napi]
    pub fn drain(&self) -> Option<String> {
        self.queue.drain()
    }

    /// Only the first `consumed` items of the last drained text were consumed.
    #[napi]
    pub fn rewind(&self, consumed: u32) {
        self.queue.rewind(consumed as usize);
    }

    /// The buffers that items of the last drained text refer to.
    #[napi]
    pub fn take<'env>(&self, env: &'env Env) -> Result<Vec<BufferSlice<'env>>> {
        self.queue
            .buffers()
            .iter()
            .map(|buffer| BufferSlice::copy_from(env, buffer))
            .collect()
    }

    /// What the node and the queue have counted, as JSON text.
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

    fn node(&self) -> MutexGuard<'_, Option<Node>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<StartConfig> for Config {
    fn from(config: StartConfig) -> Self {
        let count = |number: f64| {
            if number.is_finite() {
                number as usize
            } else {
                usize::MAX
            }
        };
        Self {
            address: config.address,
            port: config.port,
            min_peers: count(config.min_peer_no),
            max_peers: count(config.max_peer_no),
            seeds: config
                .seeds
                .into_iter()
                .map(|Seed { address, port }| Target {
                    host: address,
                    port,
                })
                .collect(),
            ping_timeout: Duration::from_secs_f64((config.ping_timeout / 1000.0).max(0.0)),
            max_message: config.max_message_size as usize,
            ..Self::default()
        }
    }
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
