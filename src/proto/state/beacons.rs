//! Noticing that the network broke apart, and mending it.
//!
//! A node through which others have entered is a seed. Every second it sends a beacon, which travels
//! along a tree of its own: whoever gets one twice tells the second sender to stop, whoever misses
//! one asks all its peers. A node that has three beacons of one of its seeds missed dials it: if the
//! seed cannot be reached, that is a netsplit, and it is dialled again and again; if it can, the node
//! is in another part of the network than the seed and joins it urgently, which mends the split for
//! all of its part.
//!
//! The tree of the seed with the smallest id serves as the first guess for the trees of origins that
//! have not been heard of yet.

use std::collections::BTreeMap;
use std::time::Duration;

use super::State;
use super::links::Dial;
use crate::proto::bucket::Bucket;
use crate::proto::codec::native;
use crate::proto::{Beacon, Event, Hello, Intent, LinkId, Moment, NodeId, Origin, Target, Timer};

/// How often everything here is looked after; beacons are sent every second time (overlay design,
/// netsplits: every second).
const EVERY: Duration = Duration::from_millis(500);
/// When peers that were told to stop are asked to go on.
const ASK_AFTER: Duration = Duration::from_millis(1500);
/// Three beacons missed: the seed is suspected.
const MISSED_AFTER: Duration = Duration::from_millis(3200);
/// A seed that is missed is dialled within this time. The design's 1 s would add up with the rest
/// to more than 6 s from a cut to the event.
const PROBE_WITHIN: Duration = Duration::from_millis(500);
/// A seed that has not taken our connection after this is lost: a dial to a host that is cut off
/// takes longer to fail.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);
/// And again after 1 to 3 s: often enough to be back soon, not so often that a large network
/// overwhelms a seed that comes back.
const PROBE_AGAIN: [u64; 2] = [1_000, 3_000];
/// So many seeds' beacons travel through a network, those of the smallest ids; and as many of each
/// node's own seeds. Anybody can make seeds of other nodes, or make some up: these displace no beacon
/// of a seed that all nodes were given.
const MAX_BEACONS: usize = 8;
/// Of one seed's beacons so many are passed on at once, and per second: twice what it sends, and what
/// came while this node did not get to run.
const RELAY_BURST: f64 = 4.0;
const RELAYS_PER_SECOND: f64 = 2.0;
/// Seeds that were not known before are taken note of: at once, as many as there is room for, and per
/// second.
const NEWS_BURST: f64 = 16.0;
const NEWS_PER_SECOND: f64 = 1.0;

/// What a node knows of seeds that are alive.
#[derive(Debug)]
pub(super) struct Beacons {
    /// Whether this node is a seed.
    is_seed: bool,
    number: u64,
    rounds: u64,
    watched_at: Option<Moment>,
    heard: BTreeMap<NodeId, Heard>,
    /// Our own peers that do not want our beacons.
    own_lazy: Vec<LinkId>,
    /// Seeds that were not known before.
    news: Bucket,
}

impl Beacons {
    pub(super) fn new() -> Self {
        Self {
            is_seed: false,
            number: 0,
            rounds: 0,
            watched_at: None,
            heard: BTreeMap::new(),
            own_lazy: Vec::new(),
            news: Bucket::new(NEWS_BURST, NEWS_PER_SECOND, Moment::default()),
        }
    }
}

#[derive(Debug)]
struct Heard {
    origin: Origin,
    address: std::net::SocketAddr,
    number: u64,
    at: Moment,
    /// Whether it was one of our own seeds when it was first heard.
    is_ours: bool,
    /// Whom it came from.
    parent: Option<LinkId>,
    /// Peers that do not want it from us.
    lazy: Vec<LinkId>,
    asked: bool,
    /// What is passed on.
    relays: Bucket,
}

impl State {
    pub(super) fn start_beacons(&mut self) {
        let first = EVERY.mul_f64(self.rng.f64());
        self.set_timer(Timer::Watch, first);
    }

    /// Others enter through us.
    pub(super) fn become_seed(&mut self) {
        self.beacons.is_seed = true;
    }

