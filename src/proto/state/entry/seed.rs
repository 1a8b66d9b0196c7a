//! What a node knows of one of its seeds.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Entry;
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
    pub(super) entered: Option<Moment>,
    /// Whether its beacons have been heard, or it has been a peer: then it is missed.
    pub(in crate::proto::state) watched: bool,
    /// It is missed.
    pub(in crate::proto::state) suspected: bool,
    /// How often it has been dialled since.
    pub(in crate::proto::state) probed: u32,
    /// The application has been told of a netsplit.
    pub(in crate::proto::state) lost: bool,
    /// The application has been told that the seed is in another part of the network.
    pub(in crate::proto::state) is_beyond: bool,
    /// It does not say in which part it is.
    pub(in crate::proto::state) is_unsaid: bool,
    /// When it was looked at last.
    pub(in crate::proto::state) looked: Option<Moment>,
    /// Since when it has not been found in our part of the network.
    pub(in crate::proto::state) away: Option<Moment>,
    /// When the part that it is in may be joined, and how long that takes the next time.
    pub(in crate::proto::state) bridge_at: Option<Moment>,
    pub(in crate::proto::state) bridge_wait: Duration,
    /// How often that has failed.
    pub(in crate::proto::state) bridge_failures: u32,
    /// What the latest attempt to enter through it came to.
    pub(super) came_to: Option<Came>,
    /// The application has taken it out. It stays here, as others refer to it by its index.
    pub(in crate::proto::state) retired: bool,
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
    pub(super) fn is_no_answer(self) -> bool {
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
    pub(super) fn name(self) -> &'static str {
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
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let mut seeds: Vec<Self> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for target in &config.seeds {
            if seen.insert((target.host.as_str(), target.port)) {
                seeds.push(Self::new(target.clone()));
            }
        }
        seeds
    }

    pub(super) fn new(target: Target) -> Self {
        let ip = target.host.parse::<IpAddr>().ok();
        Self {
            address: ip.map(|ip| SocketAddr::new(ip.to_canonical(), target.port)),
            target,
            id: None,
            legacy: None,
            asked: false,
            entered: None,
            watched: false,
            suspected: false,
            probed: 0,
            lost: false,
            is_beyond: false,
            is_unsaid: false,
            looked: None,
            away: None,
            bridge_at: None,
            bridge_wait: Duration::ZERO,
            bridge_failures: 0,
            came_to: None,
            retired: false,
        }
    }
}

impl Entry {
    /// Takes one more seed; returns its index.
    pub(super) fn add_seed(&mut self, target: Target) -> usize {
        let (seed, index) = (Seed::new(target), self.seeds.len());
        if let Some(address) = seed.address {
            self.placed.insert(address, index);
        }
        self.seeds.push(seed);
        index
    }

    /// Whether one of our seeds has said that this is its id.
    pub(in crate::proto::state) fn knows_seed(&self, id: &NodeId) -> bool {
        self.named.contains_key(id)
    }

    /// Whether that is one of our seeds, as far as we know.
    pub(in crate::proto::state) fn is_seed(&self, id: &NodeId, address: SocketAddr) -> bool {
        self.knows_seed(id) || self.placed.contains_key(&address)
    }

    /// The seeds that have that id or address.
    pub(in crate::proto::state) fn seeds_of(&self, id: &NodeId, at: SocketAddr) -> Vec<usize> {
        let mut found = self.named.get(id).cloned().unwrap_or_default();
        found.extend(self.placed.get(&at));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The seed that has that address.
    pub(in crate::proto::state) fn seed_at(&self, address: SocketAddr) -> Option<usize> {
        self.placed.get(&address).copied()
    }

    /// A seed is known to be that node.
    pub(in crate::proto::state) fn set_seed_id(&mut self, index: usize, id: NodeId) {
        let Some(seed) = self.seeds.get_mut(index) else {
            return;
        };
        if seed.id.as_ref() == Some(&id) {
            return;
        }
        if let Some(old) = seed.id.replace(id.clone())
            && let Some(named) = self.named.get_mut(&old)
        {
            named.retain(|other| *other != index);
            if named.is_empty() {
                self.named.remove(&old);
            }
        }
        self.named.entry(id).or_default().push(index);
    }
}
