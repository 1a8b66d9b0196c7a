//! Links, peers and dials: their fields and queries.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::proto::bucket::Bucket;
use crate::proto::publish::Outstanding;
use crate::proto::{Hello, Intent, Level, Mark, Moment, NodeId, Origin, PeerAddress, Target};

/// Limits on refusals and conflicts reported to the application: burst, and per second.
const TOLD_BURST: f64 = 10.0;
const TOLD_PER_SECOND: f64 = 1.0;
/// Assumed memory of a message besides its bytes.
const OVERHEAD: usize = 256;
/// How long after its last message a receiver repeats its report on a busy link.
const REPEAT_FOR: Duration = Duration::from_secs(60);

/// One connection.
#[derive(Debug)]
pub(in crate::proto::state) struct Link {
    /// The remote address, once connected.
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

/// The phase of a connection.
#[derive(Debug)]
pub(in crate::proto::state) enum Phase {
    /// The TCP connection is being established.
    Dialing(Purpose),
    /// This node has sent a handshake and waits for the ack.
    AwaitingAck(Dial),
    /// A courier: the line is written (entry, pong), and the other side closes. Holds the seed if
    /// the line asks one for peers.
    Courier(Option<usize>),
    /// A native node has refused this node; it names others and closes. True if it is in another
    /// part of the network that this node wants to join.
    Refused(bool),
    /// Accepted, without a handshake yet.
    Unconnected,
    /// Accepted, with a handshake; waits for the outcome of this node's own dial to the same node.
    Held(Hello),
    /// A peer.
    Peer(Box<Peer>),
    /// This node has sent a handshake for a shortcut and waits for the ack.
    AwaitingShortcut(Member),
    /// A shortcut.
    Shortcut(Shortcut),
}

/// A member that a shortcut leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::proto::state) struct Member {
    pub(in crate::proto::state) handle: u32,
    pub(in crate::proto::state) origin: Origin,
}

/// A link to a member that is no peer. It carries only letters and notes of its two ends.
#[derive(Debug)]
pub(in crate::proto::state) struct Shortcut {
    pub(in crate::proto::state) member: Member,
    /// The largest message that the member accepts, in bytes.
    pub(in crate::proto::state) max_message: usize,
    /// Set once this node has said goodbye: when it closes the link even if the member does not.
    pub(in crate::proto::state) ends_by: Option<Moment>,
}

/// A peer.
#[derive(Debug)]
pub(in crate::proto::state) struct Peer {
    pub(in crate::proto::state) id: NodeId,
    /// Where it can be dialled: the target of the dial, or the address in its handshake.
    pub(in crate::proto::state) target: Option<Target>,
    pub(in crate::proto::state) native: bool,
    /// Where it listens, to pass on to other nodes.
    pub(in crate::proto::state) listens: Option<SocketAddr>,
    /// Its epoch, if it is native.
    pub(in crate::proto::state) epoch: Option<u64>,
    /// Whether it reports consumption, and wants reports of this node's.
    pub(in crate::proto::state) windows: bool,
    /// The largest message that it accepts, in bytes.
    pub(in crate::proto::state) max_message: usize,
    /// Window of direct messages, both ways.
    pub(in crate::proto::state) direct: Window,
}

impl Peer {
    /// Where it can be dialled, to pass on to other nodes; `None` for legacy peers.
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

    /// The member that this link leads to, or is to lead to, as a shortcut.
    pub(in crate::proto::state) fn shortcut_to(&self) -> Option<&Member> {
        match &self.phase {
            Phase::Dialing(Purpose::Shortcut(member)) | Phase::AwaitingShortcut(member) => {
                Some(member)
            }
            Phase::Shortcut(shortcut) => Some(&shortcut.member),
            _ => None,
        }
    }

    /// The shortcut, once it is one.
    pub(in crate::proto::state) fn shortcut(&self) -> Option<&Shortcut> {
        match &self.phase {
            Phase::Shortcut(shortcut) => Some(shortcut),
            _ => None,
        }
    }

    /// The largest message that the other end accepts, if it takes messages.
    pub(in crate::proto::state) fn max_message(&self) -> Option<usize> {
        let shortcut = self.shortcut().map(|shortcut| shortcut.max_message);
        self.peer().map(|peer| peer.max_message).or(shortcut)
    }

    /// The dial on this link, while it may still become a peer.
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
    /// To deliver a line and close. Holds the seed if the line asks one for peers.
    Courier(bytes::Bytes, Option<usize>),
    /// To make a shortcut to a member.
    Shortcut(Member),
}

/// A dial to a node that should become a peer.
#[derive(Clone, Debug)]
pub(in crate::proto::state) struct Dial {
    pub(in crate::proto::state) target: Target,
    /// The node expected there, if known.
    pub(in crate::proto::state) expected: Option<NodeId>,
    /// The request of the application, if it asked for the dial.
    pub(in crate::proto::state) request: Option<u32>,
    /// The intent in the handshake.
    pub(in crate::proto::state) intent: Intent,
    /// The seed, if it is one.
    pub(in crate::proto::state) seed: Option<usize>,
    /// Whether a peer without other peers makes room for it.
    pub(in crate::proto::state) displaces: bool,
}

/// How a dial ended that did not make a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proto::state) enum DialEnd {
    /// The connection failed.
    Unreachable,
    /// No answer to the handshake in time.
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

    /// A dial to a node that others named.
    pub(in crate::proto::state) fn to_node(who: &PeerAddress, intent: Intent) -> Self {
        Self {
            expected: Some(who.id.clone()),
            intent,
            ..Self::to(who.socket().into())
        }
    }

    /// A dial to a seed.
    pub(in crate::proto::state) fn to_seed(seed: usize, target: Target, intent: Intent) -> Self {
        Self {
            seed: Some(seed),
            intent,
            ..Self::to(target)
        }
    }

    /// The target as an address, unless it is a name.
    pub(in crate::proto::state) fn address(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.target.host.parse().ok()?;
        Some(SocketAddr::new(ip.to_canonical(), self.target.port))
    }

    /// Whether the target is that address, written as one.
    pub(in crate::proto::state) fn is_to(&self, address: IpAddr) -> bool {
        self.target.host.parse() == Ok(address)
    }
}

/// Limits on reports of identity.
#[derive(Debug)]
pub(in crate::proto::state) struct Twins {
    pub(in crate::proto::state) told: Bucket,
}

impl Twins {
    pub(in crate::proto::state) fn new() -> Self {
        Self {
            told: Bucket::new(TOLD_BURST, TOLD_PER_SECOND, Moment::default()),
        }
    }
}

/// Consumption of direct messages at both ends of a link.
///
/// Each end numbers the messages it sends and receives. The receiver reports the number that its
/// application has consumed. The sent messages above it are outstanding.
#[derive(Debug)]
pub(in crate::proto::state) struct Window {
    pub(in crate::proto::state) sent: u64,
    pub(in crate::proto::state) outstanding: Outstanding,
    /// When the peer last consumed a message, or got one while nothing was outstanding.
    pub(in crate::proto::state) since: Moment,
    /// Whether senders no longer wait for it, because it has consumed nothing for so long.
    pub(in crate::proto::state) is_stalled: bool,
    /// The stream of its messages in the application's marks.
    pub(in crate::proto::state) mark: u32,
    pub(in crate::proto::state) received: u64,
    pub(in crate::proto::state) received_at: Moment,
    pub(in crate::proto::state) consumed: u64,
    /// The consumption that was last reported to it.
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

    /// Whether the application has consumed all messages, and more may be on the way.
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
