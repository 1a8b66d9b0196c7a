//! The two ends of a pair: what one has sent, and what the other has got of it.

use std::collections::VecDeque;

use crate::proto::Moment;

/// What a message costs beside its bytes.
const OVERHEAD: usize = 256;

/// What was sent to one node.
#[derive(Debug)]
pub(super) struct Sending {
    /// Numbers begin anew with each session, and a later session has a greater number.
    pub(super) session: u32,
    /// The number of the last message.
    pub(super) sent: u64,
    /// Runs that were not consumed, as far as we know: the last number and the cost of each.
    runs: VecDeque<(u64, usize)>,
    bytes: usize,
    /// When something was consumed, or sent after all was consumed.
    since: Moment,
    /// When the receiver was last told how much was sent.
    told_at: Moment,
    /// It consumes nothing, and is not waited for.
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

    /// Counts a run, and returns the number of its first message.
    pub(super) fn sends(&mut self, count: u32, bytes: usize, now: Moment) -> u64 {
        let first = self.sent + 1;
        self.sent += u64::from(count);
        // What is not waited for must not be remembered for ever either.
        if !self.is_stalled {
            if self.bytes == 0 {
                (self.since, self.told_at) = (now, now);
            }
            self.runs.push_back((self.sent, bytes + OVERHEAD));
            self.bytes += bytes + OVERHEAD;
        }
        first
    }

    /// The receiver has consumed everything up to `number`; returns whether that is news. It says
    /// nothing while its application hangs, so the same number again is progress, too.
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

    /// Bytes that senders are to wait for.
    pub(super) fn outstanding(&self) -> usize {
        self.bytes
    }

    /// Whether the receiver is to be told how much was sent, because it says nothing.
    pub(super) fn asks(&mut self, now: Moment, every: std::time::Duration) -> bool {
        let asks = self.bytes > 0 && now.since(self.told_at.max(self.since)) >= every;
        if asks {
            self.told_at = now;
        }
        asks
    }

    /// Gives up a receiver that has consumed nothing for so long; whether that is news.
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

/// What was received from one node.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    session: u32,
    /// The number of the last message that came or is known to be lost.
    received: u64,
    /// The last one that the application was given, and the last that it has consumed.
    given: u64,
    consumed: u64,
    /// What the sender was told.
    told: u64,
}

/// What becomes of a run that has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is next; so many before it are lost.
    Next(u64),
    /// It comes after others that were sent later: to keep the order, it is lost.
    Late,
}

impl Receiving {
    /// The same for a member that was away.
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

    /// The messages `first` to `last` of a session have come.
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
        // What was sent before we knew the sender is not ours to miss.
        let lost = if is_first {
            0
        } else {
            first - 1 - self.received
        };
        (self.received, self.given) = (last, last);
        Verdict::Next(lost)
    }

    /// The sender has sent up to `number`, and nothing is on its way any more; how many are lost.
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

    /// Whether the application has messages that it has not consumed.
    pub(super) fn has_unread(&self) -> bool {
        self.consumed < self.given
    }

    /// The application has consumed up to `number`; returns whether that is news.
    pub(super) fn consumes(&mut self, number: u64) -> bool {
        let before = self.consumed;
        // Those behind it are lost, if it has no more.
        self.consumed = if number >= self.given {
            self.received
        } else {
            number.max(self.consumed)
        };
        self.consumed > before
    }

    /// What the sender should be told, if that is news, or `is_told` in any case.
    pub(super) fn tells(&mut self, is_told: bool) -> Option<(u32, u64)> {
        let is_news = std::mem::replace(&mut self.told, self.consumed) != self.consumed;
        (is_news || is_told).then_some((self.session, self.consumed))
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.consumed < self.received || self.told < self.consumed
    }
}
