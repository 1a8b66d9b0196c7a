//! From the driver to JavaScript: bounded, filtered, drained in chunks of JSON text.
//!
//! The driver puts events in and never waits. The first one that comes while JavaScript has nothing
//! left to do rings the doorbell; JavaScript then drains until there is nothing left, so that no
//! second ring is needed. What a drained chunk came from stays in the queue until the next drain:
//! when a handler registers a listener, JavaScript rewinds to the item it had got to, and the rest
//! is looked at again under the new filters.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::net::{Congestion, Sink};
use crate::proto::{Event, Kind, Mark, Payload};

use super::chunk::{Chunk, Cursor, Seal, Tally};
use super::consumption::{Consumption, Run};
use super::filter::{BROADCAST, Filter, Filters};
use super::notice::Notice;
use super::text;

/// Bytes of messages that wait for JavaScript at most; more are dropped and counted.
const CAPACITY: usize = 128 << 20;
/// Above this, links whose senders do not wait for JavaScript stop reading while it makes progress.
const CONGESTED: usize = 4 << 20;
/// Above this all links do: the senders of the others do not keep to what they were told.
const OVERFULL: usize = 96 << 20;
/// How often JavaScript is told of messages that were dropped.
const TELL_LOST_EVERY: Duration = Duration::from_millis(500);
/// What a message costs besides its bytes, so that many small ones are bounded too.
const OVERHEAD: usize = 128;
/// Log lines that wait at most: a hostile network must not fill the memory with them.
const MAX_LOGS: usize = 1024;
/// Where a chunk ends, in bytes of JSON text (measured: overlay design, section 7).
const CHUNK: usize = 16 << 10;
/// The same after a rewind; doubles with every chunk that is consumed in full.
const SMALL_CHUNK: usize = 512;
/// How many chunks hold nothing unproven after one did not come to what it should: enough that to make
/// this happen is not worth a sender's while, for it costs the chunk twice.
const DISTRUST: u32 = 256;
/// Bytes looked through, for an event that somebody listens for, before the driver gets a turn.
const SCAN: usize = 1 << 20;

/// The queue. Both sides share it.
pub(crate) struct Queue {
    state: Mutex<State>,
    seal: Seal,
    /// Wakes JavaScript; false when there is no JavaScript any more.
    ring: Box<dyn Fn() -> bool + Send + Sync>,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    filters: Filters,
    /// Where the next chunk starts.
    cursor: Cursor,
    /// Where the last chunk started, and where each of its items ended.
    start: Cursor,
    marks: Vec<Cursor>,
    /// What had been counted at the start, and at the end of each item.
    tally: Tally,
    tallies: Vec<Tally>,
    /// The buffers that items of the last chunk refer to.
    buffers: Vec<Bytes>,
    /// Where the next chunk ends, in bytes of text.
    budget: usize,
    /// The last chunk left out messages that nobody listened for.
    has_passed_over: bool,
    /// The last chunk may hold something unproven.
    is_unproven: bool,
    /// So many of the next do not.
    distrusted: u32,
    /// JavaScript was woken and has not yet found the queue empty.
    awake: bool,
    /// JavaScript is gone.
    dead: bool,
    bytes: usize,
    bounds: Bounds,
    drained_at: Option<Instant>,
    logs: usize,
    /// Dropped since JavaScript was last told, and when that was.
    lost: Lost,
    told_lost_at: Option<Instant>,
    consumption: Consumption,
    counters: Counters,
}

/// Bounds that follow from a node's options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes that wait of one stream: more than a sender has outstanding that keeps to its window.
    pub(crate) per_stream: usize,
    /// JavaScript that has not drained for this long is blocked: links read on, so that the node still
    /// relays.
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

/// Messages that were dropped.
#[derive(Debug, Default)]
struct Lost {
    count: u64,
    /// Bytes of stream chunks among them, by channel.
    chunks: BTreeMap<u32, u64>,
}

/// What the queue has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counters {
    /// Messages handed to JavaScript.
    pub(crate) crossed: u64,
    /// Messages that nobody listened for.
    pub(crate) unheard: u64,
    /// Messages whose text was not the JSON of an event.
    pub(crate) unreadable: u64,
    /// Messages dropped because the queue was full.
    pub(crate) lost: u64,
    /// Log lines dropped because too many waited.
    pub(crate) log_lines_lost: u64,
    /// Bytes of messages that wait.
    pub(crate) waiting_bytes: u64,
}

enum Entry {
    Messages {
        channel: u32,
        payload: Payload,
        mark: Option<Mark>,
    },
    Line {
        channel: u32,
        text: Bytes,
        mark: Option<Mark>,
    },
    Notice(Notice),
    Log(Notice),
}

impl Entry {
    fn cost(&self) -> usize {
        match self {
            Self::Messages { payload, .. } => payload.body().len() + OVERHEAD,
            Self::Line { text, .. } => text.len() + OVERHEAD,
            Self::Notice(_) | Self::Log(_) => 0,
        }
    }

