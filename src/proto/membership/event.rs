//! The inputs and outputs of the state of membership.

use std::net::SocketAddr;
use std::time::Duration;

use super::peer::Peer;
use crate::proto::{Intent, LinkId, Native, NodeId, Outgoing, PeerAddress, RemoveReason, Timer};

/// An input of the state of membership.
#[derive(Debug)]
pub(in crate::proto) enum Input {
    /// The node has started.
    Started,
    /// A peer was added.
    PeerUp(Box<Peer>),
    /// A peer was removed.
    PeerDown { link: LinkId, reason: RemoveReason },
    /// A peer sent a frame about membership. `muted`: only frames about the peer itself count.
    Received {
        link: LinkId,
        native: Native,
        muted: bool,
    },
    /// A peer has entered the network through this node.
    Entered(LinkId),
    /// The list of peers has changed.
    PeersChanged,
    /// There may be too few peers, or a dial has ended.
    Seek,
    /// A dial to a node could not be connected.
    Unreachable {
        id: NodeId,
        address: Option<SocketAddr>,
    },
    /// A node cannot become a peer.
    Useless(NodeId),
    /// A dialled node has answered without becoming a peer.
    Answered(NodeId),
    /// Another node has named these nodes.
    Named(Vec<PeerAddress>),
    /// Another node has named these nodes, which look for peers, too.
    Waiting(Vec<PeerAddress>),
    /// A node looks for peers. Its address walks through the network, but not over `except`.
    Walk {
        who: PeerAddress,
        except: Option<LinkId>,
        urgent: bool,
    },
    /// It is time to dial lost peers.
    FindLost,
    /// A timer is due.
    TimerFired(Timer),
}

/// An action for the node to carry out, in order.
#[derive(PartialEq, Debug)]
pub(in crate::proto) enum Output {
    /// Queue bytes on a link.
    Send { link: LinkId, data: Outgoing },
    /// Dial a node that should become a peer.
    Dial(Dial),
    /// Close a peer to make room. It has been told.
    Close(LinkId),
    /// (Re)start a timer.
    SetTimer { timer: Timer, after: Duration },
    /// A peer misbehaved.
    Blame { link: LinkId, what: &'static str },
}

/// A dial to a node that others named.
#[derive(PartialEq, Debug)]
pub(in crate::proto) struct Dial {
    pub(in crate::proto) who: PeerAddress,
    pub(in crate::proto) intent: Intent,
    /// Whether a peer without other peers makes room for it.
    pub(in crate::proto) displaces: bool,
}
