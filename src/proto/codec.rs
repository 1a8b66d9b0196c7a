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

/// What a line counts as before a handshake, however short it is, in bytes.
pub const LEAST_LINE: usize = 1 << 10;

/// How much of a peer's input may have to be held to make one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// What may come up to a handshake, the lines with their newlines, in bytes. Each counts as
    /// [`LEAST_LINE`] at least: short ones take more time than their bytes.
    pub unconnected: usize,
    /// The longest line after it, in bytes without the newline.
    pub line: usize,
    /// The largest frame, in bytes after its length.
    pub frame: usize,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        Self {
            unconnected: config.max_unconnected_bytes,
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
    /// [`Limits::unconnected`] is used up.
    #[error("too much before a handshake")]
    TooMuchUnconnected,
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
    /// How much may still come up to a handshake; `None` after it.
    unconnected: Option<usize>,
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
            unconnected: Some(limits.unconnected),
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
        loop {
            // A long line comes in many pieces: look at each byte once.
            searched = searched.min(input.len());
            let newline = memchr(b'\n', &input[searched..]).map(|at| searched + at);
            self.admit(newline, input.len())?;
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
                let is_first = self.unconnected.take().is_some();
                if is_first && self.offers_native && hello.native.is_some() {
                    self.mode = Mode::Frames;
                }
            }
            return Ok(Some(message));
        }
    }
    /// Checks what is there of a line, up to its end if that is known, against the limits.
    fn admit(&mut self, newline: Option<usize>, len: usize) -> Result<(), DecodeError> {
        let Some(left) = &mut self.unconnected else {
            return match newline.unwrap_or(len) > self.limits.line {
                true => Err(DecodeError::LineTooLong),
                false => Ok(()),
            };
        };
        let line = newline.map_or(len, |newline| LEAST_LINE.max(newline + 1));
        let rest = left.checked_sub(line);
        let rest = rest.ok_or(DecodeError::TooMuchUnconnected)?;
        if newline.is_some() {
            *left = rest;
        }
        Ok(())
    }
}
