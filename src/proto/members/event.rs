//! The inputs and outputs of the state of members.

use super::frame::Frame;
use super::record::Address;
use crate::proto::{Identity, LinkId, Moment, NodeId};

/// The first handle of a member; links have smaller ids.
pub const FIRST_HANDLE: u32 = 1 << 31;
/// Stands for all members; no member has this handle.
pub const ALL_HANDLES: u32 = u32::MAX;

/// The configuration of [`Members`](super::Members).
#[derive(Clone, Debug)]
pub struct Config {
    /// The largest number of records kept.
    pub max_members: usize,
    /// Where the node listens.
    pub address: Address,
    /// The application's text.
    pub body: String,
    /// Signs our record in a closed network, where every record must be signed.
    pub identity: Option<Identity>,
}

/// An input of the state machine.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// A peer was added.
    LinkUp {
        /// Its link.
        link: LinkId,
        /// The peer's id.
        id: NodeId,
        /// The peer's address if it keeps no record, otherwise `None`.
        stub: Option<Address>,
    },
    /// A peer was removed.
    LinkDown(LinkId),
    /// A frame arrived.
    Frame(LinkId, Frame),
    /// The application has changed its text.
    Body(String),
    /// The time of the last [`Output::WakeAt`] has come.
    Wake,
    /// The node stops.
    Stop,
}

/// An action for the caller. Actions are executed in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send a frame.
    Send(LinkId, Frame),
    /// Give [`Input::Wake`] at that time. A later request replaces an earlier one.
    WakeAt(Moment),
    /// The link brought a malformed record.
    Malformed(LinkId),
    /// The link brought a record without a valid signature. No honest node forwards one.
    Forged(LinkId),
    /// Tell the application.
    Event(Event),
}

/// A report to the application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A node became a member.
    Joined(Member),
    /// A member's address or body changed.
    Updated(Member),
    /// A member left. Holds its handle.
    Left(u32),
}

/// A member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Identifies the member. Reused only after two billion others.
    pub handle: u32,
    /// Its id.
    pub id: NodeId,
    /// Where it listens.
    pub address: Address,
    /// Its application's text.
    pub body: String,
    /// It keeps no record: only its peers can send to it.
    pub is_stub: bool,
}

/// Counters of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Accepted from others.
    pub taken: u64,
    /// Refused: too frequent, or too many.
    pub refused: u64,
    /// Refused for lack of a valid signature.
    pub forged: u64,
}
