//! The entries that wait for JavaScript, under the queue's lock.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::net::Congestion;
use crate::proto::Kind;

use super::chunk::{Chunk, Cursor};
use super::consumption::Consumption;
use super::counters::{Counters, Tally};
use super::entry::Entry;
use super::filter::Filters;
use super::notice::Notice;
use super::validation;

/// The most bytes of messages that wait for JavaScript. Excess messages are dropped and counted.
pub(super) const CAPACITY: usize = 128 << 20;
/// Above this, links whose senders do not wait for JavaScript pause reading while it makes
/// progress.
const CONGESTED: usize = 4 << 20;
/// Above this, all links pause reading: their senders ignore their windows.
const OVERFULL: usize = 96 << 20;
/// The interval between two notices of dropped messages.
const TELL_LOST_EVERY: Duration = Duration::from_millis(500);
/// The most log lines that wait: a hostile network must not fill the memory with them.
pub(super) const MAX_LOGS: usize = 1024;
/// The size at which a chunk ends, in bytes of JSON text.
pub(super) const CHUNK: usize = 16 << 10;
/// The same after a rewind. It doubles with every fully consumed chunk.
const SMALL_CHUNK: usize = 512;
/// Bytes searched for an event with a listener before the driver gets a turn.
const SCAN: usize = 1 << 20;

/// The backlog. [`Queue`](super::queue::Queue) holds the lock around it.
#[derive(Default)]
pub(super) struct Backlog {
    entries: VecDeque<Entry>,
    pub(super) filters: Filters,
    /// Where the next chunk starts.
    cursor: Cursor,
    /// Where the last chunk started, and where each of its messages ended.
    start: Cursor,
    marks: Vec<Cursor>,
    /// The counters at the start, and at the end of each message.
    tally: Tally,
    tallies: Vec<Tally>,
    /// The buffers that messages of the last chunk refer to.
    pub(super) buffers: Vec<Bytes>,
    /// The size at which the next chunk ends, in bytes of text.
    budget: usize,
    /// The last chunk omitted messages without a listener.
    pub(super) has_passed_over: bool,
    /// JavaScript was woken and has not yet found the queue empty.
    pub(super) awake: bool,
    /// JavaScript is gone.
    dead: bool,
    bytes: usize,
    bounds: Bounds,
    drained_at: Option<Instant>,
    logs: usize,
    /// Messages dropped since the last notice of them, and the time of that notice.
    lost: Lost,
    told_lost_at: Option<Instant>,
    pub(super) consumption: Consumption,
    counters: Counters,
}

/// Bounds that follow from a node's options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most waiting bytes of one stream: more than an honest sender may have outstanding.
    pub(crate) per_stream: usize,
    /// JavaScript counts as blocked if it has not drained for this long. Links then read on, so
    /// that the node still relays.
    pub(crate) patience: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            per_stream: CAPACITY,
            patience: Duration::from_secs(10),
        }
    }
}

/// Dropped messages.
#[derive(Debug, Default)]
struct Lost {
    count: u64,
    /// Bytes of stream chunks among them, by channel.
    chunks: BTreeMap<u32, u64>,
}

/// The outcome of one step of draining.
pub(super) enum Step {
    Chunk(String),
    ScanOn,
    Empty,
}

impl Backlog {
    pub(super) fn new() -> Self {
        Self {
            budget: CHUNK,
            ..Self::default()
        }
    }

    /// The backlog once JavaScript is gone: it keeps nothing.
    pub(super) fn dead() -> Self {
        Self {
            dead: true,
            ..Self::default()
        }
    }

    /// Begins a new life of the node, without the old life's filters and consumption.
    pub(super) fn begin(&mut self, bounds: Bounds) {
        self.filters.clear();
        self.bounds = bounds;
        self.consumption = Consumption::default();
        self.entries.iter_mut().for_each(Entry::unmark);
    }

