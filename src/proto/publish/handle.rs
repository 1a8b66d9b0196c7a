//! The dispatch of inputs.

use super::event::{Input, Output};
use super::peer::Peer;
use super::state::State;
use crate::proto::{Level, LinkId, Moment, Native, Timer};

impl State {
    /// Handles `input` and appends the resulting actions to `out`, in order. A new stream begins
    /// with the peers in `lazy` as its lazy peers.
    pub(in crate::proto) fn handle(
        &mut self,
        now: Moment,
        input: Input,
        lazy: &[LinkId],
        out: &mut Vec<Output>,
    ) {
        self.now = now;
        std::mem::swap(&mut self.out, out);
        match input {
            Input::PeerUp(peer) => self.peer_up(*peer),
            Input::PeerDown(link) => self.peer_down(link),
            Input::Pressure { link, level } => self.pressure(link, level),
            Input::Broadcast(payload) => self.broadcast(payload, lazy),
            Input::Received { link, native } => self.received(link, native, lazy),
            Input::Consumed(marks) => self.on_consumed_here(&marks),
            Input::Moving(links) => self.on_moving(&links),
            Input::TimerFired(timer) => self.timer(timer),
        }
        std::mem::swap(&mut self.out, out);
    }

    fn received(&mut self, link: LinkId, native: Native, lazy: &[LinkId]) {
        let now = self.now;
        if let Some(peer) = self.peer_mut(link) {
            peer.heard = Some(now);
        }
        match native {
            Native::Publish(run) => self.on_publish(link, run, lazy),
            Native::IHave(watermarks) => self.on_ihave(link, watermarks),
            Native::Graft { range, max_age_ms } => self.on_graft(link, range, max_age_ms),
            Native::Gone(range) => self.on_gone(link, &range),
            Native::Prune(origin) => self.on_prune(link, &origin),
            Native::Consumed(watermarks) => self.on_consumed(link, watermarks),
            Native::Stalled { origin, id } => self.on_stalled(link, &origin, &id),
            Native::Oversized(range) => self.on_oversized(link, &range, lazy),
            _ => {}
        }
    }

    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::LazyPush => self.on_lazy_push(),
            Timer::Repair => self.on_repair(),
            Timer::Window => self.on_window(),
            Timer::Heartbeat => self.streams.expire(self.now),
            _ => {}
        }
    }

    fn peer_up(&mut self, peer: Peer) {
        let (link, native, since) = (peer.link, peer.native, peer.began);
        self.peers.push(peer);
        if self.joined_at.is_none() {
            self.joined_at = Some(since);
            self.synced = !native;
        }
        if native {
            self.greet(link, since);
        }
    }

    fn peer_down(&mut self, link: LinkId) {
        self.peers.retain(|peer| peer.link != link);
        self.streams.forget_link(link, self.now);
        self.receivers_changed();
    }

    fn pressure(&mut self, link: LinkId, level: Level) {
        let Some(peer) = self.peer_mut(link) else {
            return;
        };
        peer.level = level;
        match level {
            Level::Full => peer.behind = true,
            Level::High => {}
            Level::Low if peer.native && std::mem::take(&mut peer.behind) => {
                self.doubt_receiver(link);
                self.catch_up(link);
            }
            Level::Low => {}
        }
    }
}
