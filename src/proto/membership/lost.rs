//! Peers that were lost without a goodbye: this node dials them again.

use std::time::Duration;

use super::context::Context;
use super::state::{Lost, State};
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
    pub(super) fn miss(&mut self, who: PeerAddress, silently: bool, context: &Context<'_>) {
        // The peer only claimed this address.
        if !context.config.is_elsewhere(who.socket()) {
            return;
        }
        if self.lost.len() >= LOST {
            self.lost.pop_front();
        }
        self.lost.push_back(Lost {
            who,
            since: context.now,
            at: context.now.after(LOST_FIRST),
            wait: LOST_FIRST,
            silently,
        });
    }

    /// Dials the lost peers that are due.
    pub(super) fn look_for_lost(&mut self, context: &mut Context<'_>) {
        for (who, silently) in self.lost_due(context) {
            let is_seed = context.dials.is_missed_seed(who.socket());
            if is_seed || self.has_peer(&who.id) || context.is_dialing(&who) {
                continue;
            }
            // A repaired path may lead to a part of the network that this node was cut off from.
            let intent = match (silently, self.is_full(context.config)) {
                (true, _) => Intent::Urgent,
                (false, false) => Intent::Peer,
                (false, true) => Intent::Check,
            };
            if !self.seeking.takes_one(context.now) {
                self.counters.dials_refused += 1;
                continue;
            }
            if self.may_try(&who, context) {
                context.dial(&who, intent);
            }
        }
    }

    /// The lost peers that are due, and whether they fell silent.
    fn lost_due(&mut self, context: &mut Context<'_>) -> Vec<(PeerAddress, bool)> {
        let now = context.now;
        self.lost.retain(|lost| now.since(lost.since) < LOST_FOR);
        let count = self.lost.len() as u32;
        let mut due = Vec::new();
        for lost in &mut self.lost {
            if lost.at > now {
                continue;
            }
            lost.wait = match now.since(lost.since) < LATE_AFTER {
                true => (lost.wait * 2).min(LOST_MAX),
                false => (lost.wait * 2).min(LOST_LATE * count),
            };
            lost.at = now.after(context.jitter(lost.wait));
            due.push((lost.who.clone(), lost.silently));
        }
        due
    }

    /// A dialled node answers without becoming a peer: it is no longer lost.
    pub(super) fn found_lost(&mut self, id: &NodeId, context: &mut Context<'_>) {
        let found = self.lost.iter().position(|lost| lost.who.id == *id);
        if let Some(lost) = found.and_then(|index| self.lost.remove(index)) {
            self.meet(lost.who, context);
        }
    }
}
