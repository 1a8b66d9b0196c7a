//! What a node knows of one of its seeds.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::health::Health;
use crate::proto::{Config, Moment, NodeId, Target};

/// One of our seeds.
#[derive(Debug)]
pub(in crate::proto::state) struct Seed {
    pub(in crate::proto::state) target: Target,
    /// The same, if it is no name.
    pub(in crate::proto::state) address: Option<SocketAddr>,
    /// Who it is, once it has said so.
    pub(in crate::proto::state) id: Option<NodeId>,
    /// Whether it speaks the legacy wire only, once we know.
    pub(in crate::proto::state) legacy: Option<bool>,
    /// Whether it has been asked for peers as legacy nodes do.
    pub(in crate::proto::state) asked: bool,
    /// When it was last asked for entry although we have peers.
    pub(in crate::proto::state) entered: Option<Moment>,
    pub(in crate::proto::state) health: Health,
    /// It does not say in which part it is.
    pub(in crate::proto::state) is_unsaid: bool,
    /// When it was looked at last.
    pub(in crate::proto::state) looked: Option<Moment>,
    /// Since when it has not been found in our part of the network.
    pub(in crate::proto::state) away: Option<Moment>,
    pub(in crate::proto::state) bridge: Bridge,
    /// What the latest attempt to enter through it came to.
    pub(in crate::proto::state) came_to: Option<Came>,
    /// The application has taken it out. It stays here, as others refer to it by its index.
    pub(in crate::proto::state) retired: bool,
}

/// Attempts to join the part of the network that a seed is in.
#[derive(Default, Debug)]
pub(in crate::proto::state) struct Bridge {
    /// No attempt is made before this.
    pub(in crate::proto::state) at: Option<Moment>,
    /// How long the latest pause was.
    pub(in crate::proto::state) wait: Duration,
    /// How many attempts have failed.
    pub(in crate::proto::state) failures: u32,
    /// The application has been told that the seed is in another part.
    pub(in crate::proto::state) is_told: bool,
}

/// What an attempt to enter through a seed came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proto::state) enum Came {
    /// It is a peer.
    Peer,
    /// It is this node itself.
    Own,
    /// It has our request, and may pass it on.
    Asked,
    /// It is a smokesignal node that has no room for us; it told of others.
    Full,
    /// There was no connection, or not a smokesignal node, for this reason.
    Failed(&'static str),
}

impl Came {
    /// The reason for an error code.
    pub(in crate::proto::state) fn of(code: &str) -> Self {
        Self::Failed(match code {
            "ECONNREFUSED" => "refused",
            "ENOTFOUND" | "EAI_AGAIN" => "unknown name",
            "TIMEOUT" | "ETIMEDOUT" => "no answer",
            "EHOSTUNREACH" | "ENETUNREACH" => "unreachable",
            "SECRET" => "secret",
            "NETWORK" => "network",
            "ID" => "id",
            "NOT_ALLOWED" => "not allowed",
            "EPROTO" => "not smokesignal",
            "REFUSED" | "ECONNRESET" => "closed",
            _ => "failed",
        })
    }

    /// Whether there was no connection.
    pub(in crate::proto::state) fn is_no_answer(self) -> bool {
        let words = [
            "refused",
            "no answer",
            "unreachable",
            "unknown name",
            "failed",
        ];
        matches!(self, Self::Failed(why) if words.contains(&why))
    }

    /// The word for it in logs and events.
    pub(in crate::proto::state) fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Own => "own address",
            Self::Asked => "asked",
            Self::Full => "full",
            Self::Failed(why) => why,
        }
    }
}

impl Seed {
    /// The seeds of `config`, each once.
    pub(in crate::proto::state) fn all(config: &Config) -> Vec<Self> {
        let mut seeds: Vec<Self> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for target in &config.seeds {
            if seen.insert((target.host.as_str(), target.port)) {
                seeds.push(Self::new(target.clone()));
            }
        }
        seeds
    }

    pub(in crate::proto::state) fn new(target: Target) -> Self {
        let ip = target.host.parse::<IpAddr>().ok();
        Self {
            address: ip.map(|ip| SocketAddr::new(ip.to_canonical(), target.port)),
            target,
            id: None,
            legacy: None,
            asked: false,
            entered: None,
            health: Health::Unheard,
            is_unsaid: false,
            looked: None,
            away: None,
            bridge: Bridge::default(),
            came_to: None,
            retired: false,
        }
    }
}
