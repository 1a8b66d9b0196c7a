//! The inputs and outputs of routing, and its view of the network.

use std::time::Duration;

use super::frame::Frame;
use crate::proto::{Class, Identity, LinkId, Mark, Moment, NodeId, Origin, Payload, PublicKey};

/// What routing must know of the network.
pub trait Roads {
    /// The link towards a node, and how many links it is away.
    fn way_to(&mut self, id: &NodeId) -> Option<(LinkId, u16)>;
    /// The handle of a member.
    fn handle_of(&self, origin: &Origin) -> Option<u32>;
    /// The member of a handle.
    fn origin(&self, handle: u32) -> Option<Origin>;
    /// The public key of a member of a closed network.
    fn key(&self, handle: u32) -> Option<PublicKey>;
    /// Whether the peer of a link takes messages of so many bytes.
    fn takes(&self, link: LinkId, bytes: usize) -> bool;
    /// Whether so much waits for a link that senders should wait, too.
    fn is_crowded(&self, link: LinkId) -> bool;
    /// Whether there is no room for more.
    fn is_full(&self, link: LinkId) -> bool;
}

/// What a node does.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes that may be outstanding to one node before its senders are to wait.
    pub window: usize,
    /// Whether senders wait at all,
    pub waits: bool,
    /// and for how long for a receiver that consumes nothing.
    pub patience: Duration,
    /// In a closed network, authenticates what members send each other.
    pub identity: Option<Identity>,
}

/// Something happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// The application sends to these members.
    Send(Vec<u32>, Payload),
    /// A frame came.
    Frame(LinkId, Frame),
    /// The application has consumed a member's messages up to that number.
    Consumed(u32, u64),
    /// A node is a member now.
    Joined(u32),
    /// It is none any more.
    Left(u32),
    /// The queue of a link is fuller, or has room again.
    Pressure,
    /// The time that was asked for has come.
    Wake,
}

/// Something must be done, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send that.
    Send(LinkId, Frame, Class),
    /// Give the application messages of a member.
    Deliver(u32, Payload, Mark),
    /// So many bytes are outstanding to a member.
    Window(u32, usize),
    /// A member's application consumes nothing.
    Slow(u32),
    /// So many messages to a member were dropped on their way. Not told every time.
    Undelivered(u32, u64),
    /// Give [`Input::Wake`] at that time.
    WakeAt(Moment),
}

/// What is counted, in messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Passed on for others.
    pub routed: u64,
    /// Sent.
    pub sent: u64,
    /// Received.
    pub received: u64,
    /// Of others to us, that were lost or came too late.
    pub missed: u64,
    /// That we could not pass on.
    pub dropped: u64,
    /// Sent by us, and dropped on their way.
    pub undelivered: u64,
    /// Letters and notes to us that are not of the member that they name.
    pub forged: u64,
}
