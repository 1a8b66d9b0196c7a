//! Connects the state of membership ([`membership`]) to the links.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::State;
use super::entry::Entry;
use super::links::{self, DialEnd, Link};
use crate::proto::membership::{self, Context, Dials};
use crate::proto::{CloseHow, Hello, LinkId, Moment, PeerAddress, RemoveReason};

/// The dials of this node that membership may look at.
struct Lookup<'a> {
    now: Moment,
    links: &'a BTreeMap<LinkId, Link>,
    entry: &'a Entry,
}

impl Dials for Lookup<'_> {
    fn is_dialing(&self, who: &PeerAddress) -> bool {
        links::is_dialing(self.links, who)
    }

    fn under_way(&self) -> usize {
        links::own_dials(self.links).count()
    }

    fn younger_than(&self, age: Duration) -> usize {
        let is_young = |link: &&Link| self.now.since(link.began) < age;
        links::own_dials(self.links).filter(is_young).count()
    }

    fn is_missed_seed(&self, address: SocketAddr) -> bool {
        let index = self.entry.seed_at(address);
        index.is_some_and(|index| self.entry.seeds[index].health.is_suspected())
    }
}

impl State {
    pub(super) fn start_membership(&mut self) {
        if !self.config.native {
            return;
        }
        self.membership(membership::Input::Started);
        self.start_beacons();
    }

    /// Hands `input` to the state of membership and carries out the outputs.
    pub(super) fn membership(&mut self, input: membership::Input) {
        self.ask_membership(|state, context| state.handle(input, context));
    }

    /// Asks the state of membership and carries out the outputs; returns the answer.
    fn ask_membership<T>(
        &mut self,
        ask: impl FnOnce(&mut membership::State, &mut Context<'_>) -> T,
    ) -> T {
        let mut outputs = std::mem::take(&mut self.membership_out);
        let lookup = Lookup {
            now: self.now,
            links: &self.links,
            entry: &self.entry,
        };
        let mut context = Context {
            now: self.now,
            config: &self.config,
            dials: &lookup,
            rng: &mut self.rng,
            out: &mut outputs,
        };
        let answer = ask(&mut self.membership, &mut context);
        for output in outputs.drain(..) {
            self.on_membership(output);
        }
        self.membership_out = outputs;
        answer
    }

    fn on_membership(&mut self, output: membership::Output) {
        match output {
            membership::Output::Send { link, data } => self.send(link, data),
            membership::Output::Dial(dial) => self.dial_peer(links::Dial {
                displaces: dial.displaces,
                ..links::Dial::to_node(&dial.who, dial.intent)
            }),
            membership::Output::Close(link) => {
                self.end_link(link, CloseHow::Flush, RemoveReason::Local, "ROOM");
            }
            membership::Output::SetTimer { timer, after } => self.set_timer(timer, after),
            membership::Output::Blame { link, what } => self.blame(link, -1, what),
        }
    }

    /// A dial ended without a new peer.
    pub(super) fn dial_came_to_nothing(&mut self, dial: &links::Dial, end: DialEnd, code: &str) {
        if !self.running {
            return;
        }
        if let Some(seed) = dial.seed {
            self.seed_dial_failed(seed, end, code);
        }
        let is_gone = end == DialEnd::Unreachable;
        if let Some(id) = dial.expected.clone().filter(|_| is_gone) {
            let address = dial.address();
            self.membership(membership::Input::Unreachable { id, address });
        }
        self.membership(membership::Input::Seek);
    }

    /// A node that has refused this one names others. The first `waiting` look for peers, too.
    /// `bridges`: they are in another part of the network that this node wants to join.
    pub(super) fn on_named(&mut self, contacts: Vec<PeerAddress>, waiting: usize, bridges: bool) {
        let waiting = contacts.iter().take(waiting).cloned().collect();
        self.membership(membership::Input::Waiting(waiting));
        if bridges {
            self.bridge_to(&contacts);
        }
        self.membership(membership::Input::Named(contacts));
    }

    /// Dials a node that looks for peers if there is room; returns whether a dial is under way.
    pub(super) fn take_up(&mut self, who: &PeerAddress) -> bool {
        self.ask_membership(|state, context| state.take_up(who, context))
    }

    /// Makes room for the sender of `hello`, which listens at `instead`.
    pub(super) fn make_room_for(&mut self, hello: &Hello, instead: Option<&PeerAddress>) -> bool {
        self.ask_membership(|state, context| state.make_room_for(hello, instead, context))
    }

    /// Makes room for a node of another part of the network that this node has dialled.
    pub(super) fn make_room_for_bridge(&mut self, to: &PeerAddress) -> bool {
        self.ask_membership(|state, context| state.make_room_for_bridge(to, context))
    }

    /// Closes a peer without other peers for a dialled node that has room.
    pub(super) fn displace(&mut self, newcomer: &PeerAddress) -> bool {
        self.ask_membership(|state, context| state.displace(newcomer, context))
    }

    /// Names nodes that the refused sender of `hello` should ask instead.
    pub(super) fn alternatives(
        &mut self,
        hello: &Hello,
        who: Option<&PeerAddress>,
    ) -> (u32, Vec<PeerAddress>) {
        self.ask_membership(|state, context| state.alternatives(hello, who, context))
    }
}
