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

use std::collections::BTreeSet;
use std::time::Duration;

use super::State;
use super::links::{Link, REPAIR_UNIT};
use super::streams::{CACHE_FOR, Doubt, Gap, RUN_OVERHEAD, Stream, Streams, View};
use crate::proto::codec::native;
use crate::proto::{
    Class, Event, Level, LinkId, Moment, Origin, Payload, Publish, Range, Timer, Watermark,
};

/// How long watermarks for lazy peers are collected (overlay design, tree).
const LAZY_EVERY: Duration = Duration::from_millis(5);
/// From an announcement to the graft, if the broadcast does not come. The design's twice the 95th
/// percentile of round trip times would be 200 ms over links of 10 to 50 ms; in the simulator more than
/// 150 ms save nothing, and its 80 ms cost a hundredth of a copy.
const GRAFT_AFTER: Duration = Duration::from_millis(150);
/// What a peer announces this soon after its link came up is what it has had, not what it just got.
const GREETING: Duration = Duration::from_secs(1);
/// From this sequence number on faster ways are looked for: those of an origin that says little are
/// not worth the messages.
const PREFER_FROM: u64 = 8;
/// The run with this sequence number is pushed to everyone, so that an origin which turns out to say
/// much gets a tree of its own.
const EXPLORE_AT: u64 = 32;
/// The same for a hole seen in a peer's own pushes: links are in order, so it will not be filled
/// from there; only from another link that is a little slower.
const GRAFT_HOLE_AFTER: Duration = Duration::from_millis(10);
/// A repair timer that fires so late says that this process is starved.
const STARVED_AFTER: Duration = Duration::from_millis(20);
/// From one graft to the next, elsewhere (overlay design, tree); doubles with every try.
const GRAFT_AGAIN: Duration = Duration::from_millis(40);
const GRAFT_AGAIN_MAX: Duration = Duration::from_secs(1);
/// While a repair makes progress, nobody else is asked.
const GRAFT_PATIENCE: Duration = Duration::from_millis(250);
/// A gap that nobody fills for so long is skipped: longer than it takes to find that those who have
/// what is missing are cut off (6 s), and to find others.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
/// While an origin is heard of, somebody else's word alone does not make us skip.
const LIVE_FOR: Duration = Duration::from_secs(10);
/// How many gaps of origins that were never heard of may wait for repair.
const STRANGE_GAPS: usize = 1024;
/// How often gaps are looked at, at most.
const REPAIR_EVERY: Duration = Duration::from_millis(1);
/// At most so many bytes answer one graft; whoever lacks more asks again, from where it got to.
const GRAFT_BYTES: usize = 512 << 10;
/// At most so many watermarks are told when a link comes up: the most recently active ones.
const GREETING_MAX: usize = 4096;
/// After so long a silence an origin's tree is not trusted any more: links have come and gone.
const TREE_FOR: Duration = Duration::from_secs(60);
/// Watermarks per frame.
const WATERMARKS_PER_FRAME: usize = 512;

/// What a node knows of native broadcasts.
#[derive(Debug)]
pub(super) struct Publisher {
    own: Origin,
    streams: Streams,
    /// Streams whose watermark lazy peers have not been told.
    dirty: BTreeSet<Origin>,
    /// Streams with a gap.
    gaps: BTreeSet<Origin>,
    /// When the repair timer is due.
    repair_at: Option<Moment>,
    /// When this node got its first peer.
    joined_at: Option<Moment>,
    /// Whether a peer has told us its watermarks; before that, what we hear of is our beginning.
    synced: bool,
}

impl Publisher {
    pub(super) fn new(own: Origin) -> Self {
        Self {
            streams: Streams::new(own.clone()),
            own,
            dirty: BTreeSet::new(),
            gaps: BTreeSet::new(),
            repair_at: None,
            joined_at: None,
            synced: false,
        }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.own
    }

    pub(super) fn forget_link(&mut self, link: LinkId) {
        self.streams.forget_link(link);
    }

    /// Streams, and the bytes cached and held.
    pub(super) fn footprint(&self) -> [usize; 3] {
        self.streams.footprint()
    }

    pub(super) fn expire(&mut self, now: Moment) {
        self.streams.expire(now);
    }
}

impl State {
    // Sending

