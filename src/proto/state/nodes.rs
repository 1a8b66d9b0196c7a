//! Members of the network beyond the peers, and messages to any of them.
//!
//! [`members`] and [`routing`] are state machines of their own. This file connects them to the
//! links.

mod fields;

use std::collections::BTreeMap;

use super::State;
use super::links::Link;
use crate::proto::codec::native;
use crate::proto::members::{self, Address, FIRST_HANDLE, Members};
use crate::proto::routing::{self, Roads, Routing};
use crate::proto::{
    Event, Level, LinkId, NodeId, Origin, Output, Payload, PublicKey, Reject, Timer,
};
pub(super) use fields::Nodes;

/// Most bytes outstanding per receiver. Less than for a peer, because a node may have thousands of
/// receivers.
const WINDOW: usize = 1 << 20;

/// Score of a forged record: four of them close the link.
const FORGERY: i32 = -20;

/// The view of this node that routing may use.
struct Map<'a> {
    members: &'a mut Members,
    links: &'a BTreeMap<LinkId, Link>,
}

impl Map<'_> {
    fn level(&self, link: LinkId) -> Level {
        self.links.get(&link).map_or(Level::Full, |link| link.level)
    }
}

impl Roads for Map<'_> {
    fn way_to(&mut self, id: &NodeId) -> Option<(LinkId, u16)> {
        self.members.way_to(id)
    }

    fn handle_of(&self, origin: &Origin) -> Option<u32> {
        self.members.handle_of(origin)
    }

    fn origin(&self, handle: u32) -> Option<Origin> {
        self.members.origin(handle)
    }

    fn key(&self, handle: u32) -> Option<PublicKey> {
        self.members.key(handle)
    }

    fn takes(&self, link: LinkId, bytes: usize) -> bool {
        let most = self.links.get(&link).and_then(Link::max_message);
        // Framing adds eight bytes to the largest message.
        most.is_some_and(|most| bytes <= most.saturating_add(8))
    }

    fn is_crowded(&self, link: LinkId) -> bool {
        self.level(link) >= Level::High
    }

    fn is_full(&self, link: LinkId) -> bool {
        self.level(link) == Level::Full
    }
}

impl State {
    pub(super) fn start_nodes(&mut self) {
        if !self.config.members || !self.config.native {
            return;
        }
        let me = self.publish.origin().clone();
        let address = Address {
            host: self.config.address.clone(),
            port: self.config.port,
        };
        let config = members::Config {
            max_members: self.config.max_members,
            address,
            body: self.config.body.clone(),
            identity: self.config.identity.clone(),
        };
        let members = Members::new(config, me.clone(), self.now);
        let config = routing::Config {
            window: WINDOW,
            waits: self.config.waits_for_receivers,
            patience: self.config.slow_receiver_timeout,
            identity: self.config.identity.clone(),
        };
        let routing = Routing::new(config, me, self.now);
        self.nodes = Some(Nodes { members, routing });
        self.tell_members(members::Input::Wake);
    }

    /// Tells the network that this node leaves. Call it before the links close.
    pub(super) fn stop_nodes(&mut self) {
        self.tell_members(members::Input::Stop);
        if self.nodes.take().is_some() {
            self.cancel_timer(Timer::Members);
            self.cancel_timer(Timer::Routing);
        }
    }

    /// A node has become a peer. `is_aware`: it keeps records, too.
    pub(super) fn nodes_link_up(&mut self, link: LinkId, is_aware: bool) {
        if self.nodes.is_none() {
            return;
        }
        let Some(peer) = self.peer(link) else { return };
        let id = peer.id.clone();
        self.leave_shortcut_to(&id);
        let Some(peer) = self.peer(link) else { return };
        let stub = (!is_aware).then(|| {
            let target = peer.target.clone();
            target.map_or_else(Address::default, |target| Address {
                host: target.host,
                port: target.port,
            })
        });
        self.tell_members(members::Input::LinkUp { link, id, stub });
    }

    pub(super) fn nodes_link_down(&mut self, link: LinkId) {
        self.tell_members(members::Input::LinkDown(link));
    }

    /// Sets the text of this node's record.
    pub(super) fn set_body(&mut self, body: String) {
        self.config.body.clone_from(&body);
        self.tell_members(members::Input::Body(body));
    }

