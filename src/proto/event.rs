//! The inputs and outputs of the state machine.

use std::net::SocketAddr;

use bytes::Bytes;

use super::members::Member;
use super::{LinkId, Message, NodeId, Payload, Target};

/// An input of the state machine.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// The server listens on this port. The node looks for peers.
    Started {
        /// The real port (never 0).
        port: u16,
    },
    /// A connection was accepted. The id comes from [`super::State::next_link`].
    Accepted {
        /// The new link.
        link: LinkId,
        /// The other end.
        remote: SocketAddr,
    },
    /// A dial succeeded.
    Connected {
        /// The link of the [`Output::Dial`].
        link: LinkId,
        /// The other end.
        remote: SocketAddr,
    },
    /// A dial failed.
    DialFailed {
        /// The link of the [`Output::Dial`].
        link: LinkId,
        /// The system's error code, such as `ECONNREFUSED`.
        code: String,
    },
    /// A message arrived.
    Received {
        /// The link.
        link: LinkId,
        /// The message.
        message: Message,
    },
    /// A link is closed: by the other side, by an error, or by us after a flush.
    Closed {
        /// The link.
        link: LinkId,
        /// Why, for the log: `FIN`, `ECONNRESET`, `line too long`, …
        reason: String,
    },
    /// A link's queue crossed a threshold.
    Pressure {
        /// The link.
        link: LinkId,
        /// The fill level of its queue.
        level: Level,
    },
    /// A requested timer is due.
    TimerFired(Timer),
    /// The application broadcasts.
    Broadcast(Payload),
    /// The application has consumed these messages, and all earlier ones in their streams.
    Consumed(Vec<Mark>),
    /// These links are sending, but slowly: a large message may be on its way.
    Moving(Vec<LinkId>),
    /// The application sends to one peer, or to one member.
    Direct {
        /// The peer's link, or the member's handle.
        link: LinkId,
        /// The messages.
        payload: Payload,
    },
    /// The application sends to several members.
    SendTo {
        /// The members' handles.
        members: Vec<u32>,
        /// The messages.
        payload: Payload,
    },
    /// The application changed the text in this node's record.
    Body(String),
    /// The application sends a custom line (`peer.socket.send`): the text of a JSON array.
    Line {
        /// The peer's link.
        link: LinkId,
        /// The array.
        text: Bytes,
    },
    /// The application dials a peer by address.
    AddPeer {
        /// The request's number in [`Event::Dialed`].
        request: u32,
        /// The address.
        target: Target,
    },
    /// The application closes a peer.
    ClosePeer {
        /// The peer's link.
        link: LinkId,
    },
    /// The application has changed these options.
    Reconfigure {
        /// [`super::Config::max_peers`].
        max_peers: usize,
        /// [`super::Config::seeds`].
        seeds: Vec<Target>,
        /// [`super::Config::address`].
        address: String,
    },
    /// Close every link, cancel every timer.
    Stop,
}

/// A place in a stream of messages that the application got: all messages up to `last`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mark {
    /// An origin's broadcasts, or a peer's direct messages.
    pub stream: u32,
    /// The number of the last message; numbers count up by one within a stream.
    pub last: u64,
}

/// The fill level of a link's queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Below a quarter of [`super::Config::link_queue`].
    Low,
    /// Above half.
    High,
    /// Full: forwards were dropped.
    Full,
}

/// An action for the driver, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Open a TCP connection.
    Dial {
        /// The link of the new connection.
        link: LinkId,
        /// The address.
        target: Target,
    },
    /// Queue bytes on a link.
    Send {
        /// The link.
        link: LinkId,
        /// The bytes.
        data: Outgoing,
    },
    /// The link is a shortcut now. It has its handshake, and is no peer's.
    Shortcut {
        /// The link.
        link: LinkId,
    },
    /// End a link.
    Close {
        /// The link.
        link: LinkId,
        /// The way to end it.
        how: CloseHow,
    },
    /// (Re)start a timer.
    SetTimer {
        /// The timer; setting it again moves it.
        timer: Timer,
        /// The delay from now.
        after: std::time::Duration,
    },
    /// Forget a timer.
    CancelTimer(Timer),
    /// How much of the application's data is outstanding.
    Window {
        /// Which peer or member; `None` = broadcasts.
        link: Option<LinkId>,
        /// Bytes sent and not consumed.
        outstanding: usize,
        /// Outstanding bytes above which senders wait.
        size: usize,
    },
    /// Tell the application.
    Event(Event),
}

