//! The node's interface to the application: the sink of events, the results of sends, the counters.

use crate::proto::{Counters, Event, Mark};

/// The receiver of a node's events.
///
/// Thread: the holder of the core's lock, JavaScript's or the network's. Locks held: the core's, so
/// events arrive one at a time and in order. An implementation must not block or call the node.
pub trait Sink: Send + Sync + 'static {
    /// Takes an event.
    fn event(&self, event: Event);

    /// Whether events arrive faster than the application takes them.
    ///
    /// An application that takes no events at all is not congested: its node still relays.
    ///
    /// Thread: any. Locks held: the reading lock of a link.
    fn congestion(&self) -> Congestion {
        Congestion::None
    }

    /// The application's progress in each stream of messages that moved since the last call.
    fn consumed(&self) -> Vec<Mark>;
}

/// Which links must pause reading, so that TCP slows down their senders.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Congestion {
    /// None.
    None,
    /// Links whose peers do not wait for receivers.
    Light,
    /// All.
    Heavy,
}

/// Whether the application may continue to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Yes.
    Free,
    /// The message was accepted, but the application should wait for [`Event::Drain`].
    Pressed,
}

/// Why a message was rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// The application ignored backpressure until the queue was full.
    #[error("the queue is full: wait for 'drain' after emit or write returned false")]
    Overloaded,
    /// A message is larger than [`Config::max_message`].
    #[error("the message is larger than maxMessageSize")]
    TooLarge,
    /// The node has stopped or the peer is gone.
    #[error("closed")]
    Closed,
}

/// A snapshot of a node's counters.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Totals of the protocol.
    #[serde(flatten)]
    pub counters: Counters,
    /// Refused links.
    #[serde(flatten)]
    pub refused: Refused,
    /// Connections without a handshake.
    pub unconnected: usize,
    /// The links of peers.
    pub links: Vec<LinkStats>,
}

/// Links refused or slowed down, by reason. All are totals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Plaintext links, refused because this node has a secret.
    pub refused_plaintext: u64,
    /// Encrypted links, refused because this node has no secret.
    pub refused_encrypted: u64,
    /// Links encrypted with another secret.
    pub refused_secret: u64,
    /// Dials that the other side ended in the handshake, because it has no secret or another one.
    pub unanswered: u64,
    /// Links whose node id does not match the key.
    pub refused_identity: u64,
    /// Links closed because a message was changed, repeated or lost on its way.
    pub corrupted: u64,
    /// Links from or to an address outside [`Config::allow`].
    pub refused_address: u64,
    /// Links above [`Config::max_unconnected`] or [`Config::handshakes_per_second`].
    pub refused_crowded: u64,
    /// Links above [`Config::max_unconnected_per_address`].
    pub refused_per_address: u64,
    /// Pauses in accepting because of [`Config::connections_per_second`].
    pub crowds: u64,
    /// Reads delayed because of [`Config::relayed_bytes_per_second`].
    pub slowed: u64,
}

/// A snapshot of one peer's link.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkStats {
    /// The peer's id.
    pub id: String,
    /// Whether the link carries native frames.
    pub native: bool,
    /// Bytes waiting to be written.
    pub queued_bytes: usize,
}
