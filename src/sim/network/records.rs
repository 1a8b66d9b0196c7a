//! Records of members on simulated wires.

use std::collections::HashSet;
use std::sync::Arc;

use crate::proto::members::{Frame, Raw};
use crate::proto::{Message, Native};

/// Every record that nodes keep, so that nodes that decode equal ones share their memory.
#[derive(Debug, Default)]
pub(super) struct Records {
    known: HashSet<Raw>,
    /// How many may be known before unused ones are dropped.
    room: usize,
    /// Frames about members get lost.
    pub(super) are_withheld: bool,
}

impl Records {
    /// A message as it arrives, or `None` if it gets lost.
    pub(super) fn pass(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::Native(Native::Members(_)) if self.are_withheld => None,
            Message::Native(Native::Members(Frame::Records(records))) => {
                let records = records.into_iter().map(|raw| self.shared(raw)).collect();
                Some(Message::Native(Native::Members(Frame::Records(records))))
            }
            message => Some(message),
        }
    }

    fn shared(&mut self, raw: Raw) -> Raw {
        if let Some(known) = self.known.get(&raw) {
            return known.clone();
        }
        if self.known.len() >= self.room {
            self.known.retain(|raw| Arc::strong_count(raw) > 1);
            self.room = 1024 + 2 * self.known.len();
        }
        self.known.insert(raw.clone());
        raw
    }
}
