//! Peer requests: of this node and of others.

use std::time::Duration;

use crate::proto::legacy::packet;
use crate::proto::state::State;
use crate::proto::{CloseHow, LinkId, NodeId, PeerAddress, RemoveReason, Timer, Topic, membership};

/// Shortest interval between peer requests of this node.
const REFILL_EVERY: Duration = Duration::from_millis(500);
/// A node that asks again after this has found no peer; legacy nodes ask every 10 s.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A request later than this counts as a new one.
const AGAIN_UNTIL: Duration = Duration::from_secs(30);
/// Most nodes remembered for having asked.
const MAX_ASKERS: usize = 256;

impl State {
    /// Asks the network for peers, as legacy nodes do. Native peers have better means.
    pub(in crate::proto::state) fn request_peers(&mut self) {
        if !self.legacy.translator.has_legacy_peers() || self.legacy.refill_set {
            return;
        }
        let wait = match self.legacy.asked_at {
            Some(at) => REFILL_EVERY.saturating_sub(self.now.since(at)),
            None => Duration::ZERO,
        };
        self.legacy.refill_set = true;
        self.set_timer(Timer::Refill, wait);
    }

    pub(in crate::proto::state) fn on_refill(&mut self) {
        self.legacy.refill_set = false;
        if self.is_sufficiently_filled() || self.peers.is_empty() {
            return;
        }
        self.legacy.asked_at = Some(self.now);
        if let Some(own) = self.own_address() {
            tracing::debug!("requesting peers");
            self.flood_new(Topic::PeerRequest, &packet::peer_request_data(&own));
        }
    }

    pub(in crate::proto::state) fn on_entry_request(&mut self, link: LinkId, who: PeerAddress) {
        tracing::debug!(%link, id = %who.id, "peer request from outside");
        // A peer request does not name a network.
        if who.id != self.me && self.config.network.is_none() {
            self.become_seed();
            self.flood_request(&who);
            let urgent = self.asks_again(&who.id);
            self.membership(membership::Input::Walk {
                who: who.clone(),
                except: None,
                urgent,
            });
            self.take_up(&who);
        }
        self.end_link(link, CloseHow::Flush, RemoveReason::Local, "REFUSED");
    }

    /// Floods another node's request to legacy peers, within a rate limit.
    fn flood_request(&mut self, who: &PeerAddress) {
        if !self.legacy.translator.has_legacy_peers() {
            return;
        }
        if self.legacy.floods.take(self.now) {
            self.flood_new(Topic::PeerRequest, &packet::peer_request_data(who));
        } else {
            self.counters.relays_refused += 1;
        }
    }

    /// Whether a node asked for entry a while ago, and so has found no peer. (A native node does
    /// not repeat a request; it dials.)
    pub(in crate::proto::state) fn asks_again(&mut self, id: &NodeId) -> bool {
        let now = self.now;
        let askers = &mut self.legacy.askers;
        let age = askers.get(id).map(|at| now.since(*at));
        // One request may arrive over several paths.
        if age.is_some_and(|age| age < AGAIN_AFTER) {
            return false;
        }
        if age.is_none() && askers.len() >= MAX_ASKERS {
            askers.retain(|_, at| now.since(*at) < AGAIN_UNTIL);
        }
        if age.is_some() || askers.len() < MAX_ASKERS {
            askers.insert(id.clone(), now);
        }
        age.is_some_and(|age| age < AGAIN_UNTIL)
    }
}
