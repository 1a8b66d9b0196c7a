//! One JSON text for JavaScript, put together from many messages.

use std::fmt::Write as _;
use std::ops::Range;

use bytes::Bytes;

use crate::proto::{Kind, Payload};

use super::filter::Filters;
use super::queue::Counters;
use super::text;

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

/// What makes sure that JavaScript takes a text for what it is without having been looked through before:
/// two secrets of JavaScript's and ours.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Seal {
    /// Stands between the arguments of a sealed list: a number and commas.
    guard: String,
    /// Stands behind it, with the number of the list and of its arguments.
    end: String,
}

impl Seal {
    pub(crate) fn new(guard: u32, end: String) -> Self {
        Self {
            guard: format!(",{guard},"),
            end,
        }
    }
}

/// A chunk that is being put together.
pub(crate) struct Chunk<'a> {
    text: String,
    /// What lists are sealed with; without it, none are.
    seal: Option<&'a Seal>,
    /// How many are sealed.
    sealed: u32,
    budget: usize,
    channel: Option<u32>,
    /// The events whose arguments are being listed.
    listed: Option<Listed>,
    start: Cursor,
    marks: Vec<Cursor>,
    /// What had been counted at each mark.
    tallies: Vec<Tally>,
    tally: Tally,
    buffers: Vec<Bytes>,
    buffered: usize,
}

/// What becomes of messages, counted: what is given back is counted again when its turn comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    crossed: u64,
    unheard: u64,
    unreadable: u64,
}

impl Tally {
    pub(crate) fn of(counters: &Counters) -> Self {
        Self {
            crossed: counters.crossed,
            unheard: counters.unheard,
            unreadable: counters.unreadable,
        }
    }

    pub(crate) fn restore(self, counters: &mut Counters) {
        (counters.crossed, counters.unheard) = (self.crossed, self.unheard);
        counters.unreadable = self.unreadable;
    }
}

/// What is left of a chunk that was put together.
pub(crate) struct Finished {
    pub(crate) text: String,
    /// Where each item ended.
    pub(crate) marks: Vec<Cursor>,
    /// What had been counted there.
    pub(crate) tallies: Vec<Tally>,
    /// The buffers that items refer to.
    pub(crate) buffers: Vec<Bytes>,
}

/// What became of a message.
enum Fate {
    Crossed,
    Unheard,
    Unreadable,
}

/// Consecutive events of one name with one argument each.
struct Listed {
    /// The name, as it stands in the chunk's text.
    name: Range<usize>,
    /// What the last of them began with, up to its argument; most of the next ones will.
    lead: String,
    /// If the list is sealed: how many arguments it has.
    sealed: Option<u32>,
}

impl<'a> Chunk<'a> {
    /// An empty chunk that starts at `start` and is full with `budget` bytes.
    pub(crate) fn new(start: Cursor, tally: Tally, budget: usize, seal: Option<&'a Seal>) -> Self {
        let (text, marks, buffers) = (String::new(), Vec::new(), Vec::new());
        Self {
            text,
            seal,
            sealed: 0,
            budget,
            channel: None,
            listed: None,
            start,
            marks,
            tallies: Vec::new(),
            tally,
            buffers,
            buffered: 0,
        }
    }

    /// Notes what has been counted up to the item that was added last.
    pub(crate) fn note(&mut self, counters: &Counters) {
        let Some(before) = self.marks.len().checked_sub(1) else {
            return;
        };
        if self.tallies.len() > before {
            return;
        }
        // Items that only lead up to it end where the one before did.
        self.tallies.resize(before, self.tally);
        self.tally = Tally::of(counters);
        self.tallies.push(self.tally);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.text.len() + self.buffered >= self.budget
    }

