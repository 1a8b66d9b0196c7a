//! Messages of an application; relays do not look inside.
//!
//! A [`Payload`] is a *run* of consecutive messages in one buffer. Relays forward the buffer. Only
//! a node that delivers or translates it iterates over its [`Item`]s.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::json;

/// The layout of the messages in a payload's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// JSON texts of `[event, ...args]`, joined by `\n`, which `JSON.stringify` never writes.
    Events = 0,
    /// Stream chunks, each a big-endian `u32` length and the bytes.
    Chunks = 1,
    /// Events with binary attachments. Each is a `u32` length of the rest, then a `u32` length and
    /// the JSON text, then a `u32` length and bytes per attachment. In the JSON an attachment
    /// stands as `{"\u0000b":index}`.
    Rich = 2,
}

impl Kind {
    /// The kind with that byte on the wire.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Events),
            1 => Some(Self::Chunks),
            2 => Some(Self::Rich),
            _ => None,
        }
    }
}

/// A run of one or more messages of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload {
    kind: Kind,
    count: u32,
    body: Bytes,
}

/// One message of a payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// The JSON text of `[event, ...args]`, not validated yet.
    Event(Bytes),
    /// A stream chunk.
    Chunk(Bytes),
    /// An event with binary attachments: the JSON text and the attachments.
    Rich(Bytes, Vec<Bytes>),
}

impl Payload {
    /// Reads a received body; `None` unless it holds exactly `count` messages.
    pub fn parse(kind: Kind, count: u32, body: Bytes) -> Option<Self> {
        let payload = Self { kind, count, body };
        let real = match kind {
            Kind::Events => memchr::memchr_iter(b'\n', &payload.body).count() as u64 + 1,
            Kind::Chunks => count_prefixed(&payload.body)?,
            Kind::Rich => count_rich(&payload.body)?,
        };
        (count > 0 && real == u64::from(count)).then_some(payload)
    }

    /// The events of one tick of the application: JSON texts joined by `\n`.
    pub fn events(body: Bytes) -> Self {
        let count = memchr::memchr_iter(b'\n', &body).count() as u32 + 1;
        Self {
            kind: Kind::Events,
            count,
            body,
        }
    }

    /// One stream chunk.
    pub fn chunk(chunk: &[u8]) -> Self {
        let mut body = BytesMut::with_capacity(4 + chunk.len());
        body.put_u32(chunk.len() as u32);
        body.put_slice(chunk);
        Self {
            kind: Kind::Chunks,
            count: 1,
            body: body.freeze(),
        }
    }

    /// One event with attachments.
    pub fn rich(json: &[u8], attachments: &[&[u8]]) -> Self {
        let inner = 4 + json.len() + attachments.iter().map(|a| 4 + a.len()).sum::<usize>();
        let mut body = BytesMut::with_capacity(4 + inner);
        body.put_u32(inner as u32);
        body.put_u32(json.len() as u32);
        body.put_slice(json);
        for attachment in attachments {
            body.put_u32(attachment.len() as u32);
            body.put_slice(attachment);
        }
        Self {
            kind: Kind::Rich,
            count: 1,
            body: body.freeze(),
        }
    }

    /// The layout of the body.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The number of messages; at least 1.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The body as on the wire.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The messages, in order.
    pub fn items(&self) -> Items {
        Items {
            kind: self.kind,
            left: self.count,
            rest: self.body.clone(),
        }
    }

    /// How many messages begin before `offset` in the body.
    pub(crate) fn count_before(&self, offset: usize) -> u32 {
        let body = self.body.get(..offset).unwrap_or(&self.body);
        match self.kind {
            Kind::Events => memchr::memchr_iter(b'\n', body).count() as u32,
            Kind::Chunks | Kind::Rich => count_prefixed(body).unwrap_or_default() as u32,
        }
    }

    /// Whether an event exceeds the nesting limit.
    pub(super) fn is_deep(&self) -> bool {
        match self.kind {
            Kind::Events => json::has_deep(&self.body),
            Kind::Rich => self
                .items()
                .any(|item| matches!(item, Item::Rich(text, _) if json::is_deep(&text))),
            Kind::Chunks => false,
        }
    }

    /// A copy with a body of its own, if it has fewer than `below` bytes.
    pub(super) fn detached(&self, below: usize) -> Self {
        let body = if self.body.len() < below {
            Bytes::copy_from_slice(&self.body)
        } else {
            self.body.clone()
        };
        Self { body, ..*self }
    }

    /// The first `take` messages; `None` if there are none.
    pub(super) fn take(&self, take: u32) -> Option<Self> {
        if take >= self.count {
            return Some(self.clone());
        }
        let mut items = self.items();
        for _ in 0..take {
            items.next();
        }
        let separator = usize::from(self.kind == Kind::Events);
        let end = (self.body.len() - items.rest.len()).checked_sub(separator)?;
        let body = self.body.slice(..end);
        let (kind, count) = (self.kind, take);
        (take > 0).then_some(Self { kind, count, body })
    }

    /// The payload without its first `skip` messages; `None` if none are left.
    pub fn skip(&self, skip: u32) -> Option<Self> {
        if skip >= self.count {
            return None;
        }
        let mut items = self.items();
        for _ in 0..skip {
            items.next();
        }
        Some(Self {
            kind: self.kind,
            count: self.count - skip,
            body: items.rest,
        })
    }
}

fn count_prefixed(mut rest: &[u8]) -> Option<u64> {
    let mut count = 0;
    while !rest.is_empty() {
        let len = rest.try_get_u32().ok()? as usize;
        rest = rest.get(len..)?;
        count += 1;
    }
    Some(count)
}

/// The same for messages of a text and attachments.
fn count_rich(mut rest: &[u8]) -> Option<u64> {
    let mut count = 0;
    while !rest.is_empty() {
        let len = rest.try_get_u32().ok()? as usize;
        let (message, after) = rest.split_at_checked(len)?;
        count_prefixed(message).filter(|parts| *parts > 0)?;
        rest = after;
        count += 1;
    }
    Some(count)
}

/// Iterates over the messages of a [`Payload`] without copying them.
#[derive(Clone, Debug)]
pub struct Items {
    kind: Kind,
    left: u32,
    rest: Bytes,
}

impl Iterator for Items {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.left = self.left.checked_sub(1)?;
        match self.kind {
            Kind::Events => {
                let end = memchr::memchr(b'\n', &self.rest).unwrap_or(self.rest.len());
                let text = self.rest.split_to(end);
                if !self.rest.is_empty() {
                    self.rest.advance(1);
                }
                Some(Item::Event(text))
            }
            Kind::Chunks => Some(Item::Chunk(take_prefixed(&mut self.rest)?)),
            Kind::Rich => {
                let mut inner = take_prefixed(&mut self.rest)?;
                let json = take_prefixed(&mut inner)?;
                let mut attachments = Vec::new();
                while !inner.is_empty() {
                    attachments.push(take_prefixed(&mut inner)?);
                }
                Some(Item::Rich(json, attachments))
            }
        }
    }
}

fn take_prefixed(rest: &mut Bytes) -> Option<Bytes> {
    let len = rest.try_get_u32().ok()? as usize;
    (len <= rest.len()).then(|| rest.split_to(len))
}
