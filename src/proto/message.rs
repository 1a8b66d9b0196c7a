//! Messages between nodes, decoded.

use bytes::Bytes;

use super::{NodeId, Payload, members, routing};

/// One message from a link, whichever of the two wires it came over.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    /// The dialer's first line.
    Handshake(Hello),
    /// The acceptor's answer.
    HandshakeAck(Hello),
    /// An unconnected `peer request`: a node wants to enter through us.
    PeerRequest(PeerAddress),
    /// The answer to a flooded ping, on a fresh connection.
    Pong(Pong),
    /// A flooded packet of the legacy protocol whose hash was right.
    Packet(Packet),
    /// Direct messages of a peer: events (0.1 `event`, native) or stream chunks (0.2 `direct`,
    /// native).
    Direct(Payload),
    /// A line with a path of the application's own (`peer.socket.send`): the whole JSON array.
    Line(Bytes),
    /// A frame that only native links carry.
    Native(Native),
    /// Well framed, but not to be believed; the link stays open.
    Rejected(Reject),
}

/// Why a message was refused by the decoder without breaking the framing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// A packet whose md5 does not match its data.
    BadHash,
    /// A known path whose data has the wrong shape.
    BadShape,
    /// A handshake or request with an id that no node can have.
    BadId,
    /// Not JSON, or not an array with a path.
    NotAMessage,
    /// An event that nests more deeply than any node sends or passes on.
    TooDeep,
}

/// The data of a handshake and of its ack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The sender.
    pub id: NodeId,
    /// The part of a native node (`smoke2`); `None` from a legacy node, which ignores it.
    pub native: Option<HelloNative>,
}

impl Hello {
    /// The intent of a native node.
    pub(super) fn intent(&self) -> Option<Intent> {
        self.native.as_ref().map(|native| native.intent)
    }
}

/// The `smoke2` member of a [`Hello`]: `{"v": 1, "address": …, "port": …, "epoch": "<hex>"}`, and
/// the optional `intent`, `windows` and `max`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HelloNative {
    /// The version of the native wire; 1.
    pub version: u32,
    /// Where the sender accepts links: an IP literal or a host name.
    pub address: String,
    /// The port to go with it.
    pub port: u16,
    /// The sender's epoch: random, per start.
    pub epoch: u64,
    /// The intent of the sender.
    pub intent: Intent,
    /// Whether it says what has been consumed, and understands it: the frames from
    /// [`Native::Consumed`] on. Absent in 1.0.0.
    pub windows: bool,
    /// The largest message it takes, in bytes, if it says so.
    pub max_message: Option<u32>,
    /// Additions of later versions; older ones ignore them.
    pub place: Place,
}

/// Where the sender of a [`HelloNative`] stands in its network. Every member of it is one of
/// `smoke2`, and may be left out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// `max`: how many peers the sender accepts. Only senders of it understand [`Native::Peers`].
    pub max_peers: Option<u16>,
    /// `has`: how many peers it has.
    pub peers: u16,
    /// `ways`: how many of those have other peers.
    pub ways: u16,
    /// `part`: marks of the beacons that it hears. Two nodes without a common one are in different
    /// parts of the network.
    pub part: Vec<u64>,
    /// `network`: the name of the network that it belongs to.
    pub network: Option<String>,
    /// `why`: in an ack, the objection.
    pub why: Option<Why>,
    /// `members`: whether it keeps a record, and passes on those of others and their letters: it
    /// then understands [`Native::Members`] and [`Native::Routing`].
    pub members: Records,
}

/// Which records of members a node keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Records {
    /// None.
    #[default]
    None,
    /// `true`: those of an open network.
    Plain,
    /// `"signed"`: those of a closed network, and letters with codes.
    Signed,
}

/// The objection to the node that an ack goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// There is no room for it.
    Full,
    /// It belongs to a network of another name.
    Network,
    /// Another node that runs has its id.
    Id,
    /// Another node that runs gives the address that it gives.
    Address,
}

impl Why {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Full, Self::Network, Self::Id, Self::Address];

    /// Its name in an ack, in events and in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Network => "network",
            Self::Id => "id",
            Self::Address => "address",
        }
    }

    /// Finds it by name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.name() == name)
    }
}