    pub(super) fn broadcast(&mut self, payload: Payload) {
        let now = self.now;
        let own = self.publisher.own.clone();
        let stream = self.open_stream(&own, 1, true);
        let first = stream.next;
        stream.next += u64::from(payload.count());
        stream.last_active = now;
        if (first..stream.next).contains(&EXPLORE_AT) {
            stream.plant(&[]);
        }
        self.counters.sent += u64::from(payload.count());
        let run = Publish {
            origin: own,
            first,
            hops: 0,
            repair: false,
            payload,
        };
        self.publisher.streams.cache(&run, now);
        self.push(&run, None, Class::Own);
        self.translate(&run, None, Class::Own);
    }

    /// The stream of `origin`. Where there was none, or it has been silent for so long that its tree
    /// is forgotten, it begins with the tree of the beacons.
    fn open_stream(&mut self, origin: &Origin, next: u64, settled: bool) -> &mut Stream {
        let now = self.now;
        let stream = self.publisher.streams.get(origin);
        let trusted = |stream: &Stream| stream.planted && now.since(stream.last_active) < TREE_FOR;
        if stream.is_some_and(trusted) {
            return self.publisher.streams.open(origin, next, settled, now);
        }
        let lazy = self.lazy_by_default().to_vec();
        let stream = self.publisher.streams.open(origin, next, settled, now);
        stream.plant(&lazy);
        stream
    }

    /// Sends a run to every native peer that is neither `except` nor lazy for its origin.
    fn push(&mut self, run: &Publish, except: Option<LinkId>, class: Class) {
        let mut frame = None;
        let mut announce = false;
        for link in self.peers.clone() {
            let Some(state) = self.links.get_mut(&link) else {
                continue;
            };
            let level = state.level;
            let Some(peer) = state.peer_mut().filter(|peer| peer.native) else {
                continue;
            };
            // Its origin need not be told.
            if Some(link) == except || peer.id == run.origin.id {
                continue;
            }
            let Some(stream) = self.publisher.streams.get_mut(&run.origin) else {
                return;
            };
            let view = stream.seen_view(link);
            if view.is_some_and(|view| view.has(run.last())) {
                continue;
            }
            if level == Level::Full || level == Level::High && class == Class::Forward {
                peer.behind = true;
            } else if view.is_some_and(|view| view.lazy) {
                announce = true;
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
            }
        }
        if announce {
            self.announce(&run.origin);
        }
    }

    fn announce(&mut self, origin: &Origin) {
        if self.publisher.dirty.is_empty() {
            self.set_timer(Timer::LazyPush, LAZY_EVERY);
        }
        self.publisher.dirty.insert(origin.clone());
    }

    pub(super) fn on_lazy_push(&mut self) {
        let dirty = std::mem::take(&mut self.publisher.dirty);
        for link in self.native_peers() {
            let Some(state) = self.links.get_mut(&link) else {
                continue;
            };
            if state.level >= Level::High {
                if let Some(peer) = state.peer_mut() {
                    peer.behind = true;
                }
                continue;
            }
            let news = dirty.iter().filter_map(|origin| {
                let stream = self.publisher.streams.get(origin)?;
                let view = stream.seen_view(link)?;
                let high = stream.high();
                (view.lazy && !view.has(high)).then(|| Watermark {
                    origin: origin.clone(),
                    high,
                })
            });
            let news = news.collect();
            self.tell(link, news);
        }
    }

    fn tell(&mut self, link: LinkId, watermarks: Vec<Watermark>) {
        for part in watermarks.chunks(WATERMARKS_PER_FRAME) {
            self.send(link, native::i_have(part));
        }
    }

    /// A native link came up: tell what we have.
    pub(super) fn greet(&mut self, link: LinkId) {
        self.publisher.joined_at.get_or_insert(self.now);
        self.catch_up(link);
    }

