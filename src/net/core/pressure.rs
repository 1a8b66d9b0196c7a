//! Backpressure: the queues of links, and the senders that they hold back.

use std::time::Duration;

use super::Core;
use crate::net::link::Pushed;
use crate::proto::{Class, CloseHow, Event, Input, Level, LinkId, Outgoing};

/// The longest pause in reading a link: its peer's heartbeats must arrive in between.
const LONGEST_REST: Duration = Duration::from_secs(1);

impl Core {
    pub(super) fn push(&mut self, link: LinkId, data: Outgoing) {
        let Some(open) = self.links.get_mut(&link) else {
            return;
        };
        if !std::mem::replace(&mut open.is_touched, true) {
            self.touched.push(link);
        }
        let class = data.class;
        if class == Class::Forward {
            let before = match open.given {
                (message, bytes) if message == self.received => bytes,
                _ => 0,
            };
            open.given = (self.received, before + data.len());
            self.passed_on = self.passed_on.max(open.given.1);
        }
        match open.outlet.push(data) {
            Pushed::Queued => {}
            Pushed::Level(level) => self.level(link, level),
            Pushed::Displaced => self.level(link, Level::Full),
            // A native peer repairs losses; a legacy peer would never notice them.
            Pushed::Refused if class == Class::Own && !open.is_native() => self.give_up(link),
            Pushed::Refused => self.level(link, Level::Full),
            Pushed::Hopeless => self.give_up(link),
        }
    }

    /// Closes a link whose peer does not read.
    fn give_up(&mut self, link: LinkId) {
        self.close(link, CloseHow::Abort);
        self.pending.push_back(Input::Closed {
            link,
            reason: "SLOW".to_owned(),
        });
    }

    pub(super) fn level(&mut self, link: LinkId, level: Level) {
        let Some(open) = self.links.get_mut(&link) else {
            return;
        };
        if open.level != level {
            open.level = level;
            self.levels_changed = true;
            self.pending.push_back(Input::Pressure { link, level });
        }
    }

    /// Updates the gates, and sends drain events to senders that may continue.
    pub(super) fn update_gates(&mut self) {
        if std::mem::take(&mut self.levels_changed) || self.held_back {
            self.set_gates();
        }
        if !self.shared.is_calm() {
            return;
        }
        if self.shared.broadcast.opens() {
            self.sink.event(Event::Drain(None));
        }
        for member in self.shared.opened_members() {
            self.sink.event(Event::Drain(Some(member)));
        }
        for (link, open) in &self.links {
            if open.peer.as_ref().is_some_and(|peer| peer.gate.opens()) {
                self.sink.event(Event::Drain(Some(*link)));
            }
        }
    }

    /// The slowest peer that still reads holds broadcasts back. A stuck peer does so only if no
    /// other peer has room.
    fn set_gates(&mut self) {
        let mut lowest = None;
        self.held_back = false;
        for open in self.links.values() {
            let Some(peer) = &open.peer else { continue };
            peer.gate.set(open.level);
            lowest = Some(lowest.map_or(open.level, |level: Level| level.min(open.level)));
            self.held_back |= open.level >= Level::High && open.outlet.is_moving();
        }
        let lowest = lowest.unwrap_or(Level::Low);
        let level = if self.held_back {
            lowest.max(Level::High)
        } else {
            lowest
        };
        self.shared.broadcast.set(level);
    }

    /// How long a link must pause reading, because it brought too much to forward.
    pub(super) fn rest(&mut self, link: LinkId) -> Duration {
        let now = self.now();
        let Some(open) = self.links.get_mut(&link) else {
            return Duration::ZERO;
        };
        let debt = open.relayed.debt(now).min(LONGEST_REST);
        self.refused.slowed += u64::from(!debt.is_zero());
        debt
    }
}
