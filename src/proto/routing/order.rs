//! The order of one sender's messages, which come over the overlay or over a shortcut.
//!
//! Each of the two brings them in order. But a pair that moves from one to the other may have
//! messages on both, and *early* ones wait for those before them. A gap is a loss only if nothing
//! can fill it any more. The sender begins a shortcut with the number of the last message that it
//! sent otherwise, its *base*:
//!
//! - What the overlay brings is behind all earlier messages up to the base. Beyond the base the
//!   sender may have left the shortcut again, and messages on that may be slower.
//! - What the shortcut brings is behind all earlier messages beyond the base.
//! - Without a shortcut, the overlay alone counts.
//!
//! Early messages wait no longer than [`PATIENCE`] after the last progress.

use std::collections::VecDeque;
use std::time::Duration;

use super::paths::Path;
use crate::proto::{LinkId, Moment, Payload};

/// How long early messages wait while nothing comes. As long as letters wait for the record of
/// their sender.
const PATIENCE: Duration = Duration::from_secs(2);
/// The cost of an early run on top of its bytes.
const OVERHEAD: usize = 256;

/// A run of messages that arrived.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Run {
    pub(super) at: Moment,
    pub(super) path: Path,
    /// The number of its first message.
    pub(super) first: u64,
    pub(super) payload: Payload,
}

impl Run {
    pub(super) fn cost(&self) -> usize {
        self.payload.body().len() + OVERHEAD
    }

    pub(super) fn last(&self) -> u64 {
        self.first
            .saturating_add(u64::from(self.payload.count()) - 1)
    }
}

/// The fate of a run that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It comes next.
    Next,
    /// Earlier ones may still come over the other path.
    Early,
    /// It arrived after later messages, and is dropped to keep the order.
    Late,
}

/// What has come from one sender.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// 0 before the first message.
    session: u32,
    /// The number of the last message that arrived or is known to be lost.
    received: u64,
    /// Nothing has come in the first session that this end knows. Messages sent before it knew the
    /// sender do not count as lost.
    is_new: bool,
    /// The shortcut, once the sender has begun it, and its base.
    shortcut: Option<(LinkId, u64)>,
    /// When `received` last changed.
    moved_at: Moment,
    /// When the sender first asked about messages that may still come, since then.
    asked_at: Option<Moment>,
    /// Runs that wait for others, by number.
    early: VecDeque<Run>,
    early_bytes: usize,
}

impl Order {
    pub(super) fn session(&self) -> u32 {
        self.session
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn early_bytes(&self) -> usize {
        self.early_bytes
    }

    /// How many early messages wait.
    pub(super) fn early(&self) -> u64 {
        let count = |run: &Run| u64::from(run.payload.count());
        self.early.iter().map(count).sum()
    }

    /// The same numbers, without early messages.
    pub(super) fn again(self) -> Self {
        Self {
            session: self.session,
            received: self.received,
            ..Self::default()
        }
    }

    /// Whether a message of that session ends the present one.
    pub(super) fn ends_with(&self, session: u32) -> bool {
        session > self.session
    }

    /// Begins a session if it is a later one; returns whether it is.
    pub(super) fn begins(&mut self, session: u32) -> bool {
        let is_later = self.ends_with(session);
        if is_later {
            *self = Self {
                session,
                is_new: self.session == 0,
                ..Self::default()
            };
        }
        is_later
    }

    /// The sender says over `path` that it has sent up to `number`. Returns whether that begins a
    /// shortcut.
    pub(super) fn begins_shortcut(&mut self, path: Path, number: u64) -> bool {
        let known = self.shortcut.map(|(link, _)| Path::Shortcut(link));
        match path {
            Path::Shortcut(link) if known != Some(path) => {
                self.shortcut = Some((link, number));
                true
            }
            _ => false,
        }
    }

    /// A shortcut has ended. Returns the number up to which nothing can come any more.
    pub(super) fn loses(&mut self, ended: LinkId) -> Option<u64> {
        self.shortcut.take_if(|(link, _)| *link == ended)?;
        let on_overlay = |run: &&Run| run.path == Path::Overlay;
        let last = self.early.iter().rev().find(on_overlay)?;
        Some(last.first - 1)
    }

    /// Of the messages up to `number`, those that cannot come any more, once `path` has brought
    /// what is behind all of them.
    pub(super) fn sure(&self, path: Path, number: u64) -> u64 {
        match (path, self.shortcut) {
            (Path::Overlay, Some((_, base))) => number.min(base),
            (Path::Shortcut(_), Some((_, base))) if self.received < base => self.received,
            _ => number,
        }
    }

    /// The fate of a run of the present session. All that is sure is settled.
    pub(super) fn judges(&self, run: &Run) -> Verdict {
        let is_behind = |last: &Run| run.first <= last.last();
        match run.first {
            first if first <= self.received => Verdict::Late,
            first if first - 1 == self.received => Verdict::Next,
            _ if self.early.back().is_some_and(is_behind) => Verdict::Late,
            _ => Verdict::Early,
        }
    }

    /// Takes the messages `first` to `last` as the next ones. Returns how many before them are lost.
    pub(super) fn moves_on(&mut self, first: u64, last: u64, now: Moment) -> u64 {
        let lost = self.ends_at(first - 1, now);
        self.received = self.received.max(last);
        match std::mem::take(&mut self.is_new) {
            true => 0,
            false => lost,
        }
    }

    /// Nothing up to `number` is on its way any more. Returns how many are lost.
    pub(super) fn ends_at(&mut self, number: u64, now: Moment) -> u64 {
        (self.moved_at, self.asked_at) = (now, None);
        let lost = number.saturating_sub(self.received);
        self.received += lost;
        lost
    }

    /// Forgets what was sent before this end knew the sender: a message with that number is the
    /// first that came.
    pub(super) fn meets(&mut self, first: u64) {
        if std::mem::take(&mut self.is_new) {
            self.received = self.sure(Path::Overlay, first - 1);
        }
    }

    /// The sender asks about messages that may still come. Returns whether to give them up.
    pub(super) fn gives_up(&mut self, now: Moment) -> bool {
        let asked_at = *self.asked_at.get_or_insert(now);
        self.early.is_empty() && now.since(asked_at) >= PATIENCE
    }

    /// Keeps an early run.
    pub(super) fn keeps(&mut self, run: Run) {
        self.early_bytes += run.cost();
        self.early.push_back(run);
    }

    /// The next early run, if nothing is missing before it.
    pub(super) fn due(&mut self) -> Option<Run> {
        self.up_to(self.received.saturating_add(1))
    }

    /// The next early run, if its number is not above `number`.
    pub(super) fn up_to(&mut self, number: u64) -> Option<Run> {
        let front = self.early.front()?;
        (front.first <= number).then(|| self.any()).flatten()
    }

    /// The next early run, if it has waited for too long.
    pub(super) fn overdue(&mut self, now: Moment) -> Option<Run> {
        let since = self.early.front()?.at.max(self.moved_at);
        let is_overdue = now.since(since) >= PATIENCE;
        is_overdue.then(|| self.any()).flatten()
    }

    /// The next early run.
    pub(super) fn any(&mut self) -> Option<Run> {
        let run = self.early.pop_front()?;
        self.early_bytes -= run.cost();
        Some(run)
    }
}
