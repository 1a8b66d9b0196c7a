//! Getting into a network through seeds, and letting others in: on the legacy wire, and on the native
//! one as far as seeds are concerned (the rest is [`membership`](super::membership)).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::State;
use super::links::{Dial, DialEnd};
use crate::proto::bucket::Bucket;
use crate::proto::codec::{line, packet};
use crate::proto::{
    CloseHow, Config, Intent, LinkId, Moment, NodeId, PeerAddress, Pong, Target, Timer, Topic,
};

/// Peer requests for ourselves go out at most this often.
const REFILL_EVERY: Duration = Duration::from_millis(500);
/// Without a peer, entry is tried again after this, doubling up to [`Config::tick`].
const ENTRY_RETRY: Duration = Duration::from_secs(1);
/// From a request to the seed's being dialled, if nobody has dialled us by then.
const JOIN_AFTER: Duration = Duration::from_millis(250);
/// Who asks for entry again after this was left outside; legacy nodes do so every 10 s.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// And until this.
const AGAIN_UNTIL: Duration = Duration::from_secs(30);
/// So many nodes that asked are remembered.
const MAX_ASKERS: usize = 256;
/// Native peers that a node keeps when it makes room for a legacy one.
const KEPT_NATIVE: usize = 2;
/// Targets whose dial rate is remembered.
const MAX_TARGETS: usize = 1024;

/// What a node knows of its way into the network.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) seeds: Vec<Seed>,
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
    /// When those who asked for entry did.
    askers: BTreeMap<NodeId, Moment>,
}

