//! Reports to the application about entry.

use std::time::Duration;

use crate::proto::state::State;
use crate::proto::state::seeds::{Came, Seed};
use crate::proto::{Event, SeedOutcome};

/// First report of a node without peers, once every seed has an outcome.
const FIRST_AFTER: Duration = Duration::from_secs(2);
/// First report even if some seeds have no outcome yet.
const LATEST_AFTER: Duration = Duration::from_secs(6);
/// Interval at which an unchanged report repeats.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

impl State {
    /// Notes the outcome of an attempt to enter through a seed or to check it.
    pub(in crate::proto::state) fn seed_came_to(&mut self, index: usize, why: Came) {
        let Some(seed) = self.entry.seeds.get_mut(index) else {
            return;
        };
        let before = seed.came_to.replace(why);
        if before != Some(why) && matches!(why, Came::Failed(_)) && !self.peers.is_empty() {
            let (host, port) = (&seed.target.host, seed.target.port);
            tracing::warn!(host, port, reason = why.name(), "cannot use a seed");
        }
    }

    /// A seed has got the request. Any answer to a handshake says more, so it is kept.
    pub(super) fn seed_was_asked(&mut self, index: usize) {
        let seed = self.entry.seeds.get(index);
        if seed.is_some_and(|seed| seed.came_to.is_none_or(Came::is_no_answer)) {
            self.seed_came_to(index, Came::Asked);
        }
    }

    /// Reports, for each seed, why this node has no peer.
    pub(super) fn report_entry(&mut self) {
        let outside = self.now.since(self.entry.told.since);
        let seeds = self.entry.seeds.iter();
        let others = seeds.filter(|seed| !seed.retired && !self.is_self(&seed.target));
        let others: Vec<_> = others
            .filter(|seed| seed.came_to != Some(Came::Own))
            .collect();
        let is_waiting = others.iter().any(|seed| seed.came_to.is_none());
        if others.is_empty() || outside < FIRST_AFTER || is_waiting && outside < LATEST_AFTER {
            return;
        }
        let outcome = |seed: &&Seed| SeedOutcome {
            seed: seed.target.clone(),
            reason: seed.came_to.map_or("not tried", Came::name),
        };
        let seeds: Vec<SeedOutcome> = others.iter().map(outcome).collect();
        if let Some((at, told)) = &self.entry.told.last
            && *told == seeds
            && self.now.since(*at) < AGAIN_AFTER
        {
            return;
        }
        let said: Vec<String> = seeds.iter().map(ToString::to_string).collect();
        tracing::warn!("not in the network: {}", said.join(", "));
        self.entry.told.last = Some((self.now, seeds.clone()));
        self.emit(Event::Outside { seeds });
    }
}
