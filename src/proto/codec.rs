//! Bytes to [`Message`]s and back: total and bounded, for both wires.
//!
//! A link begins with lines ([`line`]), the legacy wire. After handshakes in which both sides offer
//! it, it goes on with binary frames ([`native`]). [`Decoder`] reads both; whoever sends picks the
//! encoders of the one or the other module.

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
    /// It has not shaken hands yet.
    is_new: bool,
    /// How much may still come of it; `None` once it is a peer.
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
    /// A decoder for a fresh link. `offers_native`: our own handshake or ack on this link says that
    /// we speak the native wire, so the other side's may switch to it.
    pub fn new(limits: Limits, offers_native: bool) -> Self {
        Self {
            limits,
            offers_native,
            mode: Mode::Lines { searched: 0 },
            is_new: true,
            left: Some(limits.unconnected),
        }
    }

    /// It is a peer now, and may say as much as a peer may.
    pub fn connected(&mut self) {
        self.left = None;
    }

    /// Takes the next message from the front of `input`; `None` = it needs more bytes.
    ///
    /// Between calls, `input` may only be appended to. Messages refer to its memory, they copy no
    /// payloads. After an error the link is of no use.
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
            // A long line comes in many pieces: look at each byte once.
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
                // Only the first one counts: the wire of a link is settled once.
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

    /// A line or a frame has come.
    fn spends(&mut self, len: usize) -> Result<(), DecodeError> {
        if let Some(left) = &mut self.left {
            let rest = left.checked_sub(len.max(LEAST));
            *left = rest.ok_or(DecodeError::TooMuchUnconnected)?;
        }
        Ok(())
    }
}
