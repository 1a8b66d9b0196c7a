//! One origin's broadcasts, as this node knows them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::intake::Intake;
use super::view::{AHEAD_MAX, View};
use crate::proto::{LinkId, Moment, Publish};

/// If two peers' numbers of one origin differ by less, one of them merely lags.
const LAG_MAX: u64 = 1 << 20;
/// A peer whose announcement of a run beats another's push by this much is asked to push instead.
const LEAD: Duration = Duration::from_millis(5);
/// Minimum time between two such requests for one origin.
const PREFER_AGAIN: Duration = Duration::from_millis(500);
/// Minimum time between two checks of a doubt.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A receiver whose link ended may come back within this time, by another way. It takes some
/// milliseconds, and some seconds where processes starve.
const RETURNS_WITHIN: Duration = Duration::from_secs(5);
/// The cost of a run besides its payload, so that tiny runs are bounded, too.
const RUN_OVERHEAD: usize = 256;

/// One origin's broadcasts, as this node sees them.
#[derive(Debug)]
pub(super) struct Stream {
    /// The next sequence number to deliver.
    pub(super) next: u64,
    /// Whether `next` is agreed on. It is not if the stream was first heard of in its middle: this
    /// node receives the broadcasts sent since it joined, and not the earlier ones.
    pub(super) settled: bool,
    /// Runs ahead of a gap, by first sequence number, with the link each came from.
    pub(super) held: BTreeMap<u64, (LinkId, Publish)>,
    /// Runs kept for repair, by first sequence number.
    cached: BTreeMap<u64, (Moment, Publish)>,
    /// The views of all native peers.
    views: Vec<View>,
    /// The peer that pushed the latest new run.
    feeder: Option<LinkId>,
    pub(super) gap: Option<Gap>,
    /// Whether the stream has its first tree. Until then, it is pushed to all peers.
    pub(super) planted: bool,
    pub(super) last_active: Moment,
    /// When a broadcast was last delivered.
    pub(super) heard_at: Option<Moment>,
    /// A jump that only a peer claimed. It may be false.
    pub(super) doubt: Option<Doubt>,
    /// Numbers ahead of `next` that were delivered before the jump was found false: first, end.
    island: Option<(u64, u64)>,
    /// The peer that brought the latest accepted run.
    pub(super) parent: Option<LinkId>,
    /// How far this node's application has consumed the stream.
    pub(super) intake: Intake,
    /// How far the slowest receiver of those that left lately has consumed the stream, and when the
    /// latest of them left.
    left: Option<(u64, Moment)>,
}

/// Where a run lies in its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RunPlace {
    /// Every message was delivered before.
    Known,
    /// It continues the stream.
    Next,
    /// Earlier numbers are missing.
    Ahead,
}

/// A jump to a number that only a peer claimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Doubt {
    /// The next number before the jump; `None` if the stream began with it.
    from: Option<u64>,
    /// The next number after the jump.
    to: u64,
    /// When a peer with a lower claim was last asked.
    asked_at: Option<Moment>,
}

impl Doubt {
    pub(super) fn new(from: Option<u64>, to: u64) -> Self {
        let asked_at = None;
        Self { from, to, asked_at }
    }
}

/// Missing numbers, and the state of their repair.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    /// The highest sequence number known to exist.
    pub(super) target: u64,
    /// When the latest progress was.
    pub(super) since: Moment,
    /// The target at that time: numbers up to here have been missing since then.
    pub(super) known: u64,
    /// When to ask (again).
    pub(super) at: Moment,
    /// Peers that were asked and gave no helpful answer.
    pub(super) asked: Vec<LinkId>,
    /// The latest question.
    pub(super) pending: Option<Question>,
    pub(super) tries: u32,
}

/// What a peer was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Question {
    pub(super) link: LinkId,
    pub(super) at: Moment,
    /// The last number asked for.
    pub(super) last: u64,
}

impl Stream {
    /// `mark` is the stream's name in the application's marks.
    pub(super) fn new(next: u64, settled: bool, now: Moment, mark: u32) -> Self {
        Self {
            parent: None,
            intake: Intake::new(mark),
            left: None,
            next,
            settled,
            held: BTreeMap::new(),
            cached: BTreeMap::new(),
            views: Vec::new(),
            feeder: None,
            gap: None,
            planted: false,
            last_active: now,
            heard_at: None,
            doubt: None,
            island: None,
        }
    }

    /// The order of eviction: never heard first, then by last activity.
    pub(super) fn age(&self) -> (bool, Moment) {
        (self.heard_at.is_some(), self.last_active)
    }

    /// Bytes held back behind a gap.
    pub(super) fn held_cost(&self) -> usize {
        self.held.values().map(|(_, run)| cost(run)).sum()
    }

    /// Moves to `next`, past any numbers delivered before.
    pub(super) fn advance(&mut self, next: u64) {
        self.next = next;
        if let Some((_, end)) = self.island.filter(|(start, _)| *start <= next) {
            self.next = next.max(end);
            self.island = None;
        }
    }