/// The intent of the sender of a [`Hello`]; the member `intent` of `smoke2`, left out for
/// [`Intent::Peer`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Intent {
    /// To be peers, if there is room.
    #[default]
    Peer,
    /// To enter the network: to be peers, or else to learn of others.
    Join,
    /// To be peers, also when somebody else must make room.
    Urgent,
    /// To enter the network again through a seed of it, also when somebody else must make room.
    Rejoin,
    /// To know whether a seed is there.
    Probe,
    /// To know whether a peer that was lost is there again.
    Check,
    /// In an ack: not to be peers. [`Native::Contacts`] and the end of the link follow.
    Refuse,
}

impl Intent {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Peer,
        Self::Join,
        Self::Urgent,
        Self::Rejoin,
        Self::Probe,
        Self::Check,
        Self::Refuse,
    ];

    /// Its name in a handshake.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Peer => None,
            Self::Join => Some("join"),
            Self::Urgent => Some("urgent"),
            Self::Rejoin => Some("rejoin"),
            Self::Probe => Some("probe"),
            Self::Check => Some("check"),
            Self::Refuse => Some("refuse"),
        }
    }

    /// Whether the sender does not want to be a peer, only to know of us.
    pub(super) fn only_asks(self) -> bool {
        matches!(self, Self::Probe | Self::Check)
    }

    /// Finds an intent by name; unknown ones come from later versions.
    pub fn parse(name: &str) -> Self {
        let named = |intent: &Self| intent.name() == Some(name);
        Self::ALL.into_iter().find(named).unwrap_or_default()
    }
}

/// `{id, remoteAddress, remotePort}`: a node that wants peers, and its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerAddress {
    /// The node that asks.
    pub id: NodeId,
    /// An IP literal.
    pub address: std::net::IpAddr,
    /// Its port.
    pub port: u16,
}

impl PeerAddress {
    /// Where to dial it.
    pub(super) fn socket(&self) -> std::net::SocketAddr {
        std::net::SocketAddr::new(self.address, self.port)
    }
}

/// `{id, remoteAddress, remotePort, respondsTo}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pong {
    /// The node that answers, and where it listens.
    pub from: PeerAddress,
    /// The id of the ping packet that is answered.
    pub responds_to: String,
}

/// The topic of a legacy packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Topic {
    /// The application's broadcasts.
    Broadcast = 0,
    /// A node looks for peers.
    PeerRequest = 1,
    /// A node wants to know whether it still reaches a seed.
    Ping = 2,
}

/// A flooded packet of the legacy protocol.
///
/// `text` is the packet object exactly as it came (fields unknown to us included), so that a relay
/// hands on what it got; `id` and `data` were read from it.
#[derive(Clone, PartialEq, Debug)]
pub struct Packet {
    /// Its topic.
    pub topic: Topic,
    /// `<node id>-<uuid>-<md5 hex>`.
    pub id: String,
    /// The whole packet object, JSON text without a raw newline.
    pub text: Bytes,
    /// The data, read.
    pub data: PacketData,
}

/// The data of a [`Packet`].
#[derive(Clone, PartialEq, Debug)]
pub enum PacketData {
    /// Array data: the JSON text of `[event, ...args]` (0.1).
    Event(Bytes),
    /// String data: a stream chunk, out of base64 (0.2).
    Chunk(Bytes),
    /// Of a `peer request`.
    PeerRequest(PeerAddress),
    /// Of a `ping`: the sender, and the seed that it looks for.
    Ping {
        /// Where the pong goes.
        from: std::net::SocketAddr,
        /// The seed that shall answer.
        target: std::net::SocketAddr,
    },
    /// Anything else: of no use, and not passed on.
    Other,
}

