//! One JSON text for JavaScript, built from many messages.
//!
//! The text is an array of items:
//!
//! - a number: the channel of the messages that follow;
//! - a string, a number and an array: the name of consecutive events, their number of arguments,
//!   and the arguments of all of them, one event after the other. Events without arguments have a
//!   `0` each in the array. V8 parses such a flat list in about two thirds of the time that one
//!   array per event takes (`npm run bench:crossing`);
//! - the same with -1 minus the number of arguments: events with attachments. Before the arguments
//!   of each event stand the number of its attachments and the place of each;
//! - `null` and an array: consecutive stream chunks, the place of each;
//! - an object with the type `t`: a raw line, a notice.
//!
//! A place is three numbers: the index of a buffer built by [`Parcel`], and the first byte and the
//! length within it.
//!
//! A text from the network enters it only after [`text`] has validated all of it.

use std::fmt::Write as _;
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

/// A chunk that is being built.
pub(crate) struct Chunk {
    text: String,
    budget: usize,
    channel: Option<u32>,
    list: Option<List>,
    start: Cursor,
    marks: Vec<Cursor>,
    /// The counters at each mark.
    tallies: Vec<Tally>,
    tally: Tally,
    parcel: Parcel,
}

/// A finished chunk.
pub(crate) struct Finished {
    pub(crate) text: String,
    /// Where each item ended.
    pub(crate) marks: Vec<Cursor>,
    /// The counters at each mark.
    pub(crate) tallies: Vec<Tally>,
    /// The buffers that items refer to.
    pub(crate) buffers: Vec<Bytes>,
}

/// How many bytes outside the text fill a chunk like one byte of text: they need no parsing.
const BYTES_PER_TEXT: usize = 4;

/// The fate of a message.
enum Fate {
    Crossed,
    Unheard,
    Unreadable,
}

/// The list at the end of the text, still open.
enum List {
    Events {
        /// The events' name: its place in the text.
        name: Range<usize>,
        /// The number of arguments of each event.
        arity: usize,
        has_attachments: bool,
    },
    Chunks,
}

impl Chunk {
    /// An empty chunk that starts at `start` and is full at `budget` bytes.
    pub(crate) fn new(start: Cursor, tally: Tally, budget: usize) -> Self {
        Self {
            text: String::new(),
            budget,
            channel: None,
            list: None,
            start,
            marks: Vec::new(),
            tallies: Vec::new(),
            tally,
            parcel: Parcel::default(),
        }
    }

    /// Notes the counters after the item that was added last.
    pub(crate) fn note(&mut self, counters: &Counters) {
        let Some(before) = self.marks.len().checked_sub(1) else {
            return;
        };
        if self.tallies.len() > before {
            return;
        }
        // Channels and names end where the item before them ended.
        self.tallies.resize(before, self.tally);
        self.tally = Tally::of(counters);
        self.tallies.push(self.tally);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.text.len() >= self.budget || self.parcel.len() >= self.budget * BYTES_PER_TEXT
    }

    pub(crate) fn finish(mut self) -> Finished {
        self.end_list();
        self.text.push(']');
        Finished {
            text: self.text,
            marks: self.marks,
            tallies: self.tallies,
            buffers: self.parcel.finish(),
        }
    }

    pub(crate) fn notice(&mut self, json: &str, after: Cursor) {
        self.item(after);
        self.text.push_str(json);
    }

    pub(crate) fn line(&mut self, channel: u32, json: &str, after: Cursor) {
        self.switch_to(channel);
        self.item(after);
        self.text.push_str(r#"{"t":"line","d":"#);
        self.text.push_str(json);
        self.text.push('}');
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
        // The filter has already passed the open list's name.
        if !self.lists(channel, text) && !filters.wants_event(channel, text) {
            return Fate::Unheard;
        }
        let Some(event) = validation::event(text) else {
            return Fate::Unreadable;
        };
        self.begin_events(channel, &event, false);
        self.text.push_str(match event.arity {
            0 => "0",
            _ => event.arguments,
        });
        self.marks.push(after);
        Fate::Crossed
    }

    fn stream(&mut self, channel: u32, chunk: Bytes, after: Cursor, filters: &Filters) -> Fate {
        if !filters.wants_chunks(channel) {
            return Fate::Unheard;
        }
        if matches!(self.list, Some(List::Chunks)) && self.channel == Some(channel) {
            self.text.push(',');
        } else {
            self.switch_to(channel);
            self.leading_item();
            self.text.push_str("null,\n[");
            self.list = Some(List::Chunks);
        }
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
        if !self.lists(channel, text) && !filters.wants_event(channel, text) {
            return Some(Fate::Unheard);
        }
        let event = validation::event(text)?;
        let mut attachments = Vec::new();
        while offset < message.len() {
            let (attachment, next) = prefixed(message, offset)?;
            attachments.push(message.slice(attachment));
            offset = next;
        }
        self.begin_events(channel, &event, true);
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{}", attachments.len());
        for attachment in attachments {
            self.text.push(',');
            self.place(attachment);
        }
        if event.arity > 0 {
            self.text.push(',');
            self.text.push_str(event.arguments);
        }
        self.marks.push(after);
        Some(Fate::Crossed)
    }

    /// Puts `bytes` into the parcel and their place into the text.
    fn place(&mut self, bytes: Bytes) {
        let length = bytes.len();
        let (buffer, offset) = self.parcel.add(bytes);
        let _ = write!(self.text, "{buffer},{offset},{length}");
    }

    fn switch_to(&mut self, channel: u32) {
        if self.channel.replace(channel) != Some(channel) {
            self.leading_item();
            let _ = write!(self.text, "{channel}");
        }
    }

    /// Whether `text` begins like an event of the list's name.
    fn lists(&self, channel: u32, text: &[u8]) -> bool {
        let Some(List::Events { name, .. }) = &self.list else {
            return false;
        };
        self.channel == Some(channel)
            && text
                .strip_prefix(b"[")
                .is_some_and(|rest| rest.starts_with(self.text[name.clone()].as_bytes()))
    }

    /// Ends the text with a list for `event`, ready for its arguments.
    fn begin_events(
        &mut self,
        channel: u32,
        event: &validation::Event<'_>,
        with_attachments: bool,
    ) {
        if let Some(List::Events {
            name,
            arity,
            has_attachments,
        }) = &self.list
            && self.channel == Some(channel)
            && (*arity, *has_attachments) == (event.arity, with_attachments)
            && self.text[name.clone()] == *event.name
        {
            self.text.push_str(",\n");
            return;
        }
        self.switch_to(channel);
        self.leading_item();
        let name = self.text.len()..self.text.len() + event.name.len();
        let arity = event.arity;
        let _ = match with_attachments {
            false => write!(self.text, "{},{arity},\n[", event.name),
            true => write!(self.text, "{},-{},\n[", event.name, arity + 1),
        };
        self.list = Some(List::Events {
            name,
            arity,
            has_attachments: with_attachments,
        });
    }

    fn end_list(&mut self) {
        if self.list.take().is_some() {
            self.text.push(']');
        }
    }

    /// Begins an item that only introduces messages. It ends where the item before it ended, so a
    /// rewind to it skips no message that the new filter may let through.
    fn leading_item(&mut self) {
        let after = self.marks.last().copied().unwrap_or(self.start);
        self.item(after);
    }

    fn item(&mut self, after: Cursor) {
        self.end_list();
        if self.marks.is_empty() {
            self.text.reserve(self.budget + self.budget / 4);
            self.text.push('[');
        } else {
            self.text.push_str(",\n");
        }
        self.marks.push(after);
    }
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