    /// The numbers ahead that were delivered before: first, end.
    pub(super) fn island(&self) -> Option<(u64, u64)> {
        self.island
    }

    /// Remembers a jump. An earlier jump from a known number takes precedence.
    pub(super) fn add_doubt(&mut self, doubt: Doubt) {
        if self.doubt.is_none_or(|old| old.from.is_none()) {
            self.doubt = Some(doubt);
        }
    }

    /// Whether a run shows that the jump was false, because it continues the numbers before the
    /// jump. After deliveries beyond the jump, going back would break the order. So a short jump
    /// stays, even if a liar caused the loss.
    pub(super) fn is_refuted_by(&self, first: u64, last: u64) -> bool {
        // Only one island of delivered numbers can be remembered.
        let remembers = self.island.is_none();
        remembers
            && self.doubt.is_some_and(|doubt| match doubt.from {
                Some(from) => {
                    let keeps_order = self.next <= doubt.to || doubt.to - from > AHEAD_MAX;
                    (first..=last).contains(&from) && last < doubt.to && keeps_order
                }
                None => last.saturating_add(LAG_MAX) < doubt.to,
            })
    }

    /// Goes back to the start of the doubtful jump, or to `first`. Returns how many bytes are no
    /// longer held.
    pub(super) fn take_back(&mut self, first: u64) -> usize {
        let Some(doubt) = self.doubt.take() else {
            return 0;
        };
        let next = doubt.from.unwrap_or(first);
        if self.next > doubt.to {
            self.island = Some((doubt.to, self.next));
        }
        self.next = next;
        for view in &mut self.views {
            view.gone = 0;
            if !view.has(next) {
                view.high = view.high.min(next);
            }
        }
        let freed = self.held_cost();
        self.held.clear();
        freed
    }

    /// If a peer's watermark `high` lies far below a jump, returns the number to ask that peer
    /// from.
    pub(super) fn question(&mut self, high: u64, now: Moment) -> Option<u64> {
        let doubt = self.doubt.as_mut()?;
        let first = doubt.from.unwrap_or(high);
        let recently = doubt.asked_at.is_some_and(|at| now.since(at) < ASK_AGAIN);
        if recently || first == 0 || high < first || high.saturating_add(LAG_MAX) >= doubt.to {
            return None;
        }
        doubt.asked_at = Some(now);
        Some(first)
    }

    /// Drops all claims above `high`. Returns how many bytes are no longer held.
    pub(super) fn forget_claims(&mut self, high: u64) -> usize {
        for view in &mut self.views {
            view.high = view.high.min(high);
            view.gone = view.gone.min(high);
        }
        let beyond = high.saturating_add(1).max(self.next);
        let held = self.held.split_off(&beyond);
        held.values().map(|(_, run)| cost(run)).sum()
    }

    /// Puts the repair off.
    pub(super) fn ask_later(&mut self, at: Moment) {
        if let Some(gap) = self.gap.as_mut() {
            gap.at = at;
        }
    }

    /// Compares the numbers `first` to `last` with the stream.
    pub(super) fn place(&self, first: u64, last: u64) -> RunPlace {
        match self.next {
            next if last < next => RunPlace::Known,
            next if first <= next => RunPlace::Next,
            _ => RunPlace::Ahead,
        }
    }

    /// The highest sequence number without a gap below it.
    pub(super) fn high(&self) -> u64 {
        self.next - 1
    }

    pub(super) fn view(&mut self, link: LinkId) -> &mut View {
        let index = match self.views.iter().position(|view| view.link == link) {
            Some(index) => index,
            None => {
                self.views.push(View::new(link));
                self.views.len() - 1
            }
        };
        &mut self.views[index]
    }

    /// Notes that a peer pushed a new run.
    pub(super) fn fed_by(&mut self, link: LinkId) {
        self.feeder = Some(link);
    }

    /// The peer that pushed the latest new run.
    pub(super) fn feeder(&self) -> Option<LinkId> {
        self.feeder
    }

    /// Whether another peer pushes this stream if `link` is pruned. A peer that was just pruned
    /// does not count: its runs may only be in flight.
    pub(super) fn is_fed_without(&self, link: LinkId, now: Moment) -> bool {
        let feeder = self.feeder.filter(|feeder| *feeder != link);
        let view = feeder.and_then(|feeder| self.seen_view(feeder));
        view.is_some_and(|view| !view.was_told(now))
    }

    /// Picks a peer that announced `seq` well before `feeder` pushed it, to be asked to push
    /// instead. Only one request is open at a time.
    pub(super) fn prefer(&mut self, seq: u64, feeder: LinkId, now: Moment) -> Option<LinkId> {
        let lately = |view: &View| {
            view.preferred
                .is_some_and(|at| now.since(at) < PREFER_AGAIN)
        };
        if self.views.iter().any(lately) {
            return None;
        }
        let lead = |view: &View| view.ahead.map(|at| now.since(at)).unwrap_or_default();
        let others = self
            .views
            .iter_mut()
            .filter(|view| view.link != feeder && view.has(seq));
        let first = others.max_by_key(|view| lead(view))?;
        if lead(first) < LEAD {
            return None;
        }
        (first.preferred, first.told) = (Some(now), None);
        Some(first.link)
    }