    /// Adds an entry. Returns whether JavaScript must be woken.
    pub(super) fn push(&mut self, entry: Entry) -> bool {
        // While JavaScript is draining, the handler of an earlier message may still add a listener
        // for it.
        if self.dead || (!self.awake && self.nobody_wants(&entry)) {
            self.pass_over(&entry);
            return false;
        }
        let cost = entry.cost();
        if self.is_full(&entry, cost) {
            self.lose(&entry);
            self.pass_over(&entry);
            return false;
        }
        if matches!(entry, Entry::Log(_)) {
            if self.logs == MAX_LOGS {
                self.counters.log_lines_lost += 1;
                return false;
            }
            self.logs += 1;
        }
        if cost > 0 && self.bytes == 0 {
            // JavaScript may have been idle for long. Its slowness counts only from now on.
            self.drained_at = Some(Instant::now());
        }
        self.bytes += cost;
        if let Some(run) = entry.run() {
            self.consumption.queued(&run);
        }
        self.entries.push_back(entry);
        !std::mem::replace(&mut self.awake, true)
    }

    fn is_full(&self, entry: &Entry, cost: usize) -> bool {
        let of_stream = || {
            let run = entry.run();
            run.map_or(0, |run| self.consumption.waiting(run.mark.stream))
        };
        cost > 0
            && (self.bytes + cost > CAPACITY
                || self.bytes > CONGESTED && of_stream() + cost > self.bounds.per_stream)
    }

    fn lose(&mut self, entry: &Entry) {
        let count = u64::from(entry.count());
        self.lost.count += count;
        self.counters.lost += count;
        if let Some(channel) = entry.chunks() {
            *self.lost.chunks.entry(channel).or_default() += entry.cost() as u64;
        }
    }

    fn pass_over(&mut self, entry: &Entry) {
        if let Some(run) = entry.run() {
            self.consumption.passed_over(run.mark);
        }
    }

    fn nobody_wants(&mut self, entry: &Entry) -> bool {
        let wanted = match entry {
            Entry::Notice(_) | Entry::Log(_) => true,
            Entry::Line { channel, .. } => self.filters.wants_lines(*channel),
            Entry::Messages {
                channel, payload, ..
            } => match payload.kind() {
                Kind::Chunks => self.filters.wants_chunks(*channel),
                // A batch's names are checked when JavaScript drains.
                Kind::Events if payload.count() == 1 => {
                    self.filters.wants_event(*channel, payload.body())
                }
                Kind::Events | Kind::Rich => self.filters.wants_some_event(*channel),
            },
        };
        if !wanted {
            self.counters.unheard += u64::from(entry.count());
        }
        !wanted
    }

