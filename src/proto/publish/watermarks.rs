//! Watermarks (IHAVE): sent to lazy and new peers, and received from them.

use std::time::Duration;

use super::cache::CACHE_FOR;
use super::repair::{GRAFT_AFTER, GRAFT_HOLE_AFTER};
use super::state::State;
use super::stream::Doubt;
use crate::proto::codec::native;
use crate::proto::{Class, Level, LinkId, Moment, Origin, Range, Timer, Watermark};

/// How long watermarks for lazy peers are collected.
const LAZY_EVERY: Duration = Duration::from_millis(5);
/// Announcements this soon after a link came up concern old broadcasts.
const GREETING: Duration = Duration::from_secs(1);
/// Maximum watermarks sent when a link comes up: those of the most recently active origins.
const GREETING_MAX: usize = 4096;
/// Watermarks per frame.
pub(super) const WATERMARKS_PER_FRAME: usize = 512;

impl State {
    pub(super) fn announce(&mut self, origin: &Origin) {
        if self.dirty.is_empty() {
            self.set_timer(Timer::LazyPush, LAZY_EVERY);
        }
        self.dirty.insert(origin.clone());
    }

    pub(super) fn on_lazy_push(&mut self) {
        let dirty = std::mem::take(&mut self.dirty);
        for index in 0..self.peers.len() {
            let peer = &mut self.peers[index];
            let link = peer.link;
            if !peer.native || peer.level >= Level::High {
                peer.behind |= peer.native;
                continue;
            }
            let news = dirty.iter().filter_map(|origin| {
                let stream = self.streams.get(origin)?;
                let view = stream.seen_view(link)?;
                let high = stream.high();
                (view.lazy && !view.has(high)).then(|| Watermark {
                    origin: origin.clone(),
                    high,
                })
            });
            let news = news.collect();
            self.tell(link, news, Class::Control);
        }
    }

    /// Tells a peer the watermarks of all recently active streams and of our own. Origins that
    /// never spoke are left out: when a whole network starts at once, they would be all its nodes.
    /// The watermarks queue behind broadcasts. Ahead of them, they would announce gaps that do not
    /// exist, and a slow link would carry everything twice.
    pub(super) fn catch_up(&mut self, link: LinkId) {
        let active = self.active();
        self.tell(link, active, Class::Own);
    }

    /// The same for a new peer, over a connection that opened at `began`. A newcomer begins its
    /// streams at the first watermarks that it gets. But it may have admitted this node before this
    /// node admitted it. So it gets the watermarks of `began` first, and asks for the rest.
    pub(super) fn greet(&mut self, link: LinkId, began: Moment) {
        let news = self.active().into_iter().flat_map(|now| {
            let stream = self.streams.get(&now.origin);
            let before = stream.and_then(|stream| stream.first_since(began));
            let before = before.map(|first| Watermark {
                origin: now.origin.clone(),
                high: first - 1,
            });
            [before, Some(now)]
        });
        let news = news.flatten().collect();
        self.tell(link, news, Class::Own);
    }

    /// The watermarks of recently active streams, the latest first.
    fn active(&self) -> Vec<Watermark> {
        let mut active: Vec<_> = self
            .streams
            .iter()
            .filter(|(origin, stream)| {
                **origin == self.own
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
                    *origin != self.own,
                    std::cmp::Reverse(stream.last_active),
                    watermark,
                )
            })
            .collect();
        active.sort_by_key(|(other, age, _)| (*other, *age));
        active.truncate(GREETING_MAX);
        let watermarks = active.into_iter().map(|(.., watermark)| watermark);
        watermarks.collect()
    }

    pub(super) fn on_ihave(&mut self, link: LinkId, watermarks: Vec<Watermark>) {
        let now = self.now;
        let since = self.peer(link).map(|peer| peer.since);
        let greets = since.is_some_and(|since| now.since(since) < GREETING);
        let is_first = !std::mem::replace(&mut self.synced, true);
        for watermark in watermarks {
            let is_known = self.streams.get(&watermark.origin).is_some();
            if !is_known && !self.takes_claim(link) {
                return self.blame(link, "it announces more origins than plausible");
            }
            let is_news = self.open_claimed(link, &watermark, is_first);
            if watermark.origin != self.own {
                self.on_claim(link, watermark, greets, is_news);
            }
        }
    }

    /// Opens the stream that a watermark announces. With `is_first`, no peer has sent watermarks
    /// before, and the stream begins there for this node. Returns whether the watermark is news
    /// from that peer.
    fn open_claimed(&mut self, link: LinkId, watermark: &Watermark, is_first: bool) -> bool {
        let Watermark { origin, high } = watermark;
        let is_known = self.streams.get(origin).is_some();
        let next = match is_first && !is_known {
            true => high.saturating_add(1),
            false => 1,
        };
        let settled = is_first || *high == 0;
        let stream = self.streams.open(origin, next, settled, self.now);
        if next > 1 && !is_known {
            stream.doubt = Some(Doubt::new(None, next));
        }
        let view = stream.view(link);
        let is_news = *high > view.high;
        view.high = view.high.max(*high);
        view.has_only(view.high);
        is_news
    }

    /// A peer announces an origin's broadcasts up to `high`. `greets`: its link has just come up.
    fn on_claim(&mut self, link: LinkId, watermark: Watermark, greets: bool, is_news: bool) {
        let now = self.now;
        let Watermark { origin, high } = watermark;
        let Some(stream) = self.streams.get_mut(&origin) else {
            return;
        };
        if high < stream.next {
            if let Some(first) = stream.question(high, now) {
                let last = high;
                let range = Range {
                    origin,
                    first,
                    last,
                };
                self.send(link, native::graft(&range, u32::MAX));
            }
            return;
        }
        if !greets {
            stream.view(link).ahead.get_or_insert(now);
        }
        let gap = stream.gap.as_ref();
        // A watermark at the end of a partial answer is no news. An announcement is; it overtakes
        // answers.
        let is_asked = !is_news && gap.is_some_and(|gap| gap.asked.contains(&link));
        let wait = match () {
            () if is_asked => Duration::ZERO,
            () if !greets => GRAFT_AFTER,
            () if stream.settled => GRAFT_HOLE_AFTER,
            () => Duration::ZERO,
        };
        if let Some(gap) = stream.gap.as_mut() {
            if is_asked {
                // The answer was partial: ask for the rest.
                gap.pending = None;
                gap.asked.retain(|other| *other != link);
                gap.at = now;
            }
            if greets {
                // This peer may be the first in a while that can be asked.
                gap.at = gap.at.min(now.after(wait));
            }
        }
        self.note_gap(&origin, high, wait);
    }

    /// Whether a peer may announce one more unknown origin.
    pub(super) fn takes_claim(&mut self, link: LinkId) -> bool {
        let now = self.now;
        self.peer_mut(link)
            .is_some_and(|peer| peer.claims.take(now))
    }

    fn tell(&mut self, link: LinkId, watermarks: Vec<Watermark>, class: Class) {
        for part in watermarks.chunks(WATERMARKS_PER_FRAME) {
            let mut frame = native::i_have(part);
            frame.class = class;
            self.send(link, frame);
        }
    }
}
