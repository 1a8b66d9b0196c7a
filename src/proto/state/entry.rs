//! Getting into a network, staying in, and noticing that it broke apart.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::State;
use crate::proto::bucket::Bucket;
use crate::proto::codec::{line, packet};
use crate::proto::{
    CloseHow, Config, Event, LinkId, Moment, PeerAddress, Pong, Target, Timer, Topic,
};

/// Peer requests for ourselves go out at most this often.
const REFILL_EVERY: Duration = Duration::from_millis(500);
/// Without a peer, entry is tried again after this, doubling up to [`Config::tick`].
const ENTRY_RETRY: Duration = Duration::from_secs(1);
/// Targets whose dial rate is remembered.
const MAX_TARGETS: usize = 1024;

/// What a node knows of its way into the network.
#[derive(Debug)]
pub(super) struct Entry {
    seeds: Vec<Seed>,
    pings: BTreeMap<u32, Ping>,
    next_ping: u32,
    /// When peers were last asked for.
    asked_at: Option<Moment>,
    /// Whether [`Timer::Refill`] is set.
    refill_set: bool,
    retry: Duration,
    /// Dials that others make us do, pongs included: 4 a second, burst 8 (overlay design).
    dials: Bucket,
    pongs: Bucket,
    /// The same per target: three at once, then one per 10 s, so that nobody can be made the
    /// victim of a network, while a node that restarts quickly is still let in.
    targets: BTreeMap<SocketAddr, Bucket>,
    /// Likewise for pongs, which may be as frequent as pings are: one per 2 s.
    answered: BTreeMap<SocketAddr, Bucket>,
    pub(super) heartbeat_at: Moment,
}

#[derive(Debug)]
struct Seed {
    target: Target,
    lost: bool,
}

#[derive(Debug)]
struct Ping {
    packet: String,
    seed: usize,
}

impl Entry {
    pub(super) fn new(config: &Config) -> Self {
        let seed = |target: &Target| Seed {
            target: target.clone(),
            lost: false,
        };
        Self {
            seeds: config.seeds.iter().map(seed).collect(),
            pings: BTreeMap::new(),
            next_ping: 0,
            asked_at: None,
            refill_set: false,
            retry: ENTRY_RETRY,
            dials: Bucket::new(
                config.dials_per_second * 2.0,
                config.dials_per_second,
                Moment::default(),
            ),
            pongs: Bucket::new(
                config.pongs_per_second,
                config.pongs_per_second,
                Moment::default(),
            ),
            targets: BTreeMap::new(),
            answered: BTreeMap::new(),
            heartbeat_at: Moment::default(),
        }
    }
}

impl State {
    pub(super) fn start_entry(&mut self) {
        self.enter();
        self.schedule_tick();
    }

    pub(super) fn stop_entry(&mut self) {
        for number in std::mem::take(&mut self.entry.pings).into_keys() {
            self.cancel_timer(Timer::Ping(number));
        }
    }

    /// Whether `target` is where we listen.
    pub(super) fn is_self(&self, target: &Target) -> bool {
        target.port == self.config.port && target.host == self.config.address
    }

    fn own_address(&self) -> Option<PeerAddress> {
        let address = self.config.address.parse().ok()?;
        Some(PeerAddress {
            id: self.me.clone(),
            address,
            port: self.config.port,
        })
    }

    /// Asks every seed to let us in.
    fn enter(&mut self) {
        let Some(own) = self.own_address() else {
            tracing::warn!("cannot ask for peers: the address is not an IP literal");
            return;
        };
        for index in 0..self.entry.seeds.len() {
            let target = self.entry.seeds[index].target.clone();
            if self.is_self(&target) {
                continue;
            }
            tracing::info!(
                host = target.host,
                port = target.port,
                "entering through seed"
            );
            self.send_courier(target, line::peer_request(&own));
        }
    }

    fn schedule_tick(&mut self) {
        let after = if self.peers.is_empty() {
            let retry = self.entry.retry;
            self.entry.retry = (retry * 2).min(self.config.tick);
            retry
        } else {
            self.entry.retry = ENTRY_RETRY;
            self.config.tick
        };
        // Up to a tenth earlier or later, so that nodes started together do not act together.
        let jitter = 0.9 + 0.2 * self.rng.f64();
        self.set_timer(Timer::Tick, after.mul_f64(jitter));
    }

    pub(super) fn on_tick(&mut self) {
        self.schedule_tick();
        if self.peers.is_empty() {
            return self.enter();
        }
        for seed in 0..self.entry.seeds.len() {
            self.ping(seed);
        }
        if self.entry.seeds.iter().any(|seed| seed.lost) {
            self.enter();
        }
        if !self.is_sufficiently_filled() {
            self.request_peers();
        }
    }

    /// A peer came or went.
    pub(super) fn peers_changed(&mut self) {
        if !self.running {
            return;
        }
        if self.peers.is_empty() {
            // The last one went: back in through the seeds, at once.
            self.entry.retry = ENTRY_RETRY;
            self.enter();
            self.schedule_tick();
        } else if self.peers.len() == 1 {
            self.schedule_tick();
        }
        if !self.is_sufficiently_filled() {
            self.request_peers();
        }
    }

    fn request_peers(&mut self) {
        if self.peers.is_empty() || self.entry.refill_set {
            return;
        }
        let wait = match self.entry.asked_at {
            Some(at) => REFILL_EVERY.saturating_sub(self.now.since(at)),
            None => Duration::ZERO,
        };
        self.entry.refill_set = true;
        self.set_timer(Timer::Refill, wait);
    }

