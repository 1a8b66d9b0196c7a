//! Failure detection: heartbeats and silent peers.

use std::time::Duration;

use crate::proto::codec::native;
use crate::proto::state::{HEARTBEAT_CHECK, State};
use crate::proto::{CloseHow, RemoveReason, Timer, publish};

/// Idle time after which this node sends a heartbeat.
pub(in crate::proto::state) const HEARTBEAT_AFTER: Duration = Duration::from_secs(2);
/// Silence after which a native peer counts as dead.
pub(in crate::proto::state) const DEAD_AFTER: Duration = Duration::from_secs(6);

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
            // A pause of this node delayed its reads, too. Peers heard since the pause get no extra
            // time.
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
        self.look_after_shortcuts(lag);
        self.publish(publish::Input::TimerFired(Timer::Heartbeat));
    }
}
