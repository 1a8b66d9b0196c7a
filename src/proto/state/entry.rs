//! Entry into a network: through seeds, or by requests as on the legacy wire.
//!
//! [`membership`](crate::proto::membership) has the rest.

mod fields;
mod report;

use std::time::Duration;

use super::State;
use super::links::{Dial, DialEnd};
use super::seeds::EntryOutcome;
use super::seeds::health::Health;
use crate::proto::jitter::jitter;
use crate::proto::legacy::line;
use crate::proto::{Intent, PeerAddress, Target, Timer, membership};
pub(super) use fields::Entry;
use fields::EntryReport;
use fields::{ENTRY_RETRY, OWN_TRIES, RETRY_SHARE, RETRY_SOON};

/// Seeds asked at the same time.
const AT_ONCE: usize = 4;
/// How long a node without peers asks seeds to be handed on only. Then every other request is for
/// room at the seed itself.
const PRESS_AFTER: Duration = Duration::from_secs(10);
/// Wait after a request for entry before this node dials the seed itself.
const JOIN_AFTER: Duration = Duration::from_millis(250);

impl State {
    pub(super) fn start_entry(&mut self) {
        self.entry.report = EntryReport::since(self.now);
        self.enter();
        self.schedule_tick();
        self.roam_soon();
    }

    pub(super) fn stop_entry(&mut self) {
        self.forget_pings();
        for index in 0..self.entry.seeds.len() {
            self.cancel_timer(Timer::Join(index as u32));
            let health = &mut self.entry.seeds[index].health;
            if std::mem::replace(health, Health::Unheard).is_suspected() {
                self.cancel_timer(Timer::Probe(index as u32));
            }
        }
    }

    /// Applies changed options to a running node. Peers above a lower limit stay.
    pub(super) fn reconfigure(&mut self, max_peers: usize, seeds: &[Target]) {
        self.config.max_peers = max_peers;
        self.config.min_peers = self.config.min_peers.min(max_peers);
        for index in 0..self.entry.seeds.len() {
            let seed = &mut self.entry.seeds[index];
            seed.retired = !seeds.contains(&seed.target);
            if seed.retired {
                self.seed_answered(index);
                self.entry.seeds[index].health = Health::Unheard;
            }
        }
        for target in seeds {
            if self.entry.seeds.iter().any(|seed| seed.target == *target) {
                continue;
            }
            let index = self.entry.add_seed(target.clone());
            if self.running && self.peers.is_empty() {
                self.enter_through(index);
            }
        }
    }

    /// Whether `target` is the address of this node.
    pub(super) fn is_self(&self, target: &Target) -> bool {
        target.port == self.config.port && target.host == self.config.address
    }

    pub(super) fn own_address(&self) -> Option<PeerAddress> {
        self.config.own_address(&self.me)
    }

    /// Asks seeds for entry: all of them, or the next few of a long list.
    pub(super) fn enter(&mut self) {
        if self.entry.round.is_empty() {
            let mut all: Vec<usize> = (0..self.entry.seeds.len()).collect();
            all.retain(|index| {
                let seed = &self.entry.seeds[*index];
                !seed.retired && !self.is_self(&seed.target)
            });
            if all.len() > AT_ONCE {
                // Nodes with the same list must not all ask the first seeds.
                self.rng.shuffle(&mut all);
            }
            self.entry.round = all.into();
        }
        for _ in 0..AT_ONCE {
            self.enter_through_next();
        }
    }

    fn enter_through_next(&mut self) {
        if let Some(index) = self.entry.round.pop_front() {
            self.enter_through(index);
        }
    }

    fn enter_through(&mut self, index: usize) {
        let seed = &self.entry.seeds[index];
        let target = seed.target.clone();
        if seed.retired || self.is_self(&target) {
            return;
        }
        // A seed that may be legacy is asked first, because a legacy node understands requests
        // only. In a named network no seed can be legacy.
        let may_be_legacy = self.config.network.is_none();
        let is_legacy = seed.legacy == Some(true) || seed.legacy.is_none() && !seed.asked;
        if !self.config.native || may_be_legacy && is_legacy {
            return self.request_entry(index);
        }
        if self.seed_link(index).is_some() || self.is_dialing_seed(index) {
            return;
        }
        tracing::info!(
            host = target.host,
            port = target.port,
            "entering through seed"
        );
        let intent = self.entry_intent();
        self.dial_peer(Dial::to_seed(index, target, intent));
    }

    /// A seed hands a node that joins on to one with room. Where nobody has any, as in a ring of
    /// leaves, somebody has to make room.
    fn entry_intent(&mut self) -> Intent {
        let outside = self.now.since(self.entry.report.since);
        let is_pressing = self.peers.is_empty() && outside >= PRESS_AFTER;
        match is_pressing && self.rng.bool() {
            true => Intent::Urgent,
            false => Intent::Join,
        }
    }

