//! The application's commands.

use bytes::Bytes;

use crate::proto::{LinkId, Payload, Target};

/// The weight of a message besides its own bytes: the legacy packet around it.
const MESSAGE_OVERHEAD: usize = 192;

/// A command of the application. The calling thread carries it out if the core is free; otherwise
/// the driver does.
#[derive(Debug)]
pub(in crate::net) enum Command {
    Broadcast(Payload),
    /// Messages to a peer, or to a member.
    Direct(LinkId, Payload),
    /// Messages to several members.
    SendTo(Vec<u32>, Payload),
    /// A new text for this node's record.
    Body(String),
    Line(LinkId, Bytes),
    AddPeer(u32, Target),
    ClosePeer(LinkId),
    /// The application has consumed much since the last report.
    Consumed,
    Reconfigure(usize, Vec<Target>, String),
    Stop,
}

impl Command {
    /// The weight on the way to the driver.
    pub(in crate::net) fn bytes(&self) -> usize {
        match self {
            Self::Broadcast(payload) | Self::Direct(_, payload) | Self::SendTo(_, payload) => {
                payload.body().len() + payload.count() as usize * MESSAGE_OVERHEAD
            }
            Self::Line(_, text) => text.len() + MESSAGE_OVERHEAD,
            Self::AddPeer(..)
            | Self::ClosePeer(_)
            | Self::Reconfigure(..)
            | Self::Body(_)
            | Self::Consumed
            | Self::Stop => 0,
        }
    }
}
