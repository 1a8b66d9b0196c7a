//! Whom a node knows, and whom it has as peers, among native nodes: HyParView.
//!
//! The *active view* is the list of peers: [`Config::min_peers`](crate::proto::Config) are sought,
//! `max_peers` accepted. The *passive view* is a random handful of other nodes' addresses; whoever
//! loses a peer dials from it at once. It is kept fresh by trading addresses with nodes a few random
//! steps away (SHUFFLE, whose answer walks back the way it came, so that it needs no connection).
//!
//! A node enters by a handshake with a seed that says `join`. A seed with room takes it; a full one
//! refuses, tells it of others, and sends its address for a walk (FORWARD JOIN), at whose end somebody
//! with room dials it. So seeds are ways in and have no more peers than others. A node that has no
//! peer at all dials urgently: then somebody else makes room, with a GOODBYE that says so. A legacy node
//! cannot say how urgent it is; when it asks again, the walks on its behalf do. Peers of the legacy wire
//! are never asked to make room: they would not find their way back.
//!
//! HyParView: Leitão, Pereira, Rodrigues, "HyParView: a membership protocol for reliable gossip-based
//! broadcast", 2007. The numbers are its own where nothing else is said.

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

/// How many addresses are kept.
const PASSIVE: usize = 30;
/// Peers and passive addresses that a shuffle offers, and our own.
const SHUFFLE_ACTIVE: usize = 3;
const SHUFFLE_PASSIVE: usize = 4;
/// How often more peers are sought while there are too few.
const SEEK_EVERY: Duration = Duration::from_secs(1);
/// After this many rounds in vain somebody else has to make room.
const PATIENCE: u32 = 3;
/// Dials at a time for a node that has no peer: most may be to nodes that died with the peers.
const DIALS_WHEN_ALONE: usize = 4;
/// After so many rounds in vain they become rare: nobody has room, or nobody else is there. That is
/// also the most that a node without any peer waits, and one that has some.
const BUSY_ROUNDS: u32 = 8;
const SEEK_ALONE: Duration = Duration::from_secs(10);
const SEEK_LATE: Duration = Duration::from_secs(90);
/// Addresses where nobody could be reached are not kept for so long, and so many of them.
const UNREACHABLE_FOR: Duration = Duration::from_secs(120);
const UNREACHABLE: usize = 64;
/// A dial without an answer after this is not waited for.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// An address is not tried again before this.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// The same to one of them: at once, and per second, which is once in [`TRY_AGAIN`].
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

    /// How we tell others where to dial us; `None` as long as our address is a name.
    pub(super) fn own_contact(&self) -> Option<PeerAddress> {
        let own = self.own_address()?;
        (!own.address.is_unspecified()).then_some(own)
    }

    // Who is known

    /// Keeps an address, in the place of another if there are many.
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

    /// A random few of those we know, `except` excepted.
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

    /// A random native peer but `except`.
    fn random_peer(&mut self, except: Option<LinkId>) -> Option<LinkId> {
        let mut peers = self.native_peers();
        peers.retain(|link| Some(*link) != except);
        let index = self.rng.usize(..peers.len().max(1));
        peers.get(index).copied()
    }

    // Peers come and go

    /// Tells native peers how many peers we have.
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

    /// How many of our peers have others.
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
            // Hardly in: the sooner we know others the better.
            self.on_shuffle_timer();
        }
    }

    pub(super) fn peer_lost(&mut self, link: LinkId, peer: &Peer, reason: RemoveReason) {
        self.membership.routes.retain(|(_, from)| *from != link);
        // Others are sought as if it were for the first time.
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

    /// Tells a native peer that we close the link: `keep`: to make room.
    pub(super) fn say_goodbye(&mut self, link: LinkId, keep: bool) {
        self.say_goodbye_to(link, self.is_native(link), keep);
    }

    pub(super) fn say_goodbye_to(&mut self, link: LinkId, native: bool, keep: bool) {
        if native && self.config.native {
            self.send(link, native::goodbye(keep));
        }
    }

    /// A peer is about to close the link.
    pub(super) fn on_goodbye(&mut self, link: LinkId, keep: bool) {
        if let Some(peer) = self.peer_mut(link) {
            peer.leaving = Some(keep);
        }
    }

    // Seeking

    /// Dials nodes from the passive view, if there are too few peers.
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

    /// Whether peers are still sought each second.
    pub(super) fn seeks_often(&self) -> bool {
        self.membership.rounds <= BUSY_ROUNDS
    }

    /// How long it is until more peers are sought again.
    fn seek_wait(&self) -> Duration {
        let late = self.membership.rounds.saturating_sub(BUSY_ROUNDS).min(10);
        let most = match self.peers.is_empty() {
            true => SEEK_ALONE,
            false => SEEK_LATE,
        };
        (SEEK_EVERY * (1 << late)).min(most)
    }

    /// Whether nobody could be reached at that address a short while ago.
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

    /// Whether an address that others told us may be dialled once more.
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

    /// A dial that was to make a peer did not.
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

    /// Keeps what others had to offer, and makes use of it if there are too few peers.
    pub(super) fn meet_all(&mut self, contacts: Vec<PeerAddress>) {
        for who in contacts {
            self.meet(who);
        }
        self.seek();
    }

    /// How many addresses of others are kept, one way or another.
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