/// Bytes for a link: two parts, so that a relayed body is not copied behind a new header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// Its class for backpressure.
    pub class: Class,
    /// The first part.
    pub head: Bytes,
    /// The second part; may be empty.
    pub body: Bytes,
}

impl Outgoing {
    /// The size on the wire, in bytes.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Whether both parts are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The classes of a link's queue, most important first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Handshakes, membership and repair requests: never dropped.
    Control,
    /// Data of this node's application.
    Own,
    /// Data of other applications: dropped, oldest first, when a queue is full.
    Forward,
}

/// The ways to end a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseHow {
    /// Write the queue, then FIN. Reading stops now.
    Flush,
    /// Write the queue, then FIN. The other side closes (connections for entry and pongs).
    HalfClose,
    /// Close at once; the queue is lost.
    Abort,
}

/// The timers of the state machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// Check entry, seeds and the number of peers.
    Tick,
    /// The handshake of this link is overdue.
    Handshake(LinkId),
    /// The answer to the ping with this number is overdue.
    Ping(u32),
    /// Ask for peers again, at a limited rate.
    Refill,
    /// Send lazy peers the watermarks that they have not got yet.
    LazyPush,
    /// Check gaps: graft, graft from another peer, or skip.
    Repair,
    /// Check for silent native links and old payloads.
    Heartbeat,
    /// Report consumption to waiting senders, and find stalled receivers. Before the timer fires,
    /// the driver gives the state [`Input::Consumed`] and [`Input::Moving`].
    Window,
    /// The node has too few peers: look for more.
    Seek,
    /// Trade addresses with another node.
    Shuffle,
    /// Check beacons, seeds and silent peers.
    Watch,
    /// Check a seed whose beacons are missing.
    Roam,
    /// The join request to a seed is overdue.
    Join(u32),
    /// Dial a seed whose beacons are missing.
    Probe(u32),
    /// Forward records of members, renew our own, and compare them with a neighbour's.
    Members,
    /// Ask about letters without a report.
    Routing,
}

