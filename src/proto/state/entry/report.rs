//! Reports to the application about entry.

use std::time::Duration;

use crate::proto::state::State;
use crate::proto::state::seeds::{EntryOutcome, Seed};
use crate::proto::{Event, SeedOutcome};

/// First report of a node without peers, once every seed has an outcome.
const FIRST_AFTER: Duration = Duration::from_secs(2);
/// First report even if some seeds have no outcome yet.
const LATEST_AFTER: Duration = Duration::from_secs(6);
/// Interval at which an unchanged report repeats.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

impl State {
    /// Notes the outcome of an attempt to enter through a seed or to check it.
    pub(in crate::proto::state) fn note_entry_outcome(
        &mut self,
        index: usize,
        outcome: EntryOutcome,
    ) {
        let Some(seed) = self.entry.seeds.get_mut(index) else {
            return;
        };
        let before = seed.outcome.replace(outcome);
        if before != Some(outcome)
            && matches!(outcome, EntryOutcome::Failed(_))
            && !self.peers.is_empty()
        {
            let (host, port) = (&seed.target.host, seed.target.port);
            tracing::warn!(host, port, reason = outcome.name(), "cannot use a seed");
        }
    }

    /// A seed has got the request. Any answer to a handshake says more, so it is kept.
    pub(super) fn seed_was_asked(&mut self, index: usize) {
        let seed = self.entry.seeds.get(index);
        if seed.is_some_and(|seed| seed.outcome.is_none_or(EntryOutcome::is_no_answer)) {
            self.note_entry_outcome(index, EntryOutcome::Asked);
        }
    }

    /// Reports, for each seed, why this node has no peer.
    pub(super) fn report_entry(&mut self) {
        let outside = self.now.since(self.entry.report.since);
        let seeds = self.entry.seeds.iter();
        let others = seeds.filter(|seed| !seed.retired && !self.is_self(&seed.target));
        let others: Vec<_> = others
            .filter(|seed| seed.outcome != Some(EntryOutcome::Own))
            .collect();
        let is_waiting = others.iter().any(|seed| seed.outcome.is_none());
        if others.is_empty() || outside < FIRST_AFTER || is_waiting && outside < LATEST_AFTER {
            return;
        }
        let outcome = |seed: &&Seed| SeedOutcome {
            seed: seed.target.clone(),
            reason: seed.outcome.map_or("not tried", EntryOutcome::name),
        };
        let seeds: Vec<SeedOutcome> = others.iter().map(outcome).collect();
        if let Some((at, told)) = &self.entry.report.last
            && *told == seeds
            && self.now.since(*at) < AGAIN_AFTER
        {
            return;
        }
        let said: Vec<String> = seeds.iter().map(ToString::to_string).collect();
        tracing::warn!("not in the network: {}", said.join(", "));
        self.entry.report.last = Some((self.now, seeds.clone()));
        self.emit(Event::Outside { seeds });
    }
}