    pub(super) fn on_watch(&mut self) {
        self.set_timer(Timer::Watch, EVERY);
        self.beacons.rounds += 1;
        if self.beacons.rounds.is_multiple_of(2) {
            self.send_beacon();
        }
        let now = self.now;
        let watched_at = self.beacons.watched_at.replace(now).unwrap_or(now);
        // Whatever kept this node from running kept it from hearing, too.
        let lag = now.since(watched_at).saturating_sub(EVERY);
        for heard in self.beacons.heard.values_mut() {
            heard.at = heard.at.after(lag).min(now);
        }
        self.beacons
            .heard
            .retain(|_, heard| now.since(heard.at) < MISSED_AFTER);
        let overdue = |heard: &Heard| !heard.asked && now.since(heard.at) >= ASK_AFTER;
        let ask: Vec<NodeId> = self
            .beacons
            .heard
            .iter()
            .filter(|(_, heard)| overdue(heard))
            .map(|(id, _)| id.clone())
            .collect();
        for seed in ask {
            self.ask_for_beacons(&seed);
        }
        self.watch_seeds();
        self.look_for_lost();
    }

    fn send_beacon(&mut self) {
        if !self.beacons.is_seed {
            return;
        }
        let Some(own) = self.own_contact() else {
            return;
        };
        self.beacons.number += 1;
        let beacon = Beacon {
            origin: self.publisher.origin().clone(),
            address: own.socket(),
            number: self.beacons.number,
        };
        let frame = native::beacon(&beacon);
        for link in self.native_peers() {
            if !self.beacons.own_lazy.contains(&link) {
                self.send(link, frame.clone());
            }
        }
    }

    pub(super) fn on_beacon(&mut self, link: LinkId, beacon: Beacon) {
        if self.ignores(link) {
            return;
        }
        let id = beacon.origin.id.clone();
        if id == self.me {
            // Our own, on a way round. Of an earlier life, perhaps: no reason to prune.
            if beacon.origin == *self.publisher.origin() {
                self.send(link, native::beacon_tree(&id, false));
            }
            return;
        }
        let now = self.now;
        let heard = &mut self.beacons.heard;
        if let Some(known) = heard.get_mut(&id) {
            let newer = known.origin != beacon.origin || beacon.number > known.number;
            if !newer {
                if known.parent.is_none() {
                    // The answer of somebody who was asked. Is it below us in the tree, no more
                    // will come from there, and we shall ask again.
                    (known.parent, known.asked) = (Some(link), false);
                } else if known.parent != Some(link) {
                    self.send(link, native::beacon_tree(&id, false));
                }
                return;
            }
            known.origin = beacon.origin.clone();
            (known.number, known.address, known.at) = (beacon.number, beacon.address, now);
            (known.parent, known.asked) = (Some(link), false);
        } else {
            let is_ours = self.entry.is_seed(&id, beacon.address);
            let alike = |(_, heard): &(&NodeId, &Heard)| heard.is_ours == is_ours;
            let last = heard.iter().filter(alike).nth(MAX_BEACONS - 1);
            let last = last.map(|(last, _)| last.clone());
            if last.as_ref().is_some_and(|last| *last < id) {
                return;
            }
            if !self.entry.knows_seed(&id) && !self.beacons.news.take(now) {
                self.counters.relays_refused += 1;
                return;
            }
            if let Some(last) = last {
                heard.remove(&last);
            }
            let news = Heard {
                origin: beacon.origin.clone(),
                address: beacon.address,
                number: beacon.number,
                at: now,
                is_ours,
                parent: Some(link),
                lazy: Vec::new(),
                asked: false,
                relays: Bucket::new(RELAY_BURST, RELAYS_PER_SECOND, now),
            };
            heard.insert(id.clone(), news);
        }
        self.relay_beacon(link, &beacon);
        self.seed_alive(&id, beacon.address);
    }

    fn relay_beacon(&mut self, from: LinkId, beacon: &Beacon) {
        let now = self.now;
        let Some(known) = self.beacons.heard.get_mut(&beacon.origin.id) else {
            return;
        };
        if !known.relays.take(now) {
            self.counters.relays_refused += 1;
            return;
        }
        let lazy = known.lazy.clone();
        let frame = native::beacon(beacon);
        for link in self.native_peers() {
            if link != from && !lazy.contains(&link) {
                self.send(link, frame.clone());
            }
        }
    }