    /// How many messages it holds.
    fn count(&self) -> u32 {
        match self {
            Self::Messages { payload, .. } => payload.count(),
            Self::Line { .. } => 1,
            Self::Notice(_) | Self::Log(_) => 0,
        }
    }

    /// The messages in it that somebody waits for.
    fn run(&self) -> Option<Run> {
        let (Self::Messages { mark, .. } | Self::Line { mark, .. }) = self else {
            return None;
        };
        Some(Run {
            mark: (*mark)?,
            count: self.count(),
            bytes: self.cost(),
            chunks: self.chunks(),
        })
    }

    /// The channel whose stream chunks it holds.
    fn chunks(&self) -> Option<u32> {
        match self {
            Self::Messages {
                channel, payload, ..
            } if payload.kind() == Kind::Chunks => Some(*channel),
            _ => None,
        }
    }
}

enum Step {
    Chunk(String),
    ScanOn,
    Empty,
}

impl Sink for Queue {
    fn event(&self, event: Event) {
        let notice = match &event {
            Event::Skipped {
                origin,
                count,
                stream,
            } => {
                let has_chunks = self.state().consumption.has_chunks(*stream);
                Some(Notice::skipped(origin.as_str(), *count, has_chunks))
            }
            event => Notice::of(event),
        };
        let entry = match (notice, event) {
            (Some(notice), _) => Entry::Notice(notice),
            (None, Event::Broadcast { payload, mark }) => Entry::Messages {
                channel: BROADCAST,
                payload,
                mark,
            },
            (
                None,
                Event::Direct {
                    link,
                    payload,
                    mark,
                },
            ) => Entry::Messages {
                channel: link.0,
                payload,
                mark,
            },
            (None, Event::Line { link, text, mark }) => Entry::Line {
                channel: link.0,
                text,
                mark,
            },
            (None, _) => return,
        };
        self.push(entry);
    }

    fn congestion(&self) -> Congestion {
        let state = self.state();
        let patience = state.bounds.patience;
        let drains = || state.drained_at.is_some_and(|at| at.elapsed() < patience);
        match state.bytes {
            bytes if bytes > OVERFULL && drains() => Congestion::Heavy,
            bytes if bytes > CONGESTED && drains() => Congestion::Light,
            _ => Congestion::None,
        }
    }

    fn consumed(&self) -> Vec<Mark> {
        self.state().consumption.take()
    }
}

impl Queue {
    /// A queue that seals lists with `seal` and calls `ring` to wake JavaScript. `ring` returns whether there still is a
    /// JavaScript to wake; it must not call back into the queue.
    pub(crate) fn new(seal: Seal, ring: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let state = State {
            budget: CHUNK,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            seal,
            ring: Box::new(ring),
        }
    }

    /// Puts in a line for the application's logger.
    pub(crate) fn log(&self, level: &str, message: &str) {
        self.push(Entry::Log(Notice::log(level, message)));
    }

    /// Up to about 16 KiB of JSON text, an array of at least one item; `None` when nothing is
    /// left. What the chunk before came from is forgotten.
    pub(crate) fn drain(&self) -> Option<String> {
        {
            let mut state = self.state();
            state.commit();
            // Only read when a lot waits: then it is worth a look at the clock.
            if state.bytes > CONGESTED / 2 {
                state.drained_at = Some(Instant::now());
            }
        }
        loop {
            let step = self.state().step(&self.seal);
            match step {
                Step::Chunk(text) => return Some(text),
                Step::ScanOn => {}
                Step::Empty => return None,
            }
        }
    }

    /// Only the first `consumed` items of the last chunk were consumed; the next one starts after
    /// them.
    pub(crate) fn rewind(&self, consumed: usize) {
        let mut state = self.state();
        if consumed > state.marks.len() {
            return;
        }
        state.marks.truncate(consumed);
        state.cursor = state.marks.last().copied().unwrap_or(state.start);
        state.tallies.truncate(consumed);
        let tally = state.tallies.last().copied().unwrap_or(state.tally);
        tally.restore(&mut state.counters);
        state.budget = (state.budget / 4).max(SMALL_CHUNK);
    }

    /// Like [`Self::rewind`], because what comes then is not what it should be: each text is to be looked
    /// at before it is handed over, for a while. Returns false, and has done nothing, if it was.
    pub(crate) fn distrust(&self, consumed: usize) -> bool {
        if !std::mem::take(&mut self.state().is_unproven) {
            return false;
        }
        self.rewind(consumed);
        self.state().distrusted = DISTRUST;
        true
    }

    /// Whether JavaScript has consumed so much that those who wait for it should be told now.
    pub(crate) fn has_news(&self) -> bool {
        self.state().consumption.is_news()
    }

    /// Says that a channel's stream chunks wait for their reader from now on.
    pub(crate) fn hold(&self, channel: u32) {
        self.state().consumption.hold(channel);
    }

    /// Says that the reader took so many bytes of them; `None` = everything.
    pub(crate) fn read(&self, channel: u32, bytes: Option<usize>) {
        let consumption = &mut self.state().consumption;
        match bytes {
            Some(bytes) => consumption.read(channel, bytes),
            None => consumption.release(channel),
        }
    }

