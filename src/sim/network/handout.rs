//! Handing records of members out, instead of flooding them.

use std::time::Duration;

use super::{HostId, Network};
use crate::proto::members::{Frame, Raw};
use crate::proto::{Input, Message, Native};

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
