//! What the application's side sees of a node.

use crate::proto::{Counters, Event, Mark};

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
