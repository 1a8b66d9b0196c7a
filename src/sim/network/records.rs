//! Records of members on simulated wires.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::{HostId, Network};
use crate::proto::members::{Frame, Raw};
use crate::proto::{Input, Message, Native};

/// Every record that nodes keep, so that nodes that decode equal ones share their memory.
#[derive(Debug, Default)]
pub(super) struct Records {
    known: HashSet<Raw>,
    /// How many may be known before unused ones are dropped.
    room: usize,
    /// Frames about members get lost.
    are_withheld: bool,
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

impl Network {
    /// Has frames about members get lost until [`Self::hand_out_records`]. While thousands of nodes
    /// join, flooding each version of each record takes most of a simulation's time.
    pub fn withhold_records(&mut self) {
        self.records.are_withheld = true;
    }

    /// Gives every running node the current records of all, as if they had come over each of its
    /// links at this moment. Then nobody need pass them on. Events are not reported.
    pub fn hand_out_records(&mut self) {
        if !std::mem::take(&mut self.records.are_withheld) {
            return;
        }
        let living = self.living();
        let own = living.iter().filter_map(|host| self.state(*host)?.record());
        let all: Vec<Raw> = own.collect();
        for host in living {
            self.hand_to(host, &all);
        }
        let is_reported = std::mem::replace(&mut self.is_reported, |_| false);
        // Meanwhile the nodes count their members.
        self.run_for(Duration::from_secs(5));
        self.is_reported = is_reported;
    }

    fn hand_to(&mut self, host: HostId, all: &[Raw]) {
        for link in self.peers(host) {
            let frame = Frame::Records(all.to_vec());
            let (link, message) = (link.id, Message::Native(Native::Members(frame)));
            self.input(host, Input::Received { link, message });
        }
    }
}
