//! Frames that nodes send each other over the nodes between.
//!
//! | type | name | body |
//! |---|---|---|
//! | `0x24` | letter | `u8` hops, origin of the sender, `u8` count of receivers, receivers, `u8` kind, `u32` count, rest: payload |
//! | `0x25` | note | `u8` hops, origin of the sender, origin of the receiver, `u32` session, `u8` what, `u64` |
//! | `0x26` | sealed letter | the same as a letter, with the 16 bytes of a code after each receiver |
//! | `0x27` | sealed note | the 16 bytes of a code, and then the same as a note |
//!
//! A receiver is an origin, the `u32` session and the `u64` number of the first message. Hops are
//! the links that remain. A note says 0 = consumed up to that number, 1 = sent up to it, 2 = that
//! many messages were not delivered, and the origin that they were for follows. Nodes of closed
//! networks send only sealed frames (see [`seal`](super::seal)); other nodes never send them.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::proto::wire::{put_origin, take_origin};
use crate::proto::{CODE, Code, Kind, Origin, Payload};

/// The most receivers of one letter.
pub const MAX_RECEIVERS: usize = 64;
const LETTER: u8 = 0x24;
const NOTE: u8 = 0x25;
const SEALED_LETTER: u8 = 0x26;
const SEALED_NOTE: u8 = 0x27;
/// The same bound as in every frame with a payload.
const MAX_MESSAGES: u32 = 1 << 15;

/// A frame of routing.
#[derive(Clone, PartialEq, Debug)]
pub enum Frame {
    /// Messages.
    Letter(Letter),
    /// A report about letters.
    Note(Note),
}

/// Messages from one node to one or several others.
#[derive(Clone, PartialEq, Debug)]
pub struct Letter {
    /// How many more links it may cross.
    pub hops: u8,
    /// The sender and its epoch.
    pub from: Origin,
    /// The receivers.
    pub to: Vec<Receiver>,
    /// The messages.
    pub payload: Payload,
}

/// A receiver of a letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receiver {
    /// The node and its epoch.
    pub origin: Origin,
    /// The sender's session with it.
    pub session: u32,
    /// The number of the first message.
    pub first: u64,
    /// In a closed network, authenticates the letter from its sender to this receiver.
    pub code: Option<Code>,
}

/// A report about letters.
#[derive(Clone, PartialEq, Debug)]
pub struct Note {
    /// How many more links it may cross.
    pub hops: u8,
    /// The sender of the note.
    pub from: Origin,
    /// The receiver of the note.
    pub to: Origin,
    /// The session that it is about.
    pub session: u32,
    /// The content.
    pub what: What,
    /// In a closed network, authenticates the note.
    pub code: Option<Code>,
}

/// The content of a [`Note`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// "My application has consumed your messages up to this number."
    Consumed(u64),
    /// "I have sent messages up to this number. Those that did not reach you are lost."
    Sent(u64),
    /// "I could not forward this many messages to that node."
    Undelivered(u64, Origin),
}

impl Frame {
    /// The type bytes of these frames.
    pub const TYPES: std::ops::RangeInclusive<u8> = 0x24..=0x27;