    /// Tells a peer the watermarks of everything that was active lately, our own in any case; but
    /// not of others that have never said anything: in a network that starts at once those would
    /// be all its nodes.
    pub(super) fn catch_up(&mut self, link: LinkId) {
        let publisher = &self.publisher;
        let mut active: Vec<_> = publisher
            .streams
            .iter()
            .filter(|(origin, stream)| {
                **origin == publisher.own
                    || stream.settled
                        && stream.next > 1
                        && self.now.since(stream.last_active) < CACHE_FOR * 2
            })
            .map(|(origin, stream)| {
                let watermark = Watermark {
                    origin: origin.clone(),
                    high: stream.high(),
                };
                (
                    *origin != publisher.own,
                    std::cmp::Reverse(stream.last_active),
                    watermark,
                )
            })
            .collect();
        active.sort_by_key(|(other, age, _)| (*other, *age));
        active.truncate(GREETING_MAX);
        self.tell(
            link,
            active
                .into_iter()
                .map(|(.., watermark)| watermark)
                .collect(),
        );
    }

    // Receiving

    pub(super) fn on_publish(&mut self, link: LinkId, run: Publish) {
        let native = self
            .links
            .get(&link)
            .and_then(Link::peer)
            .is_some_and(|peer| peer.native);
        let (first, last, count) = (run.first, run.last(), u64::from(run.payload.count()));
        if run.origin == self.publisher.own {
            // Nobody else speaks for us, whatever the numbers.
            self.counters.duplicates += count;
            if native && !run.repair {
                self.prune(link, run.origin);
            }
            return;
        }
        // Over a legacy link nobody can be asked for what came before: begin here.
        let (next, settled) = if native {
            (1, first == 1)
        } else {
            (first, true)
        };
        let is_new = self.publisher.streams.get(&run.origin).is_none();
        let stream = self.open_stream(&run.origin, next, settled);
        if is_new && next > 1 {
            stream.doubt = Some(Doubt::new(None, next));
        }
        if native {
            let view = stream.view(link);
            view.high = view.high.max(last);
        }
        if stream.is_refuted_by(first, last) {
            self.take_back(&run.origin.clone(), first);
        }
        let Some(stream) = self.publisher.streams.get_mut(&run.origin) else {
            return;
        };
        if last < stream.next {
            self.counters.duplicates += count;
            if native && !run.repair {
                self.on_duplicate(link, run.origin);
            }
        } else if first <= stream.next {
            self.counters.duplicates += stream.next - first;
            let pushed = native && !run.repair;
            if pushed {
                stream.fed_by(link);
            }
            let origin = run.origin.clone();
            self.accept_new(link, run);
            self.accept_held(&origin);
            if pushed {
                self.look_for_faster(link, origin, first);
            }
        } else {
            let origin = run.origin.clone();
            let wait = if stream.settled {
                GRAFT_HOLE_AFTER
            } else {
                Duration::ZERO
            };
            if self.publisher.streams.hold(link, run) {
                self.counters.held += count;
            }
            self.note_gap(&origin, last, wait);
        }
    }

    /// A peer has pushed what was new once: one of two shall stop.
    fn on_duplicate(&mut self, link: LinkId, origin: Origin) {
        let is_source = self.source(&origin) == Some(link);
        let Some(stream) = self.publisher.streams.get_mut(&origin) else {
            return;
        };
        if !is_source && stream.is_fed_without(link, self.now) {
            return self.prune(link, origin);
        }
        // Whoever hears the origin itself is heard by it: its pace is then ours, too.
        if let Some(feeder) = stream
            .feeder()
            .filter(|feeder| is_source && *feeder != link)
        {
            stream.fed_by(link);
            self.prune(feeder, origin);
        }
    }

    /// A peer has pushed what begins at `first`. If another announced it well before, that one is asked
    /// to push what follows; when it then comes first from there, the slower one is told to stop.
    fn look_for_faster(&mut self, link: LinkId, origin: Origin, first: u64) {
        let now = self.now;
        if first < PREFER_FROM || self.source(&origin) == Some(link) {
            return;
        }
        let Some(stream) = self.publisher.streams.get_mut(&origin) else {
            return;
        };
        let faster = stream.prefer(first, link, now);
        stream.note_progress(now);
        let (first, last) = (stream.next, stream.next);
        if let Some(faster) = faster {
            tracing::debug!(link = %faster, origin = %origin.id, "a faster way");
            let range = Range {
                origin,
                first,
                last,
            };
            self.send(faster, native::graft(&range, u32::MAX));
        }
    }

