//! What the application asks of a node.

use bytes::Bytes;

use crate::proto::{LinkId, Payload, Target};

/// What a message weighs beside its own bytes: a legacy packet around it.
const MESSAGE_OVERHEAD: usize = 192;

/// What the application asks of a node. The thread that asks carries it out if the core is free;
/// otherwise the driver does.
#[derive(Debug)]
pub(in crate::net) enum Command {
    Broadcast(Payload),
    /// To a peer, or to a member.
    Direct(LinkId, Payload),
    /// To several members.
    SendTo(Vec<u32>, Payload),
    /// Another text for this node's record.
    Body(String),
    Line(LinkId, Bytes),
    AddPeer(u32, Target),
    ClosePeer(LinkId),
    /// The application has consumed much since it was last asked.
    Consumed,
    Reconfigure(usize, Vec<Target>, String),
    Stop,
}

impl Command {
    /// What it weighs on its way to the driver.
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
