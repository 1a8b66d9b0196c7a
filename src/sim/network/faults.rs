//! Fault injection: partitions, half-open connections, starved processes.

use std::time::Duration;

use super::parts::{HostId, Port};
use super::{Cause, Network};
use crate::proto::{LinkId, Moment};

impl Network {
    /// Puts a host in a group; all begin in group 0.
    pub fn set_group(&mut self, host: HostId, group: u32) {
        self.hosts[host.index()].group = group;
    }

    /// Drops all data from one group to the other from now on.
    pub fn block(&mut self, from: u32, to: u32) {
        self.blocked.push((from, to));
    }

    /// Undoes every [`block`](Self::block). Data in TCP's buffers is delivered.
    pub fn unblock(&mut self) {
        self.blocked.clear();
        for wire in 0..self.wires.len() as u32 {
            for end in 0..2 {
                let generation = self.wires[wire as usize].generation;
                let port = Port {
                    wire,
                    generation,
                    end,
                };
                if std::mem::take(&mut self.end_of(port).stalled) {
                    // TCP's retry intervals have grown meanwhile.
                    let pause = self.rng.u64(0..1_000_000);
                    let at = self.now.0 + pause;
                    for _ in 0..self.end_of(port).inbound.len() {
                        self.at(Moment(at), Cause::Arrival(port));
                    }
                    self.end_of(port).last_arrival = Moment(at);
                }
            }
        }
    }

    /// Makes a connection lose everything, without telling its ends.
    pub fn make_half_open(&mut self, host: HostId, link: LinkId) {
        if let Some(port) = self.port(host, link) {
            self.wires[port.wire as usize].dead = true;
        }
    }

    /// Suspends a host's process for a while.
    pub fn starve(&mut self, host: HostId, time: Duration) {
        self.hosts[host.index()].starved_until = self.now.after(time);
    }

    pub(super) fn is_blocked(&self, from: HostId, to: HostId) -> bool {
        let (from, to) = (self.hosts[from.index()].group, self.hosts[to.index()].group);
        self.blocked.contains(&(from, to))
    }
}
