//! Pings of seeds, and pongs: netsplit detection of the legacy wire.

use std::net::{IpAddr, SocketAddr};

use super::fields::Ping;
use crate::proto::legacy::{line, packet};
use crate::proto::state::State;
use crate::proto::{CloseHow, LinkId, Pong, RemoveReason, Timer, Topic};

impl State {
    /// Forgets all unanswered pings.
    pub(in crate::proto::state) fn forget_pings(&mut self) {
        for number in std::mem::take(&mut self.legacy.pings).into_keys() {
            self.cancel_timer(Timer::Ping(number));
        }
    }

    pub(in crate::proto::state) fn ping(&mut self, seed: usize) {
        let Some(own) = self.own_address() else {
            return;
        };
        let target = self.entry.seeds[seed].target.clone();
        // Legacy nodes understand IP literals only.
        let Ok(ip) = target.host.parse::<IpAddr>() else {
            return;
        };
        if self.is_self(&target) {
            return;
        }
        tracing::debug!(host = target.host, port = target.port, "pinging seed");
        let data = packet::ping_data(own.socket(), SocketAddr::new(ip, target.port));
        let id = self.flood_new(Topic::Ping, &data);
        let number = self.legacy.next_ping;
        self.legacy.next_ping = number.wrapping_add(1);
        self.legacy.pings.insert(number, Ping { packet: id, seed });
        self.set_timer(Timer::Ping(number), self.config.ping_timeout);
    }

    /// Answers a ping to this node, on a connection of its own; returns whether it was to this
    /// node.
    pub(in crate::proto::state) fn answer_ping(
        &mut self,
        packet: &str,
        from: SocketAddr,
        target: SocketAddr,
    ) -> bool {
        let Some(own) = self.own_address() else {
            return false;
        };
        if target != own.socket() {
            return false;
        }
        if !self.may_answer(from) {
            self.counters.dials_refused += 1;
            return true;
        }
        tracing::debug!(%from, "ping is for us: sending pong");
        let pong = Pong {
            from: own,
            responds_to: packet.to_owned(),
        };
        self.send_courier(from.into(), line::pong(&pong), None);
        true
    }

    /// Whether the limits allow a pong to the claimed sender of a ping.
    fn may_answer(&mut self, target: SocketAddr) -> bool {
        self.config.is_elsewhere(target)
            && self.entry.answered.take(target, self.now)
            && self.entry.pongs.take(self.now)
    }

    pub(in crate::proto::state) fn on_pong(&mut self, link: LinkId, pong: &Pong) {
        let known = self
            .legacy
            .pings
            .iter()
            .find(|(_, ping)| ping.packet == pong.responds_to);
        if let Some(number) = known.map(|(number, _)| *number) {
            self.cancel_timer(Timer::Ping(number));
            if let Some(ping) = self.legacy.pings.remove(&number) {
                self.seed_answered(ping.seed);
            }
        }
        self.end_link(link, CloseHow::Flush, RemoveReason::Local, "REFUSED");
    }

    pub(in crate::proto::state) fn on_ping_timeout(&mut self, number: u32) {
        let Some(ping) = self.legacy.pings.remove(&number) else {
            return;
        };
        if self.is_in_contact(ping.seed) {
            return;
        }
        let is_news = self.seed_lost(ping.seed);
        if let Some(seed) = self.entry.seeds.get_mut(ping.seed) {
            seed.asked = false;
            seed.away.get_or_insert(self.now);
        }
        if is_news {
            self.enter();
        }
    }
}
