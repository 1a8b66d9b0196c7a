//! Bytes to [`Message`]s and back: total and bounded, for both wires.
//!
//! A link begins with lines ([`mod@line`]), the legacy wire. After handshakes in which both sides offer
//! it, it goes on with binary frames ([`native`]). [`Decoder`] reads both; whoever sends picks the
//! encoders of the one or the other module.

mod base64;
pub mod line;
pub mod native;
pub mod packet;

use bytes::BytesMut;
use memchr::memchr;

use super::{Config, Message};

/// How much of a peer's input may have to be held to make one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The longest line before a handshake, in bytes without the newline.
    pub line_unconnected: usize,
    /// The longest line after it.
    pub line: usize,
    /// The largest frame, in bytes after its length.
    pub frame: usize,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        Self {
            line_unconnected: config.max_line_unconnected,
            line: config.max_line(),
            frame: config.max_frame(),
        }
    }
}

/// The framing is lost: nothing that follows on the link can be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// A line exceeds the limit that holds for it.
    #[error("line too long")]
    LineTooLong,
    /// A frame exceeds [`Limits::frame`].
    #[error("frame too long")]
    FrameTooLong,
    /// A frame has no type byte.
    #[error("empty frame")]
    EmptyFrame,
    /// No frame has this type.
    #[error("unknown frame type {0}")]
    UnknownFrame(u8),
}

/// Reads the messages of one link.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    offers_native: bool,
    mode: Mode,
    has_greeted: bool,
}

#[derive(Debug)]
enum Mode {
    /// The first so many bytes of the input hold no newline.
    Lines {
        searched: usize,
    },
    Frames,
}

impl Decoder {
    /// A decoder for a fresh link. `offers_native`: our own handshake or ack on this link says that
    /// we speak the native wire, so the other side's may switch to it.
    pub fn new(limits: Limits, offers_native: bool) -> Self {
        Self {
            limits,
            offers_native,
            mode: Mode::Lines { searched: 0 },
            has_greeted: false,
        }
    }

    /// Takes the next message from the front of `input`; `None` = it needs more bytes.
    ///
    /// Between calls, `input` may only be appended to. Messages refer to its memory, they copy no
    /// payloads. After an error the link is of no use.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Message>, DecodeError> {
        match self.mode {
            Mode::Lines { searched } => self.next_line(input, searched),
            Mode::Frames => native::decode(input, self.limits.frame),
        }
    }

    fn next_line(
        &mut self,
        input: &mut BytesMut,
        mut searched: usize,
    ) -> Result<Option<Message>, DecodeError> {
        let limit = if self.has_greeted {
            self.limits.line
        } else {
            self.limits.line_unconnected
        };
        loop {
            // A long line comes in many pieces: look at each byte once.
            searched = searched.min(input.len());
            let newline = memchr(b'\n', &input[searched..]).map(|at| searched + at);
            if newline.unwrap_or(input.len()) > limit {
                return Err(DecodeError::LineTooLong);
            }
            let Some(newline) = newline else {
                self.mode = Mode::Lines {
                    searched: input.len(),
                };
                return Ok(None);
            };
            searched = 0;
            self.mode = Mode::Lines { searched };
            let mut text = input.split_to(newline + 1).freeze();
            text.truncate(newline);
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let message = line::decode(&text);
            if let Message::Handshake(hello) | Message::HandshakeAck(hello) = &message {
                // Only the first one counts: the wire of a link is settled once.
                let is_first = !std::mem::replace(&mut self.has_greeted, true);
                if is_first && self.offers_native && hello.native.is_some() {
                    self.mode = Mode::Frames;
                }
            }
            return Ok(Some(message));
        }
    }
}