    /// Sends a message of the application to members.
    pub(super) fn send_to(&mut self, handles: Vec<u32>, payload: Payload) {
        self.tell_routing(routing::Input::Send(handles, payload));
    }

    pub(super) fn on_members_frame(&mut self, link: LinkId, frame: members::Frame) {
        self.tell_members(members::Input::Frame(link, frame));
    }

    pub(super) fn on_routing_frame(&mut self, link: LinkId, frame: routing::Frame) {
        self.tell_routing(routing::Input::Frame(link, frame));
    }

    pub(super) fn on_members_timer(&mut self) {
        self.tell_members(members::Input::Wake);
    }

    pub(super) fn on_routing_timer(&mut self) {
        self.tell_routing(routing::Input::Wake);
    }

    /// The pressure of a link has changed.
    pub(super) fn nodes_pressure(&mut self) {
        self.tell_routing(routing::Input::Pressure);
    }

    /// Handles a mark if it belongs to a member's stream; returns whether it does.
    pub(super) fn member_consumed(&mut self, stream: u32, last: u64) -> bool {
        let is_members = stream >= FIRST_HANDLE;
        if is_members {
            self.tell_routing(routing::Input::Consumed(stream, last));
        }
        is_members
    }

    /// Whether the application has yet to consume messages from members.
    pub(super) fn nodes_wait(&self) -> bool {
        let nodes = self.nodes.as_ref();
        nodes.is_some_and(|nodes| nodes.routing.is_waiting())
    }

    fn tell_members(&mut self, input: members::Input) {
        let Some(nodes) = &mut self.nodes else { return };
        let mut out = Vec::new();
        nodes.members.handle(self.now, input, &mut out);
        for output in out {
            match output {
                members::Output::Send(link, frame) => self.send(link, native::members(&frame)),
                members::Output::WakeAt(at) => {
                    self.set_timer(Timer::Members, at.since(self.now));
                }
                members::Output::Malformed(link) => self.on_reject(link, Reject::BadShape),
                members::Output::Forged(link) => {
                    self.blame(link, FORGERY, "a record that its node has not signed");
                }
                members::Output::Event(event) => self.on_member(event),
            }
        }
    }

    fn on_member(&mut self, event: members::Event) {
        match event {
            members::Event::Joined(member) => {
                let handle = member.handle;
                self.emit(Event::MemberJoined(member));
                self.tell_routing(routing::Input::Joined(handle));
            }
            members::Event::Updated(member) => self.emit(Event::MemberUpdated(member)),
            members::Event::Left(handle) => {
                self.close_shortcut_to(handle);
                self.tell_routing(routing::Input::Left(handle));
                self.emit(Event::MemberLeft(LinkId(handle)));
            }
        }
    }

    pub(super) fn tell_routing(&mut self, input: routing::Input) {
        let Some(Nodes { members, routing }) = &mut self.nodes else {
            return;
        };
        let links = &self.links;
        let mut out = Vec::new();
        routing.handle(self.now, input, &mut Map { members, links }, &mut out);
        for output in out {
            self.on_routed(output);
        }
    }

    fn on_routed(&mut self, output: routing::Output) {
        match output {
            routing::Output::Send(link, frame, class) => {
                self.send(link, native::routing(&frame, class));
            }
            routing::Output::Deliver(handle, payload, mark) => {
                self.watch_windows();
                let (link, mark) = (LinkId(handle), Some(mark));
                self.emit(Event::Direct {
                    link,
                    payload,
                    mark,
                });
            }
            routing::Output::Window(handle, outstanding) => self.out.push(Output::Window {
                link: Some(LinkId(handle)),
                outstanding,
                size: WINDOW,
            }),
            routing::Output::Slow(handle) => {
                let nodes = self.nodes.as_ref();
                if let Some(origin) = nodes.and_then(|nodes| nodes.members.origin(handle)) {
                    self.counters.slow_receivers += 1;
                    self.emit(Event::SlowReceiver { id: origin.id });
                }
            }
            routing::Output::Undelivered(handle, count) => {
                let member = LinkId(handle);
                self.emit(Event::Undelivered { member, count });
            }
            routing::Output::Busy(handle) => self.on_busy(handle),
            routing::Output::Stray(link) => self.on_stray(link),
            routing::Output::WakeAt(at) => {
                self.set_timer(Timer::Routing, at.since(self.now));
            }
        }
    }
}
