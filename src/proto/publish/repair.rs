//! Gaps: which peer to ask (GRAFT) for missing broadcasts, when, and how often.

use std::time::Duration;

use super::state::State;
use super::stream::{Gap, Question, Stream};
use super::view::View;
use crate::proto::codec::native;
use crate::proto::{LAST_SEQUENCE, Level, LinkId, Moment, Origin, Range, Timer};

/// From an announcement to the graft, if the broadcast does not arrive. Twice the 95th percentile
/// of round trip times would be 200 ms over links of 10 to 50 ms. In the simulator, more than 150
/// ms save nothing, and 80 ms cost a hundredth of a copy.
pub(super) const GRAFT_AFTER: Duration = Duration::from_millis(150);
/// The same for a hole in a peer's own pushes. Links keep order, so that peer will not fill it;
/// only another, slightly slower link can.
pub(super) const GRAFT_HOLE_AFTER: Duration = Duration::from_millis(10);
/// A repair timer this late means that the process is starved.
const STARVED_AFTER: Duration = Duration::from_millis(20);
/// From one graft to the next, to another peer; doubles with every try.
pub(super) const GRAFT_AGAIN: Duration = Duration::from_millis(40);
pub(super) const GRAFT_AGAIN_MAX: Duration = Duration::from_secs(1);
/// While a repair makes progress, no other peer is asked.
pub(super) const GRAFT_PATIENCE: Duration = Duration::from_millis(250);
/// A gap is skipped after this time without progress. It takes 6 s to detect dead peers; the rest
/// is time to find others that hold the missing runs.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
/// The same while the peer that was asked still sends broadcasts: its answer is queued behind them.
const GIVE_UP_FLOWING_AFTER: Duration = Duration::from_secs(60);
/// How long this node waits for an answer before it asks another peer, while the peer that was
/// asked still sends broadcasts. An answer is slow on a slow link, and each further one makes it
/// slower.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// The same for the next part of an answer, and for the pushes behind it. Over 1 Mbit/s, the
/// largest batch takes half a second.
const NEXT_WITHIN: Duration = Duration::from_secs(1);
/// A peer still sends broadcasts if its latest frame about them arrived within this time. A frame
/// of 64 KiB takes half a second over 1 Mbit/s, and several links may share that.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
/// With this many gaps, a stream that has delivered nothing yet gets no repair.
const STRANGE_GAPS: usize = 1024;
/// Minimum time between two checks of the gaps, per [`GAPS_AT_A_LOOK`] gaps. A check visits every
/// gap, and an attacker can create thousands.
const REPAIR_EVERY: Duration = Duration::from_millis(1);
const GAPS_AT_A_LOOK: usize = 64;

impl State {
    /// Notes that numbers up to `target` are missing, and asks for them after `wait`. Returns false
    /// if nothing is missing or there are too many gaps.
    pub(super) fn note_gap(&mut self, origin: &Origin, target: u64, wait: Duration) -> bool {
        let now = self.now;
        let crowded = self.gaps.len() >= STRANGE_GAPS;
        let target = target.min(LAST_SEQUENCE);
        let Some(stream) = self.streams.get_mut(origin) else {
            return false;
        };
        let is_strange = stream.heard_at.is_none() && stream.gap.is_none();
        if target < stream.next || crowded && is_strange {
            return false;
        }
        let gap = stream.gap.get_or_insert_with(|| Gap {
            target,
            since: now,
            known: target,
            at: now.after(wait),
            asked: Vec::new(),
            pending: None,
            tries: 0,
        });
        gap.target = gap.target.max(target);
        let at = gap.at;
        self.gaps.insert(origin.clone());
        self.repair_by(at);
        true
    }

    pub(super) fn close_gap(&mut self, origin: &Origin) {
        if let Some(stream) = self.streams.get_mut(origin) {
            stream.gap = None;
        }
        self.gaps.remove(origin);
    }

    pub(super) fn on_repair(&mut self) {
        self.repair_at = None;
        for origin in self.gaps.clone() {
            let Some(stream) = self.streams.get(&origin) else {
                self.gaps.remove(&origin);
                continue;
            };
            match &stream.gap {
                None => self.close_gap(&origin),
                Some(gap) if gap.target < stream.next => self.close_gap(&origin),
                Some(gap) if gap.at > self.now => {}
                Some(_) => self.repair(&origin),
            }
            let gap = self
                .streams
                .get(&origin)
                .and_then(|stream| stream.gap.as_ref());
            if let Some(at) = gap.map(|gap| gap.at) {
                self.repair_by(at);
            }
        }
    }

