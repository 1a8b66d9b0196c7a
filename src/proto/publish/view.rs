//! What a node knows of a peer in one stream.

use std::time::Duration;

use crate::proto::{LinkId, Moment};

/// A peer that claims to be further ahead than this is pushed to anyway: a liar may have misled it.
pub(super) const AHEAD_MAX: u64 = 4096;
/// A peer that still pushes after a PRUNE is pruned again after this.
const PRUNE_AGAIN: Duration = Duration::from_millis(500);

/// One peer's view of one stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct View {
    pub(super) link: LinkId,
    /// Whether the peer gets only watermarks, because it pruned us.
    pub(super) lazy: bool,
    /// The highest sequence number that the peer claims to have.
    pub(super) high: u64,
    /// The highest sequence number that the peer no longer holds.
    pub(super) gone: u64,
    /// The highest sequence number sent to the peer as a repair.
    pub(super) served: u64,
    /// When the peer was last pruned.
    pub(super) told: Option<Moment>,
    /// When the peer began to announce numbers that we lack.
    pub(super) ahead: Option<Moment>,
    /// When the peer was last asked to push because it is ahead.
    pub(super) preferred: Option<Moment>,
    /// The highest sequence number sent to the peer, in any way.
    pub(super) sent: u64,
    /// Whether the peer has sent runs of this origin, and so may wait for our reports.
    pub(super) awaits: bool,
    /// The consumed number in the latest report to the peer.
    pub(super) acked: u64,
    /// How far the peer has consumed this origin, if we push it.
    pub(super) taken: Option<Taken>,
}

/// How far a peer has consumed pushed broadcasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    /// Up to this number.
    pub(super) upto: u64,
    /// When the peer reported it, or got new runs after it had consumed everything.
    pub(super) since: Moment,
    /// Whether senders no longer wait for the peer.
    pub(super) is_stalled: bool,
    /// Whether the peer reported this number. Otherwise it may never have received the broadcasts.
    pub(super) is_confirmed: bool,
}

impl View {
    /// The view of a peer that has neither sent nor received anything of the stream.
    pub(super) fn new(link: LinkId) -> Self {
        Self {
            link,
            lazy: false,
            high: 0,
            gone: 0,
            served: 0,
            told: None,
            ahead: None,
            preferred: None,
            sent: 0,
            awaits: false,
            acked: 0,
            taken: None,
        }
    }

    /// Makes the peer lazy. Another peer then waits for its reports.
    pub(super) fn be_lazy(&mut self) {
        (self.lazy, self.taken) = (true, None);
    }

    /// The peer says that it has no more than `high`. Unless it has reported its consumption, we
    /// assumed that it has everything before the first run that we pushed.
    pub(super) fn has_only(&mut self, high: u64) {
        if let Some(taken) = self.taken.as_mut().filter(|taken| !taken.is_confirmed) {
            taken.upto = taken.upto.min(high);
        }
    }

    /// Whether the peer has number `seq`, if its claims are plausible.
    pub(super) fn has(&self, seq: u64) -> bool {
        self.high >= seq && self.high - seq < AHEAD_MAX
    }

    /// Whether the peer was pruned so recently that it may not know yet.
    pub(super) fn was_told(&self, now: Moment) -> bool {
        self.told.is_some_and(|at| now.since(at) < PRUNE_AGAIN)
    }
}
