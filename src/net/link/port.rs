//! A link's reports to its node.

use std::time::Duration;

use crate::net::secure::Refusal;
use crate::proto::{Level, LinkId, Message};

/// A link's report to its node.
#[derive(Debug)]
pub(in crate::net) enum Report {
    /// Messages arrived, in this order.
    Received(Vec<Message>),
    /// The queue crossed a level.
    Pressure(Level),
    /// The link has ended. This is its last report.
    Closed(End),
}

/// Why a link ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::net) enum End {
    /// The connection ended, with this error code.
    Because(&'static str),
    /// The other side is refused.
    Refused(Refusal),
}

impl From<&'static str> for End {
    fn from(reason: &'static str) -> Self {
        Self::Because(reason)
    }
}

/// The role of the node at the other end of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::net) enum Role {
    /// Not a peer: its handshake is not complete.
    Unconnected,
    /// A peer.
    Peer {
        /// The peer waits for this node's consumption.
        has_windows: bool,
    },
}

/// A link's connection to its node.
///
/// Thread: the one that reads or writes the link, be it JavaScript's or the network's.
/// Locks held: at most the link's reading lock; the implementation takes the core's.
pub(in crate::net) trait Port: Send + Sync {
    /// Passes `report` to the node. Returns how long the link must pause reading.
    fn report(&self, link: LinkId, report: Report) -> Duration;

    /// The current role of the node at the other end.
    fn role(&self, link: LinkId) -> Role;
}