#[derive(Debug)]
pub(super) struct Seed {
    pub(super) target: Target,
    /// Who it is, once it has said so.
    pub(super) id: Option<NodeId>,
    /// Whether it speaks the legacy wire only, once we know.
    pub(super) legacy: Option<bool>,
    /// Whether it has been asked for peers as legacy nodes do.
    asked: bool,
    /// Whether its beacons have been heard, or it has been a peer: then it is missed.
    pub(super) watched: bool,
    /// It is missed.
    pub(super) suspected: bool,
    /// It has been dialled since.
    pub(super) probed: bool,
    /// The application has been told of a netsplit.
    pub(super) lost: bool,
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
            id: None,
            legacy: None,
            asked: false,
            watched: false,
            suspected: false,
            probed: false,
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
            askers: BTreeMap::new(),
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
        for index in 0..self.entry.seeds.len() {
            self.cancel_timer(Timer::Join(index as u32));
            if std::mem::take(&mut self.entry.seeds[index].suspected) {
                self.cancel_timer(Timer::Probe(index as u32));
            }
        }
    }

    /// Whether `target` is where we listen.
    pub(super) fn is_self(&self, target: &Target) -> bool {
        target.port == self.config.port && target.host == self.config.address
    }

    pub(super) fn own_address(&self) -> Option<PeerAddress> {
        let address = self.config.address.parse().ok()?;
        Some(PeerAddress {
            id: self.me.clone(),
            address,
            port: self.config.port,
        })
    }

    /// Asks every seed to let us in.
    fn enter(&mut self) {
        for index in 0..self.entry.seeds.len() {
            self.enter_through(index);
        }
    }

    fn enter_through(&mut self, index: usize) {
        let seed = &self.entry.seeds[index];
        let target = seed.target.clone();
        if self.is_self(&target) {
            return;
        }
        // A legacy seed knows only requests; whoever may be one is asked so first.
        if !self.config.native || seed.legacy == Some(true) || seed.legacy.is_none() && !seed.asked
        {
            return self.request_entry(index);
        }
        let is_peer = seed
            .id
            .as_ref()
            .is_some_and(|id| self.peer_link(id).is_some());
        if is_peer || self.is_dialing_seed(index) {
            return;
        }
        tracing::info!(
            host = target.host,
            port = target.port,
            "entering through seed"
        );
        self.dial_peer(Dial::to_seed(index, target, Intent::Join));
    }

    /// Enters as legacy nodes do: asks to be dialled.
    fn request_entry(&mut self, index: usize) {
        let seed = &mut self.entry.seeds[index];
        seed.asked = true;
        let target = seed.target.clone();
        let Some(own) = self.own_address() else {
            tracing::warn!("cannot ask for peers: the address is not an IP literal");
            return self.request_undelivered(index);
        };
        tracing::info!(
            host = target.host,
            port = target.port,
            "asking seed for peers"
        );
        self.send_courier(target, line::peer_request(&own), Some(index));
    }

    /// A seed has our request. If nobody dials us, and it may be a native node: dial it.
    pub(super) fn request_delivered(&mut self, index: usize, code: &str) {
        let Some(seed) = self.entry.seeds.get(index) else {
            return;
        };
        if self.running && self.config.native && seed.legacy != Some(true) && code != "TIMEOUT" {
            self.set_timer(Timer::Join(index as u32), JOIN_AFTER);
        }
    }

    /// A seed could not be asked.
    pub(super) fn request_undelivered(&mut self, index: usize) {
        self.seed_unreachable(index);
    }

    pub(super) fn on_join(&mut self, index: u32) {
        let index = index as usize;
        if self.peers.is_empty() && index < self.entry.seeds.len() {
            self.enter_through(index);
        }
    }

    /// A dial to a seed did not make it a peer.
    pub(super) fn seed_dial_failed(&mut self, index: usize, end: DialEnd) {
        match end {
            DialEnd::Unreachable => return self.seed_unreachable(index),
            // It is dialled again in a while: a request would only be one connection more.
            DialEnd::Reset => return,
            DialEnd::Unanswered | DialEnd::Refused => {}
        }
        // Perhaps a legacy node that is full: next time it is asked again, to pass it on.
        if let Some(seed) = self.entry.seeds.get_mut(index) {
            seed.asked = false;
        }
        // One that said nothing for so long has cost the time of several tries.
        if end == DialEnd::Unanswered && self.peers.is_empty() {
            self.enter_through(index);
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
        // Earlier or later, so that nodes started together do not act together: a seed can take in
        // only so many at a time.
        let jitter = if self.peers.is_empty() { 0.5 } else { 0.1 };
        let factor = 1.0 - jitter + 2.0 * jitter * self.rng.f64();
        self.set_timer(Timer::Tick, after.mul_f64(factor));
    }

    pub(super) fn on_tick(&mut self) {
        self.schedule_tick();
        if self.peers.is_empty() {
            return self.enter();
        }
        for index in 0..self.entry.seeds.len() {
            self.keep_in_touch(index);
        }
        if !self.is_sufficiently_filled() {
            self.request_peers();
        }
    }

    /// Makes sure that we notice when a seed is lost, and that it has not lost us.
    fn keep_in_touch(&mut self, index: usize) {
        let all_native = self.config.native && self.native_peers().len() == self.peers.len();
        let seed = &self.entry.seeds[index];
        if !self.config.native || seed.legacy == Some(true) || seed.legacy.is_none() && !all_native
        {
            self.ping(index);
            if self.entry.seeds[index].lost {
                self.enter_through(index);
            }
            return;
        }
        if self.is_self(&seed.target) || seed.suspected {
            return;
        }
        if !self.is_sufficiently_filled() {
            self.enter_through(index);
        } else if !seed.watched && !self.is_dialing_seed(index) {
            let target = seed.target.clone();
            self.dial_peer(Dial::to_seed(index, target, Intent::Probe));
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
            self.seek();
            if self.dials_under_way() == 0 {
                self.enter();
            }
            self.schedule_tick();
        } else if self.peers.len() == 1 {
            self.schedule_tick();
        }
        if !self.is_sufficiently_filled() {
            self.seek();
            self.request_peers();
        }
    }

    /// Asks the network for peers, as legacy nodes do. Native peers have better ways.
    fn request_peers(&mut self) {
        if self.native_peers().len() == self.peers.len() || self.entry.refill_set {
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
            self.become_seed();
            self.flood_new(Topic::PeerRequest, &packet::peer_request_data(&who));
            let urgent = self.asks_again(&who.id);
            self.send_walks(&who, None, urgent);
            self.take_up(who);
        }
        self.end_link(
            link,
            CloseHow::Flush,
            crate::proto::RemoveReason::Local,
            "DONE",
        );
    }

    /// Whether that node has asked for entry a while ago, and so has not found any. (A native one
    /// does not ask again, but dials.)
    pub(super) fn asks_again(&mut self, id: &NodeId) -> bool {
        let now = self.now;
        let askers = &mut self.entry.askers;
        let age = askers.get(id).map(|at| now.since(*at));
        // The same request may come on several ways.
        if age.is_some_and(|age| age < AGAIN_AFTER) {
            return false;
        }
        if age.is_none() && askers.len() >= MAX_ASKERS {
            askers.retain(|_, at| now.since(*at) < AGAIN_UNTIL);
        }
        if age.is_some() || askers.len() < MAX_ASKERS {
            askers.insert(id.clone(), now);
        }
        age.is_some_and(|age| age < AGAIN_UNTIL)
    }

    /// Dials a node that has been left outside, and makes room for it.
    pub(super) fn take_in(&mut self, who: PeerAddress) -> bool {
        if who.id == self.me || self.peer_link(&who.id).is_some() {
            return false;
        }
        if self.is_dialing(&who) {
            return true;
        }
        let has_room = !self.is_full();
        if !has_room && self.native_peers().len() <= KEPT_NATIVE || !self.may_dial_for(&who) {
            return false;
        }
        if !has_room && !self.make_room() {
            return false;
        }
        self.dial_peer(Dial::to_node(&who, Intent::Peer));
        true
    }

    /// Dials a node that looks for peers, if we have room for it; true when we do.
    pub(super) fn take_up(&mut self, who: PeerAddress) -> bool {
        if who.id == self.me || self.is_full() || self.peer_link(&who.id).is_some() {
            return false;
        }
        if self.is_dialing(&who) {
            return true;
        }
        if self.peers.len() + self.dials_under_way() >= self.config.max_peers {
            return false;
        }
        // Legacy nodes refuse half of all requests once they have enough.
        if self.is_sufficiently_filled() && self.rng.bool() {
            return false;
        }
        if !self.may_dial_for(&who) {
            return false;
        }
        self.dial_peer(Dial::to_node(&who, Intent::Peer));
        true
    }

    /// Whether the limits on dials that others cause leave one to that node.
    fn may_dial_for(&mut self, who: &PeerAddress) -> bool {
        let target = SocketAddr::new(who.address, who.port);
        let may = self.may_dial(target) && self.dials_under_way() < self.config.max_dials;
        if !may {
            self.counters.dials_refused += 1;
            tracing::debug!(%target, "not dialling: a limit is reached");
        }
        may
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
    pub(super) fn is_somewhere_else(&self, target: SocketAddr) -> bool {
        let ip = target.ip().to_canonical();
        let own = self.config.address.parse::<IpAddr>().ok();
        let nowhere = ip.is_unspecified() || ip.is_multicast() || target.port() == 0;
        let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        // What listens on this machine's loopback only is not for others to reach through us.
        let inside = ip.is_loopback() && own.is_some_and(|own| !own.is_loopback());
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
        self.send_courier(from.into(), line::pong(&pong), None);
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

    pub(super) fn on_ping_timeout(&mut self, number: u32) {
        let Some(ping) = self.entry.pings.remove(&number) else {
            return;
        };
        if self.is_in_contact(ping.seed) {
            return;
        }
        self.seed_lost(ping.seed);
        if let Some(seed) = self.entry.seeds.get_mut(ping.seed) {
            seed.asked = false;
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