    fn prune(&mut self, link: LinkId, origin: Origin) {
        let now = self.now;
        let Some(stream) = self.publisher.streams.get_mut(&origin) else {
            return;
        };
        // Once is enough, unless what it is told and what it thinks have crossed.
        if stream.view(link).was_told(now) {
            return;
        }
        stream.view(link).told = Some(now);
        self.counters.prunes += 1;
        self.send(link, native::prune(&origin));
    }

    pub(super) fn on_prune(&mut self, link: LinkId, origin: &Origin) {
        if let Some(stream) = self.publisher.streams.get_mut(origin) {
            stream.view(link).lazy = true;
        }
    }

    /// Delivers and forwards what is new in a run that goes on where its stream is.
    fn accept_new(&mut self, link: LinkId, run: Publish) {
        let Some(stream) = self.publisher.streams.get(&run.origin) else {
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
        } else if let Some(stream) = self.publisher.streams.get_mut(&run.origin) {
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
            payload,
            ..run
        };
        let Some(stream) = self.publisher.streams.get_mut(&run.origin) else {
            return;
        };
        stream.advance(run.last() + 1);
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
        self.publisher.streams.cache(&run, now);
        self.push(&run, Some(link), Class::Forward);
        self.translate(&run, Some(link), Class::Forward);
        self.emit(Event::Broadcast(run.payload));
    }

