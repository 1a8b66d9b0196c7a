//! Peer scoring: misbehaving peers are muted, then closed.

use super::fields::Link;
use crate::proto::state::State;
use crate::proto::{CloseHow, LinkId, Moment, Reject, RemoveReason};

/// A link at this score is muted: its messages are ignored. Only native broadcasts still pass,
/// because peers would have to repair the gaps.
const MUTE_SCORE: i32 = -50;
/// A link at this score is closed.
const DROP_SCORE: i32 = -80;

impl State {
    pub(in crate::proto::state) fn on_reject(&mut self, link: LinkId, reject: Reject) {
        self.counters.rejected += 1;
        tracing::debug!(%link, ?reject, "message refused");
        match reject {
            Reject::BadHash => self.blame(link, -1, "a wrong hash"),
            // No honest node sends such an event.
            Reject::TooDeep => self.blame(link, DROP_SCORE, "an event that nests too deeply"),
            Reject::BadId => self.turn_away_nameless(link),
            Reject::NotAMessage => self.heard_nonsense(link),
            Reject::BadShape => {}
        }
    }

    /// Whether a link is muted; counts the ignored message.
    pub(in crate::proto::state) fn ignores(&mut self, link: LinkId) -> bool {
        let muted = self.is_muted(link);
        self.counters.ignored_of_muted += u64::from(muted);
        muted
    }

    pub(in crate::proto::state) fn is_muted(&self, link: LinkId) -> bool {
        let link = self.links.get(&link);
        link.is_some_and(|link| link.is_muted(self.now))
    }

    /// Lowers the score of a link, and closes it at [`DROP_SCORE`]. The score recovers by one point
    /// per second.
    pub(in crate::proto::state) fn blame(&mut self, link: LinkId, points: i32, what: &str) {
        let now = self.now;
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        let was_muted = state.is_muted(now);
        state.score = state.score(now) + points;
        state.blamed_at = now;
        tracing::debug!(%link, score = state.score, what, "misbehaviour");
        if state.score <= DROP_SCORE {
            self.counters.misbehaved += 1;
            tracing::warn!(%link, what, "closing a misbehaving link");
            let (how, reason) = (CloseHow::Abort, RemoveReason::Misbehaved);
            if self.end_link(link, how, reason, "REFUSED") {
                self.peers_changed();
            }
        } else if state.is_muted(now) && !was_muted {
            self.counters.muted += 1;
            tracing::warn!(%link, what, "muting a misbehaving link");
        }
    }
}

impl Link {
    fn is_muted(&self, now: Moment) -> bool {
        self.score < 0 && self.score(now) <= MUTE_SCORE
    }

    /// The score after recovery: one point per second.
    fn score(&self, now: Moment) -> i32 {
        let forgiven = now.since(self.blamed_at).as_secs().min(1 << 20) as i32;
        self.score.saturating_add(forgiven).min(0)
    }
}
