//! Decoded messages between nodes.

use bytes::Bytes;

use super::members::Frame as MembersFrame;
use super::routing::Frame as RoutingFrame;
use super::{NodeId, Origin, Payload};

/// One message from a link, on either wire.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    /// The dialer's first line.
    Handshake(Hello),
    /// The acceptor's answer.
    HandshakeAck(Hello),
    /// A `peer request` on an unconnected link: a node wants to enter through this one.
    PeerRequest(PeerAddress),
    /// The answer to a flooded ping, on a new connection.
    Pong(Pong),
    /// A flooded packet of the legacy protocol with a valid hash.
    Packet(Packet),
    /// Direct messages from a peer: events (0.1 `event`, native) or stream chunks (0.2 `direct`,
    /// native).
    Direct(Payload),
    /// A custom line of the application (`peer.socket.send`): the whole JSON array.
    Line(Bytes),
    /// A frame that exists only on the native wire.
    Native(Native),
    /// Well framed, but invalid; the link stays open.
    Rejected(Reject),
}

/// Why the decoder rejected a message with intact framing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// A packet whose MD5 does not match its data.
    BadHash,
    /// A known path with data of the wrong shape.
    BadShape,
    /// A handshake or request with an invalid node id.
    BadId,
    /// Not JSON, or not an array with a path.
    NotAMessage,
    /// An event above the nesting limit.
    TooDeep,
}

/// The data of a handshake and of its ack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The sender.
    pub id: NodeId,
    /// The data of a native node (`smoke2`); `None` from a legacy node.
    pub native: Option<HelloNative>,
}

impl Hello {
    /// The sender's intent, if it is a native node.
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
    /// The address at which the sender accepts links: an IP literal or a host name.
    pub address: String,
    /// The port at that address.
    pub port: u16,
    /// The sender's epoch: random, new at every start.
    pub epoch: u64,
    /// The intent of the sender.
    pub intent: Intent,
    /// Whether the sender exchanges reports of consumption: the frames from [`Native::Consumed`]
    /// on. Absent in 1.0.0.
    pub windows: bool,
    /// The largest message that the sender takes, in bytes, if it says so.
    pub max_message: Option<u32>,
    /// Members of later versions; older nodes ignore them.
    pub place: Place,
}

/// The position of a [`HelloNative`]'s sender in its network. Every field is an optional member of
/// `smoke2`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// `max`: how many peers the sender accepts. Only senders of `max` understand
    /// [`Native::Peers`].
    pub max_peers: Option<u16>,
    /// `has`: how many peers the sender has.
    pub peers: u16,
    /// `ways`: how many of those have other peers.
    pub ways: u16,
    /// `part`: marks of the beacons that the sender hears. Two nodes without a common mark are in
    /// different parts of the network.
    pub part: Vec<u64>,
    /// `network`: the name of the sender's network.
    pub network: Option<String>,
    /// `why`: in an ack, the objection.
    pub why: Option<Why>,
    /// `members`: whether the sender keeps and forwards records and letters, and so understands
    /// [`Native::Members`] and [`Native::Routing`].
    pub members: Records,
    /// `shortcut`: the link is to be a shortcut, and in an ack: it is one. The intent is then
    /// [`Intent::Check`], which nodes that know no shortcuts refuse without further ado.
    pub shortcut: bool,
}

/// Which records of members a node keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Records {
    /// None.
    #[default]
    None,
    /// `true`: plain records, as in an open network.
    Plain,
    /// `"signed"`: signed records and letters with codes, as in a closed network.
    Signed,
}

/// The objection of an acceptor to the node that dialled it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The acceptor has no room for it.
    Full,
    /// It belongs to a network with another name.
    Network,
    /// Another running node has its id.
    Id,
    /// Another running node claims its address.
    Address,
}

impl Why {
    /// All objections.
    pub const ALL: [Self; 4] = [Self::Full, Self::Network, Self::Id, Self::Address];