    /// Enters as legacy nodes do: asks the network to dial this node.
    fn request_entry(&mut self, index: usize) {
        let seed = &mut self.entry.seeds[index];
        seed.asked = true;
        let target = seed.target.clone();
        let Some(own) = self.own_address() else {
            tracing::warn!("cannot ask for peers: the address is not an IP literal");
            return self.seed_failed(index, "EINVAL");
        };
        tracing::info!(
            host = target.host,
            port = target.port,
            "asking seed for peers"
        );
        self.send_courier(target, line::peer_request(&own), Some(index));
    }

    /// A courier has delivered the request to a seed. If no node dials us and the seed may be
    /// native, this node dials it after [`JOIN_AFTER`].
    pub(super) fn request_delivered(&mut self, index: usize, code: &str) {
        match code {
            "REFUSED" => self.seed_was_asked(index),
            code => self.note_entry_outcome(index, EntryOutcome::from_code(code)),
        }
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

    /// A dial to a seed ended without a new peer.
    pub(super) fn seed_dial_failed(&mut self, index: usize, end: DialEnd, code: &str) {
        match end {
            DialEnd::Unreachable => return self.seed_failed(index, code),
            // The next tick dials it again. A request would only add a connection to an overloaded
            // seed.
            DialEnd::Reset => return,
            DialEnd::Unanswered | DialEnd::Refused => {}
        }
        self.note_entry_outcome(index, EntryOutcome::from_code(code));
        // It may be a full legacy node, even if another node claimed that the seed is native. The
        // next attempt sends a request, which a full legacy node passes on.
        if let Some(seed) = self.entry.seeds.get_mut(index) {
            (seed.asked, seed.legacy) = (false, None);
        }
        // The timeout has cost the time of several attempts: retry at once.
        if end == DialEnd::Unanswered && self.peers.is_empty() {
            self.enter_through(index);
        }
    }

    /// A seed is unreachable. A node without peers tries the next one.
    pub(super) fn seed_failed(&mut self, index: usize, code: &str) {
        self.note_entry_outcome(index, EntryOutcome::from_code(code));
        self.seed_unreachable(index);
        if self.running && self.peers.is_empty() {
            self.enter_through_next();
        }
    }

    /// A seed's address has led to this node itself.
    pub(super) fn dialed_itself(&mut self, index: usize) {
        self.note_entry_outcome(index, EntryOutcome::Own);
        if self.peers.is_empty() && self.entry.own_tries < OWN_TRIES {
            self.entry.own_tries += 1;
            self.entry.retry = ENTRY_RETRY;
            self.schedule_tick();
        }
    }

    fn schedule_tick(&mut self) {
        let after = if self.peers.is_empty() {
            let outside = self.now.since(self.entry.report.since);
            let most = (outside / RETRY_SHARE).max(RETRY_SOON);
            let retry = self.entry.retry.min(most).min(self.config.tick);
            self.entry.retry = retry * 2;
            retry
        } else {
            self.entry.retry = ENTRY_RETRY;
            self.config.tick
        };
        // Jitter: a seed can admit only a few nodes at a time, and many nodes may start together.
        let share = if self.peers.is_empty() { 0.5 } else { 0.1 };
        let after = jitter(&mut self.rng, after, share);
        self.set_timer(Timer::Tick, after);
    }

    pub(super) fn on_tick(&mut self) {
        self.schedule_tick();
        if self.peers.is_empty() {
            self.report_entry();
            return self.enter();
        }
        for index in 0..self.entry.seeds.len() {
            self.keep_in_touch(index);
        }
        if !self.is_sufficiently_filled() {
            self.request_peers();
        }
    }

    /// Pings seeds that are legacy nodes or may be: they send no beacons.
    fn keep_in_touch(&mut self, index: usize) {
        let all_native = self.config.native && !self.legacy.translator.has_legacy_peers();
        let seed = &self.entry.seeds[index];
        if seed.retired {
            return;
        }
        if self.config.native && (seed.legacy == Some(false) || seed.legacy.is_none() && all_native)
        {
            return;
        }
        self.ping(index);
        let seed = &mut self.entry.seeds[index];
        let is_due = seed.entered.is_none_or(|at| {
            let away = seed.away.map_or(Duration::ZERO, |away| at.since(away));
            self.now.since(at) >= away / 4
        });
        if seed.health.is_lost() && is_due {
            seed.entered = Some(self.now);
            self.enter_through(index);
        }
    }

    /// The list of peers has changed.
    pub(super) fn peers_changed(&mut self) {
        if !self.running {
            return;
        }
        if self.peers.is_empty() {
            // The last peer has gone: enter again at once.
            self.entry.retry = ENTRY_RETRY;
            self.entry.is_alone = true;
            self.entry.report = EntryReport::since(self.now);
            self.beacons_alone();
            self.membership(membership::Input::Seek);
            if self.dials_under_way() == 0 && self.entry.entries.take(self.now) {
                self.enter();
            }
            self.schedule_tick();
        } else if std::mem::take(&mut self.entry.is_alone) {
            self.entry.round.clear();
            self.entry.own_tries = 0;
            self.schedule_tick();
            self.roam_soon();
        }
        self.membership(membership::Input::PeersChanged);
        if !self.is_sufficiently_filled() {
            self.membership(membership::Input::Seek);
            self.request_peers();
        }
    }
}
