//! Wires: TCP connections, and the frames on them.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;

use super::parts::{End, Frame, HostId, Port, Wire};
use super::{Cause, Network};
use crate::proto::codec::{Decoder, Limits};
use crate::proto::{Input, LinkId, Message, Moment, Native, Outgoing};

/// Maximum random delay of a frame in addition to the link latency, in µs.
const JITTER: u64 = 500;

impl Network {
    /// Creates a wire. Returns the dialer's end, which the dialer cannot use yet.
    pub(super) fn wire(
        &mut self,
        from: HostId,
        link: LinkId,
        to: HostId,
        latency: Duration,
    ) -> Port {
        let end = |host: HostId, link| {
            let node = &self.hosts[host.index()];
            End {
                host,
                life: node.life,
                link,
                open: true,
                inbound: VecDeque::new(),
                last_arrival: Moment(0),
                stalled: false,
                decoder: Decoder::new(Limits::from(&node.config), node.config.native),
                buffer: BytesMut::new(),
            }
        };
        let ends = [end(from, link), end(to, LinkId(0))];
        let wire = Wire {
            generation: 0,
            latency,
            dead: false,
            ends,
        };
        let index = match self.free.pop() {
            Some(index) => {
                let generation = self.wires[index as usize].generation + 1;
                self.wires[index as usize] = Wire { generation, ..wire };
                index
            }
            None => {
                self.wires.push(wire);
                self.wires.len() as u32 - 1
            }
        };
        let generation = self.wires[index as usize].generation;
        let port = Port {
            wire: index,
            generation,
            end: 0,
        };
        self.hosts[from.index()].links.push((link, port));
        port
    }

    /// Sends a frame towards `port`.
    pub(super) fn send(&mut self, port: Port, frame: Frame) {
        let jitter = Duration::from_micros(self.rng.u64(0..JITTER));
        let wire = &mut self.wires[port.wire as usize];
        if wire.generation != port.generation || wire.dead {
            return;
        }
        let end = &mut wire.ends[usize::from(port.end)];
        let at = self.now.after(wire.latency + jitter).max(end.last_arrival);
        end.last_arrival = at;
        end.inbound.push_back(frame);
        if !end.stalled {
            self.at(at, Cause::Arrival(port));
        }
    }

    pub(super) fn arrive(&mut self, port: Port) {
        let wire = &self.wires[port.wire as usize];
        if wire.generation != port.generation || wire.dead {
            return;
        }
        let [end, far] = [port, port.other()].map(|port| &wire.ends[usize::from(port.end)]);
        let (host, life, link, open) = (end.host, end.life, end.link, end.open);
        if self.is_blocked(far.host, host) {
            self.end_of(port).stalled = true;
            return;
        }
        if end.stalled {
            return;
        }
        let starved_until = self.hosts[host.index()].starved_until;
        if starved_until > self.now {
            self.end_of(port).last_arrival = starved_until;
            return self.at(starved_until, Cause::Arrival(port));
        }
        let Some(frame) = self.end_of(port).inbound.pop_front() else {
            return;
        };
        let running = self.hosts[host.index()].life == life && self.is_alive(host);
        if !open || !running {
            // Data for a closed socket: the sender gets a reset, unless the host is gone.
            if !matches!(frame, Frame::Fin | Frame::Reset) && !self.hosts[host.index()].dark {
                self.send(port.other(), Frame::Reset);
            }
            return;
        }
        match frame {
            Frame::Connected => {
                let remote = self.wires[port.wire as usize].ends[1].host.address();
                self.input(host, Input::Connected { link, remote });
            }
            Frame::Data(data) => self.read(host, port, &data),
            Frame::Fin => self.closed(host, port, link, "FIN"),
            Frame::Reset => self.closed(host, port, link, "ECONNRESET"),
        }
    }

    /// Closes this end, with `last` as the last frame.
    pub(super) fn hang_up(&mut self, port: Port, last: Frame) {
        let end = self.end_of(port);
        end.open = false;
        self.send(port.other(), last);
        self.recycle(port);
    }

    pub(super) fn port(&self, host: HostId, link: LinkId) -> Option<Port> {
        let links = &self.hosts[host.index()].links;
        links
            .iter()
            .find(|(other, _)| *other == link)
            .map(|(_, port)| *port)
    }

    pub(super) fn end_of(&mut self, port: Port) -> &mut End {
        &mut self.wires[port.wire as usize].ends[usize::from(port.end)]
    }

    pub(super) fn forget(&mut self, host: HostId, link: LinkId) {
        let links = &mut self.hosts[host.index()].links;
        if let Some(index) = links.iter().position(|(other, _)| *other == link) {
            links.swap_remove(index);
        }
    }

    fn closed(&mut self, host: HostId, port: Port, link: LinkId, reason: &str) {
        let unconnected = &mut self.hosts[host.index()].unconnected;
        unconnected.retain(|(other, ..)| *other != link);
        self.forget(host, link);
        self.hang_up(port, Frame::Fin);
        let reason = reason.to_owned();
        self.input(host, Input::Closed { link, reason });
    }

    /// Notes that a link has its handshake.
    pub(super) fn settle(&mut self, host: HostId, link: LinkId) {
        let unconnected = &mut self.hosts[host.index()].unconnected;
        unconnected.retain(|(other, ..)| *other != link);
        if let Some(port) = self.port(host, link) {
            self.end_of(port).decoder.connected();
        }
    }

    fn read(&mut self, host: HostId, port: Port, data: &Outgoing) {
        let end = self.end_of(port);
        end.buffer.extend_from_slice(&data.head);
        end.buffer.extend_from_slice(&data.body);
        loop {
            let end = self.end_of(port);
            if !end.open {
                return;
            }
            let link = end.link;
            let mut buffer = std::mem::take(&mut end.buffer);
            let message = end.decoder.next(&mut buffer);
            if !buffer.is_empty() {
                self.end_of(port).buffer = buffer;
            }
            match message {
                Ok(Some(message)) => {
                    let hops = self.count_message(host, &message);
                    if let Some(message) = self.records.pass(message) {
                        self.input_with_hops(host, Input::Received { link, message }, hops);
                    }
                }
                Ok(None) => return,
                Err(_) => return self.closed(host, port, link, "EPROTO"),
            }
        }
    }

    fn count_message(&mut self, host: HostId, message: &Message) -> u8 {
        let traffic = &mut self.hosts[host.index()].traffic;
        traffic.messages += 1;
        match message {
            Message::Native(Native::Publish(run)) => {
                traffic.copies += 1;
                run.hops
            }
            _ => 0,
        }
    }

    /// Frees a wire that neither end uses any more.
    pub(super) fn recycle(&mut self, port: Port) {
        let wire = &mut self.wires[port.wire as usize];
        if wire.ends.iter().all(|end| !end.open) {
            wire.generation += 1;
            for end in &mut wire.ends {
                end.inbound = VecDeque::new();
                end.buffer = BytesMut::new();
                end.stalled = false;
            }
            self.free.push(port.wire);
        }
    }
}
