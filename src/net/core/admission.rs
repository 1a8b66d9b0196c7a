//! Admission of incoming connections; counts and reports of refusals.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Core;
use crate::net::link::task::Security;
use crate::net::os::listener::{plain, reset};
use crate::net::secure::Refusal;
use crate::proto::{CloseHow, Event, Input};

/// Minimum time for a handshake before a connection must make room for a newer one.
const UNCONNECTED_GRACE: Duration = Duration::from_millis(500);
/// The shortest pause in accepting connections: timers are coarse.
const ARRIVAL_PAUSE: Duration = Duration::from_millis(10);

/// Thread: any; `accept` only the network's. Locks held: the core's.
impl Core {
    /// Accepts an incoming connection if there is room. Returns how long to pause accepting.
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
            .unconnected
            .values()
            .filter(|(other, _)| *other == ip)
            .count();
        if !ip.is_loopback() && same >= self.config.max_unconnected_per_address {
            self.refused.refused_per_address += 1;
            tracing::debug!(%remote, "refused: too many connections of one address without a handshake");
            return reset(&stream);
        }
        if self.unconnected.len() >= self.config.max_unconnected {
            // The oldest has had the most time for its handshake. But if it is new, too,
            // connections arrive so fast that mutual displacement would let none through.
            let oldest = self.unconnected.values().next();
            if oldest.is_some_and(|(_, since)| since.elapsed() < UNCONNECTED_GRACE) {
                self.refused.refused_crowded += 1;
                tracing::debug!(%remote, "refused: too many connections without a handshake");
                return reset(&stream);
            }
            if let Some((oldest, _)) = self.unconnected.pop_first() {
                self.refused.refused_crowded += 1;
                self.close(oldest, CloseHow::Abort);
                self.handle(Input::Closed {
                    link: oldest,
                    reason: "CROWDED".to_owned(),
                });
            }
        }
        let link = self.state.next_link();
        self.unconnected.insert(link, (ip, Instant::now()));
        let security = match &self.keys {
            Some(keys) => Security::Accepts(keys.clone()),
            None => Security::Plain,
        };
        self.open(link, stream, remote, security);
        self.handle(Input::Accepted { link, remote });
    }

    /// Counts a refused link, and reports it unless many were reported lately.
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
