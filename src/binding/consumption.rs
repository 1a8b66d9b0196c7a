//! How far JavaScript has consumed each stream of messages.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::proto::Mark;

/// After this many consumed bytes, waiting senders are told at once, without being asked: a quarter
/// of the window of a pair of nodes. More often costs a sender of large messages more.
const PROMPT: usize = 256 << 10;
/// How often streams that wait in line are reported while JavaScript works on others.
const TURNS_EVERY: Duration = Duration::from_millis(250);

/// The consumption of all streams, in one life of a node.
#[derive(Debug, Default)]
pub(super) struct Consumption {
    streams: HashMap<u32, Stream>,
    /// Channels whose stream chunks wait in JavaScript for their reader.
    holds: HashMap<u32, Hold>,
    /// Streams with progress since the last report.
    changed: BTreeSet<u32>,
    /// Bytes consumed since the last report.
    fresh: usize,
    /// Whether JavaScript has consumed anything since the streams in line were reported.
    has_moved: bool,
    named_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Stream {
    /// Runs of messages that wait for JavaScript, and their bytes.
    waiting: usize,
    bytes: usize,
    /// The last message that arrived, with or without a listener.
    last: u64,
    /// The last message that was consumed, not counting held chunks.
    consumed: u64,
    /// The first message of each held run of chunks.
    held: VecDeque<u64>,
    /// Chunks were handed to JavaScript.
    has_chunks: bool,
}

#[derive(Debug, Default)]
struct Hold {
    /// The stream and the bytes of each run, oldest first.
    runs: VecDeque<(u32, usize)>,
    /// How many bytes of the first run were read.
    read: usize,
}

/// A run of messages, as it is counted here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) mark: Mark,
    pub(super) count: u32,
    pub(super) bytes: usize,
    /// The channel, if the messages are stream chunks.
    pub(super) chunks: Option<u32>,
}

impl Run {
    fn first(&self) -> u64 {
        (self.mark.last + 1).saturating_sub(u64::from(self.count))
    }
}

impl Consumption {
    /// The waiting bytes of one stream.
    pub(super) fn waiting(&self, stream: u32) -> usize {
        self.streams.get(&stream).map_or(0, |stream| stream.bytes)
    }

    /// Whether chunks of a stream were handed to JavaScript.
    pub(super) fn has_chunks(&self, stream: u32) -> bool {
        self.streams.get(&stream).is_some_and(|it| it.has_chunks)
    }

    /// Counts a run that waits for JavaScript.
    pub(super) fn queued(&mut self, run: &Run) {
        let stream = self.streams.entry(run.mark.stream).or_default();
        if stream.waiting == 0 {
            let before = run.first().saturating_sub(1);
            stream.consumed = stream.consumed.max(before);
        }
        stream.waiting += 1;
        stream.bytes += run.bytes;
        stream.last = run.mark.last;
    }

    /// Counts a run that JavaScript does not get: it has no listener, or there is no room for it.
    pub(super) fn passed_over(&mut self, mark: Mark) {
        let stream = self.streams.entry(mark.stream).or_default();
        stream.last = mark.last;
        if stream.waiting == 0 {
            stream.consumed = mark.last;
            self.changed.insert(mark.stream);
        }
    }

    /// Counts a run that JavaScript has consumed.
    pub(super) fn consumed(&mut self, run: &Run) {
        self.has_moved = true;
        let Some(stream) = self.streams.get_mut(&run.mark.stream) else {
            return;
        };
        stream.waiting -= 1;
        stream.bytes -= run.bytes;
        stream.consumed = match stream.waiting {
            0 => stream.last,
            _ => run.mark.last,
        };
        if let Some(channel) = run.chunks {
            stream.has_chunks = true;
            if let Some(hold) = self.holds.get_mut(&channel) {
                stream.held.push_back(run.first());
                hold.runs.push_back((run.mark.stream, run.bytes));
                return;
            }
        }
        self.fresh += run.bytes;
        self.changed.insert(run.mark.stream);
    }

    /// Counts the first `count` messages of a run as consumed.
    pub(super) fn consumed_partly(&mut self, run: &Run, count: u32) {
        self.has_moved = true;
        let is_held = run.chunks.is_some_and(|it| self.holds.contains_key(&it));
        if let Some(stream) = self.streams.get_mut(&run.mark.stream).filter(|_| !is_held) {
            stream.consumed = (run.first() + u64::from(count)).saturating_sub(1);
            self.changed.insert(run.mark.stream);
        }
    }

    /// From now on, chunks of a channel's stream wait for their reader.
    pub(super) fn hold(&mut self, channel: u32) {
        self.holds.entry(channel).or_default();
    }

    /// The reader took this many of the waiting bytes.
    pub(super) fn read(&mut self, channel: u32, bytes: usize) {
        let Some(hold) = self.holds.get_mut(&channel) else {
            return;
        };
        hold.read += bytes;
        let mut freed = Vec::new();
        while let Some((stream, bytes)) = hold.runs.front().copied()
            && bytes <= hold.read
        {
            hold.read -= bytes;
            hold.runs.pop_front();
            freed.push((stream, bytes));
        }
        for (stream, bytes) in freed {
            self.free(stream, bytes);
        }
    }

    /// No chunk waits for the reader any more.
    pub(super) fn release(&mut self, channel: u32) {
        let hold = self.holds.remove(&channel).unwrap_or_default();
        for (stream, bytes) in hold.runs {
            self.free(stream, bytes);
        }
    }

