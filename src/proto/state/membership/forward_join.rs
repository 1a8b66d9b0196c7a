//! Forward joins: the address of a node that looks for peers walks through the network.

use crate::proto::codec::native;
use crate::proto::state::State;
use crate::proto::{LinkId, PeerAddress};

/// Steps of a forward join.
const JOIN_STEPS: u8 = 6;
/// Remaining steps at which the address enters a passive view.
const PASSIVE_STEPS: u8 = 3;
/// Walks per newcomer.
const WALKS: usize = 3;

impl State {
    /// Announces a node that entered through this node.
    pub(in crate::proto::state) fn introduce(&mut self, link: LinkId) {
        let contacts = self.sample(None);
        let Some(who) = self.peer_contact(link) else {
            return;
        };
        let contacts: Vec<_> = contacts.into_iter().filter(|it| it.id != who.id).collect();
        self.send(link, native::contacts(0, &contacts));
        if !self.is_leaf_peer(link) || self.tells_of_leaves() {
            self.send_walks(&who, Some(link), false);
        }
    }

    /// Sends the address of a node that looks for peers on random walks. `urgent`: the node at the
    /// end of a walk makes room for it.
    pub(in crate::proto::state) fn send_walks(
        &mut self,
        who: &PeerAddress,
        except: Option<LinkId>,
        urgent: bool,
    ) {
        let mut peers = self.native_peers();
        peers.retain(|link| Some(*link) != except && !self.is_dead_end(*link));
        self.rng.shuffle(&mut peers);
        for link in peers.into_iter().take(WALKS) {
            self.send(link, native::forward_join(urgent, JOIN_STEPS, who));
        }
    }

    pub(in crate::proto::state) fn on_forward_join(
        &mut self,
        link: LinkId,
        urgent: bool,
        ttl: u8,
        who: PeerAddress,
    ) {
        if !self.takes_request(link) {
            self.counters.relays_refused += 1;
            return;
        }
        if self.ignores(link) {
            return;
        }
        if who.id == self.me {
            return self.suspect_twin(&who);
        }
        let next = self.next_step(link).filter(|_| ttl > 0);
        let Some(next) = next else {
            let taken = if urgent {
                self.take_in(who.clone())
            } else {
                self.take_up(who.clone())
            };
            if !taken {
                self.meet(who);
            }
            return;
        };
        if !self.is_sufficiently_filled() && self.take_up(who.clone()) {
            return;
        }
        if ttl == PASSIVE_STEPS {
            self.meet(who.clone());
        }
        let ttl = ttl.min(JOIN_STEPS) - 1;
        self.send(next, native::forward_join(urgent, ttl, &who));
    }

    /// The next step of a walk that came over `from`.
    fn next_step(&mut self, from: LinkId) -> Option<LinkId> {
        let mut peers = self.native_peers();
        peers.retain(|link| *link != from && !self.is_dead_end(*link));
        let index = self.rng.usize(..peers.len().max(1));
        peers.get(index).copied()
    }

    /// Whether a peer accepts no peer besides this node.
    fn is_dead_end(&self, link: LinkId) -> bool {
        self.peer(link).and_then(|peer| peer.max_peers) == Some(1)
    }
}
