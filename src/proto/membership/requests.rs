//! Dials to nodes that ask for peers, or that others ask for.

use super::context::Context;
use super::state::State;
use crate::proto::{Intent, LinkId, Moment, PeerAddress};

/// Native peers that a node keeps when it makes room for a legacy one.
const KEPT_NATIVE: usize = 2;

impl State {
    /// Whether the limit allows another relayed request from a peer.
    pub(in crate::proto) fn takes_request(&mut self, link: LinkId, now: Moment) -> bool {
        let peer = self.peer_mut(link);
        let takes = peer.is_some_and(|peer| peer.requests.take(now));
        self.counters.relays_refused += u64::from(!takes);
        takes
    }

    /// Dials a node that found no peer, and makes room for it.
    pub(super) fn take_in(&mut self, who: &PeerAddress, context: &mut Context<'_>) -> bool {
        if !self.is_new(who) {
            return false;
        }
        if context.is_dialing(who) {
            return true;
        }
        let has_room = !self.is_full(context.config);
        if !has_room && self.native_peers().count() <= KEPT_NATIVE
            || !self.may_dial_for(who, context)
        {
            return false;
        }
        if !has_room && !self.make_room(0, context) {
            return false;
        }
        context.dial(who, Intent::Peer);
        true
    }

    /// Dials a node that looks for peers if there is room; returns whether a dial is under way.
    pub(in crate::proto) fn take_up(
        &mut self,
        who: &PeerAddress,
        context: &mut Context<'_>,
    ) -> bool {
        if !self.is_new(who) || self.is_full(context.config) {
            return false;
        }
        if context.is_dialing(who) {
            return true;
        }
        if self.peers.len() + context.dials_under_way() >= context.config.max_peers {
            return false;
        }
        // Legacy nodes refuse half of all requests once they have enough.
        if self.has_enough_peers(context.config) && context.rng.bool() {
            return false;
        }
        if !self.may_dial_for(who, context) {
            return false;
        }
        context.dial(who, Intent::Peer);
        true
    }

    /// Whether the limits allow a dial to `who` on behalf of another node.
    pub(super) fn may_dial_for(&mut self, who: &PeerAddress, context: &Context<'_>) -> bool {
        let (target, now) = (who.socket(), context.now);
        let may = context.config.is_elsewhere(target)
            && self.requests.takes_one_to(target, now)
            && self.requests.takes_one(now)
            && context.dials_under_way() < context.config.max_dials;
        if !may {
            self.counters.dials_refused += 1;
            tracing::debug!(%target, "not dialling: a limit is reached");
        }
        may
    }
}
