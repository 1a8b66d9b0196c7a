//! The state of broadcasts.

use std::collections::BTreeSet;
use std::time::Duration;

use super::event::Output;
use super::intake::Outstanding;
use super::peer::Peer;
use super::streams::Streams;
use crate::proto::{
    Class, Config, Counters, Event, LinkId, Mark, Moment, Origin, Outgoing, Publish, Timer,
};

/// The options for broadcasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) waits_for_receivers: bool,
    pub(super) slow_receiver_timeout: Duration,
    /// The largest window of this node.
    pub(super) window: usize,
    /// With fewer peers, this node seeks more.
    pub(super) min_peers: usize,
}

/// The state of native broadcasts.
#[derive(Debug)]
pub(in crate::proto) struct State {
    pub(super) config: Settings,
    pub(super) now: Moment,
    /// The peers, in order of arrival.
    pub(super) peers: Vec<Peer>,
    pub(super) counters: Counters,
    pub(super) out: Vec<Output>,
    pub(super) own: Origin,
    pub(super) streams: Streams,
    /// Streams whose watermark the lazy peers have not got yet.
    pub(super) dirty: BTreeSet<Origin>,
    /// Streams with a gap.
    pub(super) gaps: BTreeSet<Origin>,
    /// When the repair timer is due.
    pub(super) repair_at: Option<Moment>,
    /// When the connection to this node's first peer opened.
    pub(super) joined_at: Option<Moment>,
    /// Whether the streams of this node have a beginning: the first watermarks of a peer set it. If
    /// a legacy peer came first, the beginning is its arrival, and later broadcasts come through
    /// it.
    pub(super) synced: bool,
    /// This node's broadcasts that not all receivers have consumed.
    pub(super) outstanding: Outstanding,
    /// The latest report to the driver: outstanding bytes, and the size of the window.
    pub(super) told: (usize, usize),
    /// Streams with a receiver that has not consumed everything.
    pub(super) flowing: BTreeSet<Origin>,
    /// How many origins broadcast, this node included.
    pub(super) active: usize,
    pub(super) counted_at: Moment,
}

impl State {
    pub(in crate::proto) fn new(config: &Config, own: Origin) -> Self {
        Self {
            config: Settings {
                waits_for_receivers: config.waits_for_receivers,
                slow_receiver_timeout: config.slow_receiver_timeout,
                window: config.link_queue,
                min_peers: config.min_peers,
            },
            now: Moment::default(),
            peers: Vec::new(),
            counters: Counters::default(),
            out: Vec::new(),
            streams: Streams::new(own.clone(), config.repair_bytes),
            own,
            dirty: BTreeSet::new(),
            gaps: BTreeSet::new(),
            repair_at: None,
            joined_at: None,
            synced: false,
            outstanding: Outstanding::default(),
            told: (0, 0),
            flowing: BTreeSet::new(),
            active: 1,
            counted_at: Moment::default(),
        }
    }

    /// Returns an unused mark, for direct messages.
    pub(in crate::proto) fn new_mark(&mut self) -> u32 {
        self.streams.new_mark()
    }

    /// Whether a mark names a stream of broadcasts.
    pub(in crate::proto) fn knows_mark(&self, mark: &Mark) -> bool {
        self.streams.marked(mark.stream).is_some()
    }

    /// The origin of this node's broadcasts.
    pub(in crate::proto) fn origin(&self) -> &Origin {
        &self.own
    }

    pub(in crate::proto) fn counters(&self) -> Counters {
        self.counters
    }

    /// The number of streams, and the bytes cached and held.
    pub(in crate::proto) fn footprint(&self) -> [usize; 3] {
        self.streams.footprint()
    }

    /// Streams with a receiver that has not consumed everything.
    pub(in crate::proto) fn flowing(&self) -> usize {
        self.flowing.len()
    }

    /// Streams with a gap.
    #[cfg(test)]
    pub(in crate::proto) fn gaps(&self) -> usize {
        self.gaps.len()
    }

    /// The next number of a known stream.
    #[cfg(test)]
    pub(in crate::proto) fn next_of(&self, origin: &Origin) -> Option<u64> {
        Some(self.streams.get(origin)?.next)
    }

    pub(super) fn send(&mut self, link: LinkId, data: Outgoing) {
        self.out.push(Output::Send { link, data });
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    pub(super) fn blame(&mut self, link: LinkId, what: &'static str) {
        self.out.push(Output::Blame { link, what });
    }

    pub(super) fn set_timer(&mut self, timer: Timer, after: Duration) {
        self.out.push(Output::SetTimer { timer, after });
    }

    /// Has the translator write a run to the legacy peers, if there are any.
    pub(super) fn translate(&mut self, run: &Publish, except: Option<LinkId>, class: Class) {
        if self.peers.iter().any(|peer| !peer.native) {
            self.out.push(Output::Translate {
                run: run.clone(),
                except,
                class,
            });
        }
    }

    pub(super) fn peer(&self, link: LinkId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.link == link)
    }

    pub(super) fn peer_mut(&mut self, link: LinkId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.link == link)
    }

    pub(super) fn is_native(&self, link: LinkId) -> bool {
        self.peer(link).is_some_and(|peer| peer.native)
    }

    /// The links of native peers, oldest first.
    pub(super) fn native_peers(&self) -> Vec<LinkId> {
        let native = self.peers.iter().filter(|peer| peer.native);
        native.map(|peer| peer.link).collect()
    }
}
