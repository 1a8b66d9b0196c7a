//! The inputs and outputs of the state machine.

use std::net::SocketAddr;

use bytes::Bytes;

use super::members::Member;
use super::{LinkId, Message, NodeId, Payload, Target};

/// Something happened that the protocol must know.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// The server listens, on this port: find peers.
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
    /// A message came.
    Received {
        /// On this link.
        link: LinkId,
        /// The message.
        message: Message,
    },
    /// The link is gone: closed by the other side, broken, or closed by us and flushed.
    Closed {
        /// Which.
        link: LinkId,
        /// Why, for the log: `FIN`, `ECONNRESET`, `line too long`, …
        reason: String,
    },
    /// A link's queue crossed a threshold.
    Pressure {
        /// Which.
        link: LinkId,
        /// How many bytes wait.
        level: Level,
    },
    /// A timer that was asked for is due.
    TimerFired(Timer),
    /// The application broadcasts.
    Broadcast(Payload),
    /// The application has consumed these messages, and all of their streams before them.
    Consumed(Vec<Mark>),
    /// These links take bytes, but slowly: they may be in the middle of a large message.
    Moving(Vec<LinkId>),
    /// The application speaks to one peer, or to one member.
    Direct {
        /// The peer's link, or the member's handle.
        link: LinkId,
        /// What.
        payload: Payload,
    },
    /// The application speaks to several members.
    SendTo {
        /// Their handles.
        members: Vec<u32>,
        /// What.
        payload: Payload,
    },
    /// The application has another text for this node's record.
    Body(String),
    /// The application sends a line of its own (`peer.socket.send`): a JSON array's text.
    Line {
        /// The peer's link.
        link: LinkId,
        /// The array.
        text: Bytes,
    },
    /// The application wants a peer by address.
    AddPeer {
        /// Comes back in [`Event::Dialed`].
        request: u32,
        /// Where.
        target: Target,
    },
    /// The application drops a peer.
    ClosePeer {
        /// Which.
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

/// A place in a stream that the application was given: everything up to `last`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mark {
    /// An origin's broadcasts, or a peer's direct messages.
    pub stream: u32,
    /// The number of the message; they count up by one within a stream.
    pub last: u64,
}

/// How full a link's queue is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Below a quarter of [`super::Config::link_queue`].
    Low,
    /// Above half.
    High,
    /// Full: forwards were dropped.
    Full,
}

/// Something the driver must do, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Open a TCP connection.
    Dial {
        /// The link it will be.
        link: LinkId,
        /// To where.
        target: Target,
    },
    /// Queue bytes on a link.
    Send {
        /// Which.
        link: LinkId,
        /// What.
        data: Outgoing,
    },
    /// End a link.
    Close {
        /// Which.
        link: LinkId,
        /// How.
        how: CloseHow,
    },
    /// (Re)start a timer.
    SetTimer {
        /// Which; setting it again moves it.
        timer: Timer,
        /// From now.
        after: std::time::Duration,
    },
    /// Forget a timer.
    CancelTimer(Timer),
    /// How much of the application's data is outstanding.
    Window {
        /// To one peer or one member; `None` = broadcasts.
        link: Option<LinkId>,
        /// Bytes sent and not consumed.
        outstanding: usize,
        /// Bytes that may be outstanding before senders are to wait.
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
    /// First these bytes.
    pub head: Bytes,
    /// Then these; may be empty.
    pub body: Bytes,
}

impl Outgoing {
    /// How many bytes it is on the wire.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The classes of a link's queue, most important first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Handshakes, membership, repair requests: never dropped.
    Control,
    /// Data of this node's application.
    Own,
    /// Data of other applications: dropped, oldest first, when a queue is full.
    Forward,
}

/// How a link ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseHow {
    /// Write the queue, then FIN; reading stops now.
    Flush,
    /// Write the queue, then FIN; the other side closes (entry and pong connections).
    HalfClose,
    /// At once.
    Abort,
}