    /// The type byte of this frame.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Letter(letter) if letter.is_sealed() => SEALED_LETTER,
            Self::Letter(_) => LETTER,
            Self::Note(note) if note.code.is_some() => SEALED_NOTE,
            Self::Note(_) => NOTE,
        }
    }

    /// Reads the body of a frame of type `kind`.
    pub fn read(kind: u8, body: Bytes) -> Option<Self> {
        match kind {
            LETTER => read_letter(body, false).map(Self::Letter),
            NOTE => read_note(body, false).map(Self::Note),
            SEALED_LETTER => read_letter(body, true).map(Self::Letter),
            SEALED_NOTE => read_note(body, true).map(Self::Note),
            _ => None,
        }
    }

    /// Writes the part before the payload, and returns the payload's bytes, which are shared.
    pub fn write(&self, head: &mut BytesMut) -> Bytes {
        match self {
            Self::Letter(letter) => {
                head.put_u8(letter.hops);
                put_origin(head, &letter.from);
                head.put_u8(letter.to.len().min(MAX_RECEIVERS) as u8);
                for receiver in letter.to.iter().take(MAX_RECEIVERS) {
                    put_origin(head, &receiver.origin);
                    head.put_u32(receiver.session);
                    head.put_u64(receiver.first);
                    head.put_slice(receiver.code.as_ref().map_or(&[], |code| code));
                }
                head.put_u8(letter.payload.kind() as u8);
                head.put_u32(letter.payload.count());
                letter.payload.body().clone()
            }
            Self::Note(note) => {
                head.put_slice(note.code.as_ref().map_or(&[], |code| code));
                head.put_u8(note.hops);
                note.write(head);
                Bytes::new()
            }
        }
    }
}

impl Letter {
    /// Whether each receiver has a code.
    fn is_sealed(&self) -> bool {
        self.to.iter().all(|receiver| receiver.code.is_some())
    }
}

impl Note {
    /// Writes the part that no node changes on the way.
    pub(super) fn write(&self, out: &mut BytesMut) {
        put_origin(out, &self.from);
        put_origin(out, &self.to);
        out.put_u32(self.session);
        match &self.what {
            What::Consumed(number) => put_word(out, 0, *number),
            What::Sent(number) => put_word(out, 1, *number),
            What::Undelivered(count, origin) => {
                put_word(out, 2, *count);
                put_origin(out, origin);
            }
        }
    }
}

fn take_code(body: &mut Bytes) -> Option<Code> {
    let code = body.first_chunk::<CODE>().copied()?;
    body.advance(CODE);
    Some(code)
}

fn put_word(head: &mut BytesMut, what: u8, number: u64) {
    head.put_u8(what);
    head.put_u64(number);
}

fn read_letter(mut body: Bytes, is_sealed: bool) -> Option<Letter> {
    let hops = body.try_get_u8().ok()?;
    let from = take_origin(&mut body)?;
    let receivers = usize::from(body.try_get_u8().ok()?);
    if receivers == 0 || receivers > MAX_RECEIVERS {
        return None;
    }
    let mut to = Vec::with_capacity(receivers);
    for _ in 0..receivers {
        let origin = take_origin(&mut body)?;
        let session = body.try_get_u32().ok().filter(|session| *session > 0)?;
        let first = body.try_get_u64().ok().filter(|first| *first > 0)?;
        let code = match is_sealed {
            true => Some(take_code(&mut body)?),
            false => None,
        };
        to.push(Receiver {
            origin,
            session,
            first,
            code,
        });
    }
    let kind = Kind::from_byte(body.try_get_u8().ok()?)?;
    let count = body.try_get_u32().ok()?;
    if count > MAX_MESSAGES {
        return None;
    }
    let payload = Payload::parse(kind, count, body)?;
    let ends = |to: &Receiver| to.first.checked_add(u64::from(count)).is_some();
    to.iter().all(ends).then_some(Letter {
        hops,
        from,
        to,
        payload,
    })
}

fn read_note(mut body: Bytes, is_sealed: bool) -> Option<Note> {
    let code = match is_sealed {
        true => Some(take_code(&mut body)?),
        false => None,
    };
    let hops = body.try_get_u8().ok()?;
    let from = take_origin(&mut body)?;
    let to = take_origin(&mut body)?;
    let session = body.try_get_u32().ok()?;
    let what = body.try_get_u8().ok()?;
    let number = body.try_get_u64().ok()?;
    let what = match what {
        0 => What::Consumed(number),
        1 => What::Sent(number),
        2 => What::Undelivered(number, take_origin(&mut body)?),
        _ => return None,
    };
    body.is_empty().then_some(Note {
        hops,
        from,
        to,
        session,
        what,
        code,
    })
}
