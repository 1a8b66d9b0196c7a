//! The application on a host's node. It consumes messages at its own pace.

use std::time::Duration;

use super::parts::HostId;
use super::{Cause, Network};
use crate::proto::Event;

impl Network {
    /// Sets the time that a host's application takes for each run of messages from now on.
    pub fn slow_down(&mut self, host: HostId, pace: Option<Duration>) {
        self.hosts[host.index()].application.pace = pace;
    }

    /// The number of runs that wait for a host's application.
    pub fn waiting(&self, host: HostId) -> usize {
        self.hosts[host.index()].application.waiting.len()
    }

    /// Whether a host's application must wait before its next broadcast, as `emit` and `drain` of
    /// the JavaScript API signal it.
    pub fn is_pressed(&mut self, host: HostId) -> bool {
        let application = &mut self.hosts[host.index()].application;
        let (outstanding, size) = application.window;
        application.is_pressed = match application.is_pressed {
            true => outstanding > size / 2,
            false => outstanding > size,
        };
        application.is_pressed
    }

    pub(super) fn give(&mut self, host: HostId, event: &Event) {
        let node = &mut self.hosts[host.index()];
        let Event::Broadcast {
            mark: Some(mark), ..
        } = event
        else {
            return;
        };
        let application = &mut node.application;
        let Some(pace) = application.pace else {
            application.consumed.insert(mark.stream, mark.last);
            return;
        };
        application.waiting.push_back(*mark);
        if application.waiting.len() == 1 {
            let life = node.life;
            self.at(self.now.after(pace), Cause::Handled(host, life));
        }
    }

    pub(super) fn handled_by(&mut self, host: HostId, life: u32) {
        let node = &mut self.hosts[host.index()];
        if node.life != life {
            return;
        }
        let application = &mut node.application;
        if let Some(mark) = application.waiting.pop_front() {
            application.consumed.insert(mark.stream, mark.last);
        }
        let pace = application.pace.unwrap_or_default();
        if !application.waiting.is_empty() {
            self.at(self.now.after(pace), Cause::Handled(host, life));
        }
    }
}