/// Events for the application, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The server listens.
    Listening {
        /// The real port.
        port: u16,
    },
    /// The server could not listen (`EADDRINUSE`, …), or it failed later.
    Failed {
        /// The system's error code.
        code: String,
        /// The error message.
        message: String,
    },
    /// Every link is closed and the port is free again. This is the last event.
    Stopped,
    /// A peer was added. All other events about `link` follow this one.
    PeerAdded {
        /// The peer's link in all other events and in commands.
        link: LinkId,
        /// The peer's id.
        id: NodeId,
        /// The other end of the socket.
        remote: SocketAddr,
        /// Whether the link carries native frames.
        native: bool,
        /// Whether it reports its consumption. Its socket then need not slow it down.
        windows: bool,
        /// The largest message that the peer takes, in bytes, if its handshake says so.
        max_message: Option<u32>,
    },
    /// A peer was removed. No events about `link` follow.
    PeerRemoved {
        /// The peer's link.
        link: LinkId,
        /// The reason.
        reason: RemoveReason,
    },
    /// Broadcasts of another node.
    Broadcast {
        /// The messages.
        payload: Payload,
        /// The mark of the last message; `None` if no sender waits for its consumption.
        mark: Option<Mark>,
    },
    /// Direct messages from a peer or a member.
    Direct {
        /// The peer's link, or the member's handle.
        link: LinkId,
        /// The messages.
        payload: Payload,
        /// As for [`Event::Broadcast`].
        mark: Option<Mark>,
    },
    /// A custom line of the application: the text of a JSON array.
    Line {
        /// The sender's link.
        link: LinkId,
        /// The array, valid JSON.
        text: Bytes,
        /// As for [`Event::Broadcast`].
        mark: Option<Mark>,
    },
    /// A node became a member. All other events about it follow this one.
    MemberJoined(Member),
    /// The address or text of a member changed.
    MemberUpdated(Member),
    /// A node is no longer a member. No events about it follow.
    MemberLeft(LinkId),
    /// Messages to a member were dropped on their way, by a node that could report it.
    Undelivered {
        /// The member's handle.
        member: LinkId,
        /// How many messages.
        count: u64,
    },
    /// A seed no longer answers.
    Netsplit {
        /// The seed.
        seed: Target,
    },
    /// The seed answers again.
    NetsplitResolved {
        /// The seed.
        seed: Target,
    },
    /// The node has no peer. Lists the outcome of its attempts to enter through each seed.
    Outside {
        /// Every seed except this node itself.
        seeds: Vec<SeedOutcome>,
    },
    /// A seed is in another part of the network, and there is no room for a link to it.
    Island {
        /// The seed.
        seed: Target,
        /// Whether the seed is in our part again.
        is_over: bool,
    },
    /// Another running node has this node's id, or claims its address.
    Conflict {
        /// [`Why::Id`](super::Why) or [`Why::Address`](super::Why).
        what: super::Why,
        /// The other node's id.
        id: NodeId,
        /// The other node's address.
        remote: SocketAddr,
    },
    /// A link was refused or closed for the network's security. Repeated refusals are only sampled.
    Refused {
        /// The other end.
        remote: SocketAddr,
        /// `plaintext`, `encrypted`, `secret`, `identity`, `corrupted`, `address`, `network` or
        /// `id`.
        reason: &'static str,
    },
    /// The outcome of [`Input::AddPeer`].
    Dialed {
        /// The number of that request.
        request: u32,
        /// The peer's link, or an error code: the system's, `REFUSED` (the other node sent no ack
        /// that makes a peer), `TIMEOUT`, `SELF`, `FULL` or `STOPPED`. An existing peer is no
        /// error.
        result: Result<LinkId, String>,
    },
    /// There is room again after backpressure: for broadcasts (`None`) or for one peer.
    Drain(Option<LinkId>),
    /// Broadcasts of one origin were lost: no peer held them any more.
    Skipped {
        /// The origin's id.
        origin: NodeId,
        /// How many broadcasts.
        count: u64,
        /// The stream in the [`Mark`]s of this origin's broadcasts.
        stream: u32,
    },
    /// A node's application has consumed nothing for too long: this node's messages no longer wait
    /// for it.
    SlowReceiver {
        /// The node.
        id: NodeId,
    },
    /// A broadcast of this node was not sent to a peer, because it exceeds the peer's message
    /// limit.
    Oversized {
        /// The peer.
        id: NodeId,
        /// The size of the message, in bytes.
        size: usize,
        /// The peer's limit, in bytes.
        limit: usize,
    },
}

impl Event {
    /// The mark to report once the application has consumed this event's messages.
    pub fn mark(&self) -> Option<Mark> {
        match self {
            Self::Broadcast { mark, .. } | Self::Direct { mark, .. } | Self::Line { mark, .. } => {
                *mark
            }
            _ => None,
        }
    }
}

/// The outcome of an attempt to enter through a seed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeedOutcome {
    /// The seed.
    pub seed: Target,
    /// `refused`, `no answer`, `unknown name`, `secret`, `network`, `not smokesignal`, `full`, …
    pub reason: &'static str,
}

impl std::fmt::Display for SeedOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Target { host, port } = &self.seed;
        // Only an IPv6 address has two colons; a DNS list has one.
        match host.matches(':').count() > 1 {
            true => write!(f, "[{host}]:{port} {}", self.reason),
            false => write!(f, "{host}:{port} {}", self.reason),
        }
    }
}

/// Why a peer was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemoveReason {
    /// This node closed it: `peer.close()` or `stop()`.
    Local,
    /// The other side closed, or the link broke.
    Remote,
    /// It was silent for too long.
    Silent,
    /// It did not read for too long.
    Slow,
    /// It broke the protocol.
    Misbehaved,
}
