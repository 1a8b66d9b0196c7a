//! How much a decoder takes, and how it ends.

use crate::proto::Config;

/// The least that a line or frame of an unconnected link counts, in bytes, however short it is.
pub const LEAST: usize = 1 << 10;

/// How much of a peer's input may have to be held to make one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Input of an unconnected link, in bytes, with newlines and frames' lengths. Each
    /// line and frame counts as [`LEAST`] at least: short ones take more time than their bytes.
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

/// The framing is lost: nothing that follows on the link can be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// A line exceeds the limit that holds for it.
    #[error("line too long")]
    LineTooLong,
    /// [`Limits::unconnected`] is used up.
    #[error("too much before it is a peer")]
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