    /// The load of the queue on the node.
    pub(super) fn congestion(&self) -> Congestion {
        let patience = self.bounds.patience;
        let drains = || self.drained_at.is_some_and(|at| at.elapsed() < patience);
        match self.bytes {
            bytes if bytes > OVERFULL && drains() => Congestion::Heavy,
            bytes if bytes > CONGESTED && drains() => Congestion::Light,
            _ => Congestion::None,
        }
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            waiting_bytes: self.bytes as u64,
            ..self.counters
        }
    }

    /// JavaScript asks for the next chunk, so it has consumed the last one.
    pub(super) fn drained(&mut self) {
        self.commit();
        // The time matters only while many bytes wait, so the clock is not read otherwise.
        if self.bytes > CONGESTED / 2 {
            self.drained_at = Some(Instant::now());
        }
    }

    /// Forgets everything before the cursor.
    fn commit(&mut self) {
        for entry in self.entries.drain(..self.cursor.entry) {
            if let Some(run) = entry.run() {
                self.consumption.consumed(&run);
            }
            self.bytes -= entry.cost();
            match entry {
                Entry::Log(_) => self.logs -= 1,
                Entry::Notice(Notice {
                    ends_channel: Some(channel),
                    ..
                }) => {
                    self.filters.forget(channel);
                }
                _ => {}
            }
        }
        self.cursor.entry = 0;
        if self.cursor.offset > 0
            && let Some(entry) = self.entries.front()
            && let (Some(run), Entry::Messages { payload, .. }) = (entry.run(), entry)
        {
            let count = payload.count_before(self.cursor.offset);
            self.consumption.consumed_partly(&run, count);
        }
        self.start = self.cursor;
        self.marks.clear();
        self.buffers.clear();
    }

    /// Builds the next chunk, or part of it.
    pub(super) fn step(&mut self) -> Step {
        self.tell_lost();
        self.tally = Tally::of(&self.counters);
        let unheard = self.counters.unheard;
        let mut chunk = Chunk::new(self.budget);
        self.fill(&mut chunk);
        if chunk.is_empty() {
            self.commit();
            if !self.entries.is_empty() {
                return Step::ScanOn;
            }
            self.budget = CHUNK;
            self.awake = false;
            return Step::Empty;
        }
        self.budget = (self.budget * 2).min(CHUNK);
        self.has_passed_over = self.counters.unheard > unheard;
        let finished = chunk.finish();
        (self.marks, self.tallies) = (finished.marks, finished.tallies);
        self.buffers = finished.buffers;
        Step::Chunk(finished.text)
    }

    /// Puts the notice of dropped messages before all waiting entries, which may take long to
    /// drain.
    fn tell_lost(&mut self) {
        let lately = |at: Instant| at.elapsed() < TELL_LOST_EVERY;
        let is_empty = self.cursor.entry >= self.entries.len();
        if self.lost.count == 0 || !is_empty && self.told_lost_at.is_some_and(lately) {
            return;
        }
        let Lost { count, chunks } = std::mem::take(&mut self.lost);
        self.told_lost_at = Some(Instant::now());
        let at = self.cursor.entry + usize::from(self.cursor.offset > 0);
        let notice = Entry::Notice(Notice::lost(count, &chunks));
        self.entries.insert(at.min(self.entries.len()), notice);
    }

    /// Adds entries to `chunk`, starting at the cursor.
    fn fill(&mut self, chunk: &mut Chunk) {
        let mut scanned = 0;
        while !chunk.is_full() && scanned < SCAN {
            let Some(entry) = self.entries.get(self.cursor.entry) else {
                return;
            };
            let before = self.cursor;
            self.cursor.next_entry();
            match entry {
                Entry::Notice(notice) | Entry::Log(notice) => {
                    chunk.notice(&notice.json, self.cursor);
                    chunk.note(&self.counters);
                    if notice.ends_chunk {
                        return;
                    }
                }
                Entry::Line { channel, text, .. } => {
                    scanned += text.len();
                    match validation::array(text) {
                        _ if !self.filters.wants_lines(*channel) => self.counters.unheard += 1,
                        None => self.counters.unreadable += 1,
                        Some(text) => {
                            self.counters.crossed += 1;
                            chunk.line(*channel, text, self.cursor);
                            chunk.note(&self.counters);
                        }
                    }
                }
                Entry::Messages {
                    channel, payload, ..
                } => {
                    let (filters, counters) = (&self.filters, &mut self.counters);
                    self.cursor = chunk.messages(*channel, payload, before, filters, counters);
                    let end = match self.cursor.entry == before.entry {
                        true => self.cursor.offset,
                        false => payload.body().len(),
                    };
                    scanned += end - before.offset;
                }
            }
        }
    }

    /// JavaScript consumed only the first `consumed` messages of the last chunk. The next chunk
    /// starts after them.
    pub(super) fn rewind(&mut self, consumed: usize) {
        if consumed > self.marks.len() {
            return;
        }
        self.marks.truncate(consumed);
        self.cursor = self.marks.last().copied().unwrap_or(self.start);
        self.tallies.truncate(consumed);
        let tally = self.tallies.last().copied().unwrap_or(self.tally);
        tally.restore(&mut self.counters);
        self.budget = (self.budget / 4).max(SMALL_CHUNK);
    }
}