    /// Ends each peer's lead, or starts it again now if the peer announced higher numbers.
    pub(super) fn note_progress(&mut self, now: Moment) {
        for view in &mut self.views {
            view.ahead = view.ahead.filter(|_| view.high >= self.next).map(|_| now);
        }
    }

    /// Begins the tree with exactly these peers lazy.
    pub(super) fn plant(&mut self, lazy: &[LinkId]) {
        self.planted = true;
        for view in &mut self.views {
            (view.lazy, view.told) = (false, None);
        }
        for link in lazy {
            self.view(*link).be_lazy();
        }
    }

    pub(super) fn seen_view(&self, link: LinkId) -> Option<&View> {
        self.views.iter().find(|view| view.link == link)
    }

    pub(super) fn views(&self) -> &[View] {
        &self.views
    }

    /// Data for a peer was dropped on its way: only the peer's own reports count now.
    pub(super) fn doubt_receiver(&mut self, link: LinkId) {
        let mut views = self.views.iter_mut().filter(|view| view.link == link);
        if let Some(view) = views.next() {
            view.taken = view.taken.filter(|taken| taken.is_confirmed);
        }
    }

    pub(super) fn views_mut(&mut self) -> &mut [View] {
        &mut self.views
    }

    /// A link has ended.
    pub(super) fn forget_link(&mut self, link: LinkId, now: Moment) {
        let high = self.high();
        let view = self.seen_view(link);
        if let Some(taken) = view.and_then(|view| view.taken).filter(|it| it.upto < high) {
            let earlier = self.left_at(now).unwrap_or(taken.upto);
            self.left = Some((taken.upto.min(earlier), now));
        }
        self.views.retain(|view| view.link != link);
        self.feeder = self.feeder.filter(|feeder| *feeder != link);
        self.parent = self.parent.filter(|parent| *parent != link);
    }

    /// The number up to which the application and all awaited receivers have consumed this stream,
    /// without `except`. The origin's own application does not count.
    pub(super) fn consumed_by_all(&self, except: Option<LinkId>) -> u64 {
        let own = match &self.intake {
            intake if intake.is_done() || intake.is_stalled => self.high(),
            intake => intake.consumed,
        };
        self.awaited(except).fold(own.min(self.high()), u64::min)
    }

    /// Whether a receiver may still need the run that ends at `last`: one that we wait for, or one
    /// that left a moment ago.
    pub(super) fn is_awaited(&self, last: u64, now: Moment) -> bool {
        let mut upto = self.left_at(now).into_iter().chain(self.awaited(None));
        upto.any(|upto| upto < last)
    }

    /// How far each receiver that we wait for has consumed this stream, without `except`.
    fn awaited(&self, except: Option<LinkId>) -> impl Iterator<Item = u64> {
        let others = self
            .views
            .iter()
            .filter(move |view| Some(view.link) != except);
        let taken = others.filter_map(|view| view.taken);
        taken
            .filter(|taken| !taken.is_stalled)
            .map(|taken| taken.upto)
    }

    /// How far the slowest receiver has consumed this stream of those that left a moment ago.
    fn left_at(&self, now: Moment) -> Option<u64> {
        let left = self.left.filter(|(_, at)| now.since(*at) < RETURNS_WITHIN);
        left.map(|(upto, _)| upto)
    }

    /// Whether everything is consumed and the pushing peers know it.
    pub(super) fn is_at_rest(&self) -> bool {
        let high = self.high();
        self.intake.is_done()
            && self.views().iter().all(|view| {
                view.taken.is_none_or(|taken| taken.upto >= high)
                    && (!view.awaits || self.parent == Some(view.link) && view.acked >= high)
            })
    }

    /// Keeps a run for peers that missed it.
    pub(super) fn cache(&mut self, run: Publish, now: Moment) {
        self.cached.insert(run.first, (now, run));
    }

    /// Drops the cached run that begins at `first`.
    pub(super) fn uncache(&mut self, first: u64) {
        self.cached.remove(&first);
    }

    /// The first number that arrived at `at` or later, if it is cached.
    pub(super) fn first_since(&self, at: Moment) -> Option<u64> {
        let latest_first = self.cached.values().rev();
        let since = latest_first.take_while(|(came, _)| *came >= at);
        since.last().map(|(_, run)| run.first)
    }

    /// The cached runs with numbers from `first` on.
    pub(super) fn cached_from(&self, first: u64) -> impl Iterator<Item = &(Moment, Publish)> {
        let start = self.cached.range(..first).next_back();
        let start = match start {
            Some((at, (_, run))) if run.last() >= first => *at,
            _ => first,
        };
        self.cached.range(start..).map(|(_, entry)| entry)
    }
}

/// The cost of a run, in bytes.
pub(super) fn cost(run: &Publish) -> usize {
    run.payload.body().len() + RUN_OVERHEAD
}
