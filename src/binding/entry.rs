//! The entries of the queue to JavaScript.

use bytes::Bytes;

use crate::proto::{Event, Kind, Mark, Payload};

use super::consumption::Run;
use super::filter::BROADCAST;
use super::notice::Notice;

/// Cost of a message besides its bytes. It bounds the number of small messages, too.
pub(crate) const OVERHEAD: usize = 128;

/// One entry. `mark` identifies messages whose sender waits until they are consumed.
pub(crate) enum Entry {
    /// Events or stream chunks of a channel.
    Messages {
        channel: u32,
        payload: Payload,
        mark: Option<Mark>,
    },
    /// A JSON array with a path of the application's own.
    Line {
        channel: u32,
        text: Bytes,
        mark: Option<Mark>,
    },
    Notice(Notice),
    Log(Notice),
}

impl Entry {
    /// The entry of `event`. `None` if JavaScript needs nothing for it.
    pub(crate) fn of(event: Event) -> Option<Self> {
        Some(match event {
            Event::Broadcast { payload, mark } => Self::Messages {
                channel: BROADCAST,
                payload,
                mark,
            },
            Event::Direct {
                link,
                payload,
                mark,
            } => Self::Messages {
                channel: link.0,
                payload,
                mark,
            },
            Event::Line { link, text, mark } => Self::Line {
                channel: link.0,
                text,
                mark,
            },
            event => Self::Notice(Notice::of(&event)?),
        })
    }

    /// Its cost within the queue's bounds, in bytes.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Messages { payload, .. } => payload.body().len() + OVERHEAD,
            Self::Line { text, .. } => text.len() + OVERHEAD,
            Self::Notice(_) | Self::Log(_) => 0,
        }
    }

    /// The number of messages.
    pub(crate) fn count(&self) -> u32 {
        match self {
            Self::Messages { payload, .. } => payload.count(),
            Self::Line { .. } => 1,
            Self::Notice(_) | Self::Log(_) => 0,
        }
    }

    /// The messages as a run of their stream, if their sender waits for their consumption.
    pub(crate) fn run(&self) -> Option<Run> {
        let (Self::Messages { mark, .. } | Self::Line { mark, .. }) = self else {
            return None;
        };
        Some(Run {
            mark: (*mark)?,
            count: self.count(),
            bytes: self.cost(),
            chunks: self.chunks(),
        })
    }

    /// The channel, if the entry holds stream chunks.
    pub(crate) fn chunks(&self) -> Option<u32> {
        match self {
            Self::Messages {
                channel, payload, ..
            } if payload.kind() == Kind::Chunks => Some(*channel),
            _ => None,
        }
    }

    /// Its sender no longer waits for its consumption.
    pub(crate) fn unmark(&mut self) {
        if let Self::Messages { mark, .. } | Self::Line { mark, .. } = self {
            *mark = None;
        }
    }
}
