//! Native broadcasts: exactly once, in order per origin, along a tree.
//!
//! Every origin numbers its broadcasts. A node delivers and forwards an origin's broadcasts only in
//! order, so a *watermark* (the highest number it has) says everything about what it has:
//!
//! - A run that begins at the next number is delivered, kept for 30 s, and pushed to every peer
//!   that is not *lazy* for this origin. A run below the watermark is a duplicate: its sender is
//!   told to PRUNE and makes us lazy. What remains is a spanning tree per origin, along the fastest
//!   links. (In Plumtree whoever prunes stops pushing, too. Then, with several runs on their way at
//!   once, a node can lose the link it depends on. Here it keeps the one over which the latest run
//!   came first; and the one on which a duplicate comes, if that other one was told to stop itself,
//!   and what came first was only on its way still.)
//! - Lazy peers get watermarks (IHAVE), batched. One that learns of numbers it does not get in
//!   time GRAFTs: it asks for the range, and to be pushed to again.
//! - A run beyond the next number is held until the gap before it is repaired the same way. If
//!   nobody holds the missing range any more (GONE), or nobody answers for too long, it is skipped
//!   and counted.
//! - Watermarks of all active origins are exchanged whenever a native link comes up, so whatever
//!   was lost with an old link is repaired over the new one.
//!
//! Trees per origin, where Plumtree has one for all: with one tree, the duplicates of several
//! origins that speak at once prune more links than the tree can spare, and every repair costs a
//! graft timeout. Plumtree: Leitão, Pereira, Rodrigues, "Epidemic Broadcast Trees", 2007.
//!
//! Here is how broadcasts are sent and delivered. The rest: [`tree`], [`watermarks`], [`repair`], which
//! asks for what is missing, [`retransmission`], which answers, and [`skip`].

mod intake;
mod oversized;
mod peer;
mod repair;
mod retransmission;
mod skip;
mod stream;
mod streams;
mod tree;
mod watermarks;
mod window;

use std::collections::BTreeSet;
use std::time::Duration;

use super::{
    Class, Config, Counters, Event, Level, LinkId, Mark, Moment, Native, Origin, Outgoing, Payload,
    Publish, Timer,
};
pub(super) use intake::Outstanding;
pub(super) use peer::Peer;
use repair::{GRAFT_HOLE_AFTER, GRAFT_PATIENCE};
use stream::{Doubt, RunPlace};
use streams::Streams;
#[cfg(test)]
pub(super) use streams::{MAX_CLAIMED, MAX_STREAMS};
use window::ACTIVE_FOR;

/// The run with this sequence number is pushed to everyone, so that an origin which turns out to say
/// much gets a tree of its own.
const EXPLORE_AT: u64 = 32;

/// Payloads smaller than this are copied out of the buffer they were received in, which they would
/// otherwise keep alive as a whole, wherever they wait.
pub(super) const DETACH_BELOW: usize = 32 << 10;

/// Something that concerns broadcasts.
#[derive(Debug)]
pub(super) enum Input {
    /// There is one more peer.
    PeerUp(Box<Peer>),
    /// A peer is gone.
    PeerDown(LinkId),
    /// The queue of a link crossed a threshold.
    Pressure { link: LinkId, level: Level },
    /// This node's application broadcasts.
    Broadcast(Payload),
    /// A peer sent a frame about broadcasts.
    Received { link: LinkId, native: Native },
    /// The application has consumed these messages.
    Consumed(Vec<Mark>),
    /// These links take bytes, if slowly.
    Moving(Vec<LinkId>),
    /// A timer is due.
    TimerFired(Timer),
}