    pub(crate) fn finish(mut self) -> Finished {
        self.end_list();
        self.text.push(']');
        Finished {
            text: self.text,
            marks: self.marks,
            tallies: self.tallies,
            buffers: self.buffers,
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

    /// Adds the messages of `payload` from `cursor` on, until the chunk is full; returns where it
    /// got to.
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
            let Some((range, _)) = message else {
                counters.unreadable += 1;
                return cursor;
            };
            let fate = self.add(channel, payload.kind(), body, range, cursor, filters);
            if cursor.offset == 0 {
                self.end_sealed();
            }
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

    /// Adds one message, if somebody listens for it.
    fn add(
        &mut self,
        channel: u32,
        kind: Kind,
        body: &Bytes,
        range: Range<usize>,
        after: Cursor,
        filters: &Filters,
    ) -> Fate {
        let wanted = match kind {
            Kind::Events => {
                if let Some(argument) = self.continues(channel, &body[range.clone()], after) {
                    self.list_on(argument, after);
                    return Fate::Crossed;
                }
                filters.wants_event(channel, &body[range.clone()])
            }
            Kind::Chunks => filters.wants_chunks(channel),
            Kind::Rich => prefixed(body, range.start)
                .is_none_or(|(json, _)| filters.wants_event(channel, &body[json])),
        };
        if !wanted {
            return Fate::Unheard;
        }
        match self.message(channel, kind, body, range, after) {
            Some(()) => Fate::Crossed,
            None => Fate::Unreadable,
        }
    }

    fn message(
        &mut self,
        channel: u32,
        kind: Kind,
        body: &Bytes,
        range: Range<usize>,
        after: Cursor,
    ) -> Option<()> {
        match kind {
            Kind::Events => {
                if let Some(single) = text::single(&body[range.clone()]) {
                    self.list(channel, single, after);
                    return Some(());
                }
                let json = text::event(&body[range])?;
                self.switch_to(channel);
                self.item(after);
                self.text.push_str(json);
            }
            Kind::Chunks => {
                self.switch_to(channel);
                self.item(after);
                let _ = write!(self.text, r#"{{"t":"chunk","n":{}}}"#, self.buffers.len());
                self.buffer(body.slice(range));
            }
            Kind::Rich => {
                let message = body.slice(range);
                let (json, mut offset) = prefixed(&message, 0)?;
                let json = text::event(&message[json])?;
                let mut attachments = Vec::new();
                while offset < message.len() {
                    let (attachment, next) = prefixed(&message, offset)?;
                    attachments.push(message.slice(attachment));
                    offset = next;
                }
                self.switch_to(channel);
                self.item(after);
                let (first, count) = (self.buffers.len(), attachments.len());
                let _ = write!(
                    self.text,
                    r#"{{"t":"rich","n":{first},"k":{count},"e":{json}}}"#
                );
                attachments
                    .into_iter()
                    .for_each(|attachment| self.buffer(attachment));
            }
        }
        Some(())
    }

    fn buffer(&mut self, buffer: Bytes) {
        self.buffered += buffer.len();
        self.buffers.push(buffer);
    }

    fn switch_to(&mut self, channel: u32) {
        if self.channel.replace(channel) != Some(channel) {
            // A rewind to here must not pass over messages that were filtered out since.
            let after = self.marks.last().copied().unwrap_or(self.start);
            self.item(after);
            let _ = write!(self.text, "{channel}");
        }
    }

    /// The argument of `event`, if it can follow those that are being listed. It is listened for, then,
    /// as they are.
    fn continues<'t>(&self, channel: u32, event: &'t [u8], after: Cursor) -> Option<&'t str> {
        let listed = self
            .listed
            .as_ref()
            .filter(|_| self.channel == Some(channel))?;
        if listed.sealed.is_none() && self.seals(after) {
            return None;
        }
        let rest = event.strip_prefix(listed.lead.as_bytes())?;
        if listed.sealed.is_some() {
            text::unproven_argument(rest)
        } else {
            text::last_argument(rest)
        }
    }

    /// Adds an event with one argument: consecutive ones of one name stand as the name and an array
    /// of the arguments, which JavaScript parses in three quarters of the time (`npm run bench:crossing`).
    ///
    /// To look through each argument, lest it pass for two or for something else, would be to parse it
    /// twice. So the arguments of one payload, but the first, are taken on trust: its list is *sealed*.
    /// `true` stands before it, the guard between its arguments, and behind it what only we can write
    /// there. If that is not where it belongs, JavaScript gives the list back and wants everything proven.
    fn list(&mut self, channel: u32, event: text::Single<'_>, after: Cursor) {
        let is_sealed = self.seals(after);
        let listed = self.listed.as_ref();
        let same = listed.filter(|listed| &self.text[listed.name.clone()] == event.name);
        if self.channel == Some(channel)
            && same.is_some_and(|listed| listed.sealed.is_some() == is_sealed)
        {
            return self.list_on(event.argument, after);
        }
        self.switch_to(channel);
        // A rewind to here must not pass over messages that were filtered out since.
        let before = self.marks.last().copied().unwrap_or(self.start);
        self.item(before);
        if is_sealed {
            self.text.push_str("true,\n");
        }
        let start = self.text.len();
        self.text.push_str(event.name);
        self.listed = Some(Listed {
            name: start..self.text.len(),
            lead: event.lead.to_owned(),
            sealed: is_sealed.then_some(1),
        });
        self.text.push_str(",\n[");
        self.text.push_str(event.argument);
        self.marks.push(after);
    }

    /// Whether a list that begins with what ends at `after` is sealed: if more of the payload follows.
    fn seals(&self, after: Cursor) -> bool {
        self.seal.is_some() && after.offset > 0
    }

    fn list_on(&mut self, argument: &str, after: Cursor) {
        let sealed = self
            .listed
            .as_mut()
            .and_then(|listed| listed.sealed.as_mut());
        if let (Some(count), Some(seal)) = (sealed, self.seal) {
            *count += 1;
            self.text.push_str(&seal.guard);
        } else {
            self.text.push_str(",\n");
        }
        self.text.push_str(argument);
        self.marks.push(after);
    }

    fn end_list(&mut self) {
        let Some(listed) = self.listed.take() else {
            return;
        };
        self.text.push(']');
        if let (Some(count), Some(seal)) = (listed.sealed, self.seal) {
            // Writing to a string cannot fail.
            let _ = write!(self.text, ",\n\"{}{}.{count}\"", seal.end, self.sealed);
            self.sealed += 1;
        }
    }

    /// What others sent does not stand in a list of unproven arguments.
    fn end_sealed(&mut self) {
        if self
            .listed
            .as_ref()
            .is_some_and(|listed| listed.sealed.is_some())
        {
            self.end_list();
        }
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

/// Where the line of `body` at `offset` is, and where the next one starts.
fn line(body: &[u8], offset: usize) -> Option<(Range<usize>, usize)> {
    let rest = body.get(offset..)?;
    let end = offset + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    Some((offset..end, end + 1))
}

/// Where the length-prefixed part of `body` at `offset` is, and where the next one starts.
fn prefixed(body: &[u8], offset: usize) -> Option<(Range<usize>, usize)> {
    let start = offset.checked_add(4)?;
    let len = u32::from_be_bytes(body.get(offset..start)?.try_into().ok()?) as usize;
    let end = start.checked_add(len)?;
    (end <= body.len()).then_some((start..end, end))
}
