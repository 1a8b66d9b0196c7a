//! Forward joins: the address of a node that looks for peers walks through the network.

use super::context::Context;
use super::state::State;
use crate::proto::codec::native;
use crate::proto::{LinkId, PeerAddress};

/// Steps of a forward join.
const JOIN_STEPS: u8 = 6;
/// Remaining steps at which the address enters a passive view.
const PASSIVE_STEPS: u8 = 3;
/// Walks per newcomer.
const WALKS: usize = 3;

impl State {
    /// Announces a node that entered through this node.
    pub(super) fn introduce(&mut self, link: LinkId, context: &mut Context<'_>) {
        let contacts = self.sample(None, context);
        let Some(peer) = self.peer(link) else { return };
        let is_told = !peer.is_leaf() || self.tells_of_leaves(context.config);
        let Some(who) = peer.contact() else { return };
        let contacts: Vec<_> = contacts.into_iter().filter(|it| it.id != who.id).collect();
        context.send(link, native::contacts(0, &contacts));
        if is_told {
            self.send_walks(&who, Some(link), false, context);
        }
    }

    /// Sends the address of a node that looks for peers on random walks. `urgent`: the node at the
    /// end of a walk makes room for it.
    pub(super) fn send_walks(
        &self,
        who: &PeerAddress,
        except: Option<LinkId>,
        urgent: bool,
        context: &mut Context<'_>,
    ) {
        let mut links = self.next_steps(except);
        context.rng.shuffle(&mut links);
        for link in links.into_iter().take(WALKS) {
            context.send(link, native::forward_join(urgent, JOIN_STEPS, who));
        }
    }

    pub(super) fn on_forward_join(
        &mut self,
        link: LinkId,
        (urgent, ttl): (bool, u8),
        who: PeerAddress,
        muted: bool,
        context: &mut Context<'_>,
    ) {
        if !self.takes_request(link, context.now) || self.ignores(muted) {
            return;
        }
        if who.id == self.me {
            return self.suspect_twin(&who, context);
        }
        let next = context.one_of(&self.next_steps(Some(link)));
        let Some(next) = next.filter(|_| ttl > 0) else {
            let taken = match urgent {
                true => self.take_in(&who, context),
                false => self.take_up(&who, context),
            };
            if !taken {
                self.meet(who, context);
            }
            return;
        };
        if !self.has_enough_peers(context.config) && self.take_up(&who, context) {
            return;
        }
        if ttl == PASSIVE_STEPS {
            self.meet(who.clone(), context);
        }
        let ttl = ttl.min(JOIN_STEPS) - 1;
        context.send(next, native::forward_join(urgent, ttl, &who));
    }

    /// The peers that a walk which came over `except` may go on to.
    fn next_steps(&self, except: Option<LinkId>) -> Vec<LinkId> {
        let peers = self.native_peers().filter(|peer| !peer.is_dead_end());
        let links = peers.map(|peer| peer.link);
        links.filter(|link| Some(*link) != except).collect()
    }
}
