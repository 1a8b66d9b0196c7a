//! Failure detection: heartbeats, and peers that fell silent.

use std::time::Duration;

use crate::proto::codec::native;
use crate::proto::state::{HEARTBEAT_CHECK, State};
use crate::proto::{CloseHow, RemoveReason, Timer, publish};

/// After this long without sending anything, a heartbeat.
const HEARTBEAT_AFTER: Duration = Duration::from_secs(2);
/// After this long without hearing anything a native peer is dead.
const DEAD_AFTER: Duration = Duration::from_secs(6);

impl State {
    pub(in crate::proto::state) fn on_heartbeat(&mut self) {
        self.set_timer(Timer::Heartbeat, HEARTBEAT_CHECK);
        let last = self.heartbeat_at.replace(self.now).unwrap_or(self.now);
        let lag = self.now.since(last).saturating_sub(HEARTBEAT_CHECK);
        for link in self.peers.clone() {
            let Some(state) = self.links.get_mut(&link) else {
                continue;
            };
            if !state.peer().is_some_and(|peer| peer.native) {
                continue;
            }
            // Whatever kept this node from running kept it from hearing, too; whom it has heard
            // since needs no more time.
            state.last_heard = state.last_heard.after(lag).min(self.now);
            if self.now.since(state.last_heard) >= DEAD_AFTER {
                tracing::info!(%link, "peer fell silent");
                self.end_link(link, CloseHow::Abort, RemoveReason::Silent, "TIMEOUT");
                self.peers_changed();
                continue;
            }
            if self.now.since(state.last_sent) >= HEARTBEAT_AFTER {
                self.send(link, native::heartbeat());
            }
            self.repeat_direct_consumed(link);
        }
        self.publish(publish::Input::TimerFired(Timer::Heartbeat));
    }
}
