//! Seeds: detection and repair of seeds that are lost or in another part of the network.
//!
//! A seed whose beacons are missed is dialled at once. All others are checked now and then, in
//! turn: a node hears the beacons of a few seeds only, a name may lead to another node each time,
//! and a seed that was down may be up again. Both ends compare marks. A seed in another part is
//! joined, even if both ends have to close a peer for it.

use std::net::SocketAddr;
use std::time::Duration;

pub(super) mod health;
mod seed;

use super::State;
use super::beacons::{MISSED_AFTER, Part};
use super::links::Dial;
use crate::proto::jitter::jitter;
use crate::proto::{Event, Hello, Intent, LinkId, NodeId, PeerAddress, Target, Timer, membership};
use health::Health;
pub(super) use seed::{EntryOutcome, Seed};

/// A missed seed is dialled within this time. With 1 s, more than 6 s would pass from a cut to the
/// event.
const PROBE_WITHIN: Duration = Duration::from_millis(500);
/// A seed that has not accepted the connection by then is lost: a dial to a host that is cut off
/// takes longer to fail.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);
/// Limits on the interval between dials of a missed seed: a quarter of the time since it was
/// missed, plus or minus half. A seed that was away briefly is found soon after it is back. A seed
/// that is gone for good is dialled less than once a minute.
const AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(75)];
const AGAIN_SHARE: u32 = 4;
/// First and longest interval between checks of seeds that this node does not hear, one at a time.
/// It doubles after each check, and again if the seed was in this part of the network.
const ROAM: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(80)];
/// But it is at most this share of the time since a seed could not be reached: one that was started
/// late is found soon. After 160 s, that is no longer less.
const ROAM_SHARE: u32 = 2;
/// Share by which that interval varies: at rest there are at least 60 s between two checks.
const ROAM_JITTER: f64 = 0.2;
/// First and longest interval between attempts to join a part without room. It doubles.
const BRIDGE_AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(600)];
/// Failed attempts to reach another part before the application is told.
const ISLAND_AFTER: u32 = 4;
/// How many nodes named by a full seed are dialled in its place.
const WAYS_AROUND: usize = 2;

impl State {
    pub(super) fn watch_seeds(&mut self) {
        for index in 0..self.entry.seeds.len() {
            let seed = &self.entry.seeds[index];
            let health = seed.health;
            if !health.is_watched() || seed.retired {
                continue;
            }
            if self.is_in_contact(index) {
                self.seed_answered(index);
            } else if health == Health::Heard {
                self.entry.seeds[index].health = Health::Suspected { dials: 0 };
                self.probe_soon(index);
            }
        }
    }

    fn probe_soon(&mut self, index: usize) {
        let after = PROBE_WITHIN.mul_f64(self.rng.f64());
        self.set_timer(Timer::Probe(index as u32), after);
    }

    /// Whether this node hears a seed, or has it as a peer that is not silent.
    pub(super) fn is_in_contact(&self, index: usize) -> bool {
        let seed = &self.entry.seeds[index];
        self.is_in_contact_with(seed.id.as_ref(), seed.address)
    }

    fn is_in_contact_with(&self, id: Option<&NodeId>, address: Option<SocketAddr>) -> bool {
        let is_it = |link: &LinkId| {
            let Some(state) = self.links.get(link) else {
                return false;
            };
            let speaks = self.now.since(state.last_heard) < MISSED_AFTER;
            state.peer().is_some_and(|peer| {
                let is_there = peer.listens.is_some() && peer.listens == address;
                speaks && peer.native && (Some(&peer.id) == id || is_there)
            })
        };
        self.peers.iter().any(is_it) || self.hears(id, address)
    }