    fn free(&mut self, stream: u32, bytes: usize) {
        self.fresh += bytes;
        self.changed.insert(stream);
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.held.pop_front();
        }
    }

    /// Whether so much was consumed that waiting senders should be told now.
    pub(super) fn is_news(&self) -> bool {
        self.fresh >= PROMPT
    }

    /// Reports the streams that wait in line while JavaScript works on others. They are not stuck.
    fn name_those_in_line(&mut self) {
        let is_early = self.named_at.is_some_and(|at| at.elapsed() < TURNS_EVERY);
        if is_early || !std::mem::take(&mut self.has_moved) {
            return;
        }
        self.named_at = Some(Instant::now());
        let is_in_line = |stream: &Stream| stream.waiting > 0 && stream.held.is_empty();
        let in_line = self.streams.iter().filter(|(_, stream)| is_in_line(stream));
        self.changed.extend(in_line.map(|(id, _)| *id));
    }

    /// The progress of each stream that has some since the last call, or that waits in line.
    pub(super) fn take(&mut self) -> Vec<Mark> {
        self.name_those_in_line();
        self.fresh = 0;
        let changed = std::mem::take(&mut self.changed);
        let mark = |id: u32| {
            let stream = self.streams.get(&id)?;
            let held = stream.held.front().map(|first| first - 1);
            let last = held.map_or(stream.consumed, |held| held.min(stream.consumed));
            Some(Mark { stream: id, last })
        };
        let marks = changed.iter().filter_map(|id| mark(*id)).collect();
        let is_idle = |stream: &Stream| stream.waiting == 0 && stream.held.is_empty();
        // A stream that resumes after a silence is counted anew.
        if self.streams.len() > MAX_IDLE {
            self.streams.retain(|_, stream| !is_idle(stream));
        }
        marks
    }
}

/// How many streams are remembered while none of their messages wait.
const MAX_IDLE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const fn run(stream: u32, last: u64, chunks: Option<u32>) -> Run {
        Run {
            mark: Mark { stream, last },
            count: 2,
            bytes: 100,
            chunks,
        }
    }

    fn marks(consumption: &mut Consumption) -> Vec<(u32, u64)> {
        let marks = consumption.take();
        marks.iter().map(|mark| (mark.stream, mark.last)).collect()
    }

    #[test]
    fn a_stream_is_consumed_up_to_its_first_unconsumed_message() {
        let mut consumption = Consumption::default();
        consumption.queued(&run(1, 2, None));
        consumption.queued(&run(1, 4, None));
        consumption.passed_over(Mark { stream: 1, last: 6 });
        consumption.passed_over(Mark { stream: 2, last: 9 });
        assert_eq!(marks(&mut consumption), [(2, 9)]);
        consumption.consumed_partly(&run(1, 2, None), 1);
        assert_eq!(marks(&mut consumption), [(1, 1)]);
        consumption.consumed(&run(1, 2, None));
        assert_eq!(marks(&mut consumption), [(1, 2)]);
        consumption.consumed(&run(1, 4, None));
        assert_eq!(marks(&mut consumption), [(1, 6)]);
        assert_eq!(marks(&mut consumption), []);
        assert_eq!(consumption.waiting(1), 0);
    }

    #[test]
    fn chunks_without_a_reader_are_not_consumed() {
        let mut consumption = Consumption::default();
        consumption.hold(7);
        for last in [2, 4, 6] {
            let run = run(1, last, (last < 6).then_some(7));
            consumption.queued(&run);
            consumption.consumed(&run);
        }
        assert_eq!(marks(&mut consumption), [(1, 0)]);
        consumption.read(7, 99);
        assert_eq!(marks(&mut consumption), []);
        consumption.read(7, 1);
        assert_eq!(marks(&mut consumption), [(1, 2)]);
        consumption.release(7);
        assert_eq!(marks(&mut consumption), [(1, 6)]);
    }

    #[test]
    fn many_consumed_bytes_are_news() {
        let mut consumption = Consumption::default();
        let run = Run {
            bytes: PROMPT,
            ..run(1, 2, None)
        };
        consumption.queued(&run);
        assert!(!consumption.is_news());
        consumption.consumed(&run);
        assert!(consumption.is_news());
        consumption.take();
        assert!(!consumption.is_news());
    }

    #[test]
    fn streams_in_line_are_reported_while_others_go_on() {
        let mut consumption = Consumption::default();
        consumption.queued(&run(1, 2, None));
        consumption.queued(&run(2, 12, None));
        assert_eq!(consumption.take(), [], "nothing goes on");
        consumption.consumed(&run(1, 2, None));
        let marks = [(1, 2), (2, 10)].map(|(stream, last)| Mark { stream, last });
        assert_eq!(consumption.take(), marks);
        assert_eq!(consumption.take(), [], "nothing has gone on since");
    }

    #[test]
    fn a_stream_whose_reader_pauses_is_not_in_line() {
        let mut consumption = Consumption::default();
        consumption.hold(7);
        consumption.queued(&run(1, 2, Some(7)));
        consumption.consumed(&run(1, 2, Some(7)));
        consumption.queued(&run(1, 4, Some(7)));
        consumption.queued(&run(2, 2, None));
        consumption.consumed(&run(2, 2, None));
        let mark = Mark { stream: 2, last: 2 };
        assert_eq!(consumption.take(), [mark]);
    }
}
