//! The spanning tree of each origin: which peers get pushes, which get a PRUNE, and faster links.

use std::time::Duration;

use super::peer::Peer;
use super::state::State;
use super::stream::Stream;
use crate::proto::codec::native;
use crate::proto::{Class, LAST_SEQUENCE, Level, LinkId, Origin, Publish, Range};

/// Faster links are sought from this sequence number on. For a quiet origin they are not worth the
/// messages.
const PREFER_FROM: u64 = 8;
/// An origin's tree is discarded after a silence this long: links have come and gone.
const TREE_FOR: Duration = Duration::from_secs(60);

impl State {
    /// Opens the stream of `origin`. A new or long silent stream begins with the tree of the
    /// beacons.
    pub(super) fn open_stream(
        &mut self,
        origin: &Origin,
        next: u64,
        settled: bool,
        lazy: &[LinkId],
    ) -> &mut Stream {
        let now = self.now;
        let stream = self.streams.get(origin);
        let trusted = |stream: &Stream| stream.planted && now.since(stream.last_active) < TREE_FOR;
        if stream.is_some_and(trusted) {
            return self.streams.open(origin, next, settled, now);
        }
        let stream = self.streams.open(origin, next, settled, now);
        stream.plant(lazy);
        stream
    }

    /// Sends a run to every native peer that is neither `except` nor lazy for its origin.
    pub(super) fn push(&mut self, run: &Publish, except: Option<LinkId>, class: Class) {
        let mut frame = None;
        let mut announce = false;
        for index in 0..self.peers.len() {
            let peer = &self.peers[index];
            let (link, level) = (peer.link, peer.level);
            // The origin has its own broadcasts.
            if !peer.native || Some(link) == except || peer.id == run.origin.id {
                continue;
            }
            let Some(stream) = self.streams.get(&run.origin) else {
                return;
            };
            let view = stream.seen_view(link);
            if view.is_some_and(|view| view.has(run.last())) {
                continue;
            }
            let is_lazy = view.is_some_and(|view| view.lazy);
            if level == Level::Full || level == Level::High && class == Class::Forward {
                self.fall_behind(link);
            } else if is_lazy {
                announce = true;
            } else if self.is_oversized(link, run, class) {
                self.note_pushed(link, run);
            } else {
                let make = || {
                    let hops = run.hops.saturating_add(1);
                    native::publish(
                        &Publish {
                            hops,
                            ..run.clone()
                        },
                        class,
                    )
                };
                let data = frame.get_or_insert_with(make).clone();
                if class == Class::Forward {
                    self.counters.forwarded += u64::from(run.payload.count());
                }
                self.send(link, data);
                self.note_pushed(link, run);
            }
        }
        if announce {
            self.announce(&run.origin);
        }
    }

    /// Notes that a peer misses a broadcast; it catches up when its queue has room.
    pub(super) fn fall_behind(&mut self, link: LinkId) {
        if let Some(peer) = self.peer_mut(link) {
            peer.behind = true;
        }
    }

    fn note_pushed(&mut self, link: LinkId, run: &Publish) {
        self.await_receiver(link, &run.origin, run.first);
        if let Some(stream) = self.streams.get_mut(&run.origin) {
            let view = stream.view(link);
            view.sent = view.sent.max(run.last());
        }
    }

    /// A peer pushed a duplicate, so one of two peers must stop pushing.
    pub(super) fn on_duplicate(&mut self, link: LinkId, origin: Origin) {
        let is_source = self.source(&origin) == Some(link);
        let Some(stream) = self.streams.get_mut(&origin) else {
            return;
        };
        if !is_source && stream.is_fed_without(link, self.now) {
            return self.prune(link, origin);
        }
        // If the origin itself pushes, it hears our reports and adapts its pace to ours.
        if let Some(feeder) = stream
            .feeder()
            .filter(|feeder| is_source && *feeder != link)
        {
            stream.fed_by(link);
            self.prune(feeder, origin);
        }
    }

    /// A peer pushed the run that begins at `first`. If another peer announced it well before, this
    /// node grafts that peer. Once that peer's runs arrive first, the slower one is pruned.
    pub(super) fn look_for_faster(&mut self, link: LinkId, origin: Origin, first: u64) {
        let now = self.now;
        if first < PREFER_FROM || self.source(&origin) == Some(link) {
            return;
        }
        let Some(stream) = self.streams.get_mut(&origin) else {
            return;
        };
        let faster = stream.prefer(first, link, now);
        stream.note_progress(now);
        let (first, last) = (stream.next, stream.next);
        if let Some(faster) = faster.filter(|_| last <= LAST_SEQUENCE) {
            tracing::debug!(link = %faster, origin = %origin.id, "grafting a faster link");
            let range = Range {
                origin,
                first,
                last,
            };
            self.send(faster, native::graft(&range, u32::MAX));
        }
    }

    pub(super) fn prune(&mut self, link: LinkId, origin: Origin) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(&origin) else {
            return;
        };
        // One PRUNE is enough, unless a PRUNE and a GRAFT have crossed.
        if stream.view(link).was_told(now) {
            return;
        }
        stream.view(link).told = Some(now);
        self.counters.prunes += 1;
        self.send(link, native::prune(&origin));
    }

    pub(super) fn on_prune(&mut self, link: LinkId, origin: &Origin) {
        if let Some(stream) = self.streams.get_mut(origin) {
            stream.view(link).be_lazy();
        }
        if *origin == self.own {
            self.update_window();
        }
    }

    /// The link to the origin itself, if it is a peer with the same epoch.
    pub(super) fn source(&self, origin: &Origin) -> Option<LinkId> {
        let is_source = |peer: &&Peer| peer.id == origin.id && peer.epoch == Some(origin.epoch);
        Some(self.peers.iter().find(is_source)?.link)
    }
}
