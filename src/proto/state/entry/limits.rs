//! Limits on dials and pongs that other nodes ask for: targets and rates.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::proto::bucket::Bucket;
use crate::proto::state::State;
use crate::proto::{Moment, PeerAddress};

/// Targets whose dial rate is remembered.
const MAX_TARGETS: usize = 1024;

impl State {
    /// Whether the limits allow a dial to `who` on behalf of another node.
    pub(in crate::proto::state) fn may_dial_for(&mut self, who: &PeerAddress) -> bool {
        let target = who.socket();
        let may = self.may_dial(target) && self.dials_under_way() < self.config.max_dials;
        if !may {
            self.counters.dials_refused += 1;
            tracing::debug!(%target, "not dialling: a limit is reached");
        }
        may
    }

    /// Whether the limits allow a pong to the claimed sender of a ping.
    pub(in crate::proto::state) fn may_answer(&mut self, target: SocketAddr) -> bool {
        self.is_somewhere_else(target)
            && take_for(&mut self.entry.answered, target, (3.0, 0.5), self.now)
            && self.entry.pongs.take(self.now)
    }

    /// Whether another node can listen at `target`.
    pub(in crate::proto::state) fn is_somewhere_else(&self, target: SocketAddr) -> bool {
        let ip = target.ip().to_canonical();
        let own = self.config.address.parse::<IpAddr>().ok();
        let nowhere = ip.is_unspecified() || ip.is_multicast() || target.port() == 0;
        let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        // Other nodes must not reach the loopback of this machine through this node.
        let inside = ip.is_loopback() && own.is_some_and(|own| !own.is_loopback());
        let here = own == Some(ip) && target.port() == self.config.port;
        !(nowhere || broadcast || inside || here) && self.config.allows(ip)
    }

    /// Whether the limits allow a dial to `target` on behalf of another node.
    fn may_dial(&mut self, target: SocketAddr) -> bool {
        self.is_somewhere_else(target)
            && take_for(&mut self.entry.targets, target, (3.0, 0.1), self.now)
            && self.entry.dials.take(self.now)
    }
}

/// Takes a token from the bucket of `target`, which holds `(burst, per second)`.
pub(in crate::proto::state) fn take_for(
    buckets: &mut BTreeMap<SocketAddr, Bucket>,
    target: SocketAddr,
    (burst, per_second): (f64, f64),
    now: Moment,
) -> bool {
    if buckets.len() >= MAX_TARGETS {
        buckets.retain(|_, bucket| !bucket.is_full(now));
    }
    if buckets.len() >= MAX_TARGETS {
        return false;
    }
    let bucket = buckets.entry(target);
    bucket
        .or_insert_with(|| Bucket::new(burst, per_second, now))
        .take(now)
}
