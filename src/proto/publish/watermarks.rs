//! Watermarks (IHAVE): what lazy and new peers are told, and what theirs tell of.

use std::time::Duration;

use super::State;
use super::repair::{GRAFT_AFTER, GRAFT_HOLE_AFTER};
use super::stream::Doubt;
use super::streams::CACHE_FOR;
use crate::proto::codec::native;
use crate::proto::{Level, LinkId, Origin, Range, Timer, Watermark};

/// How long watermarks for lazy peers are collected (overlay design, tree).
const LAZY_EVERY: Duration = Duration::from_millis(5);
/// What a peer announces this soon after its link came up is what it has had, not what it just got.
const GREETING: Duration = Duration::from_secs(1);
/// At most so many watermarks are told when a link comes up: the most recently active ones.
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
            self.tell(link, news);
        }
    }

    /// Tells a peer the watermarks of everything that was active lately, our own in any case; but
    /// not of others that have never said anything: in a network that starts at once those would
    /// be all its nodes.
    pub(super) fn catch_up(&mut self, link: LinkId) {
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
        self.tell(
            link,
            active
                .into_iter()
                .map(|(.., watermark)| watermark)
                .collect(),
        );
    }

    pub(super) fn on_ihave(&mut self, link: LinkId, watermarks: Vec<Watermark>) {
        let now = self.now;
        let since = self.peer(link).map(|peer| peer.since);
        let greets = since.is_some_and(|since| now.since(since) < GREETING);
        let first_word = !std::mem::replace(&mut self.synced, true);
        for Watermark { origin, high } in watermarks {
            let known = self.streams.get(&origin).is_some();
            if !known && !self.takes_claim(link) {
                return self.blame(link, "it tells of more origins than there can be");
            }
            let next = if first_word && !known {
                high.saturating_add(1)
            } else {
                1
            };
            let settled = first_word || high == 0;
            let stream = self.streams.open(&origin, next, settled, now);
            if next > 1 && !known {
                stream.doubt = Some(Doubt::new(None, next));
            }
            let asked = stream
                .gap
                .as_ref()
                .is_some_and(|gap| gap.asked.contains(&link));
            let view = stream.view(link);
            view.high = view.high.max(high);
            if origin == self.own {
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
    pub(super) fn takes_claim(&mut self, link: LinkId) -> bool {
        let now = self.now;
        self.peer_mut(link)
            .is_some_and(|peer| peer.claims.take(now))
    }

    fn tell(&mut self, link: LinkId, watermarks: Vec<Watermark>) {
        for part in watermarks.chunks(WATERMARKS_PER_FRAME) {
            self.send(link, native::i_have(part));
        }
    }
}