    pub(super) fn on_probe(&mut self, index: u32) {
        let index = index as usize;
        if index >= self.entry.seeds.len() || !self.entry.seeds[index].health.is_suspected() {
            return;
        }
        if self.is_in_contact(index) {
            return self.seed_answered(index);
        }
        if self.is_dialing_seed(index) {
            return self.probe_again(index);
        }
        self.set_timer(Timer::Probe(index as u32), PROBE_PATIENCE);
        let now = self.now;
        let seed = &mut self.entry.seeds[index];
        seed.looked = Some(now);
        seed.away.get_or_insert(now);
        // An older seed sends no marks. It may only have been busy: give it time for a beacon
        // before other nodes have to make room.
        let again = seed.health.dials() > 0;
        seed.health = seed.health.dialled();
        let intent = match again && seed.is_unsaid {
            true => Intent::Rejoin,
            false => Intent::Probe,
        };
        let target = seed.target.clone();
        self.dial_peer(Dial::to_seed(index, target, intent));
    }

    /// A dial to a missed seed failed or was refused: schedules the next.
    fn probe_again(&mut self, index: usize) {
        let lost = self
            .entry
            .seeds
            .iter()
            .filter(|seed| seed.health.is_lost())
            .count();
        let [least, most] = AGAIN;
        let away = self.entry.seeds[index].away.unwrap_or(self.now);
        let wait = self.now.since(away) / AGAIN_SHARE;
        let wait = wait.clamp(least, most * lost.max(1) as u32);
        let wait = jitter(&mut self.rng, wait, 0.5);
        self.set_timer(Timer::Probe(index as u32), wait);
        self.seed_lost(index);
    }

    /// A seed could not be dialled, or asked.
    pub(super) fn seed_unreachable(&mut self, index: usize) {
        let now = self.now;
        let Some(seed) = self.entry.seeds.get_mut(index) else {
            return;
        };
        seed.away.get_or_insert(now);
        if seed.health.is_suspected() {
            self.probe_again(index);
        }
    }

    /// A seed is unreachable or in another part; returns whether that is news.
    pub(super) fn seed_lost(&mut self, index: usize) -> bool {
        let Some(seed) = self.entry.seeds.get_mut(index) else {
            return false;
        };
        let before = seed.health;
        seed.health = before.lost();
        let is_news = !before.is_lost();
        if is_news {
            let seed = seed.target.clone();
            tracing::warn!(
                host = seed.host,
                port = seed.port,
                "netsplit: lost connection to seed"
            );
            self.emit(Event::Netsplit { seed });
        }
        if before == Health::Heard {
            self.probe_soon(index);
        }
        is_news
    }

    /// A seed is alive and in this part of the network.
    pub(super) fn seed_answered(&mut self, index: usize) {
        let Some(seed) = self.entry.seeds.get_mut(index) else {
            return;
        };
        seed.away = None;
        let is_bridged = std::mem::take(&mut seed.bridge).is_told;
        let before = seed.health;
        seed.health = before.answered();
        // This is called for every beacon, so nothing is copied unless there is news.
        if !(is_bridged || before.is_suspected() || before.is_lost()) {
            return;
        }
        let target = seed.target.clone();
        if before.is_suspected() {
            self.cancel_timer(Timer::Probe(index as u32));
        }
        if before.is_lost() {
            tracing::info!(host = target.host, port = target.port, "netsplit resolved");
            let seed = target.clone();
            self.emit(Event::NetsplitResolved { seed });
        }
        if is_bridged {
            self.tell_island(target, true);
        }
    }

    /// A beacon of `id` has arrived, or `id` has become a peer.
    pub(super) fn seed_alive(&mut self, id: &NodeId, address: SocketAddr) {
        for index in self.entry.seeds_of(id, address) {
            self.seed_answered(index);
            self.entry.seeds[index].health = Health::Heard;
        }
    }

    /// This node has a new peer, which may be a seed.
    pub(super) fn seed_added(&mut self, link: LinkId) {
        let now = self.now;
        self.beacons.in_since.get_or_insert(now);
        let Some(peer) = self.peer(link).filter(|peer| peer.native) else {
            return;
        };
        let (id, Some(listens)) = (peer.id.clone(), peer.listens) else {
            return;
        };
        if let Some(index) = self.entry.seed_at(listens) {
            self.entry.set_seed_id(index, id.clone());
            self.entry.seeds[index].legacy = Some(false);
        }
        self.seed_alive(&id, listens);
    }

