//! What the application sees of a node: the sink of events, the answers to sends, the counts.

use crate::proto::{Counters, Event, Mark};

/// Where a node's events go.
///
/// Thread: the one that holds the core, JavaScript's or the network's. Locks held: the core's, so
/// events come one at a time and in order. An implementation must not block, nor call the node.
pub trait Sink: Send + Sync + 'static {
    /// Something happened.
    fn event(&self, event: Event);

    /// Whether the application takes events more slowly than they come.
    ///
    /// An application that takes none at all is not congested: its node still relays.
    ///
    /// Thread: any. Locks held: the reading lock of a link.
    fn congestion(&self) -> Congestion {
        Congestion::None
    }

    /// How far the application has consumed each stream of messages that moved since the last call.
    fn consumed(&self) -> Vec<Mark>;
}

/// Which links must pause reading, so that TCP slows down their senders.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Congestion {
    /// None.
    None,
    /// Those whose peers do not wait for receivers.
    Light,
    /// All.
    Heavy,
}

/// Whether the application may go on sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Yes.
    Free,
    /// The message was taken, but the application should wait for [`Event::Drain`].
    Pressed,
}

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// The application sent on under pressure, up to the limit of the queue.
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
    /// Connections that are not peers yet.
    pub unconnected: usize,
    /// The links that are peers.
    pub links: Vec<LinkStats>,
}

/// How many links were refused or slowed down, and why. All are totals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Not encrypted, and this node has a secret.
    pub refused_plaintext: u64,
    /// Encrypted, and this node has no secret.
    pub refused_encrypted: u64,
    /// Encrypted with another secret.
    pub refused_secret: u64,
    /// Dials that the other side ended in the handshake: it has no secret, or another one.
    pub unanswered: u64,
    /// With an id that does not belong to the key.
    pub refused_identity: u64,
    /// Closed because a message was changed, repeated or dropped on its way.
    pub corrupted: u64,
    /// From or to an address that is not in [`Config::allow`].
    pub refused_address: u64,
    /// Beyond [`Config::max_unconnected`] or [`Config::handshakes_per_second`].
    pub refused_crowded: u64,
    /// Beyond [`Config::max_unconnected_per_address`].
    pub refused_per_address: u64,
    /// Times that accepting paused because of [`Config::connections_per_second`].
    pub crowds: u64,
    /// Reads that were delayed because of [`Config::relayed_bytes_per_second`].
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
