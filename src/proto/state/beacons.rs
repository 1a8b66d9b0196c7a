//! Beacons: they detect netsplits and lead to repair.
//!
//! A node through which others have entered is a seed. It sends a beacon every second along a tree
//! of its own: a node prunes the second sender of a beacon, and asks all its peers when one is
//! missing. A node that misses three beacons of one of its seeds dials that seed
//! ([`seeds`](super::seeds)). An unreachable seed is a netsplit: the node keeps dialling it. A seed
//! in another part of the network ([`parts`]) is joined, which heals the split for the whole part.
//!
//! The tree of the seed with the smallest id is the first guess for the trees of unknown origins.

mod fields;
mod parts;

pub(super) use parts::Part;

use std::net::SocketAddr;
use std::time::Duration;

use super::State;
use crate::proto::bucket::Bucket;
use crate::proto::codec::native;
use crate::proto::{Beacon, LinkId, NodeId, Timer, membership};
pub(super) use fields::Beacons;
use fields::Heard;

/// Interval of the beacon timer. Every other round sends a beacon, which makes one per second.
const EVERY: Duration = Duration::from_millis(500);
/// Silence after which all peers are asked for beacons, pruned ones included.
const ASK_AFTER: Duration = Duration::from_millis(1500);
/// Silence after which a seed is suspected: three missed beacons.
pub(super) const MISSED_AFTER: Duration = Duration::from_millis(3200);
/// Most seeds whose beacons a node relays, the smallest ids first; and as many again of its own
/// seeds. Any node can turn others into seeds or make some up: these never displace a seed that all
/// nodes were given.
const MAX_BEACONS: usize = 8;
/// Relay limit per seed: twice its rate, and a burst for beacons that piled up during a pause of
/// this node.
const RELAY_BURST: f64 = 4.0;
const RELAYS_PER_SECOND: f64 = 2.0;

impl State {
    pub(super) fn start_beacons(&mut self) {
        let first = EVERY.mul_f64(self.rng.f64());
        self.set_timer(Timer::Watch, first);
    }

    /// The last peer has gone.
    pub(super) fn beacons_alone(&mut self) {
        self.beacons.in_since = None;
    }

    /// Another node has asked this node for entry.
    pub(super) fn become_seed(&mut self) {
        self.beacons.is_seed = true;
    }

    pub(super) fn on_watch(&mut self) {
        self.set_timer(Timer::Watch, EVERY);
        self.beacons.rounds += 1;
        self.substitute_seeds();
        if self.beacons.rounds.is_multiple_of(2) {
            self.send_beacon();
        }
        let now = self.now;
        let watched_at = self.beacons.watched_at.replace(now).unwrap_or(now);
        // A pause of this node delayed the receipt of beacons, too.
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
        self.membership(membership::Input::FindLost);
    }

    fn send_beacon(&mut self) {
        if !self.beacons.sends() {
            return;
        }
        let Some(own) = self.config.own_contact(&self.me) else {
            return;
        };
        self.beacons.number += 1;
        let beacon = Beacon {
            origin: self.publish.origin().clone(),
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
            // A beacon of this node came back around a loop. Prune the sender, unless the beacon is
            // from an earlier epoch.
            if beacon.origin == *self.publish.origin() {
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
                    // An answer to our question. If the sender is our child in the tree, it will
                    // bring no more and we ask again.
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

    /// Tells a peer from another part which seeds this node hears.
    pub(super) fn tell_beacons(&mut self, link: LinkId) {
        let heard = self.beacons.heard.values();
        let fresh = heard.filter(|heard| self.now.since(heard.at) < ASK_AFTER);
        let beacon = |heard: &Heard| Beacon {
            origin: heard.origin.clone(),
            address: heard.address,
            number: heard.number,
        };
        let frames: Vec<_> = fresh.map(|heard| native::beacon(&beacon(heard))).collect();
        for frame in frames {
            self.send(link, frame);
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
        self.parent_asks(link, seed);
        // The sender has missed a beacon: repeat the latest one now.
        let latest = self
            .beacons
            .heard
            .get(seed)
            .filter(|heard| heard.parent.is_some() && self.now.since(heard.at) < ASK_AFTER);
        if let Some(heard) = latest {
            let beacon = Beacon {
                origin: heard.origin.clone(),
                address: heard.address,
                number: heard.number,
            };
            self.send(link, native::beacon(&beacon));
        }
    }

    /// If the parent asks for beacons, it has lost the path to the seed, and so has this node.
    fn parent_asks(&mut self, link: LinkId, seed: &NodeId) {
        let Some(heard) = self.beacons.heard.get_mut(seed) else {
            return;
        };
        if heard.parent != Some(link) {
            return;
        }
        heard.parent = None;
        if !std::mem::replace(&mut heard.asked, true) {
            for other in self.native_peers() {
                if other != link {
                    self.send(other, native::beacon_tree(seed, true));
                }
            }
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

    /// Whether this node hears the beacons of a seed with this id or address.
    pub(super) fn hears(&self, id: Option<&NodeId>, address: Option<SocketAddr>) -> bool {
        let heard = &self.beacons.heard;
        id.is_some_and(|id| heard.contains_key(id))
            || address.is_some_and(|it| heard.values().any(|heard| heard.address == it))
    }

    /// Whether the latest beacon of any seed is recent, so that the next is not overdue.
    fn hears_lately(&self) -> bool {
        let mut heard = self.beacons.heard.values();
        heard.any(|heard| self.now.since(heard.at) < ASK_AFTER)
    }

    /// How many seeds this node hears.
    pub(super) fn beacons(&self) -> usize {
        self.beacons.heard.len()
    }
}
