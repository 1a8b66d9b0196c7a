//! The limits of a decoder, and its errors.

use crate::proto::Config;

/// The minimum that a line or frame of an unconnected link costs, in bytes.
pub const LEAST: usize = 1 << 10;

/// How much of a peer's input may be buffered for one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Input of an unconnected link, in bytes, including newlines and length fields. Each line and
    /// frame costs at least [`LEAST`], because short ones take more time than their bytes suggest.
    pub unconnected: usize,
    /// The longest line of a peer, in bytes without the newline.
    pub line: usize,
    /// The largest frame of a peer, in bytes after its length.
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

/// The framing is lost: nothing after it on the link can be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// A line exceeds its limit.
    #[error("line too long")]
    LineTooLong,
    /// [`Limits::unconnected`] is used up.
    #[error("too much data on an unconnected link")]
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
