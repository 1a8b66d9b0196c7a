//! Connections: from dial or accept to peer, and their end.

mod close;
mod dial;
mod handshake;
mod heartbeat;
mod score;
mod twins;
mod unicast;

use std::net::SocketAddr;

use super::State;
use crate::proto::bucket::Bucket;
use crate::proto::{
    Class, Hello, Level, LinkId, Moment, NodeId, Outgoing, PeerAddress, Target, publish,
};
use dial::Purpose;
pub(super) use dial::{Dial, DialEnd};
pub(super) use handshake::count;
pub(super) use heartbeat::HEARTBEAT_CHECK;
pub(super) use twins::Twins;

/// Forward joins that a native peer may hand us.
const WALKS_PER_SECOND: f64 = 100.0;

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    /// The other end, once there is one.
    pub(super) remote: Option<SocketAddr>,
    pub(super) phase: Phase,
    pub(super) level: Level,
    /// When it was dialled or accepted.
    pub(super) began: Moment,
    pub(super) last_heard: Moment,
    pub(super) last_sent: Moment,
    score: i32,
    blamed_at: Moment,
}

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// The TCP connection is being made.
    Dialing(Purpose),
    /// We have sent a handshake.
    AwaitingAck(Dial),
    /// We have written all we had to say (entry, pong); the other side closes. The seed, if we
    /// asked one for peers.
    Courier(Option<usize>),
    /// A native node does not want us as a peer; it tells of others, and closes. Whether it is of
    /// another part of the network that we want to join.
    Refused(bool),
    /// Accepted; no handshake yet.
    Unconnected,
    /// Accepted, with a handshake; it waits for the outcome of our own dial to the same node.
    Held(Hello),
    /// A peer.
    Peer(Box<Peer>),
}

/// A peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: NodeId,
    /// Where it can be dialled: where we did, or where it says.
    pub(super) target: Option<Target>,
    pub(super) native: bool,
    /// How many peers it accepts, if it says so.
    pub(super) max_peers: Option<u16>,
    /// How many it has, and how many of those have others, if it says so.
    pub(super) has: u16,
    pub(super) ways: u16,
    /// Where it listens, as an address to tell others.
    pub(super) listens: Option<SocketAddr>,
    /// It has said goodbye, and whether it wants to be remembered.
    pub(super) leaving: Option<bool>,
    /// The latest node that it told us of alone: before a goodbye, the one that takes our place.
    pub(super) instead: Option<PeerAddress>,
    /// Its epoch, if it is native.
    pub(super) epoch: Option<u64>,
    pub(super) requests: Bucket,
    /// Shuffles that it may hand us.
    pub(super) shuffles: Bucket,
    /// Shuffles that we may hand it.
    pub(super) shuffles_on: Bucket,
    /// Whether it reports its consumption and wants reports of ours.
    pub(super) windows: bool,
    /// The largest message that it takes, in bytes.
    pub(super) max_message: usize,
    /// Direct messages, both ways.
    direct: unicast::Window,
}

impl Peer {
    /// Where it can be dialled, for telling others; only of native peers.
    pub(super) fn contact(&self) -> Option<PeerAddress> {
        let listens = self.listens.filter(|_| self.native)?;
        Some(PeerAddress {
            id: self.id.clone(),
            address: listens.ip(),
            port: listens.port(),
        })
    }
}

impl Link {
    fn new(remote: Option<SocketAddr>, phase: Phase, now: Moment) -> Self {
        Self {
            remote,
            phase,
            level: Level::Low,
            began: now,
            last_heard: now,
            last_sent: now,
            score: 0,
            blamed_at: now,
        }
    }

    pub(super) fn peer(&self) -> Option<&Peer> {
        match &self.phase {
            Phase::Peer(peer) => Some(peer),
            _ => None,
        }
    }

    pub(super) fn peer_mut(&mut self) -> Option<&mut Peer> {
        match &mut self.phase {
            Phase::Peer(peer) => Some(peer),
            _ => None,
        }
    }

    pub(super) fn peer_id(&self) -> Option<&NodeId> {
        self.peer().map(|peer| &peer.id)
    }

    /// The dial that is under way on this link, if it is to become a peer.
    fn dial(&self) -> Option<&Dial> {
        match &self.phase {
            Phase::Dialing(Purpose::Peer(dial)) | Phase::AwaitingAck(dial) => Some(dial),
            _ => None,
        }
    }
}

impl State {
    pub(super) fn peer(&self, link: LinkId) -> Option<&Peer> {
        self.links.get(&link)?.peer()
    }

    pub(super) fn peer_mut(&mut self, link: LinkId) -> Option<&mut Peer> {
        self.links.get_mut(&link)?.peer_mut()
    }

    pub(super) fn is_native(&self, link: LinkId) -> bool {
        self.peer(link).is_some_and(|peer| peer.native)
    }

    pub(super) fn peer_link(&self, id: &NodeId) -> Option<LinkId> {
        self.peers()
            .find(|(_, peer)| *peer == id)
            .map(|(link, _)| link)
    }

    pub(super) fn pressure(&mut self, link: LinkId, level: Level) {
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        state.level = level;
        self.publish(publish::Input::Pressure { link, level });
        self.nodes_pressure();
    }
}

/// A line or frame of the protocol's own.
fn control(head: bytes::Bytes) -> Outgoing {
    Outgoing {
        class: Class::Control,
        head,
        body: bytes::Bytes::new(),
    }
}
