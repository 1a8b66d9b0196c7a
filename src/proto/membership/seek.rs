//! Seeking: a node with too few peers dials nodes from the passive view.

use std::time::Duration;

use super::context::Context;
use super::state::{State, is_leaf};
use crate::proto::{Config, Intent, PeerAddress, Timer};

/// Interval of seeking while there are too few peers.
const SEEK_EVERY: Duration = Duration::from_secs(1);
/// Rounds in vain before dials become urgent, so that another node makes room.
const PATIENCE: u32 = 3;
/// Dials at a time for a node without peers: many targets may have died along with its peers.
const DIALS_WHEN_ALONE: usize = 4;
/// Rounds in vain before the interval grows, because every node is full or gone: up to the first
/// limit without peers, to the second with some.
const BUSY_ROUNDS: u32 = 8;
const SEEK_ALONE: Duration = Duration::from_secs(10);
const SEEK_LATE: Duration = Duration::from_secs(90);
/// Dials older than this no longer count as under way when seeking.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Pause before the same address is tried again.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(2);

impl State {
    /// Dials nodes from the passive view while there are too few peers.
    pub(super) fn seek(&mut self, context: &mut Context<'_>) {
        if !context.config.native || self.has_enough_peers(context.config) {
            return;
        }
        let is_early = self.quiet_until.is_some_and(|at| at > context.now);
        if is_early {
            return self.seek_again(context);
        }
        let is_patient = self.rounds > BUSY_ROUNDS;
        let wanted = match is_patient {
            true => 1,
            false => context.config.min_peers - self.peers.len(),
        };
        let at_once = if self.peers.is_empty() {
            wanted.max(DIALS_WHEN_ALONE)
        } else {
            wanted
        };
        let free = at_once.saturating_sub(context.dials_younger_than(ANSWER_WITHIN));
        self.dial_known(free, context);
        if is_patient {
            let wait = self.seek_wait();
            self.quiet_until = Some(context.now.after(wait / 2));
        }
        self.seek_again(context);
    }

    /// Dials up to `free` nodes from the passive view.
    fn dial_known(&mut self, mut free: usize, context: &mut Context<'_>) {
        let has_spare_links = context.config.max_peers > context.config.min_peers;
        let urgent = self.peers.is_empty() || self.rounds > PATIENCE && has_spare_links;
        let intent = if urgent { Intent::Urgent } else { Intent::Peer };
        let now = context.now;
        let mut passive = std::mem::take(&mut self.passive);
        context.rng.shuffle(&mut passive);
        for known in &mut passive {
            let waits = known.tried.is_some_and(|at| now.since(at) < TRY_AGAIN);
            if free == 0 {
                break;
            }
            if waits || context.is_dialing(&known.who) {
                continue;
            }
            if !self.seeking.takes_one(now) {
                self.counters.dials_refused += 1;
                break;
            }
            known.tried = Some(now);
            if self.may_try(&known.who, context) {
                free -= 1;
                context.dial(&known.who, intent);
            }
        }
        self.passive = passive;
    }

    pub(super) fn on_seek(&mut self, context: &mut Context<'_>) {
        self.seek_set = false;
        if self.has_enough_peers(context.config) {
            self.rounds = 0;
            return;
        }
        self.rounds += 1;
        self.seek(context);
        // All addresses that it knows may be dead ones.
        let is_idle = context.dials_under_way() == 0;
        if is_idle && self.rounds <= BUSY_ROUNDS && !self.shuffles_often(context) {
            self.shuffle(context);
        }
    }

    /// A peer was added or removed: seeking starts afresh.
    pub(super) fn seek_afresh(&mut self) {
        self.rounds = 0;
        self.quiet_until = None;
    }

    /// Whether the limit per target allows another dial to an address that came from other nodes.
    pub(super) fn may_try(&mut self, who: &PeerAddress, context: &Context<'_>) -> bool {
        let may = self.seeking.takes_one_to(who.socket(), context.now);
        self.counters.dials_refused += u64::from(!may);
        may
    }

    /// Whether this node is a leaf that still seeks peers every second.
    pub(in crate::proto) fn is_leaf_in_need(&self, config: &Config) -> bool {
        is_leaf(config) && !self.has_enough_peers(config) && self.rounds <= BUSY_ROUNDS
    }

    fn seek_again(&mut self, context: &mut Context<'_>) {
        if !std::mem::replace(&mut self.seek_set, true) {
            let after = context.jitter(self.seek_wait());
            context.set_timer(Timer::Seek, after);
        }
    }

    /// Time until the next round of seeking.
    fn seek_wait(&self) -> Duration {
        let late = self.rounds.saturating_sub(BUSY_ROUNDS).min(10);
        let most = match self.peers.is_empty() {
            true => SEEK_ALONE,
            false => SEEK_LATE,
        };
        (SEEK_EVERY * (1 << late)).min(most)
    }
}
