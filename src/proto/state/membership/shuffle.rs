//! Shuffles: a node trades addresses with nodes a few random steps away.

use std::time::Duration;

use crate::proto::codec::native;
use crate::proto::state::{State, jitter};
use crate::proto::{LinkId, PeerAddress, Timer};

/// Steps of a shuffle.
const SHUFFLE_STEPS: u8 = 6;
/// Interval, plus or minus a fifth.
const SHUFFLE_EVERY: Duration = Duration::from_secs(10);
/// Interval after the start, and how long it applies.
const SHUFFLE_EARLY: Duration = Duration::from_secs(1);
const EARLY: Duration = Duration::from_secs(30);
/// Most relayed shuffles whose way back is remembered.
const ROUTES: usize = 64;

impl State {
    pub(super) fn schedule_shuffle(&mut self) {
        let early = self.now.since(self.membership.started) < EARLY;
        let every = if early { SHUFFLE_EARLY } else { SHUFFLE_EVERY };
        let after = jitter(&mut self.rng, every, 0.2);
        self.set_timer(Timer::Shuffle, after);
    }

    pub(in crate::proto::state) fn on_shuffle_timer(&mut self) {
        self.schedule_shuffle();
        let Some(link) = self.random_peer(None) else {
            return;
        };
        if !self.may_hand_on(link) {
            return;
        }
        self.membership.nonce = self.rng.u32(1..);
        let contacts = self.offer();
        let shuffle = native::shuffle(self.membership.nonce, SHUFFLE_STEPS, &contacts);
        self.send(link, shuffle);
    }

    pub(in crate::proto::state) fn on_shuffle(
        &mut self,
        link: LinkId,
        nonce: u32,
        ttl: u8,
        contacts: Vec<PeerAddress>,
    ) {
        if !self.takes_shuffle(link) {
            self.counters.relays_refused += 1;
            return self.blame(link, -1, "too many shuffles");
        }
        if self.ignores(link) {
            return;
        }
        let next = self.random_peer(Some(link)).filter(|_| ttl > 0);
        if let Some(next) = next.filter(|next| self.may_hand_on(*next)) {
            let routes = &mut self.membership.routes;
            if routes.len() >= ROUTES {
                routes.pop_front();
            }
            routes.push_back((nonce, link));
            let ttl = ttl.min(SHUFFLE_STEPS) - 1;
            return self.send(next, native::shuffle(nonce, ttl, &contacts));
        }
        let offer = self.offer();
        self.send(link, native::contacts(nonce, &offer));
        self.meet_all(contacts);
    }

    pub(in crate::proto::state) fn on_contacts(
        &mut self,
        link: LinkId,
        nonce: u32,
        contacts: Vec<PeerAddress>,
    ) {
        if self.ignores(link) {
            return;
        }
        if nonce == 0 {
            let only = <&[PeerAddress; 1]>::try_from(&contacts[..]).ok();
            let only = only.map(|[who]| who.clone());
            if let Some(peer) = self.peer_mut(link) {
                peer.instead = only;
            }
        }
        if nonce == 0 || nonce == self.membership.nonce {
            return self.meet_all(contacts);
        }
        let routes = &mut self.membership.routes;
        // A walk may pass a node more than once: the answer retraces the latest step first.
        let route = routes.iter().rposition(|(name, _)| *name == nonce);
        let Some((_, back)) = route.and_then(|index| routes.remove(index)) else {
            return;
        };
        if back != link {
            self.send(back, native::contacts(nonce, &contacts));
        }
    }

    /// Whether the limit allows another shuffle from a peer.
    fn takes_shuffle(&mut self, link: LinkId) -> bool {
        let now = self.now;
        self.peer_mut(link)
            .is_some_and(|peer| peer.shuffles.take(now))
    }

    /// Whether the limit allows another shuffle to a peer. If not, the walk ends here.
    fn may_hand_on(&mut self, link: LinkId) -> bool {
        let now = self.now;
        self.peer_mut(link)
            .is_some_and(|peer| peer.shuffles_on.take(now))
    }

    fn offer(&mut self) -> Vec<PeerAddress> {
        // The address of a full leaf is useless to other nodes.
        let is_told = !self.is_leaf() || self.tells_of_leaves();
        let own = self.own_contact().filter(|_| is_told);
        let mut contacts: Vec<_> = own.into_iter().collect();
        contacts.append(&mut self.sample(None));
        contacts
    }
}
