//! Connects the state of broadcasts ([`publish`]) to the links.

use std::time::Duration;

use super::State;
use crate::proto::{LinkId, Mark, Output, Timer, publish};

/// Interval at which receivers report even little consumption, while senders wait. Large amounts
/// are reported sooner.
const TELL_EVERY: Duration = Duration::from_millis(50);

impl State {
    /// Hands `input` to the state of broadcasts and carries out the outputs.
    pub(super) fn publish(&mut self, input: publish::Input) {
        let lazy = self.beacons.lazy_by_default(&self.me);
        let mut outputs = std::mem::take(&mut self.publish_out);
        self.publish.handle(self.now, input, lazy, &mut outputs);
        for output in outputs.drain(..) {
            match output {
                publish::Output::Send { link, data } => self.send(link, data),
                publish::Output::Translate { run, except, class } => {
                    self.translate(&run, except, class);
                }
                publish::Output::SetTimer { timer, after } => self.set_timer(timer, after),
                publish::Output::WatchWindows => self.watch_windows(),
                publish::Output::Window { outstanding, size } => self.out.push(Output::Window {
                    link: None,
                    outstanding,
                    size,
                }),
                publish::Output::Blame { link, what } => self.blame(link, -1, what),
                publish::Output::Event(event) => self.emit(event),
            }
        }
        self.publish_out = outputs;
    }

    /// Schedules a check of the windows.
    pub(super) fn watch_windows(&mut self) {
        if !std::mem::replace(&mut self.watches_windows, true) {
            self.set_timer(Timer::Window, TELL_EVERY);
        }
    }

    pub(super) fn on_window(&mut self) {
        self.watches_windows = false;
        self.publish(publish::Input::TimerFired(Timer::Window));
        if self.look_after_directs() {
            self.watch_windows();
        }
    }

    /// The application has consumed broadcasts and direct messages.
    pub(super) fn on_consumed_here(&mut self, mut marks: Vec<Mark>) {
        marks.retain(|mark| {
            let is_broadcast = self.publish.knows_mark(mark);
            if !is_broadcast {
                self.direct_consumed_here(mark);
            }
            is_broadcast
        });
        self.publish(publish::Input::Consumed(marks));
    }

    pub(super) fn on_moving(&mut self, links: Vec<LinkId>) {
        for link in &links {
            self.direct_moves(*link);
        }
        self.publish(publish::Input::Moving(links));
    }

    /// Whether a peer has all broadcasts of this node, or gets them from another peer.
    pub(crate) fn has_said_all(&self, link: LinkId) -> bool {
        self.publish.has_said_all(link)
    }
}
