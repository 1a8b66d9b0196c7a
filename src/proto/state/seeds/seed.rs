//! What a node knows of one of its seeds.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::health::Health;
use crate::proto::{Config, Moment, NodeId, Target};

/// One seed.
#[derive(Debug)]
pub(in crate::proto::state) struct Seed {
    pub(in crate::proto::state) target: Target,
    /// The target as an address, unless it is a name.
    pub(in crate::proto::state) address: Option<SocketAddr>,
    /// Its id, once a handshake has shown it.
    pub(in crate::proto::state) id: Option<NodeId>,
    /// Whether it is a legacy node, once known.
    pub(in crate::proto::state) legacy: Option<bool>,
    /// Whether it has got a legacy request for peers.
    pub(in crate::proto::state) asked: bool,
    /// When this node last asked it for entry despite having peers.
    pub(in crate::proto::state) entered: Option<Moment>,
    pub(in crate::proto::state) health: Health,
    /// Whether it is an older node, which sends no marks.
    pub(in crate::proto::state) is_unsaid: bool,
    /// When it was last checked.
    pub(in crate::proto::state) looked: Option<Moment>,
    /// Since when it has not been in this part of the network.
    pub(in crate::proto::state) away: Option<Moment>,
    pub(in crate::proto::state) bridge: Bridge,
    /// The outcome of the latest attempt to enter through it.
    pub(in crate::proto::state) outcome: Option<EntryOutcome>,
    /// Whether the application has removed it. It stays in the list, because seeds are referred to
    /// by index.
    pub(in crate::proto::state) retired: bool,
}

/// Attempts to join the part of the network that a seed is in.
#[derive(Default, Debug)]
pub(in crate::proto::state) struct Bridge {
    /// No attempt before this.
    pub(in crate::proto::state) at: Option<Moment>,
    /// How long the latest pause was.
    pub(in crate::proto::state) wait: Duration,
    /// Failed attempts.
    pub(in crate::proto::state) failures: u32,
    /// Whether the application knows that the seed is in another part.
    pub(in crate::proto::state) is_told: bool,
}

/// The outcome of an attempt to enter through a seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proto::state) enum EntryOutcome {
    /// It has become a peer.
    Peer,
    /// It is this node.
    Own,
    /// It has got the request and may pass it on.
    Asked,
    /// It is a smokesignal node without room; it named other nodes.
    Full,
    /// The connection failed, or it is not a usable smokesignal node, for this reason.
    Failed(&'static str),
}

impl EntryOutcome {
    /// The outcome for an error code.
    pub(in crate::proto::state) fn from_code(code: &str) -> Self {
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

    /// Whether the connection failed.
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

    /// Its name in logs and events.
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
    /// The seeds of `config` without duplicates.
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
            outcome: None,
            retired: false,
        }
    }
}