    /// A seed has answered a dial with its handshake. `who`: its address for dials; `is_peer`: it
    /// accepts this node.
    pub(super) fn seed_is(
        &mut self,
        index: usize,
        hello: &Hello,
        who: Option<&PeerAddress>,
        (intent, is_peer): (Intent, bool),
    ) {
        let now = self.now;
        let part = self.part_of(hello);
        if index >= self.entry.seeds.len() {
            return;
        }
        self.entry.set_seed_id(index, hello.id.clone());
        let seed = &mut self.entry.seeds[index];
        seed.legacy = Some(hello.native.is_none());
        seed.looked = Some(now);
        seed.is_unsaid = part == Part::Unsaid;
        self.membership(membership::Input::Answered(hello.id.clone()));
        if is_peer {
            self.note_entry_outcome(index, EntryOutcome::Peer);
            if hello.native.is_some() {
                self.seed_answered(index);
            }
            return;
        }
        self.note_entry_outcome(index, EntryOutcome::Full);
        if self.peers.is_empty() {
            return;
        }
        match part {
            Part::Same => {
                // Its beacons may not travel this far: only a few seeds' do.
                self.seed_answered(index);
                // All is well: the next check can wait.
                self.entry.roam_wait *= 2;
                if !self.is_in_contact(index) {
                    self.entry.seeds[index].health = Health::Unheard;
                }
            }
            Part::Other if intent == Intent::Rejoin => self.bridge_failed(index),
            // A seed that was busy needs time for a beacon.
            Part::Other if self.entry.seeds[index].health.dials() == 1 => {}
            Part::Other => {
                self.bridge(index, who);
                if !self.entry.seeds[index].bridge.is_told {
                    self.roam_soon();
                }
            }
            Part::Unknown => self.roam_soon(),
            Part::Unsaid if intent == Intent::Rejoin => {
                let seed = &self.entry.seeds[index];
                if seed.health.is_suspected() && !self.is_in_contact(index) {
                    self.probe_again(index);
                }
            }
            Part::Unsaid => {}
        }
    }

    /// Joins the part of the network that a seed is in.
    fn bridge(&mut self, index: usize, who: Option<&PeerAddress>) {
        let seed = &self.entry.seeds[index];
        if seed.bridge.at.is_some_and(|at| at > self.now) {
            return;
        }
        if !self.membership.has_room_for_bridge(&self.config) {
            return self.bridge_failed(index);
        }
        tracing::info!(
            host = seed.target.host,
            port = seed.target.port,
            "joining another part of the network"
        );
        // Dial the address from the handshake: a name may lead to another node each time.
        let target = match who {
            Some(who) if self.config.is_elsewhere(who.socket()) => who.socket().into(),
            _ => seed.target.clone(),
        };
        self.dial_peer(Dial::to_seed(index, target, Intent::Rejoin));
    }

    /// An attempt to join a seed's part failed: no room there, or none here.
    fn bridge_failed(&mut self, index: usize) {
        let [least, most] = BRIDGE_AGAIN;
        let seed = &mut self.entry.seeds[index];
        let bridge = &mut seed.bridge;
        bridge.wait = (bridge.wait * 2).clamp(least, most);
        bridge.failures += 1;
        let wait = jitter(&mut self.rng, bridge.wait, 0.3);
        bridge.at = Some(self.now.after(wait));
        if seed.health.is_suspected() {
            return self.probe_again(index);
        }
        if bridge.failures >= ISLAND_AFTER && !std::mem::replace(&mut bridge.is_told, true) {
            let target = seed.target.clone();
            self.tell_island(target, false);
        } else if !bridge.is_told {
            self.roam_soon();
        }
    }

    fn tell_island(&mut self, seed: Target, is_over: bool) {
        let (host, port) = (&seed.host, seed.port);
        if is_over {
            tracing::info!(host, port, "no longer on an island");
        } else {
            tracing::warn!(
                host,
                port,
                "on an island: the seed is in another part of the network, and there is no room for a link"
            );
        }
        self.emit(Event::Island { seed, is_over });
    }

