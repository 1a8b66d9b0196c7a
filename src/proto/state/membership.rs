//! The active and the passive view of native nodes: HyParView.
//!
//! The *active view* is the list of peers: a node seeks [`Config::min_peers`](crate::proto::Config)
//! and accepts up to `max_peers`. The *passive view* is a random handful of other addresses. A node
//! that loses a peer dials one of them at once. Shuffles keep the passive view fresh: a node trades
//! addresses with a node a few random steps away, and the answer walks back the same way, so it
//! needs no extra connection.
//!
//! A node enters by a handshake with a seed that says `join`. A seed with room accepts it. A full
//! one refuses, names other nodes, and sends the address on random walks (FORWARD JOIN); the node
//! at the end of a walk dials it if it has room. So seeds have no more peers than other nodes. A
//! node without any peer dials urgently: another node then makes room with a GOODBYE that says so.
//! A legacy node cannot send an urgent request; when it asks again, the walks on its behalf are
//! urgent. Legacy peers are never closed to make room, because they would not find their way back.
//!
//! HyParView: Leitão, Pereira, Rodrigues, "HyParView: a membership protocol for reliable
//! gossip-based broadcast", 2007. The numbers come from there unless noted otherwise.

mod fields;
mod forward_join;
mod lost;
mod room;
mod shuffle;
mod waiting;

use std::net::SocketAddr;
use std::time::Duration;

use super::entry::take_for;
use super::links::{Dial, DialEnd, Peer, count};
use super::{State, jitter};
use crate::proto::codec::native;
use crate::proto::{Intent, LinkId, NodeId, PeerAddress, RemoveReason, Timer};
use fields::Known;
pub(super) use fields::Membership;

/// Size of the passive view.
const PASSIVE: usize = 30;
/// Addresses in a shuffle, besides the sender's own: from the active and the passive view.
const SHUFFLE_ACTIVE: usize = 3;
const SHUFFLE_PASSIVE: usize = 4;
/// Interval of seeking while there are too few peers.
const SEEK_EVERY: Duration = Duration::from_secs(1);
/// Rounds in vain before dials become urgent, so that another node makes room.
const PATIENCE: u32 = 3;
/// Dials at a time for a node without peers: many targets may have died along with its peers.
const DIALS_WHEN_ALONE: usize = 4;
/// Rounds in vain before the interval grows, because every node is full or gone: up to the first
/// limit without peers, to the second with some.
const BUSY_ROUNDS: u32 = 8;
const SEEK_ALONE: Duration = Duration::from_secs(10);
const SEEK_LATE: Duration = Duration::from_secs(90);
/// How long unreachable addresses stay out of the passive view, and how many are remembered.
const UNREACHABLE_FOR: Duration = Duration::from_secs(120);
const UNREACHABLE: usize = 64;
/// Dials older than this no longer count as under way when seeking.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Pause before the same address is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// Limits on dials to one address: burst, and per second, which is once in [`TRY_AGAIN`].
const TARGET_BURST: f64 = 4.0;
const TARGET_RATE: f64 = 0.5;

impl State {
    pub(super) fn start_membership(&mut self) {
        if !self.config.native {
            return;
        }
        self.membership.started = self.now;
        self.schedule_shuffle();
        self.start_beacons();
    }

    /// The address that other nodes can dial. `None` if the own address is a name or unspecified.
    pub(super) fn own_contact(&self) -> Option<PeerAddress> {
        let own = self.own_address()?;
        (!own.address.is_unspecified()).then_some(own)
    }

    // The passive view

    /// Adds an address to the passive view, in place of a random one if the view is full.
    pub(super) fn meet(&mut self, who: PeerAddress) {
        self.suspect_twin(&who);
        if self.is_unreachable(who.socket())
            || !self.is_somewhere_else(who.socket())
            || who.id == self.me
            || self.peer_link(&who.id).is_some()
        {
            return;
        }
        let passive = &mut self.membership.passive;
        if let Some(known) = passive.iter_mut().find(|known| known.who.id == who.id) {
            known.who = who;
            return;
        }
        if passive.len() >= PASSIVE {
            let index = self.rng.usize(..passive.len());
            passive.swap_remove(index);
        }
        passive.push(Known { who, tried: None });
    }

    pub(super) fn forget_known(&mut self, id: &NodeId) {
        self.membership.passive.retain(|known| known.who.id != *id);
    }

    pub(super) fn peer_contact(&self, link: LinkId) -> Option<PeerAddress> {
        self.peer(link)?.contact()
    }

