//! Getting into a network through seeds, and letting others in: on the legacy wire, and on the native
//! one as far as seeds are concerned (the rest is [`membership`](super::membership)).

mod limits;
mod peer_requests;
mod ping;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::links::{Dial, DialEnd};
use super::{State, jitter};
use crate::proto::bucket::Bucket;
use crate::proto::codec::line;
use crate::proto::{Config, Intent, Moment, NodeId, PeerAddress, Target, Timer};
pub(super) use limits::take_for;
use ping::Ping;

/// Without a peer, entry is tried again after this, doubling up to [`Config::tick`].
const ENTRY_RETRY: Duration = Duration::from_secs(1);
/// From a request to the seed's being dialled, if nobody has dialled us by then.
const JOIN_AFTER: Duration = Duration::from_millis(250);
/// When the last peer goes, entry is tried at once: so often in a row, and per second. Anybody can come
/// and go.
const ENTRY_BURST: f64 = 3.0;
const ENTRIES_PER_SECOND: f64 = 1.0;

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
    /// Whether there is no peer, as far as the tick goes.
    is_alone: bool,
    /// Tries to enter at once.
    entries: Bucket,
    /// Dials that others make us do, pongs included: 4 a second, burst 8 (overlay design).
    dials: Bucket,
    pongs: Bucket,
    /// Requests of strangers that are flooded, as a peer's are passed on; ten times as many at once, so
    /// that many may start together.
    floods: Bucket,
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
    /// The application has taken it out. It stays here, as others refer to it by its index.
    pub(super) retired: bool,
}

impl Seed {
    fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
            id: None,
            legacy: None,
            asked: false,
            watched: false,
            suspected: false,
            probed: false,
            lost: false,
            retired: false,
        }
    }
}

impl Entry {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            seeds: config.seeds.iter().map(Seed::new).collect(),
            pings: BTreeMap::new(),
            next_ping: 0,
            asked_at: None,
            refill_set: false,
            retry: ENTRY_RETRY,
            is_alone: true,
            entries: Bucket::new(ENTRY_BURST, ENTRIES_PER_SECOND, Moment::default()),
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
            floods: Bucket::new(
                config.peer_requests_per_second * 10.0,
                config.peer_requests_per_second,
                Moment::default(),
            ),
            targets: BTreeMap::new(),
            answered: BTreeMap::new(),
            askers: BTreeMap::new(),
        }
    }
}

impl Entry {
    /// Whether one of our seeds has said that this is its id.
    pub(super) fn knows_seed(&self, id: &NodeId) -> bool {
        self.seeds.iter().any(|seed| seed.id.as_ref() == Some(id))
    }

    /// Whether that is one of our seeds, as far as we know.
    pub(super) fn is_seed(&self, id: &NodeId, address: SocketAddr) -> bool {
        let target = Target::from(address);
        let is_it = |seed: &Seed| seed.id.as_ref() == Some(id) || seed.target == target;
        self.seeds.iter().any(is_it)
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

    /// The application has changed options while the node runs. Peers that are too many now stay.
    pub(super) fn reconfigure(&mut self, max_peers: usize, seeds: &[Target]) {
        self.config.max_peers = max_peers;
        self.config.min_peers = self.config.min_peers.min(max_peers);
        for index in 0..self.entry.seeds.len() {
            let seed = &mut self.entry.seeds[index];
            seed.retired = !seeds.contains(&seed.target);
            if seed.retired {
                (seed.watched, seed.lost) = (false, false);
                if std::mem::take(&mut seed.suspected) {
                    self.cancel_timer(Timer::Probe(index as u32));
                }
            }
        }
        for target in seeds {
            if self.entry.seeds.iter().any(|seed| seed.target == *target) {
                continue;
            }
            self.entry.seeds.push(Seed::new(target));
            if self.running && self.peers.is_empty() {
                self.enter_through(self.entry.seeds.len() - 1);
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
        if seed.retired || self.is_self(&target) {
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
            return self.seed_unreachable(index);
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
        // Perhaps a legacy node that is full, whoever said that it is none: next time it is asked again,
        // to pass it on.
        if let Some(seed) = self.entry.seeds.get_mut(index) {
            (seed.asked, seed.legacy) = (false, None);
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
        let share = if self.peers.is_empty() { 0.5 } else { 0.1 };
        let after = jitter(&mut self.rng, after, share);
        self.set_timer(Timer::Tick, after);
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
        if seed.retired {
            return;
        }
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
            self.entry.is_alone = true;
            self.seek();
            if self.dials_under_way() == 0 && self.entry.entries.take(self.now) {
                self.enter();
            }
            self.schedule_tick();
        } else if std::mem::take(&mut self.entry.is_alone) {
            self.schedule_tick();
        }
        if !self.is_sufficiently_filled() {
            self.seek();
            self.request_peers();
        }
    }
}