    /// The buffers that items of the last chunk refer to.
    pub(crate) fn buffers(&self) -> Vec<Bytes> {
        self.state().buffers.clone()
    }

    /// Says what is listened for on a channel.
    pub(crate) fn set_filter(&self, channel: u32, filter: Filter) {
        self.state().filters.set(channel, filter);
    }

    /// Says that a channel listens for one name more; returns whether the last chunk has passed over
    /// a message that nobody listened for.
    pub(crate) fn listen(&self, channel: u32, name: String) -> bool {
        let mut state = self.state();
        state.filters.listen(channel, name);
        state.has_passed_over
    }

    /// Says that a channel no longer listens for these.
    pub(crate) fn unlisten(&self, channel: u32, names: &[String]) {
        self.state().filters.unlisten(channel, names);
    }

    /// Forgets what belongs to a node's last life, which has nothing to do with its next one.
    pub(crate) fn begin(&self, bounds: Bounds) {
        let mut state = self.state();
        state.filters.clear();
        state.bounds = bounds;
        state.consumption = Consumption::default();
        for entry in &mut state.entries {
            if let Entry::Messages { mark, .. } | Entry::Line { mark, .. } = entry {
                *mark = None;
            }
        }
    }

    /// Whether JavaScript was woken and has not yet found the queue empty.
    #[cfg(shared_reads)]
    pub(crate) fn is_awake(&self) -> bool {
        self.state().awake
    }

    pub(crate) fn counters(&self) -> Counters {
        let state = self.state();
        Counters {
            waiting_bytes: state.bytes as u64,
            ..state.counters
        }
    }

    fn push(&self, entry: Entry) {
        let wake = self.state().push(entry);
        if wake && !(self.ring)() {
            let mut state = self.state();
            *state = State {
                dead: true,
                ..State::default()
            };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns whether JavaScript must be woken.
    fn push(&mut self, entry: Entry) -> bool {
        // While JavaScript is at it, the handler of an earlier message may yet listen for this one.
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
            // JavaScript may have been idle for long; only from now on is it slow.
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
                // Names are looked for when JavaScript drains, unless there is only one.
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

    /// Puts what JavaScript is to know of dropped messages before everything that still waits: it may
    /// take long over that.
    fn tell_lost(&mut self) {
        let lately = |at: Instant| at.elapsed() < TELL_LOST_EVERY;
        if self.lost.count == 0 || !self.is_empty() && self.told_lost_at.is_some_and(lately) {
            return;
        }
        let Lost { count, chunks } = std::mem::take(&mut self.lost);
        self.told_lost_at = Some(Instant::now());
        let at = self.cursor.entry + usize::from(self.cursor.offset > 0);
        let notice = Entry::Notice(Notice::lost(count, &chunks));
        self.entries.insert(at.min(self.entries.len()), notice);
    }

    fn is_empty(&self) -> bool {
        self.cursor.entry >= self.entries.len()
    }

    /// Forgets what lies before the cursor: JavaScript is through with it.
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

    fn step(&mut self, seal: &Seal) -> Step {
        self.tell_lost();
        let seal = (self.distrusted == 0).then_some(seal);
        self.tally = Tally::of(&self.counters);
        let mut chunk = Chunk::new(self.cursor, self.tally, self.budget, seal);
        let mut scanned = 0;
        let unheard = self.counters.unheard;
        while !chunk.is_full() && scanned < SCAN {
            let Some(entry) = self.entries.get(self.cursor.entry) else {
                break;
            };
            let (filters, counters) = (&self.filters, &mut self.counters);
            let before = self.cursor;
            match entry {
                Entry::Notice(notice) => {
                    self.cursor.next_entry();
                    chunk.notice(&notice.json, self.cursor);
                    chunk.note(counters);
                    if notice.ends_chunk {
                        break;
                    }
                }
                Entry::Log(notice) => {
                    self.cursor.next_entry();
                    chunk.notice(&notice.json, self.cursor);
                    chunk.note(counters);
                }
                Entry::Line { channel, text, .. } => {
                    self.cursor.next_entry();
                    scanned += text.len();
                    match text::array(text) {
                        _ if !filters.wants_lines(*channel) => counters.unheard += 1,
                        None => counters.unreadable += 1,
                        Some(text) => {
                            counters.crossed += 1;
                            chunk.line(*channel, text, self.cursor);
                            chunk.note(counters);
                        }
                    }
                }
                Entry::Messages {
                    channel, payload, ..
                } => {
                    self.cursor = chunk.messages(*channel, payload, before, filters, counters);
                    scanned += match self.cursor.entry == before.entry {
                        true => self.cursor.offset - before.offset,
                        false => payload.body().len() - before.offset,
                    };
                }
            }
        }
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
        self.is_unproven = seal.is_some();
        self.distrusted = self.distrusted.saturating_sub(1);
        let finished = chunk.finish();
        (self.marks, self.tallies) = (finished.marks, finished.tallies);
        self.buffers = finished.buffers;
        Step::Chunk(finished.text)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
