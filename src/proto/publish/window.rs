//! Windows: how far an origin may run ahead of the slowest receiver.
//!
//! A node reports to the peers that push an origin's broadcasts to it how far they are *consumed*:
//! by its own application, and by all nodes below it in the tree. So the origin knows the slowest
//! receiver behind each peer. Broadcasts are *outstanding* until every receiver has consumed them.
//! Above a window, the origin's application is told to wait.
//!
//! - A node reports only to its *parent*, the peer that brought the latest accepted run. It tells
//!   other senders not to wait. So no node waits for itself, even if nodes push in a circle: all
//!   latest runs along the circle would be the same, and each node would have it before its sender.
//! - A receiver that consumes nothing for [`Config::slow_receiver_timeout`] is left out of its
//!   node's reports, and the origin learns its name (STALLED). The time that a message takes to
//!   cross a link does not count. So one hanging application does not stop the network. The
//!   receiver counts again as soon as it consumes.
//! - A node judges its own application. Its peers cannot: their messages may lie in the system's
//!   buffers for as long as a slow link takes. Peers leave a node out when it is silent, which ends
//!   the link, and when it reports nothing for [`PEERS_WAIT`] times as long.
//! - Nodes of 1.0.0 and legacy nodes do not report; they slow a sender down through their sockets.
//!
//! [`Config::slow_receiver_timeout`]: crate::proto::Config::slow_receiver_timeout

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::Output;
use super::state::State;
use super::stream::Stream;
use super::view::Taken;
use crate::proto::codec::native;
use crate::proto::{Event, LAST_SEQUENCE, Level, LinkId, Mark, NodeId, Origin, Publish, Watermark};

/// Reported instead of a number: do not wait for this node, another peer does. No broadcast has
/// this number.
const NO_MATTER: u64 = LAST_SEQUENCE;
/// How often a report is repeated to the parent while a large message is on its way.
const REPEAT_EVERY: Duration = Duration::from_secs(1);
/// How many times longer peers wait for a live node that reports nothing. The default of 60 s is
/// twice the time that Linux's largest send buffer (4 MiB) takes over 1 Mbit/s.
const PEERS_WAIT: u32 = 6;
/// Bytes that all origins of a network together may have outstanding: half of the cache for repair
/// ([`super::streams`]), because origins learn only gradually how many they are. With the whole
/// cache, the simulator showed four origins with broadcasts that could not be repaired.
const ALL_WINDOWS: usize = 16 << 20;
/// The origins that have broadcast within this time share it.
pub(super) const ACTIVE_FOR: Duration = Duration::from_secs(5);
/// An origin that begins to broadcast assumes this many origins until it has heard others: they may
/// have begun at the same moment.
const BEGINNERS: usize = 8;

impl State {
    /// Notes that this node sent a run.
    pub(super) fn note_sent(&mut self, run: &Publish) {
        if self.config.waits_for_receivers {
            self.outstanding.sent(run.last(), super::stream::cost(run));
        }
        let own = self.own.clone();
        self.note_flow(&own);
        self.update_window();
    }

    /// Notes that the messages from `first` to `last` went to the application. Returns their mark.
    pub(super) fn note_given(&mut self, origin: &Origin, first: u64, last: u64) -> Option<Mark> {
        let now = self.now;
        let stream = self.streams.get_mut(origin)?;
        let intake = &mut stream.intake;
        if intake.is_done() {
            (intake.consumed, intake.since) = (first - 1, now);
        }
        intake.given = last;
        let mark = Mark {
            stream: intake.mark,
            last,
        };
        self.note_flow(origin);
        Some(mark)
    }

    /// A peer sent us a run, and may wait for our reports.
    pub(super) fn note_awaited(&mut self, link: LinkId, origin: &Origin, is_known: bool) {
        if !self.has_windows(link) {
            return;
        }
        let Some(stream) = self.streams.get_mut(origin) else {
            return;
        };
        let view = stream.view(link);
        view.awaits = true;
        if is_known {
            // The peer may have forgotten our report.
            view.acked = 0;
        }
        self.note_flow(origin);
    }

    /// Tells a peer not to wait for us.
    pub(super) fn waive(&mut self, link: LinkId, origin: &Origin) {
        if self.has_windows(link) {
            let (origin, high) = (origin.clone(), NO_MATTER);
            self.send(link, native::consumed(&[Watermark { origin, high }]));
        }
    }

    /// Checks a stream regularly until everything is consumed.
    fn note_flow(&mut self, origin: &Origin) {
        let Some(stream) = self.streams.get_mut(origin) else {
            return;
        };
        if std::mem::replace(&mut stream.intake.is_flowing, true) {
            return;
        }
        self.flowing.insert(origin.clone());
        self.out.push(Output::WatchWindows);
    }

