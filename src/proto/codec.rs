//! Bytes to [`Message`]s and back, for both wires. No input panics, and memory is bounded.
//!
//! A link begins with lines ([`line`]), the legacy wire. If both handshakes offer the native wire,
//! the link continues with binary frames ([`native`]). [`Decoder`] reads both; a sender picks the
//! encoders of one of the two modules.

pub mod hello;
mod limits;
pub mod native;

use bytes::BytesMut;
use memchr::memchr;

use super::Message;
use super::legacy::line;
pub use limits::{DecodeError, LEAST, Limits};

/// Reads the messages of one link.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    offers_native: bool,
    mode: Mode,
    /// Whether the handshake is still missing.
    is_new: bool,
    /// Bytes left for an unconnected link; `None` once it is a peer.
    left: Option<usize>,
}

#[derive(Debug)]
enum Mode {
    /// This many bytes at the front of the input hold no newline.
    Lines {
        searched: usize,
    },
    Frames,
}

impl Decoder {
    /// A decoder for a new link. `offers_native`: our own handshake or ack on this link offers the
    /// native wire, so the other side may switch to it.
    pub fn new(limits: Limits, offers_native: bool) -> Self {
        Self {
            limits,
            offers_native,
            mode: Mode::Lines { searched: 0 },
            is_new: true,
            left: Some(limits.unconnected),
        }
    }

    /// Notes that the link has become a peer's: the limits of peers apply.
    pub fn connected(&mut self) {
        self.left = None;
    }

    /// Takes the next message from the front of `input`; `None` = more bytes are needed.
    ///
    /// Between calls, `input` may only be appended to. Messages share its memory and copy no
    /// payloads. After an error, the link is useless.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Message>, DecodeError> {
        match self.mode {
            Mode::Lines { searched } => self.next_line(input, searched),
            Mode::Frames => self.next_frame(input),
        }
    }

    /// How long the frame at the front of `input` is, its length included, if that is known and it
    /// is a peer's.
    pub fn frame(&self, input: &[u8]) -> Option<usize> {
        match (&self.mode, self.left) {
            (Mode::Frames, None) => native::frame(input, self.limits.frame),
            _ => None,
        }
    }

    fn next_line(
        &mut self,
        input: &mut BytesMut,
        mut searched: usize,
    ) -> Result<Option<Message>, DecodeError> {
        loop {
            // A long line arrives in many pieces; each byte is searched once.
            searched = searched.min(input.len());
            let newline = memchr(b'\n', &input[searched..]).map(|at| searched + at);
            if self.left.is_none() && newline.unwrap_or(input.len()) > self.limits.line {
                return Err(DecodeError::LineTooLong);
            }
            let Some(newline) = newline else {
                if self.left.is_some_and(|left| left < input.len()) {
                    return Err(DecodeError::TooMuchUnconnected);
                }
                self.mode = Mode::Lines {
                    searched: input.len(),
                };
                return Ok(None);
            };
            self.spends(newline + 1)?;
            searched = 0;
            self.mode = Mode::Lines { searched };
            let mut text = input.split_to(newline + 1).freeze();
            text.truncate(newline);
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let message = line::decode(&text);
            if let Message::Handshake(hello) | Message::HandshakeAck(hello) = &message {
                // Only the first handshake counts: the wire of a link is settled once.
                let is_first = std::mem::take(&mut self.is_new);
                if is_first && self.offers_native && hello.native.is_some() {
                    self.mode = Mode::Frames;
                }
            }
            return Ok(Some(message));
        }
    }

    fn next_frame(&mut self, input: &mut BytesMut) -> Result<Option<Message>, DecodeError> {
        let before = input.len();
        let limit = self.left.unwrap_or(self.limits.frame);
        let message = native::decode(input, limit.min(self.limits.frame));
        let message = message.map_err(|error| match error {
            DecodeError::FrameTooLong if self.left.is_some() => DecodeError::TooMuchUnconnected,
            error => error,
        })?;
        if message.is_some() {
            self.spends(before - input.len())?;
        }
        Ok(message)
    }

    /// Charges a line or frame to the budget of an unconnected link.
    fn spends(&mut self, len: usize) -> Result<(), DecodeError> {
        if let Some(left) = &mut self.left {
            let rest = left.checked_sub(len.max(LEAST));
            *left = rest.ok_or(DecodeError::TooMuchUnconnected)?;
        }
        Ok(())
    }
}
