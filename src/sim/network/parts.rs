//! The parts of the network: hosts, applications, wires, connection attempts.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;

use crate::proto::codec::Decoder;
use crate::proto::{LinkId, Mark, Moment, Outgoing, Target};

/// The port of every host.
pub(super) const PORT: u16 = 4000;

/// A host. It runs at most one node at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostId(pub u32);

impl HostId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) fn ip(self) -> Ipv4Addr {
        Ipv4Addr::from((10 << 24) + self.0 + 1)
    }

    /// The address at which its node listens.
    pub fn address(self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ip()), PORT)
    }
}

/// The state of an application.
#[derive(Debug, Default)]
pub(super) struct Application {
    /// The time per message; `None` if it always keeps up.
    pub(super) pace: Option<Duration>,
    /// Messages not handled yet.
    pub(super) waiting: VecDeque<Mark>,
    /// Its progress in each stream, if not reported to its node yet.
    pub(super) consumed: BTreeMap<u32, u64>,
    /// Bytes outstanding, and the size of the window.
    pub(super) window: (usize, usize),
    pub(super) is_pressed: bool,
}

impl Application {
    pub(super) fn restart(&mut self) {
        let pace = self.pace;
        *self = Self {
            pace,
            ..Self::default()
        };
    }

    pub(super) fn take_consumed(&mut self) -> Vec<Mark> {
        let consumed = std::mem::take(&mut self.consumed);
        let mark = |(stream, last)| Mark { stream, last };
        consumed.into_iter().map(mark).collect()
    }
}

/// One end of a wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Port {
    pub(super) wire: u32,
    pub(super) generation: u32,
    pub(super) end: u8,
}

impl Port {
    pub(super) fn other(self) -> Self {
        Self {
            end: 1 - self.end,
            ..self
        }
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) generation: u32,
    pub(super) latency: Duration,
    /// Whether the wire loses everything, and neither side is told.
    pub(super) dead: bool,
    pub(super) ends: [End; 2],
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) host: HostId,
    pub(super) life: u32,
    pub(super) link: LinkId,
    /// Whether its owner still uses it.
    pub(super) open: bool,
    /// Data on its way to this end.
    pub(super) inbound: VecDeque<Frame>,
    pub(super) last_arrival: Moment,
    /// Whether frames wait for a partition to heal.
    pub(super) stalled: bool,
    pub(super) decoder: Decoder,
    pub(super) buffer: BytesMut,
}

#[derive(Debug)]
pub(super) enum Frame {
    /// The dialled side's answer to a dial.
    Connected,
    Data(Outgoing),
    Fin,
    Reset,
}

/// A connection attempt.
#[derive(Debug)]
pub(super) struct Syn {
    pub(super) from: HostId,
    pub(super) life: u32,
    pub(super) link: LinkId,
    pub(super) target: Target,
    /// The host that a balancer chose for it.
    pub(super) picked: Option<HostId>,
    pub(super) began: Moment,
}
