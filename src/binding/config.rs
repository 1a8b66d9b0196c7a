//! The options that a node is started with.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use napi::bindgen_prelude::Buffer;
use napi::{Error, Result, Status};
use napi_derive::napi;

use crate::net::{Credentials, Identity, STUCK_AFTER, Secret};
use crate::proto::members::MAX_BODY;
use crate::proto::{Config, Target};

use super::backlog::Bounds;

/// Where a seed can be dialled.
#[napi(object)]
pub struct Seed {
    /// An IP literal or a host name.
    pub address: String,
    /// The TCP port.
    pub port: u16,
}

/// A secret shared by the members of a closed network.
#[napi(object)]
pub struct SharedSecret {
    /// Set if it is a passphrase.
    pub passphrase: Option<String>,
    /// Set if it is a key of 32 bytes.
    pub key: Option<Buffer>,
}

/// The options that a node is started with. JavaScript has checked every value.
#[napi(object)]
pub struct StartConfig {
    /// The node's network-wide name.
    pub id: String,
    /// The address that others dial.
    pub address: String,
    /// The port that others dial; 0 = the listening port.
    pub port: u16,
    /// The address to listen on; none = all of this machine's.
    pub listen_host: Option<String>,
    /// The port to listen on, if it differs from the port that others dial.
    pub listen_port: Option<u16>,
    /// How many peers to seek.
    pub min_peer_no: f64,
    /// How many peers to accept; may be infinite.
    pub max_peer_no: f64,
    /// Nodes to enter the network through.
    pub seeds: Vec<Seed>,
    /// The name of the network.
    pub network: Option<String>,
    /// How long to wait for a pong, in milliseconds.
    pub ping_timeout: f64,
    /// The largest message, in bytes.
    pub max_message_size: f64,
    /// The secrets of a closed network: the first is offered, each is accepted.
    pub secrets: Option<Vec<SharedSecret>>,
    /// The node's private key in a closed network: 32 bytes. `id` is then ignored.
    pub identity: Option<Buffer>,
    /// Networks, such as `10.0.0.0/8`, whose addresses may connect and be dialled; none = all.
    pub allow: Vec<String>,
    /// Bounds on the work that others can cause.
    pub limits: Limits,
    /// The methods that the logger has, as bits: trace = 1, debug, info, warn, error, fatal = 32.
    pub log_levels: u32,
    /// Whether senders wait for slow receivers.
    pub waits_for_receivers: bool,
    /// How long senders wait for a receiver without progress, in milliseconds; may be infinite.
    pub slow_receiver_timeout: f64,
    /// Whether the node knows all members of its network. Default: no.
    pub members: Option<bool>,
    /// The application's text in the node's record, of at most 2048 bytes in UTF-8.
    pub body: Option<String>,
    /// Whether JavaScript's event loop is libuv's and can wait for the node's sockets.
    pub uses_libuv: bool,
}

/// Bounds on the work that others can cause. Times are in milliseconds.
#[napi(object)]
pub struct Limits {
    /// From connection to handshake, and from handshake to its ack.
    pub handshake_timeout: f64,
    /// From dialling to a connection.
    pub dial_timeout: f64,
    /// Connections that are not peers yet.
    pub max_unconnected: f64,
    /// The same for one address, unless it is loopback.
    pub max_unconnected_per_address: f64,
    /// Accepted connections.
    pub connections_per_second: f64,
    /// Incoming encrypted handshakes.
    pub handshakes_per_second: f64,
    /// Bytes that wait for one peer.
    pub queue_per_peer: f64,
    /// Concurrent dials that others cause.
    pub max_dials: f64,
    /// Dials that others cause.
    pub dials_per_second: f64,
    /// Requests for peers that one peer may have forwarded.
    pub peer_requests_per_second: f64,
    /// Answered pings.
    pub pongs_per_second: f64,
    /// Bytes of one peer's broadcasts that are forwarded.
    pub relayed_bytes_per_second: f64,
    /// Bytes of broadcasts kept for repair.
    pub repair_bytes: f64,
    /// Members whose records are kept.
    pub max_members: Option<f64>,
    /// Shortcuts to members; 0 = none.
    pub max_shortcuts: Option<f64>,
}

/// The identity with this private key.
pub(super) fn identity(private: &[u8]) -> Result<Identity> {
    let private = private.try_into().ok();
    private
        .and_then(Identity::from_private)
        .ok_or_else(|| invalid("an identity is 32 bytes"))
}

