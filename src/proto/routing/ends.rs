//! The two ends of a pair: what one node has sent, and what the other has received of it.

use std::collections::VecDeque;

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
    session: u32,
    /// The number of the last message that arrived or is known to be lost.
    received: u64,
    /// The last messages that the application was given and has consumed.
    given: u64,
    consumed: u64,
    /// The last number that the sender was told.
    told: u64,
}

/// The fate of a run that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It comes next. Holds the number of messages lost before it.
    Next(u64),
    /// It arrived after later messages, and is dropped to keep the order.
    Late,
}

impl Receiving {
    /// The same end for a member that has returned.
    pub(super) fn again(self) -> Self {
        let (received, session) = (self.received, self.session);
        Self {
            session,
            received,
            given: received,
            consumed: received,
            told: received,
        }
    }

    /// Notes the arrival of the messages `first` to `last` of a session.
    pub(super) fn receives(&mut self, session: u32, first: u64, last: u64) -> Verdict {
        let is_first = self.session == 0;
        if session < self.session || session == self.session && first <= self.received {
            return Verdict::Late;
        }
        if session > self.session {
            *self = Self {
                session,
                ..Self::default()
            };
        }
        // Messages sent before we knew the sender do not count as lost.
        let lost = if is_first {
            0
        } else {
            first - 1 - self.received
        };
        (self.received, self.given) = (last, last);
        Verdict::Next(lost)
    }

    /// The sender has sent up to `number`, and nothing is on its way any more. Returns the number
    /// of lost messages.
    pub(super) fn has_sent(&mut self, session: u32, number: u64) -> u64 {
        if session < self.session {
            return 0;
        }
        if session > self.session {
            *self = Self {
                session,
                ..Self::default()
            };
        }
        let lost = number.saturating_sub(self.received);
        self.received += lost;
        if self.consumed >= self.given {
            self.consumed = self.received;
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
            self.received
        } else {
            number.max(self.consumed)
        };
        self.consumed > before
    }

    /// The session and number to tell the sender, if they are news or `is_told` is set.
    pub(super) fn tells(&mut self, is_told: bool) -> Option<(u32, u64)> {
        let is_news = std::mem::replace(&mut self.told, self.consumed) != self.consumed;
        (is_news || is_told).then_some((self.session, self.consumed))
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.consumed < self.received || self.told < self.consumed
    }
}