    /// A few random addresses from both views, without `except`.
    pub(super) fn sample(&mut self, except: Option<&NodeId>) -> Vec<PeerAddress> {
        let with_leaves = self.tells_of_leaves();
        let peers = self.peers.iter();
        let peers = peers.filter(|link| with_leaves || !self.is_full_leaf(**link));
        let mut active: Vec<_> = peers.filter_map(|link| self.peer_contact(*link)).collect();
        active.retain(|who| !self.is_unreachable(who.socket()));
        let passive = self.membership.passive.iter();
        let mut passive: Vec<_> = passive.map(|known| known.who.clone()).collect();
        active.retain(|who| Some(&who.id) != except);
        passive.retain(|who| Some(&who.id) != except);
        self.rng.shuffle(&mut active);
        self.rng.shuffle(&mut passive);
        active.truncate(SHUFFLE_ACTIVE);
        passive.truncate(SHUFFLE_PASSIVE);
        active.append(&mut passive);
        active
    }

    /// A random native peer other than `except`.
    fn random_peer(&mut self, except: Option<LinkId>) -> Option<LinkId> {
        let mut peers = self.native_peers();
        peers.retain(|link| Some(*link) != except);
        let index = self.rng.usize(..peers.len().max(1));
        peers.get(index).copied()
    }

    // Peers come and go

    /// Tells native peers how many peers this node has.
    pub(super) fn tell_peers(&mut self) {
        let told = (count(self.peers.len()), self.ways());
        self.membership.told = told;
        let frame = native::peers(told.0, told.1);
        for link in self.native_peers() {
            if self.peer(link).is_some_and(|peer| peer.max_peers.is_some()) {
                self.send(link, frame.clone());
            }
        }
    }

    pub(super) fn on_peers(&mut self, link: LinkId, has: u16, ways: u16) {
        if let Some(peer) = self.peer_mut(link) {
            (peer.has, peer.ways) = (has, ways);
        }
        if self.membership.told.1 != self.ways() {
            self.tell_peers();
        }
    }

    /// How many peers of this node have other peers.
    pub(super) fn ways(&self) -> u16 {
        let mut peers = self.peers.iter().filter_map(|link| self.peer(*link));
        let leads_on = |peer: &&Peer| peer.max_peers.is_none() || peer.has > 1;
        count(peers.by_ref().filter(leads_on).count())
    }

    pub(super) fn peer_added(&mut self, link: LinkId) {
        let Some(peer) = self.peer(link) else {
            return;
        };
        let id = peer.id.clone();
        self.membership.rounds = 0;
        self.membership.quiet_until = None;
        self.membership.lost.retain(|lost| lost.who.id != id);
        self.membership.waiting.retain(|one| one.who.id != id);
        self.forget_known(&id);
        self.seed_added(link);
        if self.membership.passive.is_empty() && self.config.native {
            // A newcomer knows no other nodes: get addresses now.
            self.on_shuffle_timer();
        }
    }

    pub(super) fn peer_lost(&mut self, link: LinkId, peer: &Peer, reason: RemoveReason) {
        self.membership.routes.retain(|(_, from)| *from != link);
        // Seeking starts afresh.
        self.membership.rounds = 0;
        self.membership.quiet_until = None;
        self.membership.seek_set = false;
        self.beacon_link_lost(link);
        let broke = matches!(reason, RemoveReason::Silent | RemoveReason::Remote);
        let Some(who) = peer.contact().filter(|_| broke) else {
            return;
        };
        let is_leaf = peer.max_peers.is_some_and(|max| max <= 2);
        if let (Some(true), Some(instead)) = (peer.leaving, &peer.instead) {
            self.try_waiting(std::slice::from_ref(instead));
        }
        match peer.leaving {
            Some(true) if is_leaf && !self.is_leaf() => {}
            Some(true) => self.meet(who),
            Some(false) => {}
            None => self.miss(who, reason == RemoveReason::Silent),
        }
    }

    /// Tells a native peer that this node closes the link. `keep`: to make room, so the peer may
    /// keep the address.
    pub(super) fn say_goodbye(&mut self, link: LinkId, keep: bool) {
        self.say_goodbye_to(link, self.is_native(link), keep);
    }

    pub(super) fn say_goodbye_to(&mut self, link: LinkId, native: bool, keep: bool) {
        if native && self.config.native {
            self.send(link, native::goodbye(keep));
        }
    }

    /// A peer will close the link.
    pub(super) fn on_goodbye(&mut self, link: LinkId, keep: bool) {
        if let Some(peer) = self.peer_mut(link) {
            peer.leaving = Some(keep);
        }
    }

    // Seeking