    pub(super) fn on_beacon_tree(&mut self, link: LinkId, seed: &NodeId, wanted: bool) {
        let lazy = if *seed == self.me {
            &mut self.beacons.own_lazy
        } else {
            let Some(heard) = self.beacons.heard.get_mut(seed) else {
                return;
            };
            &mut heard.lazy
        };
        lazy.retain(|other| *other != link);
        if !wanted {
            lazy.push(link);
            return;
        }
        // Whoever asks has missed something: it need not wait for the next one.
        let latest = self
            .beacons
            .heard
            .get(seed)
            .filter(|heard| self.now.since(heard.at) < ASK_AFTER);
        if let Some(heard) = latest {
            let beacon = Beacon {
                origin: heard.origin.clone(),
                address: heard.address,
                number: heard.number,
            };
            self.send(link, native::beacon(&beacon));
        }
    }

    fn ask_for_beacons(&mut self, seed: &NodeId) {
        let Some(heard) = self.beacons.heard.get_mut(seed) else {
            return;
        };
        (heard.asked, heard.parent) = (true, None);
        for link in self.native_peers() {
            self.send(link, native::beacon_tree(seed, true));
        }
    }

    pub(super) fn beacon_link_lost(&mut self, link: LinkId) {
        self.beacons.own_lazy.retain(|other| *other != link);
        let mut orphaned = Vec::new();
        for (seed, heard) in &mut self.beacons.heard {
            heard.lazy.retain(|other| *other != link);
            if heard.parent == Some(link) {
                heard.parent = None;
                orphaned.push(seed.clone());
            }
        }
        if self.running {
            for seed in orphaned {
                self.ask_for_beacons(&seed);
            }
        }
    }

    /// Whether a beacon of that seed has come lately.
    pub(super) fn hears(&self, id: Option<&NodeId>, target: &Target) -> bool {
        self.beacons
            .heard
            .iter()
            .any(|(seed, heard)| Some(seed) == id || Target::from(heard.address) == *target)
    }

    /// Peers on which the broadcasts of an origin nobody has heard of are not pushed at first.
    pub(super) fn lazy_by_default(&self) -> &[LinkId] {
        match self.beacons.heard.first_key_value() {
            Some((id, heard)) if !self.beacons.is_seed || *id < self.me => &heard.lazy,
            _ => &self.beacons.own_lazy,
        }
    }

    /// How many seeds' beacons are passed on.
    pub(super) fn beacons(&self) -> usize {
        self.beacons.heard.len()
    }

    // Our seeds

    fn watch_seeds(&mut self) {
        for index in 0..self.entry.seeds.len() {
            let in_contact = self.is_in_contact(index);
            let seed = &mut self.entry.seeds[index];
            if seed.retired {
                continue;
            }
            if in_contact {
                seed.watched = true;
                self.seed_answered(index);
            } else if seed.watched && !seed.suspected {
                seed.suspected = true;
                let after = PROBE_WITHIN.mul_f64(self.rng.f64());
                self.set_timer(Timer::Probe(index as u32), after);
            }
        }
    }

    /// Whether that seed's beacons come, or it is a peer that speaks.
    pub(super) fn is_in_contact(&self, index: usize) -> bool {
        let seed = &self.entry.seeds[index];
        let is_it = |link: &LinkId| {
            let Some(state) = self.links.get(link) else {
                return false;
            };
            let speaks = self.now.since(state.last_heard) < MISSED_AFTER;
            state.peer().is_some_and(|peer| {
                speaks
                    && peer.native
                    && (Some(&peer.id) == seed.id.as_ref()
                        || peer.listens.map(Target::from).as_ref() == Some(&seed.target))
            })
        };
        self.peers.iter().any(is_it) || self.hears(seed.id.as_ref(), &seed.target)
    }

