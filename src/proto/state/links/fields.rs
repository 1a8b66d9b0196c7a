//! Links, peers and dials: the fields, and questions to them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::proto::bucket::Bucket;
use crate::proto::publish::Outstanding;
use crate::proto::{Hello, Intent, Level, Mark, Moment, NodeId, PeerAddress, Target};

/// Refusals and conflicts that the application is told of: at once, and per second.
const TOLD_BURST: f64 = 10.0;
const TOLD_PER_SECOND: f64 = 1.0;
/// Dials to find out whether there is a twin, per second.
const CHECKS_PER_SECOND: f64 = 1.0 / 60.0;
/// The cost of a message besides its bytes.
const OVERHEAD: usize = 256;
/// A receiver repeats its report while the link is busy and its last message came within this time.
const REPEAT_FOR: Duration = Duration::from_secs(60);

/// One connection.
#[derive(Debug)]
pub(in crate::proto::state) struct Link {
    /// The other end, once there is one.
    pub(in crate::proto::state) remote: Option<SocketAddr>,
    pub(in crate::proto::state) phase: Phase,
    pub(in crate::proto::state) level: Level,
    /// When it was dialled or accepted.
    pub(in crate::proto::state) began: Moment,
    pub(in crate::proto::state) last_heard: Moment,
    pub(in crate::proto::state) last_sent: Moment,
    pub(in crate::proto::state) score: i32,
    pub(in crate::proto::state) blamed_at: Moment,
}

/// How far a connection has come.
#[derive(Debug)]
pub(in crate::proto::state) enum Phase {
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
pub(in crate::proto::state) struct Peer {
    pub(in crate::proto::state) id: NodeId,
    /// Where it can be dialled: where we did, or where it says.
    pub(in crate::proto::state) target: Option<Target>,
    pub(in crate::proto::state) native: bool,
    /// How many peers it accepts, if it says so.
    pub(in crate::proto::state) max_peers: Option<u16>,
    /// How many it has, and how many of those have others, if it says so.
    pub(in crate::proto::state) has: u16,
    pub(in crate::proto::state) ways: u16,
    /// Where it listens, as an address to tell others.
    pub(in crate::proto::state) listens: Option<SocketAddr>,
    /// It has said goodbye, and whether it wants to be remembered.
    pub(in crate::proto::state) leaving: Option<bool>,
    /// The latest node that it told us of alone: before a goodbye, the one that takes our place.
    pub(in crate::proto::state) instead: Option<PeerAddress>,
    /// Its epoch, if it is native.
    pub(in crate::proto::state) epoch: Option<u64>,
    pub(in crate::proto::state) requests: Bucket,
    /// Shuffles that it may hand us.
    pub(in crate::proto::state) shuffles: Bucket,
    /// Shuffles that we may hand it.
    pub(in crate::proto::state) shuffles_on: Bucket,
    /// Whether it reports its consumption and wants reports of ours.
    pub(in crate::proto::state) windows: bool,
    /// The largest message that it takes, in bytes.
    pub(in crate::proto::state) max_message: usize,
    /// Direct messages, both ways.
    pub(in crate::proto::state) direct: Window,
}

impl Peer {
    /// Where it can be dialled, for telling others; only of native peers.
    pub(in crate::proto::state) fn contact(&self) -> Option<PeerAddress> {
        let listens = self.listens.filter(|_| self.native)?;
        Some(PeerAddress {
            id: self.id.clone(),
            address: listens.ip(),
            port: listens.port(),
        })
    }
}

impl Link {
    pub(in crate::proto::state) fn new(
        remote: Option<SocketAddr>,
        phase: Phase,
        now: Moment,
    ) -> Self {
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

    pub(in crate::proto::state) fn peer(&self) -> Option<&Peer> {
        match &self.phase {
            Phase::Peer(peer) => Some(peer),
            _ => None,
        }
    }

    pub(in crate::proto::state) fn peer_mut(&mut self) -> Option<&mut Peer> {
        match &mut self.phase {
            Phase::Peer(peer) => Some(peer),
            _ => None,
        }
    }

    pub(in crate::proto::state) fn peer_id(&self) -> Option<&NodeId> {
        self.peer().map(|peer| &peer.id)
    }

    /// The dial that is under way on this link, if it is to become a peer.
    pub(in crate::proto::state) fn dial(&self) -> Option<&Dial> {
        match &self.phase {
            Phase::Dialing(Purpose::Peer(dial)) | Phase::AwaitingAck(dial) => Some(dial),
            _ => None,
        }
    }
}

/// The purpose of a dial.
#[derive(Debug)]
pub(in crate::proto::state) enum Purpose {
    /// To become peers.
    Peer(Dial),
    /// To deliver a line and leave it at that; to a seed, if we ask one for peers.
    Courier(bytes::Bytes, Option<usize>),
}

/// A dial to a node that should become a peer.
#[derive(Clone, Debug)]
pub(in crate::proto::state) struct Dial {
    pub(in crate::proto::state) target: Target,
    /// Whom we expect there, if we know.
    pub(in crate::proto::state) expected: Option<NodeId>,
    /// The application's request, if it was the application's.
    pub(in crate::proto::state) request: Option<u32>,
    /// What we want of a native node there.
    pub(in crate::proto::state) intent: Intent,
    /// The seed that is dialled, if it is one.
    pub(in crate::proto::state) seed: Option<usize>,
    /// Whether a peer that has no other makes room for it.
    pub(in crate::proto::state) displaces: bool,
}

/// How a dial ended that made no peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proto::state) enum DialEnd {
    /// There was no connection.
    Unreachable,
    /// Our handshake was not answered in time.
    Unanswered,
    /// The other side reset the connection: a native node with too many unconnected links.
    Reset,
    /// The other side closed the connection.
    Refused,
}

impl Dial {
    pub(in crate::proto::state) fn to(target: Target) -> Self {
        Self {
            target,
            expected: None,
            request: None,
            intent: Intent::Peer,
            seed: None,
            displaces: false,
        }
    }

