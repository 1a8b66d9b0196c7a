//! The inputs and outputs of the state of members.

use super::frame::Frame;
use super::record::Address;
use crate::proto::{Identity, LinkId, Moment, NodeId};

/// The first handle of a member; links have smaller ids.
pub const FIRST_HANDLE: u32 = 1 << 31;
/// Not a member's: stands for all of them.
pub const ALL_HANDLES: u32 = u32::MAX;

/// What a node is and how much it keeps.
#[derive(Clone, Debug)]
pub struct Config {
    /// The most records that are kept.
    pub max_members: usize,
    /// Where the node listens.
    pub address: Address,
    /// The application's own text.
    pub body: String,
    /// In a closed network, all records are signed: ours by this key.
    pub identity: Option<Identity>,
}

/// Something happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// There is a new peer.
    LinkUp {
        /// Its link.
        link: LinkId,
        /// Who it is.
        id: NodeId,
        /// `None` if it keeps a record; otherwise where it is.
        stub: Option<Address>,
    },
    /// A peer is gone.
    LinkDown(LinkId),
    /// A frame came.
    Frame(LinkId, Frame),
    /// The application has changed its text.
    Body(String),
    /// The time that was asked for has come.
    Wake,
    /// The node stops.
    Stop,
}

/// Something must be done, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send that.
    Send(LinkId, Frame),
    /// Give [`Input::Wake`] at that time; a later one of these moves it.
    WakeAt(Moment),
    /// That link has brought what is no record.
    Malformed(LinkId),
    /// That link has brought a record that its node has not signed. No honest node passes that on.
    Forged(LinkId),
    /// Tell the application.
    Event(Event),
}

/// What the application is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A node is a member now.
    Joined(Member),
    /// It has another address or body.
    Updated(Member),
    /// It is no member any more, by its handle.
    Left(u32),
}

/// A member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Names it while it is one, and no other after that.
    pub handle: u32,
    /// Who it is.
    pub id: NodeId,
    /// Where it listens.
    pub address: Address,
    /// Its application's text.
    pub body: String,
    /// It keeps no record: nothing can be sent to it but by its peers.
    pub is_stub: bool,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Records taken from others.
    pub taken: u64,
    /// Records refused: too often, too many, or of nobody.
    pub refused: u64,
    /// Records refused because the node that they are about has not signed them.
    pub forged: u64,
}