    pub(super) fn on_probe(&mut self, index: u32) {
        let index = index as usize;
        if index >= self.entry.seeds.len() || !self.entry.seeds[index].suspected {
            return;
        }
        if self.is_in_contact(index) {
            return self.seed_answered(index);
        }
        if self.is_dialing_seed(index) {
            return self.probe_again(index);
        }
        self.set_timer(Timer::Probe(index as u32), PROBE_PATIENCE);
        let seed = &mut self.entry.seeds[index];
        // A seed that answers may only have been busy. Give it time for a beacon before others
        // have to make room for us.
        let again = std::mem::replace(&mut seed.probed, true);
        let intent = if again { Intent::Rejoin } else { Intent::Probe };
        let target = seed.target.clone();
        self.dial_peer(Dial::to_seed(index, target, intent));
    }

    /// A dial to a seed that is missed failed, or was refused: it is tried again.
    fn probe_again(&mut self, index: usize) {
        let [from, to] = PROBE_AGAIN;
        let again = Duration::from_millis(self.rng.u64(from..=to));
        self.set_timer(Timer::Probe(index as u32), again);
        self.seed_lost(index);
    }

    /// One of our seeds could not be dialled, or asked.
    pub(super) fn seed_unreachable(&mut self, index: usize) {
        if self.entry.seeds.get(index).is_some_and(|s| s.suspected) {
            self.probe_again(index);
        }
    }

    /// One of our seeds cannot be reached, or only over there.
    pub(super) fn seed_lost(&mut self, index: usize) {
        let Some(seed) = self.entry.seeds.get_mut(index) else {
            return;
        };
        if !std::mem::replace(&mut seed.lost, true) {
            let seed = seed.target.clone();
            tracing::warn!(
                host = seed.host,
                port = seed.port,
                "netsplit: lost connection to seed"
            );
            self.emit(Event::Netsplit { seed });
        }
    }

    /// One of our seeds is there, and in our part of the network.
    pub(super) fn seed_answered(&mut self, index: usize) {
        let Some(seed) = self.entry.seeds.get_mut(index) else {
            return;
        };
        seed.probed = false;
        if std::mem::take(&mut seed.suspected) {
            self.cancel_timer(Timer::Probe(index as u32));
        }
        let seed = &mut self.entry.seeds[index];
        if std::mem::take(&mut seed.lost) {
            let seed = seed.target.clone();
            tracing::info!(host = seed.host, port = seed.port, "netsplit resolved");
            self.emit(Event::NetsplitResolved { seed });
        }
    }

    fn seed_alive(&mut self, id: &NodeId, address: std::net::SocketAddr) {
        let target = Target::from(address);
        for index in 0..self.entry.seeds.len() {
            let seed = &mut self.entry.seeds[index];
            if !seed.retired && (seed.id.as_ref() == Some(id) || seed.target == target) {
                seed.watched = true;
                self.seed_answered(index);
            }
        }
    }

    /// We have become a peer of somebody, perhaps of a seed.
    pub(super) fn seed_added(&mut self, link: LinkId) {
        let Some(peer) = self.peer(link).filter(|peer| peer.native) else {
            return;
        };
        let (id, Some(listens)) = (peer.id.clone(), peer.listens) else {
            return;
        };
        let target = Target::from(listens);
        for seed in &mut self.entry.seeds {
            if seed.target == target {
                (seed.id, seed.legacy) = (Some(id.clone()), Some(false));
            }
        }
        self.seed_alive(&id, listens);
    }

    /// A seed has told us who it is.
    pub(super) fn seed_is(&mut self, index: usize, hello: &Hello) {
        if let Some(seed) = self.entry.seeds.get_mut(index) {
            seed.id = Some(hello.id.clone());
            seed.legacy = Some(hello.native.is_none());
        }
        self.found_lost(&hello.id);
    }

    /// A seed is there, but has no room for us.
    pub(super) fn seed_refused(&mut self, index: usize, intent: Intent) {
        let suspected = self.entry.seeds.get(index).is_some_and(|s| s.suspected);
        if intent == Intent::Rejoin && suspected && !self.is_in_contact(index) {
            self.probe_again(index);
        }
    }
}