    pub(super) fn on_consumed_here(&mut self, marks: &[Mark]) {
        let now = self.now;
        let mut changed = Vec::new();
        for mark in marks {
            let Some(origin) = self.streams.marked(mark.stream).cloned() else {
                continue;
            };
            let Some(stream) = self.streams.get_mut(&origin) else {
                continue;
            };
            let intake = &mut stream.intake;
            if intake.is_done() || mark.last < intake.consumed {
                continue;
            }
            // The same number again: the application works on other streams first.
            intake.is_moving |= mark.last == intake.consumed;
            intake.consumed = mark.last.min(intake.given);
            intake.since = now;
            if std::mem::take(&mut intake.is_stalled) {
                tracing::info!(origin = %origin.id, "the application consumes again: senders wait for it");
            }
            changed.push(origin);
        }
        self.tell_consumed(&changed);
    }

    /// Notes that these links make progress: receivers behind them are not stalled.
    pub(super) fn on_moving(&mut self, links: &[LinkId]) {
        let now = self.now;
        for origin in self.flowing.clone() {
            let Some(stream) = self.streams.get_mut(&origin) else {
                continue;
            };
            let high = stream.high();
            let mut is_moving = false;
            for view in stream.views_mut() {
                let Some(taken) = view.taken.as_mut().filter(|taken| taken.upto < high) else {
                    continue;
                };
                if links.contains(&view.link) {
                    taken.since = now;
                    is_moving = true;
                }
            }
            stream.intake.is_moving |= is_moving;
        }
    }

    pub(super) fn on_consumed(&mut self, link: LinkId, marks: Vec<Watermark>) {
        let now = self.now;
        let mut changed = Vec::new();
        let mut is_own = false;
        for Watermark { origin, high } in marks {
            let Some(stream) = self.streams.get_mut(&origin) else {
                continue;
            };
            let most = stream.high();
            let taken = &mut stream.view(link).taken;
            *taken = (high != NO_MATTER).then(|| {
                // Even an unchanged report shows progress: a message is on its way.
                Taken {
                    upto: high.min(most),
                    since: now,
                    is_stalled: false,
                    is_confirmed: true,
                }
            });
            stream.intake.is_moving = true;
            if origin == self.own {
                is_own = true;
            } else {
                changed.push(origin);
            }
        }
        if is_own {
            self.update_window();
        }
        self.tell_consumed(&changed);
    }

    /// Reports to the parents of these streams how far they are consumed, if that has changed.
    /// Tells other senders not to wait.
    fn tell_consumed(&mut self, origins: &[Origin]) {
        let now = self.now;
        let mut news: BTreeMap<LinkId, Vec<Watermark>> = BTreeMap::new();
        for origin in origins {
            let Some(stream) = self.streams.get_mut(origin) else {
                continue;
            };
            let waiting = stream.views().iter().filter(|view| view.awaits);
            let links: Vec<_> = waiting.map(|view| (view.link, view.acked)).collect();
            for (link, acked) in links {
                let is_parent = stream.parent == Some(link);
                let high = match is_parent {
                    true => stream.consumed_by_all(Some(link)),
                    false => NO_MATTER,
                };
                let intake = &mut stream.intake;
                let is_late = now.since(intake.told_at) >= REPEAT_EVERY;
                if is_parent && high == acked && !(intake.is_moving && is_late) {
                    continue;
                }
                if is_parent {
                    (intake.is_moving, intake.told_at) = (false, now);
                }
                let view = stream.view(link);
                (view.acked, view.awaits) = (high, is_parent);
                news.entry(link).or_default().push(Watermark {
                    origin: origin.clone(),
                    high,
                });
            }
        }
        for (link, watermarks) in news {
            for part in watermarks.chunks(super::watermarks::WATERMARKS_PER_FRAME) {
                self.send(link, native::consumed(part));
            }
        }
    }

    /// Updates the reports after a peer came, left or became lazy.
    pub(super) fn receivers_changed(&mut self) {
        self.update_window();
        let flowing: Vec<Origin> = self.flowing.iter().cloned().collect();
        self.tell_consumed(&flowing);
    }

    /// Tells the driver how much of our data is outstanding.
    pub(super) fn update_window(&mut self) {
        let own = self.own.clone();
        let Some(stream) = self.streams.get(&own) else {
            return;
        };
        let high = stream.consumed_by_all(None);
        self.outstanding.consumed(high);
        let window = (self.outstanding.bytes(), self.window());
        if std::mem::replace(&mut self.told, window) != window {
            let (outstanding, size) = window;
            self.out.push(Output::Window { outstanding, size });
        }
    }

    /// How much this node may have outstanding.
    fn window(&self) -> usize {
        let share = ALL_WINDOWS / self.active.max(1);
        self.config.window.min(share)
    }

    pub(super) fn on_window(&mut self) {
        self.count_active();
        let flowing: Vec<Origin> = self.flowing.iter().cloned().collect();
        for origin in &flowing {
            self.look_for_stalled(origin);
        }
        self.tell_consumed(&flowing);
        for origin in &flowing {
            if let Some(stream) = self.streams.get_mut(origin) {
                if !stream.is_at_rest() {
                    continue;
                }
                stream.intake.is_flowing = false;
            }
            self.flowing.remove(origin);
        }
        self.update_window();
        if !self.flowing.is_empty() {
            self.out.push(Output::WatchWindows);
        }
    }

