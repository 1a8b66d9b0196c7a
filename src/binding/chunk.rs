//! One JSON text for JavaScript, built from many messages.
//!
//! The text is three flat lists:
//!
//! - the kinds of messages, three items each: the channel, the name, and the number of values of
//!   each message. The name is an event's, or `null` for stream chunks, [`NOTICE`] or [`LINE`];
//! - the runs of messages of one kind, two numbers each: the index of the kind, and the number of
//!   messages;
//! - the values of all messages, one message after the other: an event's arguments, a chunk's
//!   place, a notice, a line.
//!
//! The values stand in one list because V8 parses objects faster if the one before them has the
//! same members (`npm run bench:crossing`).
//!
//! Events with attachments have -1 minus the number of arguments as their number of values. Before
//! the arguments of each stand the number of its attachments and the place of each. A place is
//! three numbers: the index of a buffer built by [`Parcel`], and the first byte and the length
//! within it.
//!
//! A text from the network enters it only after [`validation`] has validated all of it.

use std::fmt::{Display, Write as _};
use std::ops::Range;

use bytes::Bytes;

use crate::proto::{Kind, Payload};

use super::counters::{Counters, Tally};
use super::filter::Filters;
use super::parcel::Parcel;
use super::validation;

/// A place in the queue: before the message at `offset` in the body of entry number `entry`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cursor {
    pub(crate) entry: usize,
    pub(crate) offset: usize,
}

impl Cursor {
    pub(crate) fn next_entry(&mut self) {
        *self = Self {
            entry: self.entry + 1,
            offset: 0,
        };
    }
}

/// The name of the kind of notices, whose channel is 0.
const NOTICE: &str = "0";
/// The name of the kind of raw lines.
const LINE: &str = "1";
/// The name of the kind of stream chunks.
const CHUNKS: &str = "null";
/// The number of values of a stream chunk: those of a place.
const PLACE: isize = 3;
/// How many kinds a message's is looked for among. Beyond that, it is listed again.
const RECENT: usize = 8;

/// A chunk that is being built.
pub(crate) struct Chunk {
    /// The texts of the three lists, without brackets.
    kinds: String,
    runs: String,
    values: String,
    budget: usize,
    known: Vec<Known>,
    run: Option<Run>,
    marks: Vec<Cursor>,
    /// The counters at each mark.
    tallies: Vec<Tally>,
    parcel: Parcel,
}

/// A listed kind.
struct Known {
    channel: u32,
    /// The place of the name in the text of the kinds.
    name: Range<usize>,
    values: isize,
}

/// The last run, which is not in the text yet.
#[derive(Clone, Copy)]
struct Run {
    kind: usize,
    count: usize,
}

/// A finished chunk.
pub(crate) struct Finished {
    pub(crate) text: String,
    /// Where each message ended.
    pub(crate) marks: Vec<Cursor>,
    /// The counters at each mark.
    pub(crate) tallies: Vec<Tally>,
    /// The buffers that places refer to.
    pub(crate) buffers: Vec<Bytes>,
}

/// A message counts as at least this many bytes of text.
const LEAST: usize = 4;

/// How many bytes outside the text fill a chunk like one byte of text: they need no parsing.
const BYTES_PER_TEXT: usize = 4;

/// The fate of a message.
enum Fate {
    Crossed,
    Unheard,
    Unreadable,
}

