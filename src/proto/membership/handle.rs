//! The dispatch of inputs.

use super::context::Context;
use super::event::Input;
use super::peer::Peer;
use super::state::{State, count, is_leaf};
use crate::proto::codec::native;
use crate::proto::{LinkId, Native, RemoveReason, Timer};

impl State {
    /// Handles `input` and appends the resulting actions to the outputs of `context`, in order.
    pub(in crate::proto) fn handle(&mut self, input: Input, context: &mut Context<'_>) {
        match input {
            Input::Started => {
                self.started = context.now;
                self.schedule_shuffle(context);
            }
            Input::PeerUp(peer) => self.peer_up(*peer, context),
            Input::PeerDown { link, reason } => self.peer_down(link, reason, context),
            Input::Received {
                link,
                native,
                muted,
            } => self.received(link, native, muted, context),
            Input::Entered(link) => self.introduce(link, context),
            Input::PeersChanged => self.tell_peers(context),
            Input::Seek => self.seek(context),
            Input::Unreachable { id, address } => self.found_unreachable(&id, address, context.now),
            Input::Useless(id) => self.forget(&id),
            Input::Answered(id) => self.found_lost(&id, context),
            Input::Named(contacts) => self.meet_all(contacts, context),
            Input::Waiting(waiting) => self.try_waiting(&waiting, context),
            Input::Walk {
                who,
                except,
                urgent,
            } => self.send_walks(&who, except, urgent, context),
            Input::FindLost => self.look_for_lost(context),
            Input::TimerFired(Timer::Seek) => self.on_seek(context),
            Input::TimerFired(Timer::Shuffle) => self.shuffle_in_turn(context),
            Input::TimerFired(_) => {}
        }
    }

    fn received(&mut self, link: LinkId, native: Native, muted: bool, context: &mut Context<'_>) {
        match native {
            Native::Peers { count, ways } => self.on_peers(link, count, ways, context),
            Native::ForwardJoin { urgent, ttl, who } => {
                self.on_forward_join(link, (urgent, ttl), who, muted, context);
            }
            Native::Shuffle {
                nonce,
                ttl,
                contacts,
            } => self.on_shuffle(link, (nonce, ttl), contacts, muted, context),
            Native::Contacts { nonce, contacts } => {
                self.on_contacts(link, nonce, contacts, muted, context);
            }
            Native::Goodbye { keep } => {
                if let Some(peer) = self.peer_mut(link) {
                    peer.leaving = Some(keep);
                }
            }
            _ => {}
        }
    }

    fn peer_up(&mut self, peer: Peer, context: &mut Context<'_>) {
        self.seek_afresh();
        self.lost.retain(|lost| lost.who.id != peer.id);
        self.waiting.retain(|one| one.who.id != peer.id);
        self.forget(&peer.id);
        self.peers.push(peer);
        if self.passive.is_empty() && context.config.native {
            // A newcomer knows no other nodes: get addresses now.
            self.shuffle_in_turn(context);
        }
    }

    fn peer_down(&mut self, link: LinkId, reason: RemoveReason, context: &mut Context<'_>) {
        // A peer that was closed to make room is gone already.
        let Some(peer) = self.peer_gone(link) else {
            return;
        };
        let broke = matches!(reason, RemoveReason::Silent | RemoveReason::Remote);
        let Some(who) = peer.contact().filter(|_| broke) else {
            return;
        };
        if let (Some(true), Some(instead)) = (peer.leaving, &peer.instead) {
            self.try_waiting(std::slice::from_ref(instead), context);
        }
        match peer.leaving {
            Some(true) if peer.is_leaf() && !is_leaf(context.config) => {}
            Some(true) => self.meet(who, context),
            Some(false) => {}
            None => self.miss(who, reason == RemoveReason::Silent, context),
        }
    }

    /// Forgets a peer, and seeks afresh.
    pub(super) fn peer_gone(&mut self, link: LinkId) -> Option<Peer> {
        let index = self.peers.iter().position(|peer| peer.link == link)?;
        self.routes.retain(|(_, from)| *from != link);
        self.seek_afresh();
        self.seek_set = false;
        Some(self.peers.remove(index))
    }

    /// Tells native peers how many peers this node has.
    fn tell_peers(&mut self, context: &mut Context<'_>) {
        self.told = (count(self.peers.len()), self.ways());
        let frame = native::peers(self.told.0, self.told.1);
        for peer in self.native_peers().filter(|peer| peer.max_peers.is_some()) {
            context.send(peer.link, frame.clone());
        }
    }

    fn on_peers(&mut self, link: LinkId, has: u16, ways: u16, context: &mut Context<'_>) {
        if let Some(peer) = self.peer_mut(link) {
            (peer.has, peer.ways) = (has, ways);
        }
        if self.told.1 != self.ways() {
            self.tell_peers(context);
        }
    }
}