    /// The name in an ack, in events and in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Network => "network",
            Self::Id => "id",
            Self::Address => "address",
        }
    }

    /// Finds an objection by name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.name() == name)
    }
}

/// The intent of a [`Hello`]'s sender: the member `intent` of `smoke2`, absent for
/// [`Intent::Peer`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Intent {
    /// To become a peer, if there is room.
    #[default]
    Peer,
    /// To enter the network: as a peer, or else with addresses of other nodes.
    Join,
    /// To become a peer, even if another peer must make room.
    Urgent,
    /// To enter the network again through one of its seeds, even if another peer must make room.
    Rejoin,
    /// To learn whether a seed is alive.
    Probe,
    /// To learn whether a lost peer is back.
    Check,
    /// In an ack: no peer. [`Native::Contacts`] and the end of the link follow.
    Refuse,
}

impl Intent {
    /// All intents.
    pub const ALL: [Self; 7] = [
        Self::Peer,
        Self::Join,
        Self::Urgent,
        Self::Rejoin,
        Self::Probe,
        Self::Check,
        Self::Refuse,
    ];

    /// The name in a handshake.
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

    /// Whether the sender only asks, and does not want to be a peer.
    pub(super) fn only_asks(self) -> bool {
        matches!(self, Self::Probe | Self::Check)
    }

    /// Finds an intent by name. Unknown ones come from later versions.
    pub fn parse(name: &str) -> Self {
        let named = |intent: &Self| intent.name() == Some(name);
        Self::ALL.into_iter().find(named).unwrap_or_default()
    }
}

/// `{id, remoteAddress, remotePort}`: a node that looks for peers, and its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerAddress {
    /// The node that looks for peers.
    pub id: NodeId,
    /// An IP literal.
    pub address: std::net::IpAddr,
    /// The port.
    pub port: u16,
}

impl PeerAddress {
    /// The address to dial.
    pub(super) fn socket(&self) -> std::net::SocketAddr {
        std::net::SocketAddr::new(self.address, self.port)
    }
}

/// `{id, remoteAddress, remotePort, respondsTo}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pong {
    /// The answering node, and where it listens.
    pub from: PeerAddress,
    /// The id of the answered ping packet.
    pub responds_to: String,
}

/// The topic of a legacy packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Topic {
    /// A broadcast of an application.
    Broadcast = 0,
    /// A node looks for peers.
    PeerRequest = 1,
    /// A node checks whether it can still reach a seed.
    Ping = 2,
}

/// A flooded packet of the legacy protocol.
///
/// `text` is the packet object exactly as received, unknown fields included, so that a relay
/// forwards it unchanged. `id` and `data` are decoded from it.
#[derive(Clone, PartialEq, Debug)]
pub struct Packet {
    /// The topic.
    pub topic: Topic,
    /// `<node id>-<uuid>-<md5 hex>`.
    pub id: String,
    /// The whole packet object: JSON text without a raw newline.
    pub text: Bytes,
    /// The decoded data.
    pub data: PacketData,
}

/// The data of a [`Packet`].
#[derive(Clone, PartialEq, Debug)]
pub enum PacketData {
    /// An array: the JSON text of `[event, ...args]` (0.1).
    Event(Bytes),
    /// A string: a stream chunk, decoded from base64 (0.2).
    Chunk(Bytes),
    /// The data of a `peer request`.
    PeerRequest(PeerAddress),
    /// The data of a `ping`: the sender, and the seed that it looks for.
    Ping {
        /// The address for the pong.
        from: std::net::SocketAddr,
        /// The seed that should answer.
        target: std::net::SocketAddr,
    },
    /// Anything else: useless, and not forwarded.
    Other,
}

