//! Peers that were lost without a goodbye: this node dials them again.

use std::time::Duration;

use super::fields::Lost;
use crate::proto::state::links::Dial;
use crate::proto::state::{State, jitter};
use crate::proto::{Intent, NodeId, PeerAddress};

/// Limits on lost peers: how many, for how long, first and longest interval.
const LOST: usize = 64;
const LOST_FOR: Duration = Duration::from_secs(3600);
const LOST_FIRST: Duration = Duration::from_secs(1);
const LOST_MAX: Duration = Duration::from_secs(30);
/// Longest interval per lost peer after [`LATE_AFTER`]. It is multiplied by their number, which
/// bounds the cost of all together.
const LOST_LATE: Duration = Duration::from_secs(300);
/// Age of a loss from which [`LOST_LATE`] applies.
const LATE_AFTER: Duration = Duration::from_secs(120);

impl State {
    /// A peer was lost without a goodbye. `silently`: it fell silent, so the network may be at
    /// fault rather than its process.
    pub(super) fn miss(&mut self, who: PeerAddress, silently: bool) {
        // The peer only claimed this address.
        if !self.is_somewhere_else(who.socket()) {
            return;
        }
        if self.membership.lost.len() >= LOST {
            self.membership.lost.pop_front();
        }
        self.membership.lost.push_back(Lost {
            who,
            since: self.now,
            at: self.now.after(LOST_FIRST),
            wait: LOST_FIRST,
            silently,
        });
    }

    /// Dials the lost peers that are due.
    pub(in crate::proto::state) fn look_for_lost(&mut self) {
        let now = self.now;
        self.membership
            .lost
            .retain(|lost| now.since(lost.since) < LOST_FOR);
        let count = self.membership.lost.len() as u32;
        let mut dials = Vec::new();
        for lost in &mut self.membership.lost {
            if lost.at > now {
                continue;
            }
            lost.wait = match now.since(lost.since) < LATE_AFTER {
                true => (lost.wait * 2).min(LOST_MAX),
                false => (lost.wait * 2).min(LOST_LATE * count),
            };
            lost.at = now.after(jitter(&mut self.rng, lost.wait, 0.2));
            dials.push((lost.who.clone(), lost.silently));
        }
        for (who, silently) in dials {
            // Missed seeds are dialled by their own timer.
            let is_seed = self.entry.seed_at(who.socket());
            let is_seed =
                is_seed.is_some_and(|index| self.entry.seeds[index].health.is_suspected());
            if is_seed || self.peer_link(&who.id).is_some() || self.is_dialing(&who) {
                continue;
            }
            // A repaired path may lead to a part of the network that this node was cut off from.
            let intent = match (silently, self.is_full()) {
                (true, _) => Intent::Urgent,
                (false, false) => Intent::Peer,
                (false, true) => Intent::Check,
            };
            if !self.membership.dials.take(now) {
                self.counters.dials_refused += 1;
                continue;
            }
            if !self.may_try(who.socket()) {
                continue;
            }
            self.dial_peer(Dial::to_node(&who, intent));
        }
    }

    /// A dialled node answers without becoming a peer: it is no longer lost.
    pub(in crate::proto::state) fn found_lost(&mut self, id: &NodeId) {
        let lost = &mut self.membership.lost;
        let found = lost.iter().position(|lost| lost.who.id == *id);
        if let Some(lost) = found.and_then(|index| lost.remove(index)) {
            self.meet(lost.who);
        }
    }
}
