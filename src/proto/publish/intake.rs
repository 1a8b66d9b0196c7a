//! Sent data that is outstanding, and received data that is not consumed yet.

use std::collections::VecDeque;

use crate::proto::Moment;

/// Sent data that has not been consumed.
#[derive(Debug, Default)]
pub(in crate::proto) struct Outstanding {
    /// The last number of each run, and its cost.
    runs: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Outstanding {
    pub(in crate::proto) fn sent(&mut self, last: u64, cost: usize) {
        self.runs.push_back((last, cost));
        self.bytes += cost;
    }

    /// Notes that every receiver has consumed everything up to `high`.
    pub(in crate::proto) fn consumed(&mut self, high: u64) {
        while let Some((_, cost)) = self.runs.front().filter(|(last, _)| *last <= high) {
            self.bytes -= cost;
            self.runs.pop_front();
        }
    }

    pub(in crate::proto) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// How far this node's application has consumed a stream.
#[derive(Debug)]
pub(super) struct Intake {
    /// The stream's name in the application's marks.
    pub(super) mark: u32,
    /// The last number that the application was given.
    pub(super) given: u64,
    /// The last number that the application has consumed.
    pub(super) consumed: u64,
    /// When the application last made progress, or got its first unconsumed message.
    pub(super) since: Moment,
    /// Whether senders no longer wait for the application.
    pub(super) is_stalled: bool,
    /// Whether the stream is checked on every `Timer::Window`.
    pub(super) is_flowing: bool,
    /// Whether a node below this one is still receiving unconsumed data.
    pub(super) is_moving: bool,
    /// When the parent last got a report.
    pub(super) told_at: Moment,
}

impl Intake {
    pub(super) fn new(mark: u32) -> Self {
        Self {
            mark,
            given: 0,
            consumed: 0,
            since: Moment::default(),
            is_stalled: false,
            is_flowing: false,
            is_moving: false,
            told_at: Moment::default(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.consumed >= self.given
    }
}
