//! Every number of the protocol, with its default and the reason for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::{Identity, NodeId, PeerAddress, Records};

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
    /// The address that others dial. Default `127.0.0.1`.
    pub address: String,
    /// The port that others dial; 0 = the listening port. Default 0.
    pub port: u16,
    /// The address to listen on. Default none: all addresses of this machine, IPv6 and IPv4.
    pub listen_host: Option<IpAddr>,
    /// The port to listen on; 0 = any free one. Default none: `port`.
    pub listen_port: Option<u16>,
    /// How many peers the node actively seeks. Default 3, as in 0.2.
    pub min_peers: usize,
    /// How many peers the node accepts; `usize::MAX` = no limit. Default 5, as in 0.2.
    pub max_peers: usize,
    /// The name of the network; all its nodes must agree on it. Default none, which counts as a
    /// name.
    pub network: Option<String>,
    /// Nodes to enter the network through. Default none.
    pub seeds: Vec<Target>,
    /// A seed that has not answered a ping for this long counts as lost. Default 3 s, as in 0.2.
    pub ping_timeout: Duration,
    /// How often seeds are pinged and entry is tried again. Default 10 s, as in 0.2.
    pub tick: Duration,
    /// From TCP connection to handshake, and from our handshake to its ack. Default 5 s, as in 0.2.
    pub handshake_timeout: Duration,
    /// From dialling to a TCP connection. Default 3 s.
    pub dial_timeout: Duration,
    /// How long a legacy packet id is remembered. Default 60 s, as in 0.2.
    pub seen_for: Duration,
    /// Maximum number of remembered legacy packet ids. Default 1 048 576.
    pub seen_max: usize,
    /// The largest message that an application may send or get, in bytes of JSON text or chunk.
    /// Default 4 MiB.
    pub max_message: usize,
    /// Maximum bytes read from an unconnected link. Default 64 KiB, for all its lines and frames,
    /// because even short lines cost time.
    pub max_unconnected_bytes: usize,
    /// Bytes queued for one link before its overflow policy applies. Default 8 MiB.
    pub link_queue: usize,
    /// Maximum unconnected links: sockets without a handshake. Default 256. 64 would admit only a
    /// thousand nodes a second over links of 30 ms, too few for ten thousand that start at once and
    /// want to enter within 10 s.
    pub max_unconnected: usize,
    /// Maximum unconnected links per address that is not loopback. Default 4.
    pub max_unconnected_per_address: usize,
    /// Connections accepted per second; twice as many at once. Default 1000, which takes a few
    /// hundredths of a core. Further connections wait in the system's queue, at almost no cost.
    pub connections_per_second: f64,
    /// Incoming encrypted handshakes computed per second; twice as many at once. Default 200, which
    /// takes a few hundredths of a core.
    pub handshakes_per_second: f64,
    /// Maximum concurrent dials that other nodes cause. Default 8.
    pub max_dials: usize,
    /// Dials per second that other nodes cause; twice as many at once. Default 4.
    pub dials_per_second: f64,
    /// Peer requests per second that one peer may pass on. Default 10.
    pub peer_requests_per_second: f64,
    /// Shuffles per second that one peer may send; ten times as many at once, because a stalled
    /// link delivers that many before it is given up. Default 20. When all nodes of a network have
    /// just started, each link carries seven a second each way: every node sends one a second, and
    /// each takes seven steps. A node forwards at most half as many, so no node is blamed for the
    /// excess of others.
    pub shuffles_per_second: f64,
    /// Pings answered per second. Default 10.
    pub pongs_per_second: f64,
    /// Bytes per second of one peer's broadcasts that are read for forwarding; an eighth of it at
    /// once. Default 128 MiB: the rate of a gigabit link.
    pub relayed_bytes_per_second: f64,
    /// Whether this node's application waits for slow receivers. Default true.
    pub waits_for_receivers: bool,
    /// How long a receiver may consume nothing before senders stop waiting for it. Default 10 s:
    /// longer than the detection of a dead node (6 s), so that only live, hanging nodes count as
    /// slow; and longer than the pauses of virtual machines and garbage collectors.
    pub slow_receiver_timeout: Duration,
    /// Addresses that may connect and be dialled. Default none, which allows all.
    pub allow: Vec<IpNet>,
    /// How many bytes of broadcasts are kept for repair. Default 32 MiB.
    pub repair_bytes: usize,
    /// Whether to keep a record of all members, and pass on messages to any of them. Default true.
    pub members: bool,
    /// Maximum number of members' records. Default 16 384: with 300 bytes each, 5 MiB.
    pub max_members: usize,
    /// Maximum number of shortcuts: links to members that this node exchanges much with, beside its
    /// peers. 0 = none. Default 16: each costs a socket and, if the other end does not read, up to
    /// [`Config::link_queue`]; few nodes talk much to more others at a time.
    pub max_shortcuts: usize,
    /// How long a shortcut without a letter is kept. Default 30 s: much longer than the dial for a
    /// new one takes, and short enough for a burst to leave nothing behind.
    pub shortcut_idle: Duration,
    /// The application's own text in this node's record, at most
    /// [`MAX_BODY`](super::members::MAX_BODY) bytes. Default empty.
    pub body: String,
    /// Whether to offer the native wire in handshakes. Default true.
    pub native: bool,
    /// The node's key in a closed network. It signs the node's record and authenticates messages
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
            max_shortcuts: 16,
            shortcut_idle: Duration::from_secs(30),
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

    /// Whether an address may connect and be dialled.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.is_empty() || self.allow.iter().any(|net| net.contains(&address))
    }

    /// The address of the node `me`. `None` if it is a name.
    pub(super) fn own_address(&self, me: &NodeId) -> Option<PeerAddress> {
        let address = self.address.parse().ok()?;
        Some(PeerAddress {
            id: me.clone(),
            address,
            port: self.port,
        })
    }

    /// The address that other nodes can dial. `None` if the own address is a name or unspecified.
    pub(super) fn own_contact(&self, me: &NodeId) -> Option<PeerAddress> {
        let own = self.own_address(me)?;
        (!own.address.is_unspecified()).then_some(own)
    }

    /// Whether another node can listen at `target`.
    pub(super) fn is_elsewhere(&self, target: SocketAddr) -> bool {
        let ip = target.ip().to_canonical();
        let own = self.address.parse::<IpAddr>().ok();
        let nowhere = ip.is_unspecified() || ip.is_multicast() || target.port() == 0;
        let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        // Other nodes must not reach the loopback of this machine through this node.
        let inside = ip.is_loopback() && own.is_some_and(|own| !own.is_loopback());
        let here = own == Some(ip) && target.port() == self.port;
        !(nowhere || broadcast || inside || here) && self.allows(ip)
    }

    /// The longest line accepted from a peer, in bytes: the largest message in base64, and the
    /// packet around it.
    pub fn max_line(&self) -> usize {
        self.max_message.div_ceil(3) * 4 + (16 << 10)
    }

    /// The largest native frame, in bytes: its header, and the larger of the largest message and
    /// one tick's batch (lib/outbox.js sends a batch at 64 Ki characters).
    pub fn max_frame(&self) -> usize {
        self.max_message.max(MAX_TICK) + (16 << 10)
    }
}
