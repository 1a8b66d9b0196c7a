//! Waiting nodes: refused recently and still looking for peers.
//!
//! Two parts may be full except for one node at the end of each. These two cannot find each other,
//! because other nodes know only full ones. Both ask the same seed, so the seed names one to the
//! other.

use std::time::Duration;

use super::context::Context;
use super::peer::LEAF;
use super::state::{State, Waiting};
use crate::proto::{Hello, Intent, Moment, PeerAddress, Place};

/// How long a refused node counts as waiting. It asks again sooner.
const WAITS_FOR: Duration = Duration::from_secs(3);
/// How many such nodes are remembered.
const REMEMBERED: usize = 16;
/// How many of them a refusal names.
const NAMED: usize = 3;
/// A node that lacks more peers than this is not remembered, unless it is a leaf.
const MOST_LACKED: u16 = 2;
/// A node named this often may be unreachable: it no longer spares a link.
const PATIENCE: u8 = 4;

impl Waiting {
    /// Whether the sender of `hello` can become its peer, to the benefit of both.
    fn suits(&self, hello: &Hello, now: Moment) -> bool {
        let Some(native) = &hello.native else {
            return false;
        };
        let place = &native.place;
        let is_same = self.part.iter().any(|mark| place.part.contains(mark));
        // Two nodes that accept one peer each would form an island.
        let is_pair = place.max_peers == Some(1) && !self.leads_on;
        self.who.id != hello.id && now.since(self.since) < WAITS_FOR && !is_same && !is_pair
    }
}

/// Whether a node may find no peers by itself: a leaf, or one that lacks at most two. Others get
/// theirs by random walks. If they were led to each other, those that ask one seed at a time would
/// form clusters.
fn is_stuck(place: &Place) -> bool {
    let lacks = |max: u16| max.saturating_sub(place.peers);
    place
        .max_peers
        .is_some_and(|max| usize::from(max) <= LEAF || lacks(max) <= MOST_LACKED)
}

impl State {
    /// Remembers a refused node that has room itself and may find nobody else.
    pub(super) fn note_refused(&mut self, hello: &Hello, who: &PeerAddress, now: Moment) {
        let place = hello.native.as_ref().map(|native| &native.place);
        if let Some(place) = place.filter(|place| hello.has_room() && is_stuck(place)) {
            self.note_waiting(who, place.part.clone(), place.max_peers != Some(1), now);
        }
    }

    /// Remembers a node that looks for a peer.
    pub(super) fn note_waiting(
        &mut self,
        who: &PeerAddress,
        part: Vec<u64>,
        leads_on: bool,
        since: Moment,
    ) {
        let waiting = &mut self.waiting;
        if let Some(one) = waiting.iter_mut().find(|one| one.who == *who) {
            (one.part, one.leads_on, one.since) = (part, leads_on, since);
            return;
        }
        waiting.retain(|one| one.who.id != who.id && since.since(one.since) < WAITS_FOR);
        if waiting.len() >= REMEMBERED {
            waiting.pop_front();
        }
        waiting.push_back(Waiting {
            who: who.clone(),
            part,
            leads_on,
            named: 0,
            since,
        });
    }

    /// Names waiting nodes that suit the sender of `hello`, the latest first.
    pub(super) fn name_waiting(&mut self, hello: &Hello, now: Moment) -> Vec<PeerAddress> {
        let waiting = self.waiting.iter_mut().rev();
        let suitable = waiting.filter(|one| one.suits(hello, now)).take(NAMED);
        let name = |one: &mut Waiting| {
            one.named = one.named.saturating_add(1);
            one.who.clone()
        };
        suitable.map(name).collect()
    }

    /// Whether a waiting node could become a peer of the sender of `hello` without another node
    /// losing a link.
    pub(super) fn has_waiting_for(&self, hello: &Hello, now: Moment) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|one| one.leads_on && one.named < PATIENCE && one.suits(hello, now))
    }

    /// Dials nodes that wait for a peer, too.
    pub(super) fn try_waiting(&mut self, waiting: &[PeerAddress], context: &mut Context<'_>) {
        for who in waiting.iter().take(NAMED) {
            let is_new = self.is_new(who) && !context.is_dialing(who);
            let is_elsewhere = context.config.is_elsewhere(who.socket());
            if self.is_full(context.config) || !is_new || !is_elsewhere {
                continue;
            }
            if !self.seeking.takes_one(context.now) {
                self.counters.dials_refused += 1;
                continue;
            }
            if self.may_try(who, context) {
                context.dial(who, Intent::Peer);
            }
        }
    }
}
