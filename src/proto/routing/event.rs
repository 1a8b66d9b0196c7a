//! The inputs and outputs of routing, and its view of the network.

use std::time::Duration;

use super::frame::Frame;
use crate::proto::{Class, Identity, LinkId, Mark, Moment, NodeId, Origin, Payload, PublicKey};

/// The view of the network that routing needs.
pub trait Roads {
    /// The next hop towards a node, and the length of that path in links.
    fn way_to(&mut self, id: &NodeId) -> Option<(LinkId, u16)>;
    /// The handle of a member.
    fn handle_of(&self, origin: &Origin) -> Option<u32>;
    /// The member with a handle.
    fn origin(&self, handle: u32) -> Option<Origin>;
    /// The public key of a member of a closed network.
    fn key(&self, handle: u32) -> Option<PublicKey>;
    /// Whether the peer of a link accepts messages of that many bytes.
    fn takes(&self, link: LinkId, bytes: usize) -> bool;
    /// Whether a link's queue is so long that senders should wait.
    fn is_crowded(&self, link: LinkId) -> bool;
    /// Whether a link's queue is full.
    fn is_full(&self, link: LinkId) -> bool;
}

/// The configuration of [`Routing`](super::Routing).
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes outstanding to one node before its senders wait.
    pub window: usize,
    /// Whether senders wait at all.
    pub waits: bool,
    /// How long they wait for a receiver that consumes nothing.
    pub patience: Duration,
    /// Authenticates messages between members in a closed network.
    pub identity: Option<Identity>,
}

/// An input of the state machine.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// The application sends to these members.
    Send(Vec<u32>, Payload),
    /// A frame arrived.
    Frame(LinkId, Frame),
    /// The application has consumed a member's messages up to this number.
    Consumed(u32, u64),
    /// A node became a member.
    Joined(u32),
    /// A member left.
    Left(u32),
    /// The level of a link's queue changed.
    Pressure,
    /// This link is a shortcut to a member now.
    ShortcutUp(u32, LinkId),
    /// A shortcut takes no more letters of ours. It may still bring some.
    ShortcutEnds(LinkId),
    /// A shortcut brings nothing any more.
    ShortcutDown(LinkId),
    /// The time of the last [`Output::WakeAt`] has come.
    Wake,
}

/// An action for the caller. Actions are executed in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send a frame.
    Send(LinkId, Frame, Class),
    /// Give a member's messages to the application.
    Deliver(u32, Payload, Mark),
    /// This many bytes are outstanding to a member.
    Window(u32, usize),
    /// A member's application consumes nothing.
    Slow(u32),
    /// This many messages to a member were dropped on the way. The reports are rate-limited.
    Undelivered(u32, u64),
    /// Much was sent to a member that is not a neighbour and has no shortcut.
    Busy(u32),
    /// A shortcut brought a frame that is not from its one end to the other.
    Stray(LinkId),
    /// Give [`Input::Wake`] at that time.
    WakeAt(Moment),
}

/// Counters, in messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Forwarded for others.
    pub routed: u64,
    /// Sent.
    pub sent: u64,
    /// Received.
    pub received: u64,
    /// Sent to us, and lost or late.
    pub missed: u64,
    /// Dropped here because they could not be forwarded.
    pub dropped: u64,
    /// Sent by us, and dropped on the way.
    pub undelivered: u64,
    /// Letters and notes to us with a wrong, missing or unexpected code.
    pub forged: u64,
}
