//! Every number of the protocol, with its default and where it comes from.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::{Identity, Records};

/// The largest batch of one tick, in bytes: twice 64 Ki characters of three bytes.
const MAX_TICK: usize = 384 << 10;

/// Where a node can be dialled.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// An IP literal or a host name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

/// The options of a node. Each field has a default in [`Config::default`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The address that others dial us at. Default `127.0.0.1`.
    pub address: String,
    /// The port that others dial us at; 0 = the one that is listened on. Default 0.
    pub port: u16,
    /// The address to listen on. Default none: all of this machine's, IPv6 and IPv4.
    pub listen_host: Option<IpAddr>,
    /// The port to listen on; 0 = any free one. Default none: `port`.
    pub listen_port: Option<u16>,
    /// How many peers the node actively seeks. Default 3 (legacy).
    pub min_peers: usize,
    /// How many peers it accepts; `usize::MAX` = no limit. Default 5 (legacy).
    pub max_peers: usize,
    /// The name of the network, in which all nodes must agree. Default none, which is a name, too.
    pub network: Option<String>,
    /// Nodes to enter the network through. Default none.
    pub seeds: Vec<Target>,
    /// A seed that has not answered a ping after this long counts as lost. Default 3 s (legacy).
    pub ping_timeout: Duration,
    /// How often seeds are pinged and entry is tried again. Default 10 s (legacy protocol).
    pub tick: Duration,
    /// From TCP connection to handshake, and from our handshake to its ack. Default 5 s (legacy).
    pub handshake_timeout: Duration,
    /// From dialling to a TCP connection. Default 3 s (overlay design, membership).
    pub dial_timeout: Duration,
    /// How long a legacy packet id is remembered. Default 60 s (legacy protocol).
    pub seen_for: Duration,
    /// How many legacy packet ids are remembered at most. Default 1 048 576.
    pub seen_max: usize,
    /// The largest message an application may send or get, in bytes of JSON text or chunk.
    /// Default 4 MiB.
    pub max_message: usize,
    /// Bytes that are read from an unconnected link. Default 64 KiB (overlay design: of a
    /// line; but lines cost time, too).
    pub max_unconnected_bytes: usize,
    /// Bytes queued for one link before its overflow policy applies. Default 8 MiB (overlay
    /// design).
    pub link_queue: usize,
    /// Unconnected links: sockets without a handshake. Default 256: the design's 64 would let a
    /// thousand nodes a second in over links of 30 ms, and ten thousand that start at once want in
    /// within 10 s.
    pub max_unconnected: usize,
    /// The same from one address that is not loopback. Default 4 (overlay design).
    pub max_unconnected_per_address: usize,
    /// Connections that are accepted per second; twice as many at once. Default 1000: a few
    /// hundredths of a core. Further connections wait in the system's queue, which costs nearly
    /// nothing.
    pub connections_per_second: f64,
    /// Incoming encrypted handshakes that are computed per second; twice as many at once. Default
    /// 200: a few hundredths of a core.
    pub handshakes_per_second: f64,
    /// Dials that others make us do and that are under way. Default 8 (overlay design).
    pub max_dials: usize,
    /// Dials that others make us do per second; twice as many at once. Default 4 (overlay design).
    pub dials_per_second: f64,
    /// Peer requests that one peer may pass on. Default 10 (overlay design).
    pub peer_requests_per_second: f64,
    /// Shuffles that one peer may hand us; ten times as many at once, as much as a link brings that
    /// stood still until it would have been given up. Default 20: when all nodes of a network have
    /// just started, seven a second go each way over a link, since everybody sends one a second and
    /// each takes seven steps. Nobody hands on more than half as many, so that who only passes on
    /// what others send too much of is not to blame for it.
    pub shuffles_per_second: f64,
    /// Pings that are answered. Default 10 (overlay design).
    pub pongs_per_second: f64,
    /// Bytes of one peer's broadcasts that are read to be passed on, per second; an eighth of it at
    /// once. Default 128 MiB: as much as a gigabit brings.
    pub relayed_bytes_per_second: f64,
    /// Whether this node's application waits for receivers that consume slowly.
    /// Default true.
    pub waits_for_receivers: bool,
    /// How long a receiver may consume nothing before senders stop waiting for it. Default 10 s:
    /// longer than it takes to find that a node is dead (6 s), so that only nodes that live and
    /// hang are given up as slow, and longer than the pauses of virtual machines and garbage
    /// collectors.
    pub slow_receiver_timeout: Duration,
    /// Addresses that may connect and be dialled. Default none, which means all.
    pub allow: Vec<IpNet>,
    /// How many bytes of broadcasts are kept for repair. Default 32 MiB (overlay design, tree).
    pub repair_bytes: usize,
    /// Whether to keep a record of all members, and pass on messages to any of them. Default true.
    pub members: bool,
    /// How many members' records are kept. Default 16 384: with 300 bytes each, 5 MiB.
    pub max_members: usize,
    /// The application's own text in this node's record, at most
    /// [`MAX_BODY`](super::members::MAX_BODY) bytes. Default empty.
    pub body: String,
    /// Whether to offer the native wire in handshakes. Default true.
    pub native: bool,
    /// The node's key in a closed network: it signs the node's record, and authenticates messages
    /// between members. Default none, as in an open network.
    pub identity: Option<Identity>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: "127.0.0.1".to_owned(),
            port: 0,
            listen_host: None,
            listen_port: None,
            min_peers: 3,
            max_peers: 5,
            network: None,
            seeds: Vec::new(),
            ping_timeout: Duration::from_secs(3),
            tick: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(5),
            dial_timeout: Duration::from_secs(3),
            seen_for: Duration::from_secs(60),
            seen_max: 1 << 20,
            max_message: 4 << 20,
            max_unconnected_bytes: 64 << 10,
            link_queue: 8 << 20,
            max_unconnected: 256,
            max_unconnected_per_address: 4,
            connections_per_second: 1000.0,
            handshakes_per_second: 200.0,
            max_dials: 8,
            dials_per_second: 4.0,
            peer_requests_per_second: 10.0,
            shuffles_per_second: 20.0,
            pongs_per_second: 10.0,
            relayed_bytes_per_second: 134_217_728.0,
            waits_for_receivers: true,
            slow_receiver_timeout: Duration::from_secs(10),
            allow: Vec::new(),
            members: true,
            repair_bytes: 32 << 20,
            max_members: 16_384,
            body: String::new(),
            native: true,
            identity: None,
        }
    }
}

impl Config {
    /// Which records the node keeps.
    pub fn records(&self) -> Records {
        match (&self.identity, self.members) {
            (_, false) => Records::None,
            (None, true) => Records::Plain,
            (Some(_), true) => Records::Signed,
        }
    }

    /// Whether that address may connect and be dialled.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.is_empty() || self.allow.iter().any(|net| net.contains(&address))
    }

    /// The longest line accepted from a peer, in bytes: the largest message in base64 and its
    /// packet around it.
    pub fn max_line(&self) -> usize {
        self.max_message.div_ceil(3) * 4 + (16 << 10)
    }

    /// The largest native frame, in bytes: the largest message, or what an application says in a
    /// tick (lib/outbox.js: it goes as soon as it has 64 Ki characters), and its header.
    pub fn max_frame(&self) -> usize {
        self.max_message.max(MAX_TICK) + (16 << 10)
    }
}