    /// Dials nodes of another part that a full node there has named.
    pub(super) fn bridge_to(&mut self, contacts: &[PeerAddress]) {
        let mut free = WAYS_AROUND;
        // Refused nodes should not all go to the same ones.
        let mut contacts: Vec<&PeerAddress> = contacts.iter().collect();
        self.rng.shuffle(&mut contacts);
        for who in contacts {
            let is_new = self.peer_link(&who.id).is_none() && !self.is_dialing(who);
            if free == 0 || !self.membership.has_room_for_bridge(&self.config) {
                return;
            }
            if who.id != self.me && is_new && self.config.is_elsewhere(who.socket()) {
                free -= 1;
                self.dial_peer(Dial::to_node(who, Intent::Rejoin));
            }
        }
    }

    // Checks of seeds that are not missed

    /// Schedules the next check of a seed soon.
    pub(super) fn roam_soon(&mut self) {
        if self.config.native && !self.entry.seeds.is_empty() {
            self.entry.roam_wait = ROAM[0];
            self.schedule_roam();
        }
    }

    fn schedule_roam(&mut self) {
        let away = self.entry.seeds.iter().filter(|seed| !seed.retired);
        let latest = away.filter_map(|seed| seed.away).max();
        let most = latest.map_or(ROAM[1], |at| self.now.since(at) / ROAM_SHARE);
        let wait = self.entry.roam_wait.min(most).clamp(ROAM[0], ROAM[1]);
        // The ends of two chains of leaves find each other only through a seed that both ask.
        let presses = self.membership.is_leaf_in_need(&self.config);
        self.entry.roam_wait = if presses { wait } else { wait * 2 };
        let after = jitter(&mut self.rng, wait, ROAM_JITTER);
        self.set_timer(Timer::Roam, after);
    }

    pub(super) fn on_roam(&mut self) {
        self.schedule_roam();
        if self.peers.is_empty() {
            return;
        }
        let first = self.rng.usize(..self.entry.seeds.len().max(1));
        let indices = (first..self.entry.seeds.len()).chain(0..first);
        let due = indices
            .filter(|index| self.is_to_be_looked_at(*index))
            .min_by_key(|index| self.entry.seeds[*index].looked);
        let Some(index) = due else { return };
        // A node with too few peers asks for more, but not one of its peers.
        let intent = match self.is_sufficiently_filled() || self.seed_link(index).is_some() {
            true => Intent::Probe,
            false => Intent::Join,
        };
        let now = self.now;
        let seed = &mut self.entry.seeds[index];
        seed.looked = Some(now);
        let target = seed.target.clone();
        self.dial_peer(Dial::to_seed(index, target, intent));
    }

    fn is_to_be_looked_at(&self, index: usize) -> bool {
        let seed = &self.entry.seeds[index];
        let may_be_legacy = match seed.legacy {
            Some(is_legacy) => is_legacy,
            None => self.legacy.translator.has_legacy_peers(),
        };
        if may_be_legacy
            || seed.retired
            || seed.health.is_suspected()
            || self.is_self(&seed.target)
            || self.is_dialing_seed(index)
        {
            return false;
        }
        // A name, or the address of a load balancer, may lead to another node than the last time.
        if !self.is_sufficiently_filled() {
            // It may know a node with room. A peer at that very address has named those it knows.
            let peer = self.seed_link(index).and_then(|link| self.peer(link));
            return peer.is_none_or(|peer| seed.address.is_none() || peer.listens != seed.address);
        }
        seed.address.is_none() || !self.is_in_contact_with(None, seed.address)
    }

    /// The link to the node that a seed's address led to last, if that node is a peer.
    pub(super) fn seed_link(&self, index: usize) -> Option<LinkId> {
        let id = self.entry.seeds[index].id.as_ref();
        id.and_then(|id| self.peer_link(id))
    }
}