/// Something that has to be done for broadcasts, in order.
#[derive(Debug)]
pub(super) enum Output {
    /// Queue bytes on a link.
    Send { link: LinkId, data: Outgoing },
    /// Write a run as packets to every legacy peer but `except`.
    Translate {
        run: Publish,
        except: Option<LinkId>,
        class: Class,
    },
    /// (Re)start a timer.
    SetTimer { timer: Timer, after: Duration },
    /// See to it that [`Timer::Window`] fires soon.
    WatchWindows,
    /// How much of this node's broadcasts is outstanding, and how much may be.
    Window { outstanding: usize, size: usize },
    /// A peer did what no honest one does.
    Blame { link: LinkId, what: &'static str },
    /// Tell the application.
    Event(Event),
}

/// The options that concern broadcasts.
#[derive(Clone, Copy, Debug)]
struct Settings {
    waits_for_receivers: bool,
    slow_receiver_timeout: Duration,
    /// The largest window of this node.
    window: usize,
}

/// All that a node knows of native broadcasts.
#[derive(Debug)]
pub(super) struct State {
    config: Settings,
    now: Moment,
    /// The peers, in the order in which they came.
    peers: Vec<Peer>,
    counters: Counters,
    out: Vec<Output>,
    own: Origin,
    streams: Streams,
    /// Streams whose watermark lazy peers have not been told.
    dirty: BTreeSet<Origin>,
    /// Streams with a gap.
    gaps: BTreeSet<Origin>,
    /// When the repair timer is due.
    repair_at: Option<Moment>,
    /// When the connection to this node's first peer began.
    joined_at: Option<Moment>,
    /// Whether a peer has told us its watermarks; before that, what we hear of is our beginning. Not so
    /// where a legacy peer came first: what was said since is on its way through it.
    synced: bool,
    /// What this node has broadcast and not everyone has consumed.
    outstanding: Outstanding,
    /// What the driver was told of that: bytes, and the size of the window.
    told: (usize, usize),
    /// Streams that somebody has not consumed.
    flowing: BTreeSet<Origin>,
    /// How many origins broadcast, this node included; when that was counted.
    active: usize,
    counted_at: Moment,
}

impl State {
    /// The state of a node that broadcasts as `own`.
    pub(super) fn new(config: &Config, own: Origin) -> Self {
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
            streams: Streams::new(own.clone()),
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

    /// Takes in `input` and appends what must be done, in order, to `out`.
    ///
    /// A new stream begins with a tree in which it is not pushed to the peers in `lazy`.
    pub(super) fn handle(
        &mut self,
        now: Moment,
        input: Input,
        lazy: &[LinkId],
        out: &mut Vec<Output>,
    ) {
        self.now = now;
        std::mem::swap(&mut self.out, out);
        match input {
            Input::PeerUp(peer) => self.peer_up(*peer),
            Input::PeerDown(link) => self.peer_down(link),
            Input::Pressure { link, level } => self.pressure(link, level),
            Input::Broadcast(payload) => self.broadcast(payload, lazy),
            Input::Received { link, native } => self.received(link, native, lazy),
            Input::Consumed(marks) => self.on_consumed_here(&marks),
            Input::Moving(links) => self.on_moving(&links),
            Input::TimerFired(timer) => self.timer(timer),
        }
        std::mem::swap(&mut self.out, out);
    }

    fn received(&mut self, link: LinkId, native: Native, lazy: &[LinkId]) {
        let now = self.now;
        if let Some(peer) = self.peer_mut(link) {
            peer.heard = Some(now);
        }
        match native {
            Native::Publish(run) => self.on_publish(link, run, lazy),
            Native::IHave(watermarks) => self.on_ihave(link, watermarks),
            Native::Graft { range, max_age_ms } => self.on_graft(link, range, max_age_ms),
            Native::Gone(range) => self.on_gone(link, &range),
            Native::Prune(origin) => self.on_prune(link, &origin),
            Native::Consumed(watermarks) => self.on_consumed(link, watermarks),
            Native::Stalled { origin, id } => self.on_stalled(link, &origin, &id),
            Native::Oversized(range) => self.on_oversized(link, &range, lazy),
            _ => {}
        }
    }

    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::LazyPush => self.on_lazy_push(),
            Timer::Repair => self.on_repair(),
            Timer::Window => self.on_window(),
            Timer::Heartbeat => self.streams.expire(self.now),
            _ => {}
        }
    }

    /// A mark that no stream has, for something else.
    pub(super) fn new_mark(&mut self) -> u32 {
        self.streams.new_mark()
    }

    /// Whether a mark names a stream of broadcasts.
    pub(super) fn knows_mark(&self, mark: &Mark) -> bool {
        self.streams.marked(mark.stream).is_some()
    }