    /// To a node we have heard of.
    pub(in crate::proto::state) fn to_node(who: &PeerAddress, intent: Intent) -> Self {
        Self {
            expected: Some(who.id.clone()),
            intent,
            ..Self::to(who.socket().into())
        }
    }

    /// To a seed.
    pub(in crate::proto::state) fn to_seed(seed: usize, target: Target, intent: Intent) -> Self {
        Self {
            seed: Some(seed),
            intent,
            ..Self::to(target)
        }
    }

    /// The address that it goes to, if it is given as such.
    pub(in crate::proto::state) fn address(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.target.host.parse().ok()?;
        Some(SocketAddr::new(ip.to_canonical(), self.target.port))
    }

    /// Whether it goes to that address, given as such.
    pub(in crate::proto::state) fn is_to(&self, address: IpAddr) -> bool {
        self.target.host.parse() == Ok(address)
    }
}

/// Limits on reports and checks of identity.
#[derive(Debug)]
pub(in crate::proto::state) struct Twins {
    pub(in crate::proto::state) told: Bucket,
    pub(in crate::proto::state) checks: Bucket,
}

impl Twins {
    pub(in crate::proto::state) fn new() -> Self {
        Self {
            told: Bucket::new(TOLD_BURST, TOLD_PER_SECOND, Moment::default()),
            checks: Bucket::new(1.0, CHECKS_PER_SECOND, Moment::default()),
        }
    }
}

/// How far both ends of a link have consumed each other's direct messages.
///
/// Each end numbers what it sends and what it receives. The receiver tells the number that its
/// application has consumed; what lies between that and what was sent is outstanding.
#[derive(Debug)]
pub(in crate::proto::state) struct Window {
    pub(in crate::proto::state) sent: u64,
    pub(in crate::proto::state) outstanding: Outstanding,
    /// When the peer consumed something, or was sent something after it had consumed all.
    pub(in crate::proto::state) since: Moment,
    /// It has consumed nothing for so long that it is not waited for.
    pub(in crate::proto::state) is_stalled: bool,
    /// Names its messages in the application's marks.
    pub(in crate::proto::state) mark: u32,
    pub(in crate::proto::state) received: u64,
    pub(in crate::proto::state) received_at: Moment,
    pub(in crate::proto::state) consumed: u64,
    /// Up to where it was told that we have consumed.
    pub(in crate::proto::state) told: u64,
}

impl Window {
    pub(in crate::proto::state) fn new(mark: u32) -> Self {
        Self {
            sent: 0,
            outstanding: Outstanding::default(),
            since: Moment::default(),
            is_stalled: false,
            mark,
            received: 0,
            received_at: Moment::default(),
            consumed: 0,
            told: 0,
        }
    }

    pub(in crate::proto::state) fn receive(&mut self, count: u32, now: Moment) -> Mark {
        self.received_at = now;
        self.received += u64::from(count);
        Mark {
            stream: self.mark,
            last: self.received,
        }
    }

    pub(in crate::proto::state) fn send(&mut self, count: u32, bytes: usize, now: Moment) {
        if self.outstanding.bytes() == 0 {
            self.since = now;
        }
        self.sent += u64::from(count);
        self.outstanding.sent(self.sent, bytes + OVERHEAD);
    }

    /// Whether the application has consumed all that came, and more may be on its way.
    pub(in crate::proto::state) fn repeats(&self, now: Moment) -> bool {
        self.received > 0 && self.told == self.received && now.since(self.received_at) < REPEAT_FOR
    }

    /// Outstanding bytes that senders wait for.
    pub(in crate::proto::state) fn awaited(&self) -> usize {
        match self.is_stalled {
            true => 0,
            false => self.outstanding.bytes(),
        }
    }
}
