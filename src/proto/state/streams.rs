//! What a node knows of each origin's broadcasts, and the payloads it keeps for those who missed
//! them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::proto::{LinkId, Moment, Origin, Publish};

/// How long a payload is kept for repair (overlay design, tree).
pub(super) const CACHE_FOR: Duration = Duration::from_secs(30);
/// How many bytes of payload are kept (overlay design, tree).
pub(super) const CACHE_BYTES: usize = 32 << 20;
/// How many bytes are held back behind gaps, over all origins.
pub(super) const HELD_BYTES: usize = 8 << 20;
/// How many origins are remembered; the one silent for longest is forgotten first.
pub(super) const MAX_STREAMS: usize = 16 << 10;
/// Payloads smaller than this are copied out of the buffer they were received in, which they would
/// otherwise keep alive as a whole.
const DETACH_BELOW: usize = 4 << 10;
/// What a run costs beside its payload, so that many tiny ones are bounded, too.
const RUN_OVERHEAD: usize = 256;

/// One origin's broadcasts, as this node sees them.
#[derive(Debug)]
pub(super) struct Stream {
    /// The next sequence number to deliver.
    pub(super) next: u64,
    /// Whether `next` is agreed on. A stream first heard of in its middle is not: what came before
    /// this node joined is not for it, what came since is.
    pub(super) settled: bool,
    /// Runs ahead of a gap, by first sequence number, with the link each came from.
    pub(super) held: BTreeMap<u64, (LinkId, Publish)>,
    /// Runs kept for repair, by first sequence number.
    cached: BTreeMap<u64, (Moment, Publish)>,
    /// What is known of each native peer with regard to this stream.
    views: Vec<View>,
    pub(super) gap: Option<Gap>,
    pub(super) last_active: Moment,
}

/// A native peer, with regard to one stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct View {
    pub(super) link: LinkId,
    /// Whether it gets watermarks only: it has told us so.
    pub(super) lazy: bool,
    /// Whether we have told it so.
    pub(super) pruned: bool,
    /// The highest sequence number it is known to have.
    pub(super) high: u64,
    /// The highest sequence number it is known to hold no more.
    pub(super) gone: u64,
}

/// Something is missing.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    /// The highest sequence number known to exist.
    pub(super) target: u64,
    /// When there was progress last.
    pub(super) since: Moment,
    /// When to ask (again).
    pub(super) at: Moment,
    /// Whom we have asked without an answer that helped.
    pub(super) asked: Vec<LinkId>,
    pub(super) tries: u32,
}

impl Stream {
    fn new(next: u64, settled: bool, now: Moment) -> Self {
        Self {
            next,
            settled,
            held: BTreeMap::new(),
            cached: BTreeMap::new(),
            views: Vec::new(),
            gap: None,
            last_active: now,
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
                self.views.push(View {
                    link,
                    lazy: false,
                    pruned: false,
                    high: 0,
                    gone: 0,
                });
                self.views.len() - 1
            }
        };
        &mut self.views[index]
    }

    pub(super) fn seen_view(&self, link: LinkId) -> Option<&View> {
        self.views.iter().find(|view| view.link == link)
    }

    pub(super) fn views(&self) -> &[View] {
        &self.views
    }

    /// The cached runs that hold anything from `first` on.
    pub(super) fn cached_from(&self, first: u64) -> impl Iterator<Item = &(Moment, Publish)> {
        let start = self.cached.range(..first).next_back();
        let start = match start {
            Some((at, (_, run))) if run.last() >= first => *at,
            _ => first,
        };
        self.cached.range(start..).map(|(_, entry)| entry)
    }
}

/// All streams, their cache and the bounds on both.
#[derive(Debug, Default)]
pub(super) struct Streams {
    map: BTreeMap<Origin, Stream>,
    /// What is cached, oldest first.
    cache: VecDeque<(Moment, Origin, u64, usize)>,
    cache_bytes: usize,
    held_bytes: usize,
}

impl Streams {
    pub(super) fn get(&self, origin: &Origin) -> Option<&Stream> {
        self.map.get(origin)
    }

    pub(super) fn get_mut(&mut self, origin: &Origin) -> Option<&mut Stream> {
        self.map.get_mut(origin)
    }

    /// The stream of `origin`; a new one begins at `next`.
    pub(super) fn open(
        &mut self,
        origin: &Origin,
        next: u64,
        settled: bool,
        now: Moment,
    ) -> &mut Stream {
        if self.map.len() >= MAX_STREAMS && !self.map.contains_key(origin) {
            self.make_room();
        }
        self.map
            .entry(origin.clone())
            .or_insert_with(|| Stream::new(next, settled, now))
    }

    /// Forgets the sixteenth of the streams that has been silent for longest.
    fn make_room(&mut self) {
        let mut ages: Vec<_> = self
            .map
            .iter()
            .map(|(o, s)| (s.last_active, o.clone()))
            .collect();
        ages.sort();
        for (_, origin) in ages.into_iter().take(MAX_STREAMS / 16) {
            if let Some(stream) = self.map.remove(&origin) {
                self.held_bytes -= stream
                    .held
                    .values()
                    .map(|(_, run)| cost(run))
                    .sum::<usize>();
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Origin, &Stream)> {
        self.map.iter()
    }

    pub(super) fn forget_link(&mut self, link: LinkId) {
        for stream in self.map.values_mut() {
            stream.views.retain(|view| view.link != link);
        }
    }

    /// Keeps a run for those who missed it.
    pub(super) fn cache(&mut self, run: &Publish, now: Moment) {
        let bytes = cost(run);
        let Some(stream) = self.map.get_mut(&run.origin) else {
            return;
        };
        stream
            .cached
            .insert(run.first, (now, run.detached(DETACH_BELOW)));
        self.cache
            .push_back((now, run.origin.clone(), run.first, bytes));
        self.cache_bytes += bytes;
        self.expire(now);
    }

    /// Drops cached runs that are too old or too many.
    pub(super) fn expire(&mut self, now: Moment) {
        while let Some((at, ..)) = self.cache.front() {
            if self.cache_bytes <= CACHE_BYTES && now.since(*at) < CACHE_FOR {
                return;
            }
            let Some((_, origin, first, bytes)) = self.cache.pop_front() else {
                return;
            };
            self.cache_bytes -= bytes;
            if let Some(stream) = self.map.get_mut(&origin) {
                stream.cached.remove(&first);
            }
        }
    }

    /// Holds a run back behind a gap; false when there is no room for it.
    pub(super) fn hold(&mut self, link: LinkId, run: Publish) -> bool {
        let bytes = cost(&run);
        let Some(stream) = self.map.get_mut(&run.origin) else {
            return false;
        };
        let better = stream
            .held
            .get(&run.first)
            .is_none_or(|(_, old)| old.last() < run.last());
        if !better || self.held_bytes + bytes > HELD_BYTES {
            return false;
        }
        if let Some((_, old)) = stream.held.insert(run.first, (link, run)) {
            self.held_bytes -= cost(&old);
        }
        self.held_bytes += bytes;
        true
    }

    /// Takes back a held run that can be delivered now, or has become useless.
    pub(super) fn unhold(&mut self, origin: &Origin) -> Option<(LinkId, Publish)> {
        let stream = self.map.get_mut(origin)?;
        let entry = stream.held.first_entry()?;
        if *entry.key() > stream.next {
            return None;
        }
        let (link, run) = entry.remove();
        self.held_bytes -= cost(&run);
        Some((link, run))
    }
}

fn cost(run: &Publish) -> usize {
    run.payload.body().len() + RUN_OVERHEAD
}
