//! The queue from the driver to JavaScript: bounded, filtered, drained in chunks of JSON text.
//!
//! The driver puts events in and never waits. The first event while JavaScript is idle rings the
//! doorbell. JavaScript then drains until the queue is empty, so one ring is enough. The source of
//! a drained chunk stays in the queue until the next drain. When a handler adds a listener,
//! JavaScript rewinds to its current message, and the rest is filtered again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::net::{Congestion, Sink};
use crate::proto::{Event, Mark};

use super::backlog::{Backlog, Bounds, Step};
use super::counters::Counters;
use super::entry::Entry;
use super::filter::Filter;
use super::notice::Notice;

/// The queue. The driver and JavaScript share it.
pub(crate) struct Queue {
    backlog: Mutex<Backlog>,
    /// Wakes JavaScript. Returns false when JavaScript is gone.
    ring: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Sink for Queue {
    fn event(&self, event: Event) {
        let entry = match event {
            Event::Skipped {
                origin,
                count,
                stream,
            } => {
                let has_chunks = self.backlog().consumption.has_chunks(stream);
                Some(Entry::Notice(Notice::skipped(
                    origin.as_str(),
                    count,
                    has_chunks,
                )))
            }
            event => Entry::of(event),
        };
        if let Some(entry) = entry {
            self.push(entry);
        }
    }

    fn congestion(&self) -> Congestion {
        self.backlog().congestion()
    }

    fn consumed(&self) -> Vec<Mark> {
        self.backlog().consumption.take()
    }
}

impl Queue {
    /// A queue that calls `ring` to wake JavaScript. `ring` returns false when JavaScript is gone;
    /// it must not call back into the queue.
    pub(crate) fn new(ring: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            backlog: Mutex::new(Backlog::new()),
            ring: Box::new(ring),
        }
    }

    /// Adds a line for the application's logger.
    pub(crate) fn log(&self, level: &str, message: &str) {
        self.push(Entry::Log(Notice::log(level, message)));
    }

    /// The next chunk: about 16 KiB of JSON text, with at least one message. `None` when
    /// nothing is left. Frees the source of the last chunk.
    pub(crate) fn drain(&self) -> Option<String> {
        self.backlog().drained();
        loop {
            let step = self.backlog().step();
            match step {
                Step::Chunk(text) => return Some(text),
                Step::ScanOn => {}
                Step::Empty => return None,
            }
        }
    }

    /// JavaScript consumed only the first `consumed` messages of the last chunk. The next chunk
    /// starts after them.
    pub(crate) fn rewind(&self, consumed: usize) {
        self.backlog().rewind(consumed);
    }

    /// Whether JavaScript has consumed so much that waiting senders should be told now.
    pub(crate) fn has_news(&self) -> bool {
        self.backlog().consumption.is_news()
    }

    /// From now on, stream chunks of `channel` wait for their reader.
    pub(crate) fn hold(&self, channel: u32) {
        self.backlog().consumption.hold(channel);
    }

    /// The reader took this many of their bytes; `None` = all.
    pub(crate) fn read(&self, channel: u32, bytes: Option<usize>) {
        let consumption = &mut self.backlog().consumption;
        match bytes {
            Some(bytes) => consumption.read(channel, bytes),
            None => consumption.release(channel),
        }
    }

    /// The buffers that messages of the last chunk refer to.
    pub(crate) fn buffers(&self) -> Vec<Bytes> {
        self.backlog().buffers.clone()
    }

    /// Sets the filter of a channel.
    pub(crate) fn set_filter(&self, channel: u32, filter: Filter) {
        self.backlog().filters.set(channel, filter);
    }

    /// Adds a name to a channel's filter. Returns whether the last chunk omitted messages without a
    /// listener.
    pub(crate) fn listen(&self, channel: u32, name: String) -> bool {
        let mut backlog = self.backlog();
        backlog.filters.listen(channel, name);
        backlog.has_passed_over
    }

    /// Removes names from a channel's filter.
    pub(crate) fn unlisten(&self, channel: u32, names: &[String]) {
        self.backlog().filters.unlisten(channel, names);
    }

    /// Begins a new life of the node.
    pub(crate) fn begin(&self, bounds: Bounds) {
        self.backlog().begin(bounds);
    }

    /// Whether JavaScript was woken and has not yet found the queue empty.
    #[cfg(shared_reads)]
    pub(crate) fn is_awake(&self) -> bool {
        self.backlog().awake
    }

    pub(crate) fn counters(&self) -> Counters {
        self.backlog().counters()
    }

    fn push(&self, entry: Entry) {
        let wake = self.backlog().push(entry);
        if wake && !(self.ring)() {
            *self.backlog() = Backlog::dead();
        }
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
