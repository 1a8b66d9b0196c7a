//! Dials: to become peers, or to deliver one line.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::fields::{Dial, Link, Phase, Purpose};
use crate::proto::legacy::line;
use crate::proto::state::State;
use crate::proto::{Class, CloseHow, Event, LinkId, Outgoing, Output, PeerAddress, Target, Timer};

impl State {
    pub(in crate::proto::state) fn add_peer(&mut self, request: u32, target: Target) {
        if self.is_self(&target) {
            return self.dialed(Some(request), Err("SELF"));
        }
        if let Some(link) = self.peer_at(&target) {
            return self.dialed(Some(request), Ok(link));
        }
        self.dial_peer(Dial {
            request: Some(request),
            ..Dial::to(target)
        });
    }

    pub(in crate::proto::state) fn dial_peer(&mut self, dial: Dial) {
        self.dial(dial.target.clone(), Purpose::Peer(dial));
    }

    /// Delivers `line` on a connection of its own.
    pub(in crate::proto::state) fn send_courier(
        &mut self,
        target: Target,
        line: bytes::Bytes,
        seed: Option<usize>,
    ) {
        self.dial(target, Purpose::Courier(line, seed));
    }

    /// Whether a dial to that node, or to its address, is under way.
    pub(in crate::proto::state) fn is_dialing(&self, who: &PeerAddress) -> bool {
        is_dialing(&self.links, who)
    }

    pub(in crate::proto::state) fn dials_under_way(&self) -> usize {
        own_dials(&self.links).count()
    }

    /// Whether a dial to that seed is under way.
    pub(in crate::proto::state) fn is_dialing_seed(&self, seed: usize) -> bool {
        self.links
            .values()
            .filter_map(Link::dial)
            .any(|dial| dial.seed == Some(seed))
    }

    pub(in crate::proto::state) fn connected(&mut self, link: LinkId, remote: SocketAddr) {
        let Some(state) = self.links.get_mut(&link) else {
            return self.out.push(Output::Close {
                link,
                how: CloseHow::Abort,
            });
        };
        state.remote = Some(remote);
        match std::mem::replace(&mut state.phase, Phase::Courier(None)) {
            Phase::Dialing(Purpose::Courier(line, seed)) => {
                state.phase = Phase::Courier(seed);
                self.send(link, control(line));
                self.out.push(Output::Close {
                    link,
                    how: CloseHow::HalfClose,
                });
                self.set_timer(Timer::Handshake(link), self.config.handshake_timeout);
            }
            Phase::Dialing(Purpose::Peer(dial)) => {
                let intent = dial.intent;
                state.phase = Phase::AwaitingAck(dial);
                let hello = self.hello(intent);
                self.send(link, control(line::handshake(&hello)));
                self.set_timer(Timer::Handshake(link), self.config.handshake_timeout);
            }
            Phase::Dialing(Purpose::Shortcut(member)) => {
                self.ask_for_shortcut(link, member, remote)
            }
            other => state.phase = other,
        }
    }

    pub(in crate::proto::state) fn dial_failed(&mut self, link: LinkId, code: &str) {
        tracing::debug!(%link, code, "dial failed");
        self.drop_link(link, code);
    }

    pub(super) fn dialed(&mut self, request: Option<u32>, result: Result<LinkId, &str>) {
        if let Some(request) = request {
            let result = result.map_err(str::to_owned);
            self.emit(Event::Dialed { request, result });
        }
    }

    /// The peer that is known to listen at `target`.
    fn peer_at(&self, target: &Target) -> Option<LinkId> {
        let is_there = |link: &LinkId| {
            let peer = self.peer(*link)?;
            (peer.target.as_ref() == Some(target)).then_some(*link)
        };
        self.peers.iter().find_map(is_there)
    }

    pub(in crate::proto::state) fn dial(&mut self, target: Target, purpose: Purpose) {
        let link = self.next_link();
        self.counters.dials += 1;
        tracing::debug!(%link, host = target.host, port = target.port, "dialling");
        self.links
            .insert(link, Link::new(None, Phase::Dialing(purpose), self.now));
        self.out.push(Output::Dial { link, target });
    }
}

/// Whether a dial to that node, or to its address, is among `links`.
pub(in crate::proto::state) fn is_dialing(
    links: &BTreeMap<LinkId, Link>,
    who: &PeerAddress,
) -> bool {
    links.values().filter_map(Link::dial).any(|dial| {
        dial.expected.as_ref() == Some(&who.id)
            || dial.target.port == who.port && dial.is_to(who.address)
    })
}

/// The dials among `links` that the application has not asked for.
pub(in crate::proto::state) fn own_dials(
    links: &BTreeMap<LinkId, Link>,
) -> impl Iterator<Item = &Link> {
    let is_own = |link: &&Link| link.dial().is_some_and(|dial| dial.request.is_none());
    links.values().filter(is_own)
}

/// A line or frame of the protocol itself.
pub(in crate::proto::state) fn control(head: bytes::Bytes) -> Outgoing {
    Outgoing {
        class: Class::Control,
        head,
        body: bytes::Bytes::new(),
    }
}
