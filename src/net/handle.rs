//! What the rest of the program holds of a running node.

use std::sync::Arc;

use bytes::Bytes;

use crate::proto::{Config, Event, LinkId, NodeId, Payload, Target};

/// Where a node's events go.
///
/// Called from the node's driver, one event at a time and in order. An implementation must not
/// block: the node's whole network life waits for it.
pub trait Sink: Send + Sync + 'static {
    /// Something happened.
    fn event(&self, event: Event);
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

/// A running node. Dropping the handle stops it.
#[derive(Debug)]
pub struct Node {}

impl Node {
    /// Starts a node. Whether it could listen comes as [`Event::Listening`] or [`Event::Failed`]
    /// (after which nothing more comes and the node is gone).
    ///
    /// `log` receives the node's `tracing` events, and only this node's.
    pub fn start(_config: Config, _id: NodeId, _sink: Arc<dyn Sink>, _log: tracing::Dispatch) -> Self {
        unimplemented!()
    }

    /// Sends to everyone else in the network.
    pub fn broadcast(&self, _payload: Payload) -> Result<Room, SendError> {
        unimplemented!()
    }

    /// Sends to one peer.
    pub fn send(&self, _peer: LinkId, _payload: Payload) -> Result<Room, SendError> {
        unimplemented!()
    }

    /// Sends one peer a JSON array with a path of the application's own.
    pub fn line(&self, _peer: LinkId, _text: Bytes) -> Result<Room, SendError> {
        unimplemented!()
    }

    /// Dials; the outcome comes as [`Event::Dialed`] with `request`.
    pub fn add_peer(&self, _request: u32, _target: Target) {
        unimplemented!()
    }

    /// Drops a peer; [`Event::PeerRemoved`] follows.
    pub fn close_peer(&self, _peer: LinkId) {
        unimplemented!()
    }

    /// Closes everything; [`Event::Stopped`] is the last event. Idempotent.
    pub fn stop(&self) {
        unimplemented!()
    }
}
