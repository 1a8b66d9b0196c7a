//! The two ends of a pair: what one node has sent, and what the other has received of it.

use std::collections::VecDeque;

use super::load::Load;
use super::order::Order;
use crate::proto::Moment;

/// The cost of a message on top of its bytes.
const OVERHEAD: usize = 256;

/// The sending end towards one node.
#[derive(Debug)]
pub(super) struct Sending {
    /// Numbers start anew with each session. A later session has a greater number.
    pub(super) session: u32,
    /// The number of the last message.
    pub(super) sent: u64,
    /// Runs that are not consumed yet, as far as we know: the last number and the cost of each.
    runs: VecDeque<(u64, usize)>,
    bytes: usize,
    /// The time of the last progress, or of the first message sent after everything was consumed.
    since: Moment,
    /// When the receiver was last told the number of the last message sent.
    told_at: Moment,
    /// The receiver consumes nothing, and senders no longer wait for it.
    is_stalled: bool,
    pub(super) load: Load,
}

impl Sending {
    pub(super) fn new(session: u32, now: Moment) -> Self {
        Self {
            session,
            sent: 0,
            runs: VecDeque::new(),
            bytes: 0,
            since: now,
            told_at: now,
            is_stalled: false,
            load: Load::new(now),
        }
    }

    /// Counts a run. Returns the number of its first message.
    pub(super) fn sends(&mut self, count: u32, bytes: usize, now: Moment) -> u64 {
        let first = self.sent + 1;
        self.sent += u64::from(count);
        // A stalled receiver's runs are not remembered, so that memory stays bounded.
        if !self.is_stalled {
            if self.bytes == 0 {
                (self.since, self.told_at) = (now, now);
            }
            self.runs.push_back((self.sent, bytes + OVERHEAD));
            self.bytes += bytes + OVERHEAD;
        }
        first
    }

    /// Notes that the receiver has consumed everything up to `number`; returns whether that is
    /// news. A receiver sends nothing while its application hangs, so a repeated number is
    /// progress, too.
    pub(super) fn consumed(&mut self, number: u64, now: Moment) -> bool {
        let mut is_news = self.is_stalled && number > 0;
        while let Some((_, cost)) = self.runs.front().filter(|(last, _)| *last <= number) {
            self.bytes -= cost;
            self.runs.pop_front();
            is_news = true;
        }
        self.is_stalled &= !is_news;
        self.since = now;
        is_news
    }

    /// The bytes that senders wait for.
    pub(super) fn outstanding(&self) -> usize {
        self.bytes
    }

    /// Whether to tell a silent receiver the number of the last message sent.
    pub(super) fn asks(&mut self, now: Moment, every: std::time::Duration) -> bool {
        let asks = self.bytes > 0 && now.since(self.told_at.max(self.since)) >= every;
        if asks {
            self.told_at = now;
        }
        asks
    }

    /// Gives up a receiver that has consumed nothing for `patience`; returns whether that is news.
    pub(super) fn gives_up(&mut self, now: Moment, patience: std::time::Duration) -> bool {
        let gives_up = self.bytes > 0 && now.since(self.since) >= patience;
        if gives_up {
            self.is_stalled = true;
            self.runs.clear();
            self.bytes = 0;
        }
        gives_up
    }
}

/// The receiving end towards one node.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    /// Which messages come next.
    pub(super) order: Order,
    /// The last messages that the application was given and has consumed.
    given: u64,
    consumed: u64,
    /// The last number that the sender was told.
    told: u64,
}

impl Receiving {
    /// The same end for a member that has returned.
    pub(super) fn again(self) -> Self {
        let received = self.order.received();
        Self {
            order: self.order.again(),
            given: received,
            consumed: received,
            told: received,
        }
    }

    /// The numbers of a new session count from one again.
    pub(super) fn begins(&mut self, session: u32) {
        if self.order.begins(session) {
            (self.given, self.consumed, self.told) = (0, 0, 0);
        }
    }

    /// The messages `first` to `last` are next. Returns how many before them are lost.
    pub(super) fn gives(&mut self, first: u64, last: u64, now: Moment) -> u64 {
        self.given = last;
        self.order.moves_on(first, last, now)
    }

    /// The sender has sent up to `number`, and nothing is on its way any more. Returns the number
    /// of lost messages.
    pub(super) fn has_sent(&mut self, number: u64, now: Moment) -> u64 {
        let lost = self.order.ends_at(number, now);
        if self.consumed >= self.given {
            self.consumed = self.order.received();
        }
        lost
    }

    /// Whether the application has unconsumed messages.
    pub(super) fn has_unread(&self) -> bool {
        self.consumed < self.given
    }

    /// Notes that the application has consumed up to `number`; returns whether that is news.
    pub(super) fn consumes(&mut self, number: u64) -> bool {
        let before = self.consumed;
        // With nothing left to consume, the lost messages after it count as consumed.
        self.consumed = if number >= self.given {
            self.order.received()
        } else {
            number.max(self.consumed)
        };
        self.consumed > before
    }

    /// The session and number to tell the sender, if they are news or `is_told` is set.
    pub(super) fn tells(&mut self, is_told: bool) -> Option<(u32, u64)> {
        let is_news = std::mem::replace(&mut self.told, self.consumed) != self.consumed;
        (is_news || is_told).then_some((self.order.session(), self.consumed))
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.consumed < self.order.received() || self.told < self.consumed
    }
}
