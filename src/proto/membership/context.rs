//! What membership gets from the node for each call.

use std::net::SocketAddr;
use std::time::Duration;

use super::event::{Dial, Output};
use crate::proto::jitter::jitter;
use crate::proto::{Config, Intent, LinkId, Moment, Outgoing, PeerAddress, Timer};

/// Share by which intervals vary.
const JITTER: f64 = 0.2;

/// The dials of this node, for whatever purpose, as membership sees them.
pub(in crate::proto) trait Dials {
    /// Whether a dial to that node, or to its address, is under way.
    fn is_dialing(&self, who: &PeerAddress) -> bool;

    /// How many dials are under way that the application has not asked for.
    fn under_way(&self) -> usize;

    /// How many of those are younger than `age`.
    fn younger_than(&self, age: Duration) -> usize;

    /// Whether a missed seed listens at that address. It is dialled by a timer of its own.
    fn is_missed_seed(&self, address: SocketAddr) -> bool;
}

/// One call: the time, the options and dials of the node, its random numbers, and the outputs.
pub(in crate::proto) struct Context<'a> {
    pub(in crate::proto) now: Moment,
    pub(in crate::proto) config: &'a Config,
    pub(in crate::proto) dials: &'a dyn Dials,
    pub(in crate::proto) rng: &'a mut fastrand::Rng,
    pub(in crate::proto) out: &'a mut Vec<Output>,
}

impl Context<'_> {
    pub(super) fn send(&mut self, link: LinkId, data: Outgoing) {
        self.out.push(Output::Send { link, data });
    }

    pub(super) fn set_timer(&mut self, timer: Timer, after: Duration) {
        self.out.push(Output::SetTimer { timer, after });
    }

    pub(super) fn dial(&mut self, who: &PeerAddress, intent: Intent) {
        self.out.push(Output::Dial(Dial {
            who: who.clone(),
            intent,
            displaces: false,
        }));
    }

    /// `time` plus or minus up to a fifth of it, so that nodes do not act in step.
    pub(super) fn jitter(&mut self, time: Duration) -> Duration {
        jitter(self.rng, time, JITTER)
    }

    /// A random one of `links`.
    pub(super) fn one_of(&mut self, links: &[LinkId]) -> Option<LinkId> {
        let index = self.rng.usize(..links.len().max(1));
        links.get(index).copied()
    }

    /// Whether a dial to that node, or to its address, is under way.
    pub(super) fn is_dialing(&self, who: &PeerAddress) -> bool {
        let is_it = |dial: &Dial| dial.who.id == who.id || dial.who.socket() == who.socket();
        self.new_dials().any(is_it) || self.dials.is_dialing(who)
    }

    /// How many dials are under way that the application has not asked for.
    pub(super) fn dials_under_way(&self) -> usize {
        self.new_dials().count() + self.dials.under_way()
    }

    /// How many of those are younger than `age`.
    pub(super) fn dials_younger_than(&self, age: Duration) -> usize {
        self.new_dials().count() + self.dials.younger_than(age)
    }

    /// The dials of this call, which the node has yet to make.
    fn new_dials(&self) -> impl Iterator<Item = &Dial> {
        self.out.iter().filter_map(|output| match output {
            Output::Dial(dial) => Some(dial),
            _ => None,
        })
    }
}
