//! The passive view: addresses of nodes that are no peers.

use std::net::SocketAddr;
use std::time::Duration;

use super::context::Context;
use super::peer::Peer;
use super::state::{Known, State};
use crate::proto::{Intent, Moment, NodeId, PeerAddress};

/// Size of the passive view.
const PASSIVE: usize = 30;
/// Addresses in a shuffle, besides the sender's own: from the active and the passive view.
const SHUFFLE_ACTIVE: usize = 3;
const SHUFFLE_PASSIVE: usize = 4;
/// How long unreachable addresses stay out of the passive view, and how many are remembered.
const UNREACHABLE_FOR: Duration = Duration::from_secs(120);
const UNREACHABLE: usize = 64;

impl State {
    /// Adds an address to the passive view, in place of a random one if the view is full.
    pub(super) fn meet(&mut self, who: PeerAddress, context: &mut Context<'_>) {
        self.suspect_twin(&who, context);
        if self.is_unreachable(who.socket(), context.now)
            || !context.config.is_elsewhere(who.socket())
            || !self.is_new(&who)
        {
            return;
        }
        let passive = &mut self.passive;
        if let Some(known) = passive.iter_mut().find(|known| known.who.id == who.id) {
            known.who = who;
            return;
        }
        if passive.len() >= PASSIVE {
            let index = context.rng.usize(..passive.len());
            passive.swap_remove(index);
        }
        passive.push(Known { who, tried: None });
    }

    pub(super) fn forget(&mut self, id: &NodeId) {
        self.passive.retain(|known| known.who.id != *id);
    }

    /// A few random addresses from both views, without `except`.
    pub(super) fn sample(
        &mut self,
        except: Option<&NodeId>,
        context: &mut Context<'_>,
    ) -> Vec<PeerAddress> {
        let with_leaves = self.tells_of_leaves(context.config);
        let peers = self.peers.iter();
        let peers = peers.filter(|peer| with_leaves || !peer.is_full_leaf());
        let mut active: Vec<_> = peers.filter_map(Peer::contact).collect();
        active.retain(|who| !self.is_unreachable(who.socket(), context.now));
        let mut passive: Vec<_> = self.passive.iter().map(|known| known.who.clone()).collect();
        active.retain(|who| Some(&who.id) != except);
        passive.retain(|who| Some(&who.id) != except);
        context.rng.shuffle(&mut active);
        context.rng.shuffle(&mut passive);
        active.truncate(SHUFFLE_ACTIVE);
        passive.truncate(SHUFFLE_PASSIVE);
        active.append(&mut passive);
        active
    }

    /// A dial to a node could not be connected.
    pub(super) fn found_unreachable(
        &mut self,
        id: &NodeId,
        address: Option<SocketAddr>,
        now: Moment,
    ) {
        self.forget(id);
        let Some(address) = address else { return };
        self.unreachable.retain(|(other, _)| *other != address);
        if self.unreachable.len() >= UNREACHABLE {
            self.unreachable.pop_front();
        }
        self.unreachable.push_back((address, now));
    }

    /// Other nodes know a node with this node's id or address, but not both. Dials it to check: it
    /// may be this node in an earlier life.
    pub(super) fn suspect_twin(&mut self, who: &PeerAddress, context: &mut Context<'_>) {
        let Some(own) = self.own_contact(context) else {
            return;
        };
        let is_twin = (who.id == self.me) != (who.socket() == own.socket());
        if !is_twin || !context.config.allows(who.address) || !self.checks.take(context.now) {
            return;
        }
        context.dial(who, Intent::Check);
    }

    /// Whether a dial to that address has failed recently.
    fn is_unreachable(&self, address: SocketAddr, now: Moment) -> bool {
        let mut unreachable = self.unreachable.iter();
        unreachable.any(|(other, at)| *other == address && now.since(*at) < UNREACHABLE_FOR)
    }
}