/// A frame of the native wire. Layouts are in `codec/native.rs`.
#[derive(Clone, PartialEq, Debug)]
pub enum Native {
    /// A run of broadcasts of one origin.
    Publish(Publish),
    /// "These are the highest sequence numbers I have", per origin and epoch.
    IHave(Vec<Watermark>),
    /// "Send me this range and what follows, and push this origin to me from now on."
    Graft {
        /// The missing numbers.
        range: Range,
        /// Only what you got within the last so many milliseconds; `u32::MAX` = whatever you hold.
        /// A newcomer asks like this: what was said before it came is not for it.
        max_age_ms: u32,
    },
    /// "I no longer hold this range": the answer to a graft that cannot be met.
    Gone(Range),
    /// "Do not push this origin to me: I get it from elsewhere."
    Prune(Origin),
    /// "My application, and everyone I push these origins to, has consumed them up to here."
    Consumed(Vec<Watermark>),
    /// "That node's application no longer consumes this origin, and nobody waits for it."
    Stalled {
        /// The origin, to which this travels up its tree.
        origin: Origin,
        /// The slow receiver.
        id: NodeId,
    },
    /// "This range is larger than you take, so I will not send it."
    Oversized(Range),
    /// "My application has consumed so many of your direct messages", since the link came up.
    DirectConsumed(u64),
    /// "I am here", after silence.
    Heartbeat,
    /// How many peers the sender has, when that has changed.
    Peers {
        /// All of them.
        count: u16,
        /// Those that have other peers: ways on from the sender.
        ways: u16,
    },
    /// A walk through the network with the address of a node that looks for peers.
    ForwardJoin {
        /// Whether room is to be made for it at the end of the walk.
        urgent: bool,
        /// How many more steps.
        ttl: u8,
        /// The node.
        who: PeerAddress,
    },
    /// A walk through the network that trades addresses at its end.
    Shuffle {
        /// Names the walk, for the way back.
        nonce: u32,
        /// How many more steps.
        ttl: u8,
        /// The offer of the node that began it.
        contacts: Vec<PeerAddress>,
    },
    /// Addresses: the way back of a shuffle, or others to ask in the place of the sender.
    Contacts {
        /// The shuffle's; in a refusal, how many of the first ones look for peers, too; otherwise 0.
        nonce: u32,
        /// The addresses.
        contacts: Vec<PeerAddress>,
    },
    /// "I am closing this link."
    Goodbye {
        /// "I had to make room: remember me." Otherwise: do not call back.
        keep: bool,
    },
    /// "The seed is alive", once a second along a tree of its own.
    Beacon(Beacon),
    /// Records of members.
    Members(members::Frame),
    /// Messages to any node.
    Routing(routing::Frame),
    /// "I get that seed's beacons from elsewhere", or "do send me that seed's beacons".
    BeaconTree {
        /// The seed.
        seed: NodeId,
        /// Whether beacons are wanted.
        wanted: bool,
    },
}

/// A sign of life of a seed: a node through which others have entered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beacon {
    /// The seed, in one of its lives.
    pub origin: Origin,
    /// Where it listens.
    pub address: std::net::SocketAddr,
    /// Counts up.
    pub number: u64,
}

/// A stream of broadcasts: a node, between one start and its stop.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Origin {
    /// The node that broadcasts.
    pub id: NodeId,
    /// Which of its lives.
    pub epoch: u64,
}

/// The highest sequence number that a broadcast can have: the number after it is still one.
pub(crate) const LAST_SEQUENCE: u64 = u64::MAX - 1;

/// Consecutive broadcasts of one origin, `first` to `first + payload.count() - 1`.
#[derive(Clone, PartialEq, Debug)]
pub struct Publish {
    /// Whose.
    pub origin: Origin,
    /// The sequence number of the first message; an origin's first ever is 1.
    pub first: u64,
    /// How many links it has crossed, this one included; saturates at 255.
    pub hops: u8,
    /// Sent as the answer to a graft: a duplicate in it is no reason to prune.
    pub repair: bool,
    /// The messages.
    pub payload: Payload,
}

impl Publish {
    /// The sequence number of the last message.
    pub fn last(&self) -> u64 {
        self.first
            .saturating_add(u64::from(self.payload.count()) - 1)
    }
}

/// The highest sequence number without a gap below it, of one origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watermark {
    /// Whose.
    pub origin: Origin,
    /// Everything up to here, or skipped for good.
    pub high: u64,
}

/// An inclusive range of sequence numbers of one origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// Whose.
    pub origin: Origin,
    /// The first one.
    pub first: u64,
    /// The last one; not below `first`.
    pub last: u64,
}