    pub(super) fn on_refill(&mut self) {
        self.entry.refill_set = false;
        if self.is_sufficiently_filled() || self.peers.is_empty() {
            return;
        }
        self.entry.asked_at = Some(self.now);
        if let Some(own) = self.own_address() {
            tracing::debug!("requesting peers");
            self.flood_new(Topic::PeerRequest, &packet::peer_request_data(&own));
        }
    }

    // Others who look for peers

    pub(super) fn on_entry_request(&mut self, link: LinkId, who: PeerAddress) {
        tracing::debug!(%link, id = %who.id, "peer request from outside");
        if who.id != self.me {
            self.flood_new(Topic::PeerRequest, &packet::peer_request_data(&who));
            self.take_up(who);
        }
        self.end_link(
            link,
            CloseHow::Flush,
            crate::proto::RemoveReason::Local,
            "DONE",
        );
    }

    /// Dials a node that looks for peers, if we have room for it; true when we do.
    pub(super) fn take_up(&mut self, who: PeerAddress) -> bool {
        if who.id == self.me || self.is_full() || self.peer_link(&who.id).is_some() {
            return false;
        }
        if self.is_dialing(&who) {
            return true;
        }
        // Legacy nodes refuse half of all requests once they have enough.
        if self.is_sufficiently_filled() && self.rng.bool() {
            return false;
        }
        let target = SocketAddr::new(who.address, who.port);
        if !self.may_dial(target) || self.dials_under_way() >= self.config.max_dials {
            self.counters.dials_refused += 1;
            tracing::debug!(%target, "not dialling: a limit is reached");
            return false;
        }
        self.dial_peer(target.into(), Some(who.id), None);
        true
    }

    /// Whether `target` may be dialled because somebody else says so.
    fn may_dial(&mut self, target: SocketAddr) -> bool {
        self.is_somewhere_else(target)
            && take_for(&mut self.entry.targets, target, (3.0, 0.1), self.now)
            && self.entry.dials.take(self.now)
    }

    /// Whether a pong may be sent to where a ping claims to come from.
    fn may_answer(&mut self, target: SocketAddr) -> bool {
        self.is_somewhere_else(target)
            && take_for(&mut self.entry.answered, target, (3.0, 0.5), self.now)
            && self.entry.pongs.take(self.now)
    }

    /// Whether `target` is an address at which there can be another node.
    fn is_somewhere_else(&self, target: SocketAddr) -> bool {
        let ip = target.ip().to_canonical();
        let own = self.config.address.parse::<IpAddr>().ok();
        let nowhere = ip.is_unspecified() || ip.is_multicast() || target.port() == 0;
        let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        // What listens on this machine's loopback only is not for others to reach through us.
        let inside = ip.is_loopback() && !own.is_some_and(|own| own.is_loopback());
        let here = own == Some(ip) && target.port() == self.config.port;
        !(nowhere || broadcast || inside || here) && self.config.allows(ip)
    }

    // Pings and pongs

    fn ping(&mut self, seed: usize) {
        let Some(own) = self.own_address() else {
            return;
        };
        let target = self.entry.seeds[seed].target.clone();
        // Legacy nodes take IP literals only.
        let Ok(ip) = target.host.parse::<IpAddr>() else {
            return;
        };
        if self.is_self(&target) {
            return;
        }
        tracing::debug!(host = target.host, port = target.port, "pinging seed");
        let from = SocketAddr::new(own.address, own.port);
        let data = packet::ping_data(from, SocketAddr::new(ip, target.port));
        let id = self.flood_new(Topic::Ping, &data);
        let number = self.entry.next_ping;
        self.entry.next_ping = number.wrapping_add(1);
        self.entry.pings.insert(number, Ping { packet: id, seed });
        self.set_timer(Timer::Ping(number), self.config.ping_timeout);
    }

    /// Answers a ping that names us, on a connection of its own; true when it does.
    pub(super) fn answer_ping(
        &mut self,
        packet: &str,
        from: SocketAddr,
        target: SocketAddr,
    ) -> bool {
        let Some(own) = self.own_address() else {
            return false;
        };
        if target != SocketAddr::new(own.address, own.port) {
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
        self.send_courier(from.into(), line::pong(&pong));
        true
    }

    pub(super) fn on_pong(&mut self, link: LinkId, pong: &Pong) {
        let known = self
            .entry
            .pings
            .iter()
            .find(|(_, ping)| ping.packet == pong.responds_to);
        if let Some(number) = known.map(|(number, _)| *number) {
            self.cancel_timer(Timer::Ping(number));
            if let Some(ping) = self.entry.pings.remove(&number) {
                self.seed_answered(ping.seed);
            }
        }
        self.end_link(
            link,
            CloseHow::Flush,
            crate::proto::RemoveReason::Local,
            "DONE",
        );
    }

    fn seed_answered(&mut self, seed: usize) {
        let Some(seed) = self.entry.seeds.get_mut(seed) else {
            return;
        };
        if std::mem::take(&mut seed.lost) {
            let seed = seed.target.clone();
            tracing::info!(host = seed.host, port = seed.port, "netsplit resolved");
            self.emit(Event::NetsplitResolved { seed });
        }
    }

    pub(super) fn on_ping_timeout(&mut self, number: u32) {
        let Some(ping) = self.entry.pings.remove(&number) else {
            return;
        };
        let Some(seed) = self.entry.seeds.get_mut(ping.seed) else {
            return;
        };
        if !std::mem::replace(&mut seed.lost, true) {
            let seed = seed.target.clone();
            tracing::warn!(
                host = seed.host,
                port = seed.port,
                "netsplit: lost connection to seed"
            );
            self.emit(Event::Netsplit { seed });
        }
        self.enter();
    }
}

/// Takes a token from the bucket of `target`, which holds `(burst, per second)`.
fn take_for(
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

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}