/// A frame of the native wire. Layouts are in `codec/native.rs`.
#[derive(Clone, PartialEq, Debug)]
pub enum Native {
    /// A run of broadcasts of one origin.
    Publish(Publish),
    /// "These are the highest sequence numbers I have", per origin and epoch.
    IHave(Vec<Watermark>),
    /// "Send me this range and all later runs, and push this origin to me from now on."
    Graft {
        /// The missing numbers.
        range: Range,
        /// Maximum age of the runs in milliseconds; `u32::MAX` = no limit. A newcomer sets it,
        /// because it receives only messages sent after it joined.
        max_age_ms: u32,
    },
    /// "I no longer hold this range": the answer to a graft that cannot be met.
    Gone(Range),
    /// "Do not push this origin to me: another peer does."
    Prune(Origin),
    /// "My application, and all nodes that I push these origins to, have consumed up to here."
    Consumed(Vec<Watermark>),
    /// "That node's application has stopped consuming this origin: do not wait for it."
    Stalled {
        /// The origin. The frame travels up its tree.
        origin: Origin,
        /// The slow receiver.
        id: NodeId,
    },
    /// "This range exceeds your message limit, so I will not send it."
    Oversized(Range),
    /// "My application has consumed this many of your direct messages", since the link came up.
    DirectConsumed(u64),
    /// "I am alive", after silence.
    Heartbeat,
    /// The number of the sender's peers, whenever it changes.
    Peers {
        /// All peers.
        count: u16,
        /// Peers that have other peers: ways from the sender to the rest of the network.
        ways: u16,
    },
    /// A random walk with the address of a node that looks for peers.
    ForwardJoin {
        /// Whether the last node on the walk should make room for it.
        urgent: bool,
        /// The number of steps left.
        ttl: u8,
        /// The node that looks for peers.
        who: PeerAddress,
    },
    /// A random walk that trades addresses with its last node.
    Shuffle {
        /// The number of the walk, for the way back.
        nonce: u32,
        /// The number of steps left.
        ttl: u8,
        /// The offer of the node that began the walk.
        contacts: Vec<PeerAddress>,
    },
    /// Addresses: the way back of a shuffle, or other nodes to ask, for a refused node.
    Contacts {
        /// The number of the shuffle. In a refusal: how many of the first contacts look for peers,
        /// too. Otherwise 0.
        nonce: u32,
        /// The addresses.
        contacts: Vec<PeerAddress>,
    },
    /// "I am closing this link."
    Goodbye {
        /// "I had to make room: remember me." If false: do not dial me again.
        keep: bool,
    },
    /// "The seed is alive", once a second along the tree of beacons.
    Beacon(Beacon),
    /// Records of members.
    Members(MembersFrame),
    /// Letters to any node, and reports on them.
    Routing(RoutingFrame),
    /// "I get that seed's beacons from another peer", or "send me that seed's beacons".
    BeaconTree {
        /// The seed.
        seed: NodeId,
        /// Whether beacons are wanted.
        wanted: bool,
    },
}

/// A sign of life of a seed: a node that others have entered through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beacon {
    /// The seed and its epoch.
    pub origin: Origin,
    /// The seed's address.
    pub address: std::net::SocketAddr,
    /// The number of the beacon; it counts up.
    pub number: u64,
}

/// The highest possible sequence number of a broadcast. The number after it still fits.
pub(crate) const LAST_SEQUENCE: u64 = u64::MAX - 1;

/// Consecutive broadcasts of one origin, `first` to `first + payload.count() - 1`.
#[derive(Clone, PartialEq, Debug)]
pub struct Publish {
    /// The origin.
    pub origin: Origin,
    /// The sequence number of the first message. An origin's first is 1.
    pub first: u64,
    /// How many links the run has crossed, including this one; saturates at 255.
    pub hops: u8,
    /// Whether the run answers a graft: a duplicate then causes no prune.
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
    /// The origin.
    pub origin: Origin,
    /// The highest number; all numbers below were received or skipped for good.
    pub high: u64,
}

/// An inclusive range of sequence numbers of one origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// The origin.
    pub origin: Origin,
    /// The first number.
    pub first: u64,
    /// The last number; not below `first`.
    pub last: u64,
}
