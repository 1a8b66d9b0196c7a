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

/// The options that concern broadcasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) waits_for_receivers: bool,
    pub(super) slow_receiver_timeout: Duration,
    /// The largest window of this node.
    pub(super) window: usize,
}

/// All that a node knows of native broadcasts.
#[derive(Debug)]
pub(in crate::proto) struct State {
    pub(super) config: Settings,
    pub(super) now: Moment,
    /// The peers, in the order in which they came.
    pub(super) peers: Vec<Peer>,
    pub(super) counters: Counters,
    pub(super) out: Vec<Output>,
    pub(super) own: Origin,
    pub(super) streams: Streams,
    /// Streams whose watermark lazy peers have not been told.
    pub(super) dirty: BTreeSet<Origin>,
    /// Streams with a gap.
    pub(super) gaps: BTreeSet<Origin>,
    /// When the repair timer is due.
    pub(super) repair_at: Option<Moment>,
    /// When the connection to this node's first peer began.
    pub(super) joined_at: Option<Moment>,
    /// Whether a peer has told us its watermarks; before that, what we hear of is our beginning.
    /// Not so where a legacy peer came first: what was said since is on its way through it.
    pub(super) synced: bool,
    /// This node's broadcasts that not all receivers have consumed.
    pub(super) outstanding: Outstanding,
    /// The latest report of that to the driver: bytes, and the size of the window.
    pub(super) told: (usize, usize),
    /// Streams that a receiver has not consumed.
    pub(super) flowing: BTreeSet<Origin>,
    /// How many origins broadcast, this node included; when that was counted.
    pub(super) active: usize,
    pub(super) counted_at: Moment,
}

impl State {
    /// The state of a node that broadcasts as `own`.
    pub(in crate::proto) fn new(config: &Config, own: Origin) -> Self {
        Self {
            config: Settings {
                waits_for_receivers: config.waits_for_receivers,
                slow_receiver_timeout: config.slow_receiver_timeout,
                window: config.link_queue,
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

    /// A mark that no stream has, for something else.
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

    /// Streams, and the bytes cached and held.
    pub(in crate::proto) fn footprint(&self) -> [usize; 3] {
        self.streams.footprint()
    }

    /// Streams that a receiver has not consumed.
    pub(in crate::proto) fn flowing(&self) -> usize {
        self.flowing.len()
    }

    /// Streams with a gap.
    #[cfg(test)]
    pub(in crate::proto) fn gaps(&self) -> usize {
        self.gaps.len()
    }

    /// The next number of a stream that is known here.
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

    /// Has a run written to the legacy peers, if there are any.
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