    /// Notes that this node begins to broadcast, for the first time or after a pause.
    pub(super) fn begin_window(&mut self) {
        self.active = self.active.max(BEGINNERS);
        self.counted_at = self.now;
    }

    fn count_active(&mut self) {
        let now = self.now;
        if now.since(self.counted_at) < ACTIVE_FOR / 10 {
            return;
        }
        self.counted_at = now;
        let own = &self.own;
        let is_active = |(origin, stream): &(&Origin, &Stream)| {
            *origin == own
                || stream.heard_at.is_some() && now.since(stream.last_active) < ACTIVE_FOR
        };
        self.active = self.streams.iter().filter(is_active).count();
    }

    /// Stops waiting for receivers that have consumed nothing of a stream for too long.
    fn look_for_stalled(&mut self, origin: &Origin) {
        let (now, patience) = (self.now, self.config.slow_receiver_timeout);
        let Some(stream) = self.streams.get_mut(origin) else {
            return;
        };
        let mut stalled = Vec::new();
        let intake = &mut stream.intake;
        if !intake.is_done() && !intake.is_stalled && now.since(intake.since) >= patience {
            intake.is_stalled = true;
            tracing::warn!(origin = %origin.id, "the application consumes nothing: senders no longer wait for it");
            stalled.push(self.own.id.clone());
        }
        let high = stream.high();
        let patience = patience.saturating_mul(PEERS_WAIT);
        let mut links = Vec::new();
        for view in stream.views_mut() {
            let Some(taken) = view.taken.as_mut() else {
                continue;
            };
            if taken.upto < high && !taken.is_stalled && now.since(taken.since) >= patience {
                taken.is_stalled = true;
                links.push(view.link);
            }
        }
        stalled.extend(
            links
                .iter()
                .filter_map(|link| Some(self.peer(*link)?.id.clone())),
        );
        for id in stalled {
            self.tell_stalled(origin, &id);
        }
    }

    /// Sends the name of a slow receiver towards the origin.
    fn tell_stalled(&mut self, origin: &Origin, id: &NodeId) {
        if *origin == self.own {
            tracing::warn!(%id, "a receiver consumes nothing: our messages no longer wait for it");
            self.counters.slow_receivers += 1;
            return self.emit(Event::SlowReceiver { id: id.clone() });
        }
        let stream = self.streams.get(origin);
        if let Some(parent) = stream.and_then(|stream| stream.parent)
            && self.has_windows(parent)
        {
            self.send(parent, native::stalled(origin, id));
        }
    }

    pub(super) fn on_stalled(&mut self, link: LinkId, origin: &Origin, id: &NodeId) {
        let now = self.now;
        let is_child = self
            .streams
            .get(origin)
            .and_then(|stream| stream.seen_view(link))
            .is_some_and(|view| view.taken.is_some());
        // A peer may report only so many receivers, and only for streams that it gets from us.
        if is_child
            && self
                .peer_mut(link)
                .is_some_and(|peer| peer.stalls.take(now))
        {
            self.tell_stalled(origin, id);
        }
    }

    /// Waits for `link`'s reports: a run was pushed to it, or would have been if there were room.
    pub(super) fn await_receiver(&mut self, link: LinkId, origin: &Origin, first: u64) {
        let now = self.now;
        if !self.has_windows(link) {
            return;
        }
        let Some(stream) = self.streams.get_mut(origin) else {
            return;
        };
        let taken = &mut stream.view(link).taken;
        match taken {
            Some(taken) if taken.upto + 1 >= first => taken.since = now,
            Some(_) => {}
            None => {
                *taken = Some(Taken {
                    upto: first - 1,
                    since: now,
                    is_stalled: false,
                    is_confirmed: false,
                });
            }
        }
    }

    /// Broadcasts for a peer were dropped. It is waited for again once it reports.
    pub(super) fn doubt_receiver(&mut self, link: LinkId) {
        self.streams.doubt_receiver(link);
        self.receivers_changed();
    }

    /// Whether a peer reports its consumption.
    pub(super) fn has_windows(&self, link: LinkId) -> bool {
        self.peer(link).is_some_and(|peer| peer.windows)
    }

    /// Whether a peer has all of this node's broadcasts, or gets them from another peer.
    pub(in crate::proto) fn has_said_all(&self, link: LinkId) -> bool {
        let Some(peer) = self.peer(link).filter(|peer| peer.native) else {
            return true;
        };
        let is_behind = peer.behind || peer.level == Level::Full;
        let Some(stream) = self.streams.get(&self.own) else {
            return true;
        };
        let view = stream.seen_view(link);
        let taken = view.and_then(|view| view.taken);
        // A peer that has consumed everything has received everything.
        !is_behind && view.is_none_or(|view| view.lazy || view.sent >= stream.high())
            || taken.is_some_and(|taken| taken.upto >= stream.high())
    }
}