    fn accept_held(&mut self, origin: &Origin) {
        while let Some((link, run)) = self.publisher.streams.unhold(origin) {
            let Some(stream) = self.publisher.streams.get_mut(origin) else {
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

    pub(super) fn on_ihave(&mut self, link: LinkId, watermarks: Vec<Watermark>) {
        let now = self.now;
        let since = self
            .links
            .get(&link)
            .and_then(Link::peer)
            .map(|peer| peer.since);
        let greets = since.is_some_and(|since| now.since(since) < GREETING);
        let first_word = !std::mem::replace(&mut self.publisher.synced, true);
        for Watermark { origin, high } in watermarks {
            let known = self.publisher.streams.get(&origin).is_some();
            if !known && !self.takes_claim(link) {
                return self.blame(link, -1, "it tells of more origins than there can be");
            }
            let next = if first_word && !known {
                high.saturating_add(1)
            } else {
                1
            };
            let settled = first_word || high == 0;
            let stream = self.publisher.streams.open(&origin, next, settled, now);
            if next > 1 && !known {
                stream.doubt = Some(Doubt::new(None, next));
            }
            let asked = stream
                .gap
                .as_ref()
                .is_some_and(|gap| gap.asked.contains(&link));
            let view = stream.view(link);
            view.high = view.high.max(high);
            if origin == self.publisher.own {
                continue;
            }
            if high < stream.next {
                if let Some(first) = stream.question(high, now) {
                    let range = Range {
                        origin,
                        first,
                        last: high,
                    };
                    self.send(link, native::graft(&range, u32::MAX));
                }
                continue;
            }
            if !greets {
                stream.view(link).ahead.get_or_insert(now);
            }
            let wait = match () {
                () if asked => Duration::ZERO,
                () if !greets => GRAFT_AFTER,
                () if stream.settled => GRAFT_HOLE_AFTER,
                () => Duration::ZERO,
            };
            if asked && let Some(gap) = stream.gap.as_mut() {
                // The end of a partial answer: go on where it stopped.
                gap.asked.retain(|other| *other != link);
                gap.at = now;
            }
            if greets && let Some(gap) = stream.gap.as_mut() {
                // Perhaps the first for some time that can be asked.
                gap.at = gap.at.min(now.after(wait));
            }
            self.note_gap(&origin, high, wait);
        }
    }

    /// Whether a peer may tell of one more origin that is not known here.
    fn takes_claim(&mut self, link: LinkId) -> bool {
        let peer = self.links.get_mut(&link).and_then(Link::peer_mut);
        peer.is_some_and(|peer| peer.claims.take(self.now))
    }

    // Repair

    /// Something up to `target` is missing: ask for it after `wait`, unless it comes by then.
    fn note_gap(&mut self, origin: &Origin, target: u64, wait: Duration) {
        let now = self.now;
        let crowded = self.publisher.gaps.len() >= STRANGE_GAPS;
        let Some(stream) = self.publisher.streams.get_mut(origin) else {
            return;
        };
        if crowded && stream.heard_at.is_none() && stream.gap.is_none() {
            return;
        }
        let gap = stream.gap.get_or_insert_with(|| Gap {
            target,
            since: now,
            known: target,
            at: now.after(wait),
            asked: Vec::new(),
            tries: 0,
        });
        gap.target = gap.target.max(target);
        let at = gap.at;
        self.publisher.gaps.insert(origin.clone());
        self.repair_by(at);
    }

    fn repair_by(&mut self, at: Moment) {
        let at = at.max(self.now.after(REPAIR_EVERY));
        if self.publisher.repair_at.is_none_or(|set| at < set) {
            self.publisher.repair_at = Some(at);
            self.set_timer(Timer::Repair, at.since(self.now));
        }
    }

    fn close_gap(&mut self, origin: &Origin) {
        if let Some(stream) = self.publisher.streams.get_mut(origin) {
            stream.gap = None;
        }
        self.publisher.gaps.remove(origin);
    }

    pub(super) fn on_repair(&mut self) {
        self.publisher.repair_at = None;
        for origin in self.publisher.gaps.clone() {
            let Some(stream) = self.publisher.streams.get(&origin) else {
                self.publisher.gaps.remove(&origin);
                continue;
            };
            match &stream.gap {
                None => self.close_gap(&origin),
                Some(gap) if gap.target < stream.next => self.close_gap(&origin),
                Some(gap) if gap.at > self.now => {}
                Some(_) => self.repair(&origin),
            }
            let gap = self
                .publisher
                .streams
                .get(&origin)
                .and_then(|stream| stream.gap.as_ref());
            if let Some(at) = gap.map(|gap| gap.at) {
                self.repair_by(at);
            }
        }
    }

    /// Asks somebody for what is missing, or gives it up.
    fn repair(&mut self, origin: &Origin) {
        let now = self.now;
        let joined = self.publisher.joined_at.unwrap_or_default();
        let usable = |link: LinkId| {
            self.links
                .get(&link)
                .is_some_and(|l| l.level < Level::Full && l.peer().is_some())
        };
        let Some(stream) = self.publisher.streams.get_mut(origin) else {
            return;
        };
        let next = stream.next;
        let views = stream
            .views()
            .iter()
            .filter(|view| usable(view.link) && view.high >= next);
        let (have, gone): (Vec<View>, Vec<View>) =
            views.copied().partition(|view| view.gone < next);
        let Some(gap) = stream.gap.as_mut() else {
            return;
        };
        // A timer this late means that this process did not get to run, nor to read: what is
        // missing may lie in a socket's buffer.
        if gap.tries == 0 && now.since(gap.at) >= STARVED_AFTER {
            gap.tries = 1;
            gap.at = now.after(GRAFT_AFTER);
            return;
        }
        // Whoever has come meanwhile and has it is asked first.
        let is_unasked = |view: &View| !gap.asked.contains(&view.link);
        let overdue = now.since(gap.since) >= GIVE_UP_AFTER && !have.iter().any(is_unasked);
        if have.is_empty() && !gone.is_empty() || overdue {
            let known = gone.iter().map(|view| view.gone.saturating_add(1)).min();
            let held = stream.held.keys().next().copied();
            let target = gap.target.saturating_add(1);
            let upto = [known, held].into_iter().flatten().min();
            let upto = upto.unwrap_or(target).max(next + 1);
            let witnesses = have.len() + gone.len();
            return self.may_skip(origin, upto, witnesses, overdue);
        }
        let fresh = have.iter().filter(|view| !gap.asked.contains(&view.link));
        let best = fresh
            .max_by_key(|view| view.high)
            .or(have.iter().max_by_key(|view| view.high));
        let best = best.map(|view| view.link);
        let again = (GRAFT_AGAIN * 2u32.pow(gap.tries.min(8))).min(GRAFT_AGAIN_MAX);
        let max_age_ms = if stream.settled {
            u32::MAX
        } else {
            u32::try_from(now.since(joined).as_millis()).unwrap_or(u32::MAX)
        };
        let Some(gap) = stream.gap.as_mut() else {
            return;
        };
        gap.tries += 1;
        gap.at = now.after(again);
        let held = stream.held.keys().next().map(|first| first - 1);
        let range = Range {
            origin: origin.clone(),
            first: next,
            last: held.unwrap_or(gap.target).max(next),
        };
        let Some(link) = best else { return };
        if gap.asked.contains(&link) {
            gap.asked.clear();
        }
        gap.asked.push(link);
        stream.view(link).told = None;
        self.counters.grafts += 1;
        tracing::debug!(%link, origin = %range.origin.id, first = next, last = range.last, "graft");
        self.send(link, native::graft(&range, max_age_ms));
    }

    /// Skips, unless there is reason to doubt that anything is missing.
    ///
    /// Anybody can claim numbers that do not exist. The origin knows best: with a link to it,
    /// nothing beyond what it claims itself is skipped. Others are believed at once if all agree,
    /// or if the origin has been silent for long; and what was believed is remembered, to be taken
    /// back when the origin's real broadcasts go on where they were.
    fn may_skip(&mut self, origin: &Origin, upto: u64, witnesses: usize, overdue: bool) {
        let now = self.now;
        let natives = self.native_peers().len();
        let source = self.source(origin);
        let Some(stream) = self.publisher.streams.get_mut(origin) else {
            return;
        };
        let from_source = source.map(|link| stream.seen_view(link).map_or(0, |view| view.high));
        if let Some(high) = from_source.filter(|high| *high < upto - 1) {
            if !overdue {
                return stream.ask_later(now.after(GRAFT_AGAIN_MAX));
            }
            tracing::warn!(origin = %origin.id, high, claimed = upto - 1, "false claims about a peer's broadcasts");
            self.publisher.streams.forget_claims(origin, high);
            return self.close_gap(origin);
        }
        let is_live = stream.heard_at.is_some_and(|at| now.since(at) < LIVE_FOR);
        let is_disputed = source.is_none() && witnesses < natives;
        // Whoever began later says of all before that it is gone, and the others may be on their way.
        if (is_live || stream.settled) && is_disputed && !overdue {
            return stream.ask_later(now.after(GRAFT_AGAIN_MAX));
        }
        if is_disputed && stream.settled {
            let next = stream.next;
            stream.add_doubt(Doubt::new(Some(next), upto));
        }
        self.skip(origin, upto);
    }

    /// The link to the origin itself, if it is a peer of ours in that very life.
    fn source(&self, origin: &Origin) -> Option<LinkId> {
        let is_source = |link: &LinkId| {
            let peer = self.links.get(link).and_then(Link::peer);
            peer.is_some_and(|peer| peer.id == origin.id && peer.epoch == Some(origin.epoch))
        };
        self.peers.iter().copied().find(is_source)
    }

    /// What was skipped, or begun with, on somebody's word goes on at `first` after all.
    fn take_back(&mut self, origin: &Origin, first: u64) {
        self.close_gap(origin);
        self.publisher.streams.take_back(origin, first);
        tracing::warn!(origin = %origin.id, first, "broadcasts go on where they were: claims of later ones were false");
        // They were told that we are further on.
        let range = Range {
            origin: origin.clone(),
            first,
            last: first,
        };
        for link in self.native_peers() {
            self.send(link, native::graft(&range, u32::MAX));
        }
    }

    /// Gives up everything of a stream below `upto`.
    fn skip(&mut self, origin: &Origin, upto: u64) {
        let Some(stream) = self.publisher.streams.get_mut(origin) else {
            return;
        };
        let count = upto - stream.next;
        stream.advance(upto);
        // What was before our time is not missed.
        let missed = std::mem::replace(&mut stream.settled, true);
        let waited = stream.gap.as_ref().map(|gap| (gap.since, gap.known));
        if missed {
            // Hostile numbers can be as large as they like.
            self.counters.skipped = self.counters.skipped.saturating_add(count);
            tracing::warn!(origin = %origin.id, count, "skipped broadcasts that nobody holds");
            self.emit(Event::Skipped {
                origin: origin.id.clone(),
                count,
            });
        }
        self.accept_held(origin);
        let Some(stream) = self.publisher.streams.get_mut(origin) else {
            return;
        };
        let next = stream.next;
        let Some(gap) = stream.gap.as_mut() else {
            return;
        };
        if gap.target < next {
            return self.close_gap(origin);
        }
        // What was missing as long as what is given up here need not be waited for once more.
        let waited = waited.filter(|(_, known)| next <= *known);
        (gap.since, gap.known) = waited.unwrap_or((self.now, gap.target));
        (gap.at, gap.tries) = (self.now.after(GRAFT_AGAIN), 0);
    }

    pub(super) fn on_graft(&mut self, link: LinkId, range: Range, max_age_ms: u32) {
        let now = self.now;
        let max_age = Duration::from_millis(u64::from(max_age_ms));
        let peer = self.links.get_mut(&link).and_then(Link::peer_mut);
        if !peer.is_some_and(|peer| peer.repairs.take(now)) {
            return self.blame(link, -1, "it asks for more than anybody could have missed");
        }
        let Some(stream) = self.publisher.streams.get_mut(&range.origin) else {
            return self.send(link, native::gone(&range));
        };
        let high = stream.high();
        // Who asks for a number does not have it, whatever it said before.
        let view = stream.view(link);
        view.high = view.high.min(range.first - 1);
        // A peer that got watermarks only has missed what came after the range, too.
        let upto = match stream.view(link).lazy {
            true => high,
            false => range.last.min(high),
        };
        let mut runs = Vec::new();
        let mut bytes = 0;
        let mut complete = true;
        for (at, run) in stream.cached_from(range.first) {
            if run.first > upto {
                break;
            }
            if max_age_ms != u32::MAX && now.since(*at) > max_age {
                continue;
            }
            if bytes > GRAFT_BYTES {
                complete = false;
                break;
            }
            bytes += run.payload.body().len() + RUN_OVERHEAD;
            runs.push(run.clone());
        }
        // What it asks for once is what it would have been pushed.
        let view = stream.view(link);
        let served = view.served;
        view.served = runs.last().map_or(served, |run| run.last().max(served));
        let again = runs.iter().filter(|run| run.first <= served);
        let repeated: usize = again
            .map(|run| run.payload.body().len() + RUN_OVERHEAD)
            .sum();
        if let Some(peer) = self.links.get_mut(&link).and_then(Link::peer_mut) {
            peer.repairs.spend((repeated / REPAIR_UNIT) as f64);
        }
        if complete {
            stream.view(link).lazy = false;
        }
        let mut next = range.first;
        for run in runs {
            self.tell_gone(link, &range.origin, next, run.first);
            next = run.last() + 1;
            self.counters.forwarded += u64::from(run.payload.count());
            let hops = run.hops.saturating_add(1);
            let repair = true;
            let run = Publish {
                repair,
                hops,
                ..run
            };
            self.send(link, native::publish(&run, Class::Own));
        }
        if complete {
            return self.tell_gone(link, &range.origin, next, upto + 1);
        }
        // "Ask again": behind the runs, not before them.
        let origin = range.origin;
        let mut marker = native::i_have(&[Watermark { origin, high }]);
        marker.class = Class::Own;
        self.send(link, marker);
    }

    /// Says that nothing from `first` to before `end` is held here any more.
    fn tell_gone(&mut self, link: LinkId, origin: &Origin, first: u64, end: u64) {
        if first < end {
            let origin = origin.clone();
            let last = end - 1;
            let mut gone = native::gone(&Range {
                origin,
                first,
                last,
            });
            gone.class = Class::Own;
            self.send(link, gone);
        }
    }

    pub(super) fn on_gone(&mut self, link: LinkId, range: &Range) {
        let now = self.now;
        let Some(stream) = self.publisher.streams.get_mut(&range.origin) else {
            return;
        };
        if range.first > stream.next {
            // Its turn has not come yet; somebody else may hold it then.
            return;
        }
        // Who was not asked has nothing to answer.
        if !stream
            .gap
            .as_ref()
            .is_some_and(|gap| gap.asked.contains(&link))
        {
            return;
        }
        let view = stream.view(link);
        view.gone = view.gone.max(range.last);
        if let Some(gap) = stream.gap.as_mut() {
            gap.at = now;
            self.repair_by(now);
        }
    }
}

#[cfg(test)]
#[path = "forgery_tests.rs"]
mod forgery_tests;
#[cfg(test)]
#[path = "tree_tests.rs"]
mod tree_tests;
#[cfg(test)]
#[path = "world.rs"]
mod world;