    pub(super) fn on_gone(&mut self, link: LinkId, range: &Range) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(&range.origin) else {
            return;
        };
        if range.first > stream.next {
            // The gap below the range is repaired first; another peer may hold the range by then.
            return;
        }
        // Only answers to a graft count.
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
            gap.pending = gap.pending.filter(|question| question.link != link);
            self.repair_by(now);
        }
    }

    /// Takes the next step to close a gap: asks a peer, waits, or skips.
    fn repair(&mut self, origin: &Origin) {
        let now = self.now;
        let usable: Vec<LinkId> = self
            .peers
            .iter()
            .filter(|peer| peer.level < Level::Full)
            .map(|peer| peer.link)
            .collect();
        let flowing: Vec<LinkId> = self
            .peers
            .iter()
            .filter(|peer| peer.heard.is_some_and(|at| now.since(at) < HEARD_WITHIN))
            .map(|peer| peer.link)
            .collect();
        let joined = self.joined_at.unwrap_or_default();
        let Some(stream) = self.streams.get_mut(origin) else {
            return;
        };
        match stream.next_step(&usable, &flowing, now) {
            Step::Wait => stream.wait_for_starved(now),
            Step::WaitForAnswer => stream.wait_for_answer(now),
            Step::Skip {
                upto,
                witnesses,
                is_overdue,
            } => self.may_skip(origin, upto, witnesses, is_overdue),
            Step::Ask(link) => {
                let Some((first, last)) = stream.ask(link, now) else {
                    return;
                };
                let max_age_ms = match stream.settled {
                    true => u32::MAX,
                    false => u32::try_from(now.since(joined).as_millis()).unwrap_or(u32::MAX),
                };
                let Some(link) = link else { return };
                let range = Range {
                    origin: origin.clone(),
                    first,
                    last,
                };
                self.counters.grafts += 1;
                tracing::debug!(%link, origin = %origin.id, first, last, "graft");
                self.send(link, native::graft(&range, max_age_ms));
            }
        }
    }

    fn repair_by(&mut self, at: Moment) {
        let looks = self.gaps.len() / GAPS_AT_A_LOOK + 1;
        let at = at.max(self.now.after(REPAIR_EVERY * looks as u32));
        if self.repair_at.is_none_or(|set| at < set) {
            self.repair_at = Some(at);
            self.set_timer(Timer::Repair, at.since(self.now));
        }
    }
}

/// The next step to close a gap.
enum Step {
    /// Wait: this process was starved.
    Wait,
    /// Wait: the answer may be on its way.
    WaitForAnswer,
    /// Give up everything before `upto`: `witnesses` peers no longer hold it, or no peer answers.
    Skip {
        upto: u64,
        witnesses: usize,
        is_overdue: bool,
    },
    /// Ask this peer, if there is one.
    Ask(Option<LinkId>),
}

impl Stream {
    /// Decides the next step. Only the links in `usable` can be asked; those in `flowing` still
    /// send broadcasts.
    fn next_step(&self, usable: &[LinkId], flowing: &[LinkId], now: Moment) -> Step {
        let Some(gap) = &self.gap else {
            return Step::Ask(None);
        };
        // A timer this late means that the process could not run. The missing broadcasts may lie in
        // a socket's buffer.
        if gap.tries == 0 && now.since(gap.at) >= STARVED_AFTER {
            return Step::Wait;
        }
        let pending = gap.pending.filter(|it| flowing.contains(&it.link));
        if pending.is_some_and(|question| self.may_be_answered(question, gap, now)) {
            return Step::WaitForAnswer;
        }
        let patience = match pending {
            Some(_) => GIVE_UP_FLOWING_AFTER,
            None => GIVE_UP_AFTER,
        };
        let next = self.next;
        let views = self.views().iter();
        let views = views.filter(|view| usable.contains(&view.link) && view.high >= next);
        let (have, gone): (Vec<&View>, Vec<&View>) = views.partition(|view| view.gone < next);
        let is_unasked = |view: &&&View| !gap.asked.contains(&view.link);
        // A new peer that holds the range is asked before the gap is given up.
        let is_overdue =
            now.since(gap.since) >= patience && !have.iter().any(|view| is_unasked(&view));
        if have.is_empty() && !gone.is_empty() || is_overdue {
            let known = gone.iter().map(|view| view.gone.saturating_add(1)).min();
            let held = self.held.keys().next().copied();
            let upto = [known, held].into_iter().flatten().min();
            let upto = upto.unwrap_or(gap.target.saturating_add(1));
            return Step::Skip {
                upto: upto.max(next.saturating_add(1)),
                witnesses: have.len() + gone.len(),
                is_overdue,
            };
        }
        let unasked = have.iter().filter(is_unasked).max_by_key(|view| view.high);
        let best = unasked.or(have.iter().max_by_key(|view| view.high));
        Step::Ask(best.map(|view| view.link))
    }

    /// Whether the peer that was asked last is likely to bring what is missing.
    fn may_be_answered(&self, question: Question, gap: &Gap, now: Moment) -> bool {
        let Question { link, at, last } = question;
        if gap.since <= at {
            return now.since(at) < ANSWER_WITHIN;
        }
        // After the answer, a peer pushes what follows, unless it has been pruned since.
        let is_pruned = self.seen_view(link).is_none_or(|view| view.told.is_some());
        let is_answered = last < self.next;
        !(is_answered && is_pruned) && now.since(gap.since) < NEXT_WITHIN
    }

    /// Gives a starved process time to read.
    fn wait_for_starved(&mut self, now: Moment) {
        if let Some(gap) = self.gap.as_mut() {
            gap.tries = 1;
            gap.at = now.after(GRAFT_AFTER);
        }
    }

    /// Gives an answer time to arrive.
    fn wait_for_answer(&mut self, now: Moment) {
        if let Some(gap) = self.gap.as_mut() {
            gap.at = now.after(GRAFT_PATIENCE);
        }
    }

    /// Notes that `link` is asked now. Returns the numbers to ask for.
    fn ask(&mut self, link: Option<LinkId>, now: Moment) -> Option<(u64, u64)> {
        let held = self.held.keys().next().map(|first| first - 1);
        let next = self.next;
        let gap = self.gap.as_mut()?;
        let again = (GRAFT_AGAIN * 2u32.pow(gap.tries.min(8))).min(GRAFT_AGAIN_MAX);
        gap.tries += 1;
        gap.at = now.after(again);
        let last = held.unwrap_or(gap.target).max(next);
        if let Some(link) = link {
            if gap.asked.contains(&link) {
                gap.asked.clear();
            }
            gap.asked.push(link);
            let at = now;
            gap.pending = Some(Question { link, at, last });
            self.view(link).told = None;
        }
        Some((next, last))
    }
}
