//! Shuffles: a node trades addresses with nodes a few random steps away.

use std::time::Duration;

use super::context::Context;
use super::event::Output;
use super::state::{State, is_leaf};
use crate::proto::codec::native;
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
    pub(super) fn schedule_shuffle(&self, context: &mut Context<'_>) {
        let every = match self.shuffles_often(context) {
            true => SHUFFLE_EARLY,
            false => SHUFFLE_EVERY,
        };
        let after = context.jitter(every);
        context.set_timer(Timer::Shuffle, after);
    }

    /// Whether this node has just started, and so shuffles every second.
    pub(super) fn shuffles_often(&self, context: &Context<'_>) -> bool {
        context.now.since(self.started) < EARLY
    }

    /// Shuffles, and sets the time of the next shuffle.
    pub(super) fn shuffle_in_turn(&mut self, context: &mut Context<'_>) {
        self.schedule_shuffle(context);
        self.shuffle(context);
    }

    /// Sends addresses on a random walk. The node at its end answers with others.
    pub(super) fn shuffle(&mut self, context: &mut Context<'_>) {
        let Some(link) = self.random_peer(None, context) else {
            return;
        };
        if !self.may_hand_on(link, context) {
            return;
        }
        self.nonce = context.rng.u32(1..);
        let contacts = self.offer(context);
        let shuffle = native::shuffle(self.nonce, SHUFFLE_STEPS, &contacts);
        context.send(link, shuffle);
    }

    pub(super) fn on_shuffle(
        &mut self,
        link: LinkId,
        (nonce, ttl): (u32, u8),
        contacts: Vec<PeerAddress>,
        muted: bool,
        context: &mut Context<'_>,
    ) {
        if !self.takes_shuffle(link, context) {
            self.counters.relays_refused += 1;
            let what = "too many shuffles";
            return context.out.push(Output::Blame { link, what });
        }
        if self.ignores(muted) {
            return;
        }
        let next = self.random_peer(Some(link), context).filter(|_| ttl > 0);
        if let Some(next) = next.filter(|next| self.may_hand_on(*next, context)) {
            if self.routes.len() >= ROUTES {
                self.routes.pop_front();
            }
            self.routes.push_back((nonce, link));
            let ttl = ttl.min(SHUFFLE_STEPS) - 1;
            return context.send(next, native::shuffle(nonce, ttl, &contacts));
        }
        let offer = self.offer(context);
        context.send(link, native::contacts(nonce, &offer));
        self.meet_all(contacts, context);
    }

    pub(super) fn on_contacts(
        &mut self,
        link: LinkId,
        nonce: u32,
        contacts: Vec<PeerAddress>,
        muted: bool,
        context: &mut Context<'_>,
    ) {
        if self.ignores(muted) {
            return;
        }
        if nonce == 0 {
            let only = <&[PeerAddress; 1]>::try_from(&contacts[..]).ok();
            let only = only.map(|[who]| who.clone());
            if let Some(peer) = self.peer_mut(link) {
                peer.instead = only;
            }
        }
        if nonce == 0 || nonce == self.nonce {
            return self.meet_all(contacts, context);
        }
        // A walk may pass a node more than once: the answer retraces the latest step first.
        let route = self.routes.iter().rposition(|(name, _)| *name == nonce);
        let Some((_, back)) = route.and_then(|index| self.routes.remove(index)) else {
            return;
        };
        if back != link {
            context.send(back, native::contacts(nonce, &contacts));
        }
    }

    /// Adds addresses to the passive view, and dials some if there are too few peers.
    pub(super) fn meet_all(&mut self, contacts: Vec<PeerAddress>, context: &mut Context<'_>) {
        for who in contacts {
            self.meet(who, context);
        }
        self.seek(context);
    }

    /// Counts a frame of a muted link; returns whether it is to be ignored.
    pub(super) fn ignores(&mut self, muted: bool) -> bool {
        self.counters.ignored_of_muted += u64::from(muted);
        muted
    }

    /// A random native peer other than `except`.
    fn random_peer(&self, except: Option<LinkId>, context: &mut Context<'_>) -> Option<LinkId> {
        let peers = self.native_peers().map(|peer| peer.link);
        let peers: Vec<_> = peers.filter(|link| Some(*link) != except).collect();
        context.one_of(&peers)
    }

    /// Whether the limit allows another shuffle from a peer.
    fn takes_shuffle(&mut self, link: LinkId, context: &Context<'_>) -> bool {
        let peer = self.peer_mut(link);
        peer.is_some_and(|peer| peer.shuffles.take(context.now))
    }

    /// Whether the limit allows another shuffle to a peer. If not, the walk ends here.
    fn may_hand_on(&mut self, link: LinkId, context: &Context<'_>) -> bool {
        let peer = self.peer_mut(link);
        peer.is_some_and(|peer| peer.shuffles_on.take(context.now))
    }

    fn offer(&mut self, context: &mut Context<'_>) -> Vec<PeerAddress> {
        // The address of a full leaf is useless to other nodes.
        let is_told = !is_leaf(context.config) || self.tells_of_leaves(context.config);
        let own = self.own_contact(context).filter(|_| is_told);
        let mut contacts: Vec<_> = own.into_iter().collect();
        contacts.append(&mut self.sample(None, context));
        contacts
    }
}