    /// Dials nodes from the passive view while there are too few peers.
    pub(super) fn seek(&mut self) {
        if !self.config.native || self.is_sufficiently_filled() {
            return;
        }
        let is_early = self.membership.quiet_until.is_some_and(|at| at > self.now);
        if is_early {
            return self.seek_again();
        }
        let is_patient = self.membership.rounds > BUSY_ROUNDS;
        let wanted = match is_patient {
            true => 1,
            false => self.config.min_peers - self.peers.len(),
        };
        let at_once = if self.peers.is_empty() {
            wanted.max(DIALS_WHEN_ALONE)
        } else {
            wanted
        };
        let mut free = at_once.saturating_sub(self.recent_dials(ANSWER_WITHIN));
        let urgent = self.peers.is_empty()
            || self.membership.rounds > PATIENCE && self.config.max_peers > self.config.min_peers;
        let intent = if urgent { Intent::Urgent } else { Intent::Peer };
        let now = self.now;
        let mut passive = std::mem::take(&mut self.membership.passive);
        self.rng.shuffle(&mut passive);
        for known in &mut passive {
            let waits = known.tried.is_some_and(|at| now.since(at) < TRY_AGAIN);
            if free == 0 {
                break;
            }
            if waits || self.is_dialing(&known.who) {
                continue;
            }
            if !self.membership.dials.take(now) {
                self.counters.dials_refused += 1;
                break;
            }
            known.tried = Some(now);
            if !self.may_try(known.who.socket()) {
                continue;
            }
            free -= 1;
            self.dial_peer(Dial::to_node(&known.who, intent));
        }
        self.membership.passive = passive;
        if is_patient {
            let wait = self.seek_wait();
            self.membership.quiet_until = Some(now.after(wait / 2));
        }
        self.seek_again();
    }

    fn seek_again(&mut self) {
        if !std::mem::replace(&mut self.membership.seek_set, true) {
            let wait = self.seek_wait();
            let after = jitter(&mut self.rng, wait, 0.2);
            self.set_timer(Timer::Seek, after);
        }
    }

    /// Whether this node still seeks peers every second.
    pub(super) fn seeks_often(&self) -> bool {
        self.membership.rounds <= BUSY_ROUNDS
    }

    /// Time until the next round of seeking.
    fn seek_wait(&self) -> Duration {
        let late = self.membership.rounds.saturating_sub(BUSY_ROUNDS).min(10);
        let most = match self.peers.is_empty() {
            true => SEEK_ALONE,
            false => SEEK_LATE,
        };
        (SEEK_EVERY * (1 << late)).min(most)
    }

    /// Whether a dial to that address has failed recently.
    fn is_unreachable(&self, address: SocketAddr) -> bool {
        let mut unreachable = self.membership.unreachable.iter();
        unreachable.any(|(other, at)| *other == address && self.now.since(*at) < UNREACHABLE_FOR)
    }

    fn found_unreachable(&mut self, address: SocketAddr) {
        let unreachable = &mut self.membership.unreachable;
        unreachable.retain(|(other, _)| *other != address);
        if unreachable.len() >= UNREACHABLE {
            unreachable.pop_front();
        }
        unreachable.push_back((address, self.now));
    }

    /// Whether the limit per target allows another dial to an address that came from other nodes.
    fn may_try(&mut self, target: SocketAddr) -> bool {
        let limits = (TARGET_BURST, TARGET_RATE);
        let may = take_for(&mut self.membership.targets, target, limits, self.now);
        self.counters.dials_refused += u64::from(!may);
        may
    }

    pub(super) fn on_seek(&mut self) {
        self.membership.seek_set = false;
        if self.is_sufficiently_filled() {
            self.membership.rounds = 0;
            return;
        }
        self.membership.rounds += 1;
        self.seek();
    }

    /// A dial ended without a new peer.
    pub(super) fn dial_came_to_nothing(&mut self, dial: &Dial, end: DialEnd, code: &str) {
        if !self.running {
            return;
        }
        if let Some(seed) = dial.seed {
            self.seed_dial_failed(seed, end, code);
        }
        let is_gone = end == DialEnd::Unreachable;
        if let Some(id) = dial.expected.clone().filter(|_| is_gone) {
            self.forget_known(&id);
            if let Some(address) = dial.address() {
                self.found_unreachable(address);
            }
        }
        self.seek();
    }

    /// Adds addresses to the passive view, and dials some if there are too few peers.
    pub(super) fn meet_all(&mut self, contacts: Vec<PeerAddress>) {
        for who in contacts {
            self.meet(who);
        }
        self.seek();
    }

    /// How many addresses of other nodes this node stores.
    pub(super) fn addresses(&self) -> usize {
        let Membership {
            passive,
            lost,
            routes,
            waiting,
            ..
        } = &self.membership;
        passive.len() + lost.len() + routes.len() + waiting.len()
    }
}
