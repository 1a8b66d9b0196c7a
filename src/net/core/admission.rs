//! Connections that others make: which are taken, and what is said of those that are not.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Core;
use crate::net::link::task::Security;
use crate::net::os::listener::{plain, reset};
use crate::net::secure::Refusal;
use crate::proto::{CloseHow, Event, Input};

/// A connection is not made to yield to a newer one before it has had this long for its handshake.
const STRANGER_GRACE: Duration = Duration::from_millis(500);
/// The least for which no connection is accepted when there are too many: timers are coarse.
const ARRIVAL_PAUSE: Duration = Duration::from_millis(10);

impl Core {
    /// Takes a connection that somebody else made, if there is room for it; returns how long no other
    /// shall be taken.
    pub(in crate::net) fn accept(&mut self, stream: TcpStream, remote: SocketAddr) -> Duration {
        self.admit(stream, remote);
        self.arrivals.spend(1.0);
        let debt = self.arrivals.debt(self.now());
        if debt < ARRIVAL_PAUSE {
            return Duration::ZERO;
        }
        self.refused.crowds += 1;
        debt
    }

    fn admit(&mut self, stream: TcpStream, remote: SocketAddr) {
        let remote = plain(remote);
        let ip = remote.ip();
        if !self.config.allows(ip) {
            return self.refuse(remote, Refusal::Address);
        }
        let same = self
            .strangers
            .values()
            .filter(|(other, _)| *other == ip)
            .count();
        if !ip.is_loopback() && same >= self.config.max_unconnected_per_address {
            self.refused.refused_per_address += 1;
            tracing::debug!(%remote, "refused: too many connections of one address without a handshake");
            return reset(&stream);
        }
        if self.strangers.len() >= self.config.max_unconnected {
            // The oldest has had the most time to say something; but if it has had hardly any, so
            // many come at once that none would ever get through if each displaced another.
            let oldest = self.strangers.values().next();
            if oldest.is_some_and(|(_, since)| since.elapsed() < STRANGER_GRACE) {
                self.refused.refused_crowded += 1;
                tracing::debug!(%remote, "refused: too many connections without a handshake");
                return reset(&stream);
            }
            if let Some((oldest, _)) = self.strangers.pop_first() {
                self.refused.refused_crowded += 1;
                self.close(oldest, CloseHow::Abort);
                self.handle(Input::Closed {
                    link: oldest,
                    reason: "CROWDED".to_owned(),
                });
            }
        }
        let link = self.state.next_link();
        self.strangers.insert(link, (ip, Instant::now()));
        let security = match &self.keys {
            Some(keys) => Security::Accepts(keys.clone()),
            None => Security::Plain,
        };
        self.open(link, stream, remote, security);
        self.handle(Input::Accepted { link, remote });
    }

    /// Counts a link that was not to be trusted, and tells of it if that was not just done.
    pub(super) fn refuse(&mut self, remote: SocketAddr, refusal: Refusal) {
        let counts = &mut self.refused;
        let count = match refusal {
            Refusal::Plaintext => &mut counts.refused_plaintext,
            Refusal::Encrypted => &mut counts.refused_encrypted,
            Refusal::Secret => &mut counts.refused_secret,
            Refusal::Unanswered => &mut counts.unanswered,
            Refusal::Identity => &mut counts.refused_identity,
            Refusal::Corrupted => &mut counts.corrupted,
            Refusal::Crowded => &mut counts.refused_crowded,
            Refusal::Address => &mut counts.refused_address,
        };
        *count += 1;
        let now = self.now();
        if !self.refusals.take(now) {
            self.untold += 1;
            return;
        }
        let untold = std::mem::take(&mut self.untold);
        tracing::warn!(%remote, untold, "{}", refusal.sentence());
        let reason = refusal.name();
        self.sink.event(Event::Refused { remote, reason });
    }
}