/// The credentials of a closed network; `None` in an open one.
pub(super) fn credentials(config: &StartConfig) -> Result<Option<Credentials>> {
    let Some(secrets) = &config.secrets else {
        return Ok(None);
    };
    let secrets = secrets.iter().map(secret).collect::<Result<_>>()?;
    let private = config.identity.as_ref();
    let identity = identity(private.ok_or_else(|| invalid("a secret needs an identity"))?)?;
    Ok(Some(Credentials { secrets, identity }))
}

fn secret(given: &SharedSecret) -> Result<Secret> {
    match (&given.passphrase, &given.key) {
        (Some(words), _) => Ok(Secret::Passphrase(words.clone())),
        (None, Some(key)) => Ok(Secret::Key(
            key.as_ref()
                .try_into()
                .map_err(|_| invalid("a key is 32 bytes"))?,
        )),
        (None, None) => Err(invalid("neither words nor a key")),
    }
}

/// Returns the text of the node's record unless it is too long.
pub(super) fn checked_body(body: String) -> Result<String> {
    match body.len() <= MAX_BODY {
        true => Ok(body),
        false => Err(invalid("a body of more than 2048 bytes")),
    }
}

/// Parses networks and single addresses.
pub(super) fn networks(texts: &[String]) -> Result<Vec<IpNet>> {
    let network = |text: &String| {
        let net = text.parse().ok();
        net.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
            .ok_or_else(|| invalid("not a network"))
    };
    texts.iter().map(network).collect()
}

pub(super) fn invalid(what: &str) -> Error {
    Error::new(Status::InvalidArg, what)
}

fn milliseconds(number: f64) -> Duration {
    Duration::try_from_secs_f64((number / 1000.0).max(0.0)).unwrap_or(Duration::MAX)
}

/// The bounds of the queue to JavaScript.
pub(super) fn bounds(config: &StartConfig) -> Bounds {
    let patience = match config.waits_for_receivers {
        true => milliseconds(config.slow_receiver_timeout),
        false => STUCK_AFTER,
    };
    // A sender is refused at twice its window, and one more message may have the largest size.
    let window = config.limits.queue_per_peer + config.max_message_size;
    Bounds {
        per_stream: 2 * window as usize,
        patience,
    }
}

/// A count that may be infinite.
pub(super) fn count(number: f64) -> usize {
    if number.is_finite() {
        number as usize
    } else {
        usize::MAX
    }
}

pub(super) fn targets(seeds: Vec<Seed>) -> Vec<Target> {
    let target = |Seed { address, port }| Target {
        host: address,
        port,
    };
    seeds.into_iter().map(target).collect()
}

impl From<StartConfig> for Config {
    fn from(config: StartConfig) -> Self {
        Self {
            address: config.address,
            port: config.port,
            listen_host: config.listen_host.and_then(|host| host.parse().ok()),
            listen_port: config.listen_port,
            min_peers: count(config.min_peer_no),
            max_peers: count(config.max_peer_no),
            seeds: targets(config.seeds),
            network: config.network,
            ping_timeout: milliseconds(config.ping_timeout),
            waits_for_receivers: config.waits_for_receivers,
            slow_receiver_timeout: milliseconds(config.slow_receiver_timeout),
            max_message: config.max_message_size as usize,
            handshake_timeout: milliseconds(config.limits.handshake_timeout),
            dial_timeout: milliseconds(config.limits.dial_timeout),
            max_unconnected: count(config.limits.max_unconnected),
            max_unconnected_per_address: count(config.limits.max_unconnected_per_address),
            connections_per_second: config.limits.connections_per_second,
            handshakes_per_second: config.limits.handshakes_per_second,
            link_queue: count(config.limits.queue_per_peer),
            max_dials: count(config.limits.max_dials),
            dials_per_second: config.limits.dials_per_second,
            peer_requests_per_second: config.limits.peer_requests_per_second,
            pongs_per_second: config.limits.pongs_per_second,
            relayed_bytes_per_second: config.limits.relayed_bytes_per_second,
            members: config.members.unwrap_or(false),
            repair_bytes: count(config.limits.repair_bytes),
            max_members: config.limits.max_members.map_or(16_384, count),
            max_shortcuts: config.limits.max_shortcuts.map_or(16, count),
            body: config.body.unwrap_or_default(),
            ..Self::default()
        }
    }
}