/// Why the state machine wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// Look after entry, seeds and refill.
    Tick,
    /// A link has not shaken hands in time.
    Handshake(LinkId),
    /// A seed has not answered the ping with this number in time.
    Ping(u32),
    /// Ask for peers again, rate limited.
    Refill,
    /// Send the watermarks that lazy links have not been told.
    LazyPush,
    /// Look after gaps: graft, graft elsewhere, skip.
    Repair,
    /// Look after silent native links and old payloads.
    Heartbeat,
    /// Look at what the application has consumed, tell those who wait for it, and see who makes no
    /// progress. Before it fires, the driver gives the state [`Input::Consumed`] and
    /// [`Input::Moving`].
    Window,
    /// Below the number of peers that is sought: try again.
    Seek,
    /// Trade addresses with another node.
    Shuffle,
    /// Look after beacons, seeds and peers that went silent.
    Watch,
    /// Look at a seed whose beacons do not come.
    Roam,
    /// A seed was asked for peers, and should have seen to it by now.
    Join(u32),
    /// Dial a seed whose beacons are missed.
    Probe(u32),
    /// Pass on records of members, renew our own, compare them with a neighbour's.
    Members,
    /// Ask after letters that nothing is heard of.
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
    /// The server could not listen (`EADDRINUSE`, …) or broke.
    Failed {
        /// The system's error code.
        code: String,
        /// A sentence.
        message: String,
    },
    /// Every link is closed and the port is free again: the last event.
    Stopped,
    /// A peer was added; everything else about `link` comes later.
    PeerAdded {
        /// Names the peer in every other event and in commands.
        link: LinkId,
        /// Who.
        id: NodeId,
        /// The other end of the socket.
        remote: SocketAddr,
        /// Whether the link carries native frames.
        native: bool,
        /// Whether it reports its consumption, so that its socket need not slow it down.
        windows: bool,
        /// The largest message it takes, in bytes, if it says so.
        max_message: Option<u32>,
    },
    /// A peer was removed; nothing about `link` comes later.
    PeerRemoved {
        /// Which.
        link: LinkId,
        /// Why.
        reason: RemoveReason,
    },
    /// Broadcasts of others.
    Broadcast {
        /// What.
        payload: Payload,
        /// The mark of the last message; `None` if no sender waits for its consumption.
        mark: Option<Mark>,
    },
    /// Direct messages of a peer or of a member.
    Direct {
        /// The peer's link, or the member's handle.
        link: LinkId,
        /// What.
        payload: Payload,
        /// As for [`Event::Broadcast`].
        mark: Option<Mark>,
    },
    /// A line with a path of the application's own: the JSON array's text.
    Line {
        /// From which peer.
        link: LinkId,
        /// The array, valid JSON.
        text: Bytes,
        /// As for [`Event::Broadcast`].
        mark: Option<Mark>,
    },
    /// A node is a member now: nothing of it came before.
    MemberJoined(Member),
    /// A member has another address or text.
    MemberUpdated(Member),
    /// A node is a member no more; nothing of it comes later.
    MemberLeft(LinkId),
    /// Messages to a member were dropped on their way, by a node that could say so.
    Undelivered {
        /// The member's handle.
        member: LinkId,
        /// How many.
        count: u64,
    },
    /// A seed no longer answers.
    Netsplit {
        /// Which.
        seed: Target,
    },
    /// It answers again.
    NetsplitResolved {
        /// Which.
        seed: Target,
    },
    /// The node has no peer. Lists the outcome of its attempts to enter through each seed.
    Outside {
        /// Each seed but those that are this node itself.
        seeds: Vec<SeedOutcome>,
    },
    /// A seed is in another part of the network, and there is no room for a link to it.
    Island {
        /// Which.
        seed: Target,
        /// It is in our part again.
        is_over: bool,
    },
    /// Another node that runs says that it is this one, or that it listens where this one does.
    Conflict {
        /// [`Why::Id`](super::Why) or [`Why::Address`](super::Why).
        what: super::Why,
        /// The other node's id.
        id: NodeId,
        /// Where it is.
        remote: SocketAddr,
    },
    /// A link was refused or closed for the sake of the network's security. Not every one of many
    /// in a row is told.
    Refused {
        /// The other end.
        remote: SocketAddr,
        /// `plaintext`, `encrypted`, `secret`, `identity`, `corrupted`, `address`, `network` or
        /// `id`.
        reason: &'static str,
    },
    /// The outcome of [`Input::AddPeer`].
    Dialed {
        /// Of that request.
        request: u32,
        /// The peer's link, or an error code: the system's, `REFUSED` (there was no ack that makes
        /// a peer), `TIMEOUT`, `SELF`, `FULL` or `STOPPED`. To be peers already is no error.
        result: Result<LinkId, String>,
    },
    /// There is room again after a send was answered with pressure: for broadcasts (`None`) or
    /// for one peer.
    Drain(Option<LinkId>),
    /// Broadcasts of one origin that could not be had any more were skipped.
    Skipped {
        /// Whose.
        origin: NodeId,
        /// How many.
        count: u64,
        /// The stream in the [`Mark`]s of this origin's broadcasts.
        stream: u32,
    },
    /// The application of a node has consumed nothing for too long: this node's messages no longer
    /// wait for it.
    SlowReceiver {
        /// The node.
        id: NodeId,
    },
    /// A broadcast of this node was not sent to a peer, which takes none so large.
    Oversized {
        /// The peer.
        id: NodeId,
        /// The size of the message, in bytes.
        size: usize,
        /// The largest message the peer takes, in bytes.
        limit: usize,
    },
}

impl Event {
    /// The mark to report when the application has consumed this.
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
    /// Which.
    pub seed: Target,
    /// `refused`, `no answer`, `unknown name`, `secret`, `network`, `not smokesignal`, `full`, …
    pub reason: &'static str,
}

impl std::fmt::Display for SeedOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Target { host, port } = &self.seed;
        // Only an address has two colons; what stands for a list in the DNS has one.
        match host.matches(':').count() > 1 {
            true => write!(f, "[{host}]:{port} {}", self.reason),
            false => write!(f, "{host}:{port} {}", self.reason),
        }
    }
}

/// Why a peer was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemoveReason {
    /// We closed it: `peer.close()` or `stop()`.
    Local,
    /// The other side closed, or the link broke.
    Remote,
    /// It fell silent.
    Silent,
    /// It did not read for too long.
    Slow,
    /// It broke the protocol.
    Misbehaved,
}