impl Chunk {
    /// An empty chunk that is full at `budget` bytes.
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            kinds: String::new(),
            runs: String::new(),
            values: String::new(),
            budget,
            known: Vec::new(),
            run: None,
            marks: Vec::new(),
            tallies: Vec::new(),
            parcel: Parcel::default(),
        }
    }

    /// Notes the counters after the message that was added last.
    pub(crate) fn note(&mut self, counters: &Counters) {
        if self.tallies.len() < self.marks.len() {
            self.tallies.push(Tally::of(counters));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        let text = self.kinds.len() + self.runs.len() + self.values.len();
        text >= self.budget
            || self.marks.len() * LEAST >= self.budget
            || self.parcel.len() >= self.budget * BYTES_PER_TEXT
    }

    pub(crate) fn finish(mut self) -> Finished {
        self.end_run();
        let Self {
            kinds,
            runs,
            values,
            ..
        } = self;
        Finished {
            text: format!("[[{kinds}],[{runs}],[{values}]]"),
            marks: self.marks,
            tallies: self.tallies,
            buffers: self.parcel.finish(),
        }
    }

    pub(crate) fn notice(&mut self, json: &str, after: Cursor) {
        self.begin(0, NOTICE, 1);
        self.value(json);
        self.marks.push(after);
    }

    pub(crate) fn line(&mut self, channel: u32, json: &str, after: Cursor) {
        self.begin(channel, LINE, 1);
        self.value(json);
        self.marks.push(after);
    }

    /// Adds the messages of `payload` from `cursor` on, until the chunk is full. Returns the place
    /// of the first message not processed.
    pub(crate) fn messages(
        &mut self,
        channel: u32,
        payload: &Payload,
        mut cursor: Cursor,
        filters: &Filters,
        counters: &mut Counters,
    ) -> Cursor {
        let body = payload.body();
        loop {
            let message = match payload.kind() {
                Kind::Events => line(body, cursor.offset),
                Kind::Chunks | Kind::Rich => prefixed(body, cursor.offset),
            };
            match &message {
                Some((_, next)) if *next < body.len() => cursor.offset = *next,
                _ => cursor.next_entry(),
            }
            let fate = match (message, payload.kind()) {
                (None, _) => Fate::Unreadable,
                (Some((range, _)), Kind::Events) => {
                    self.event(channel, &body[range], cursor, filters)
                }
                (Some((range, _)), Kind::Chunks) => {
                    self.stream(channel, body.slice(range), cursor, filters)
                }
                (Some((range, _)), Kind::Rich) => {
                    let fate = self.rich(channel, &body.slice(range), cursor, filters);
                    fate.unwrap_or(Fate::Unreadable)
                }
            };
            match fate {
                Fate::Crossed => counters.crossed += 1,
                Fate::Unheard => counters.unheard += 1,
                Fate::Unreadable => counters.unreadable += 1,
            }
            self.note(counters);
            if cursor.offset == 0 || self.is_full() {
                return cursor;
            }
        }
    }

    fn event(&mut self, channel: u32, text: &[u8], after: Cursor, filters: &Filters) -> Fate {
        if !self.wants(channel, text, filters) {
            return Fate::Unheard;
        }
        let Some(event) = validation::event(text) else {
            return Fate::Unreadable;
        };
        self.begin(channel, event.name, event.arity as isize);
        self.arguments(&event);
        self.marks.push(after);
        Fate::Crossed
    }

    fn stream(&mut self, channel: u32, chunk: Bytes, after: Cursor, filters: &Filters) -> Fate {
        if !filters.wants_chunks(channel) {
            return Fate::Unheard;
        }
        self.begin(channel, CHUNKS, PLACE);
        self.place(chunk);
        self.marks.push(after);
        Fate::Crossed
    }

    /// Adds an event with attachments. `None` if it is malformed.
    fn rich(
        &mut self,
        channel: u32,
        message: &Bytes,
        after: Cursor,
        filters: &Filters,
    ) -> Option<Fate> {
        let (json, mut offset) = prefixed(message, 0)?;
        let text = &message[json];
        if !self.wants(channel, text, filters) {
            return Some(Fate::Unheard);
        }
        let event = validation::event(text)?;
        let mut attachments = Vec::new();
        while offset < message.len() {
            let (attachment, next) = prefixed(message, offset)?;
            attachments.push(message.slice(attachment));
            offset = next;
        }
        self.begin(channel, event.name, -1 - event.arity as isize);
        append(&mut self.values, attachments.len());
        for attachment in attachments {
            self.place(attachment);
        }
        self.arguments(&event);
        self.marks.push(after);
        Some(Fate::Crossed)
    }

    /// Whether the event `text` has a listener. The filter has already passed the names of kinds.
    fn wants(&self, channel: u32, text: &[u8], filters: &Filters) -> bool {
        let has_passed = text.starts_with(b"[\"")
            && self.recent().any(|(_, known)| {
                known.channel == channel
                    && text[1..].starts_with(self.kinds[known.name.clone()].as_bytes())
            });
        has_passed || filters.wants_event(channel, text)
    }

    fn arguments(&mut self, event: &validation::Event<'_>) {
        if event.arity > 0 {
            self.value(event.arguments);
        }
    }

    /// Puts `bytes` into the parcel and their place among the values.
    fn place(&mut self, bytes: Bytes) {
        let length = bytes.len();
        let (buffer, offset) = self.parcel.add(bytes);
        append(&mut self.values, format_args!("{buffer},{offset},{length}"));
    }

    /// Adds one value, or several with commas between them.
    fn value(&mut self, text: &str) {
        if !self.values.is_empty() {
            self.values.push(',');
        }
        self.values.push_str(text);
    }

    /// Begins a message with that number of values.
    fn begin(&mut self, channel: u32, name: &str, values: isize) {
        if self.marks.is_empty() {
            self.values.reserve(self.budget + self.budget / 4);
        }
        let kind = self.kind(channel, name, values);
        match &mut self.run {
            Some(run) if run.kind == kind => run.count += 1,
            _ => {
                self.end_run();
                self.run = Some(Run { kind, count: 1 });
            }
        }
    }

    /// The index of a kind, which is listed now if it is not among the recent ones.
    fn kind(&mut self, channel: u32, name: &str, values: isize) -> usize {
        let is_it = |known: &Known| {
            (known.channel, known.values) == (channel, values)
                && self.kinds[known.name.clone()] == *name
        };
        if let Some((index, _)) = self.recent().find(|(_, known)| is_it(known)) {
            return index;
        }
        append(&mut self.kinds, format_args!("{channel},"));
        let start = self.kinds.len();
        self.kinds.push_str(name);
        self.known.push(Known {
            channel,
            name: start..self.kinds.len(),
            values,
        });
        append(&mut self.kinds, values);
        self.known.len() - 1
    }

    /// The kinds that were listed last, with their indexes.
    fn recent(&self) -> impl Iterator<Item = (usize, &Known)> {
        self.known.iter().enumerate().rev().take(RECENT)
    }

    fn end_run(&mut self) {
        if let Some(Run { kind, count }) = self.run.take() {
            append(&mut self.runs, format_args!("{kind},{count}"));
        }
    }
}

/// Adds an item to the text of a list.
fn append(list: &mut String, item: impl Display) {
    if !list.is_empty() {
        list.push(',');
    }
    // Writing to a string cannot fail.
    let _ = write!(list, "{item}");
}

/// The place of the line of `body` at `offset`, and the start of the next one.
fn line(body: &[u8], offset: usize) -> Option<(Range<usize>, usize)> {
    let rest = body.get(offset..)?;
    let end = offset + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    Some((offset..end, end + 1))
}

/// The place of the length-prefixed part of `body` at `offset`, and the start of the next one.
fn prefixed(body: &[u8], offset: usize) -> Option<(Range<usize>, usize)> {
    let start = offset.checked_add(4)?;
    let len = u32::from_be_bytes(body.get(offset..start)?.try_into().ok()?) as usize;
    let end = start.checked_add(len)?;
    (end <= body.len()).then_some((start..end, end))
}
