//! Opening and closing connections: names, SYNs, and the driver's share of the work.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::parts::{Frame, HostId, PORT, Port, Syn};
use super::{Cause, Network};
use crate::proto::{CloseHow, Input, LinkId, Target};

/// An unanswered connection attempt is repeated after this time, like a SYN.
const SYN_AGAIN: Duration = Duration::from_secs(1);
/// As in the driver: a connection must not yield to a newer one before this.
const UNCONNECTED_GRACE: Duration = Duration::from_millis(500);

impl Network {
    pub(super) fn dial(&mut self, mut syn: Syn) {
        if self.balancer.as_ref() == Some(&syn.target.host) {
            let living = self.living();
            let index = self.rng.usize(..living.len().max(1));
            syn.picked = living.get(index).copied();
        }
        let latency = match syn.picked.or_else(|| self.resolve(&syn.target)) {
            Some(to) => self.latency(syn.from, to),
            None => Duration::ZERO,
        };
        let at = self.now.after(latency);
        self.at(at, Cause::Syn(Box::new(syn)));
    }

    pub(super) fn arrive_syn(&mut self, syn: Box<Syn>) {
        let from = syn.from;
        if self.hosts[from.index()].life != syn.life || !self.is_alive(from) {
            return;
        }
        let Some(to) = syn.picked.or_else(|| self.resolve(&syn.target)) else {
            return self.at(self.now, Cause::Refusal(syn, "ENOTFOUND"));
        };
        let shielded = self.hosts[to.index()].shielded && from != to;
        let unheard = shielded
            || self.hosts[to.index()].dark
            || self.is_blocked(from, to)
            || self.is_blocked(to, from);
        if unheard {
            let timeout = self.hosts[from.index()].config.dial_timeout;
            let again = self.now.after(SYN_AGAIN);
            if again.since(syn.began) < timeout {
                return self.at(again, Cause::Syn(syn));
            }
            return self.at(syn.began.after(timeout), Cause::Refusal(syn, "ETIMEDOUT"));
        }
        let latency = self.latency(from, to);
        if !self.is_alive(to) {
            let back = self.now.after(latency);
            return self.at(back, Cause::Refusal(syn, "ECONNREFUSED"));
        }
        let port = self.wire(from, syn.link, to, latency);
        self.send(port, Frame::Connected);
        self.accept(to, from, port.other());
    }

    pub(super) fn close(&mut self, host: HostId, link: LinkId, how: CloseHow) {
        let node = &mut self.hosts[host.index()];
        node.unconnected.retain(|(other, ..)| *other != link);
        let Some(port) = self.port(host, link) else {
            return;
        };
        if how == CloseHow::HalfClose {
            return self.send(port.other(), Frame::Fin);
        }
        let last = if how == CloseHow::Abort {
            Frame::Reset
        } else {
            Frame::Fin
        };
        self.forget(host, link);
        self.hang_up(port, last);
    }

    /// The first running host of a name, or the host with the address.
    fn resolve(&self, target: &Target) -> Option<HostId> {
        if let Some(hosts) = self.names.get(&target.host) {
            return hosts
                .iter()
                .copied()
                .find(|host| self.is_alive(*host))
                .or(hosts.first().copied());
        }
        let ip: Ipv4Addr = target.host.parse().ok()?;
        let index = u32::from(ip).checked_sub((10 << 24) + 1)?;
        (target.port == PORT && (index as usize) < self.hosts.len()).then_some(HostId(index))
    }

    /// Accepts a new connection as the driver does, limits included.
    fn accept(&mut self, host: HostId, from: HostId, port: Port) {
        let node = &mut self.hosts[host.index()];
        let same = node.unconnected.iter().filter(|(_, ip, _)| *ip == from);
        let crowded = node.unconnected.len() >= node.config.max_unconnected;
        let oldest = node.unconnected.front();
        let young = oldest.is_some_and(|(.., since)| self.now.since(*since) < UNCONNECTED_GRACE);
        if crowded && young || same.count() >= node.config.max_unconnected_per_address {
            self.end_of(port).open = false;
            return self.send(port.other(), Frame::Reset);
        }
        if let Some((oldest, ..)) = crowded.then(|| node.unconnected.pop_front()).flatten() {
            self.close(host, oldest, CloseHow::Abort);
            let reason = "CROWDED".to_owned();
            self.input(
                host,
                Input::Closed {
                    link: oldest,
                    reason,
                },
            );
        }
        let node = &mut self.hosts[host.index()];
        let Some(state) = node.state.as_mut() else {
            return;
        };
        let link = state.next_link();
        node.unconnected.push_back((link, from, self.now));
        node.links.push((link, port));
        self.end_of(port).link = link;
        let remote = SocketAddr::new(IpAddr::V4(from.ip()), 50_000);
        self.input(host, Input::Accepted { link, remote });
    }
}