    /// The origin of this node's broadcasts.
    pub(super) fn origin(&self) -> &Origin {
        &self.own
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// Streams, and the bytes cached and held.
    pub(super) fn footprint(&self) -> [usize; 3] {
        self.streams.footprint()
    }

    /// Streams that somebody has not consumed.
    pub(super) fn flowing(&self) -> usize {
        self.flowing.len()
    }

    /// Streams with a gap.
    #[cfg(test)]
    pub(super) fn gaps(&self) -> usize {
        self.gaps.len()
    }

    /// The next number of a stream that is known here.
    #[cfg(test)]
    pub(super) fn next_of(&self, origin: &Origin) -> Option<u64> {
        Some(self.streams.get(origin)?.next)
    }

    fn send(&mut self, link: LinkId, data: Outgoing) {
        self.out.push(Output::Send { link, data });
    }

    fn emit(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    fn blame(&mut self, link: LinkId, what: &'static str) {
        self.out.push(Output::Blame { link, what });
    }

    fn set_timer(&mut self, timer: Timer, after: Duration) {
        self.out.push(Output::SetTimer { timer, after });
    }

    /// Has a run written to the legacy peers, if there are any.
    fn translate(&mut self, run: &Publish, except: Option<LinkId>, class: Class) {
        if self.peers.iter().any(|peer| !peer.native) {
            self.out.push(Output::Translate {
                run: run.clone(),
                except,
                class,
            });
        }
    }

    fn broadcast(&mut self, payload: Payload, lazy: &[LinkId]) {
        let now = self.now;
        let own = self.own.clone();
        let stream = self.open_stream(&own, 1, true, lazy);
        let is_beginning = stream.next == 1 || now.since(stream.last_active) >= ACTIVE_FOR;
        let first = stream.next;
        stream.next += u64::from(payload.count());
        stream.last_active = now;
        if (first..stream.next).contains(&EXPLORE_AT) {
            stream.plant(&[]);
        }
        if is_beginning {
            self.begin_window();
        }
        self.counters.sent += u64::from(payload.count());
        let run = Publish {
            origin: own,
            first,
            hops: 0,
            repair: false,
            payload,
        };
        self.streams.cache(&run, now);
        self.push(&run, None, Class::Own);
        self.translate(&run, None, Class::Own);
        self.note_sent(&run);
    }

    fn on_publish(&mut self, link: LinkId, run: Publish, lazy: &[LinkId]) {
        let native = self.is_native(link);
        let count = u64::from(run.payload.count());
        if run.origin == self.own {
            return self.on_echo(link, run, native);
        }
        if !self.admit(link, &run, native, lazy) {
            self.counters.relays_refused += count;
            return self.waive(link, &run.origin);
        }
        let Some(stream) = self.streams.get(&run.origin) else {
            return;
        };
        let place = stream.place(run.first, run.last());
        if native {
            self.note_awaited(link, &run.origin, place == RunPlace::Known);
        }
        let is_pushed = native && !run.repair;
        match place {
            RunPlace::Known => {
                self.counters.duplicates += count;
                if is_pushed {
                    self.on_duplicate(link, run.origin);
                }
            }
            RunPlace::Next => self.on_next(link, run, is_pushed),
            RunPlace::Ahead => self.on_ahead(link, run),
        }
    }

    /// A peer brings this node's own broadcasts, whatever their numbers: only this node numbers them.
    fn on_echo(&mut self, link: LinkId, run: Publish, native: bool) {
        self.counters.duplicates += u64::from(run.payload.count());
        self.waive(link, &run.origin);
        if native && !run.repair {
            self.prune(link, run.origin);
        }
    }

    /// Opens the stream of a run, if the peer may bring one more, and notes what the run says about
    /// the peer and about jumps. Returns false if the run is refused.
    fn admit(&mut self, link: LinkId, run: &Publish, native: bool, lazy: &[LinkId]) -> bool {
        let is_new = self.streams.get(&run.origin).is_none();
        if is_new && !self.takes_origin(link) {
            return false;
        }
        // A legacy link repeats nothing that came before: the stream begins here.
        let (next, settled) = match native {
            true => (1, run.first == 1),
            false => (run.first, true),
        };
        let stream = self.open_stream(&run.origin, next, settled, lazy);
        if is_new && next > 1 {
            stream.doubt = Some(Doubt::new(None, next));
        }
        if native {
            let view = stream.view(link);
            view.high = view.high.max(run.last());
        }
        if stream.is_refuted_by(run.first, run.last()) {
            self.take_back(&run.origin, run.first);
        }
        true
    }

    /// A run continues its stream: it is delivered, and so is what was held behind it.
    fn on_next(&mut self, link: LinkId, run: Publish, is_pushed: bool) {
        let Some(stream) = self.streams.get_mut(&run.origin) else {
            return;
        };
        self.counters.duplicates += stream.next - run.first;
        if is_pushed {
            stream.fed_by(link);
        }
        let (origin, first) = (run.origin.clone(), run.first);
        self.accept_new(link, run);
        self.accept_held(&origin);
        if is_pushed {
            self.look_for_faster(link, origin, first);
        }
    }

    /// A run lies behind a gap: it is held until the gap is repaired.
    fn on_ahead(&mut self, link: LinkId, run: Publish) {
        let settled = self.streams.get(&run.origin).is_some_and(|it| it.settled);
        let wait = match settled {
            true => GRAFT_HOLE_AFTER,
            false => Duration::ZERO,
        };
        let count = u64::from(run.payload.count());
        // Without a repair on its way, a run would be held for good.
        if self.note_gap(&run.origin, run.last(), wait) && self.streams.hold(link, run) {
            self.counters.held += count;
        }
    }

    /// Whether a peer may bring broadcasts of one more unknown origin. A peer that only passes them on
    /// is not blamed.
    fn takes_origin(&mut self, link: LinkId) -> bool {
        let now = self.now;
        self.peer_mut(link)
            .is_some_and(|peer| peer.origins.take(now))
    }

    /// Delivers and forwards what is new in a run that goes on where its stream is.
    fn accept_new(&mut self, link: LinkId, run: Publish) {
        let Some(stream) = self.streams.get(&run.origin) else {
            return;
        };
        let known = (stream.next - run.first) as u32;
        let overlaps = |(start, end): &(u64, u64)| run.first < *end && run.last() >= *start;
        let Some((start, end)) = stream.island().filter(overlaps) else {
            return self.accept(link, run, known);
        };
        // Around what was delivered before.
        let before = start.saturating_sub(run.first) as u32;
        if before > known
            && let Some(payload) = run.payload.take(before)
        {
            let run = Publish {
                payload,
                ..run.clone()
            };
            self.accept(link, run, known);
        } else if let Some(stream) = self.streams.get_mut(&run.origin) {
            stream.advance(stream.next.max(start));
        }
        if run.last() >= end {
            let known = (end - run.first) as u32;
            self.accept(link, run, known);
        }
    }

    /// Delivers and forwards a run of which the first `known` messages are known already.
    fn accept(&mut self, link: LinkId, run: Publish, known: u32) {
        let now = self.now;
        let Some(payload) = run.payload.skip(known) else {
            return;
        };
        let run = Publish {
            first: run.first + u64::from(known),
            repair: false,
            payload: payload.detached(DETACH_BELOW),
            ..run
        };
        let Some(stream) = self.streams.get_mut(&run.origin) else {
            return;
        };
        stream.advance(run.last() + 1);
        stream.parent = Some(link);
        stream.last_active = now;
        stream.heard_at = Some(now);
        stream.settled = true;
        if (run.first..=run.last()).contains(&EXPLORE_AT) {
            stream.plant(&[]);
        }
        let progress = stream.gap.as_mut().map(|gap| {
            (gap.since, gap.known) = (now, gap.target);
            gap.tries = 0;
            gap.at = now.after(GRAFT_PATIENCE);
            gap.target < stream.next
        });
        if progress == Some(true) {
            self.counters.repaired += 1;
            self.close_gap(&run.origin);
        }
        self.counters.delivered += u64::from(run.payload.count());
        self.streams.cache(&run, now);
        self.push(&run, Some(link), Class::Forward);
        self.translate(&run, Some(link), Class::Forward);
        let mark = self.note_given(&run.origin, run.first, run.last());
        self.emit(Event::Broadcast {
            payload: run.payload,
            mark,
        });
    }

    fn accept_held(&mut self, origin: &Origin) {
        while let Some((link, run)) = self.streams.unhold(origin) {
            let Some(stream) = self.streams.get_mut(origin) else {
                return;
            };
            if run.last() >= stream.next {
                if !run.repair {
                    stream.fed_by(link);
                }
                self.accept_new(link, run);
            }
        }
    }
}
