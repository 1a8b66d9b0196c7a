//! A node's connections: their beginning, reports and end.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber as _;

use super::{Core, Dialed, Open};
use crate::net::link::outlet::Outlet;
use crate::net::link::port::{End, Report, Role};
use crate::net::link::task::{Link, Security};
use crate::net::os::dial::{NOT_ALLOWED, connect};
use crate::net::os::listener::{plain, tune};
use crate::proto::codec::{Decoder, Limits};
use crate::proto::{Bucket, CloseHow, Input, Level, LinkId, Target};

/// Thread: any. Locks held: the core's.
impl Core {
    /// Handles a link's report.
    pub(super) fn report(&mut self, link: LinkId, report: Report) {
        match report {
            // The node has closed the link already.
            _ if !self.links.contains_key(&link) => {}
            Report::Received(messages) => {
                for message in messages {
                    self.received += 1;
                    self.passed_on = 0;
                    self.handle(Input::Received { link, message });
                    if self.passed_on > 0
                        && let Some(open) = self.links.get_mut(&link)
                    {
                        open.relayed.spend(self.passed_on as f64);
                    }
                }
            }
            Report::Pressure(level) => {
                self.level(link, level);
                self.handle_pending();
            }
            Report::Closed(end) => {
                let open = self.links.remove(&link);
                let reason = match end {
                    End::Because(reason) => reason,
                    End::Refused(refusal) => {
                        if let Some(open) = open {
                            self.refuse(open.remote, refusal);
                        }
                        refusal.code()
                    }
                };
                self.unconnected.remove(&link);
                self.handle(Input::Closed {
                    link,
                    reason: reason.to_owned(),
                });
            }
        }
    }

    /// The role of the node at the other end.
    pub(super) fn role(&self, link: LinkId) -> Role {
        let Some(open) = self.links.get(&link) else {
            return Role::Unconnected;
        };
        match &open.peer {
            Some(peer) => Role::Peer {
                has_windows: peer.windows,
            },
            None if open.is_shortcut => Role::Peer { has_windows: true },
            None => Role::Unconnected,
        }
    }

    /// A link has become a shortcut: it has the limits of a peer's, and no gate of its own.
    pub(super) fn settle_shortcut(&mut self, link: LinkId) {
        self.unconnected.remove(&link);
        if let Some(open) = self.links.get_mut(&link) {
            open.is_shortcut = true;
        }
    }

    /// Begins a link on a connection.
    pub(super) fn open(
        &mut self,
        link: LinkId,
        stream: TcpStream,
        remote: SocketAddr,
        security: Security,
    ) {
        // The watch ends with the driver; after that, no links are opened.
        let Some(watch) = self.watch.upgrade() else {
            return;
        };
        tune(&stream);
        let outlet = Arc::new(Outlet::new(self.config.link_queue, self.patience()));
        let rate = self.config.relayed_bytes_per_second;
        let limits = Limits::from(&self.config);
        let task = Link {
            id: link,
            stream,
            security,
            outlet: outlet.clone(),
            decoder: Decoder::new(limits, self.config.native),
            watch,
            port: self.port.clone(),
            sink: self.sink.clone(),
        };
        self.links.insert(
            link,
            Open {
                is_touched: false,
                remote,
                outlet,
                relayed: Bucket::new(rate / 8.0, rate, self.now()),
                given: (0, 0),
                level: Level::Low,
                peer: None,
                is_shortcut: false,
            },
        );
        let task = task.run().with_current_subscriber();
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Begins a dial; [`Self::dialed`] follows.
    pub(super) fn dial(&mut self, link: LinkId, target: Target) {
        let deadline = self.config.dial_timeout;
        let config = self.config.clone();
        let dialed = self.dialed.clone();
        let dial = self.runtime.spawn(async move {
            let connecting = timeout(deadline, connect(&target, &config));
            let result = connecting.await.unwrap_or(Err("ETIMEDOUT"));
            // If the node has stopped, nobody receives the result, and the connection closes.
            drop(dialed.send((link, result)));
        });
        self.dials.insert(link, dial.abort_handle());
    }

    /// Handles the outcome of a dial.
    pub(in crate::net) fn dialed(&mut self, (link, result): Dialed) {
        // An aborted dial may still report. The state has forgotten it.
        if self.dials.remove(&link).is_none() {
            return;
        }
        match result {
            Ok((stream, remote)) => {
                let remote = plain(remote);
                let security = match &self.keys {
                    Some(keys) => Security::Dials(keys.clone()),
                    None => Security::Plain,
                };
                self.open(link, stream, remote, security);
                self.handle(Input::Connected { link, remote });
            }
            Err(code) => {
                self.refused.refused_address += u64::from(code == NOT_ALLOWED);
                self.handle(Input::DialFailed {
                    link,
                    code: code.to_owned(),
                });
            }
        }
    }

    /// Closes a link, or cancels a dial.
    pub(super) fn close(&mut self, link: LinkId, how: CloseHow) {
        if let Some(dial) = self.dials.remove(&link) {
            dial.abort();
        }
        self.unconnected.remove(&link);
        // A half-closed link still has to report when the other side closes it.
        let outlet = match how {
            CloseHow::HalfClose => self.links.get(&link).map(|open| open.outlet.clone()),
            CloseHow::Flush | CloseHow::Abort => self.links.remove(&link).map(|open| open.outlet),
        };
        if let Some(outlet) = outlet {
            outlet.close(how);
        }
    }
}
