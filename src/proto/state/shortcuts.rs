//! Shortcuts: links of their own for pairs of members that exchange much.
//!
//! A shortcut is no peer. It is in no view and no record, and carries only the letters and notes of
//! its two ends. [`routing`] says which pairs are busy, and moves them from the overlay to their
//! shortcut and back.
//!
//! - *Handshake*: the dialer's is one of [`Intent::Check`] with [`shortcut`](crate::proto::Place).
//!   Older nodes refuse it like any other check. The acceptor must know the dialer as a member.
//! - *Two dials at once*: a node drops its own dial for the other's, unless both are connected.
//!   Then the dial of the lower id wins, as between peers.
//! - *Goodbye*: the first end to close says goodbye and sends no more. The other end sends what it
//!   has, and closes. So a shortcut that ends in peace loses nothing.

mod fields;

use std::net::SocketAddr;
use std::time::Duration;

use super::State;
use super::links::{DEAD_AFTER, HEARTBEAT_AFTER, Link, Member, Phase, Purpose, Shortcut, control};
use crate::proto::codec::native;
use crate::proto::legacy::line;
use crate::proto::{
    CloseHow, Hello, Intent, LinkId, Message, Moment, Native, NodeId, Origin, Output, RemoveReason,
    Target, Why, routing,
};
pub(super) use fields::Shortcuts;

/// A shortcut that carried nothing for so long may make room for another one. Long enough that
/// busy pairs do not push each other out in turn.
const SPARE_AFTER: Duration = Duration::from_secs(5);
/// The cost of a frame that does not belong on a shortcut: four of them close the link.
const STRAY: i32 = -20;

impl State {
    /// This node sends much to a member: dials it.
    pub(super) fn on_busy(&mut self, handle: u32) {
        let is_known = |(_, member): (LinkId, &Member)| member.handle == handle;
        let may_dial = self.shortcuts.may_dial(handle, self.now);
        if !may_dial || self.all_shortcuts().any(is_known) {
            return;
        }
        let Some((origin, target)) = self.place_of_member(handle) else {
            return;
        };
        if self.makes_shortcut_room() {
            tracing::debug!(id = %origin.id, "dialling for a shortcut");
            let member = Member { handle, origin };
            self.dial(target, Purpose::Shortcut(member));
        }
    }

    /// The dial for a shortcut has connected.
    pub(super) fn ask_for_shortcut(&mut self, link: LinkId, member: Member, remote: SocketAddr) {
        // A name may lead anywhere.
        if !self.config.is_elsewhere(remote) {
            return self.give_up_shortcut(link, member.handle, CloseHow::Abort);
        }
        if let Some(state) = self.links.get_mut(&link) {
            state.phase = Phase::AwaitingShortcut(member);
        }
        let hello = for_shortcut(self.hello(Intent::Check));
        self.send(link, control(line::handshake(&hello)));
        let timer = crate::proto::Timer::Handshake(link);
        self.set_timer(timer, self.config.handshake_timeout);
    }

    /// Whether a handshake asks for a shortcut, and this node makes any.
    pub(super) fn is_for_shortcut(&self, hello: &Hello) -> bool {
        let place = hello.native.as_ref().map(|native| &native.place);
        self.nodes.is_some()
            && self.config.max_shortcuts > 0
            && place.is_some_and(|place| place.shortcut)
    }

    pub(super) fn answer_shortcut(&mut self, link: LinkId, hello: &Hello) {
        let member = match self.may_cut(hello) {
            Ok(member) => member,
            Err(why) => {
                tracing::debug!(%link, id = %hello.id, "refused a shortcut");
                self.counters.shortcuts_refused += 1;
                self.refuse(link, hello, why);
                return self.forget_link(link, CloseHow::Flush);
            }
        };
        let ack = for_shortcut(self.hello(Intent::Peer));
        self.send(link, control(line::handshake_ack(&ack)));
        self.open_shortcut(link, member, hello);
    }

    pub(super) fn on_shortcut_ack(&mut self, link: LinkId, member: Member, hello: &Hello) {
        let accepts = hello.intent() != Some(Intent::Refuse);
        let is_member = self.member_behind(hello).as_ref() == Some(&member);
        let has_objection = self.objection_to(hello).is_some();
        if accepts && is_member && !has_objection && self.is_for_shortcut(hello) {
            self.open_shortcut(link, member, hello);
        } else {
            tracing::debug!(%link, id = %hello.id, "a shortcut was refused");
            self.give_up_shortcut(link, member.handle, CloseHow::Flush);
        }
    }

    /// A message on a shortcut.
    pub(super) fn on_shortcut(&mut self, link: LinkId, message: Message) {
        match message {
            Message::Native(Native::Routing(frame)) => self.on_routing_frame(link, frame),
            Message::Native(Native::Heartbeat) => {}
            Message::Native(Native::Goodbye { .. }) => {
                self.tell_routing(routing::Input::ShortcutEnds(link));
                self.close_shortcut(link, CloseHow::Flush);
            }
            _ => self.on_stray(link),
        }
    }

    /// A shortcut brought what does not belong there.
    pub(super) fn on_stray(&mut self, link: LinkId) {
        self.blame(link, STRAY, "a frame that does not belong on a shortcut");
    }

    /// A link that is or was to be a shortcut has ended, and not in peace.
    pub(super) fn shortcut_broke(&mut self, link: LinkId, state: &Link) {
        let Some(member) = state.shortcut_to() else {
            return;
        };
        let has_ended = state.shortcut().is_some_and(|it| it.ends_by.is_some());
        if !has_ended {
            self.shortcuts.fails(member.handle, self.now);
        }
        self.tell_routing(routing::Input::ShortcutDown(link));
    }

    /// A member has left.
    pub(super) fn close_shortcut_to(&mut self, handle: u32) {
        self.shortcuts.forgets(handle);
        let is_meant = |(_, member): &(LinkId, &Member)| member.handle == handle;
        let links = self.all_shortcuts().filter(is_meant);
        for link in links.map(|(link, _)| link).collect::<Vec<_>>() {
            self.close_shortcut(link, CloseHow::Flush);
        }
    }

    /// A member has become a peer, and needs no shortcut.
    pub(super) fn leave_shortcut_to(&mut self, id: &NodeId) {
        let is_meant = |(_, member): &(LinkId, &Member)| member.origin.id == *id;
        let links = self.all_shortcuts().filter(is_meant);
        for link in links.map(|(link, _)| link).collect::<Vec<_>>() {
            match self.links.get(&link).and_then(Link::shortcut) {
                Some(_) => self.end_shortcut(link),
                None => self.close_shortcut(link, CloseHow::Abort),
            }
        }
    }

    /// Sends heartbeats, and ends shortcuts that are idle or dead. This node was late by `lag`.
    pub(super) fn look_after_shortcuts(&mut self, lag: Duration) {
        let links = self.all_shortcuts().map(|(link, _)| link);
        for link in links.collect::<Vec<_>>() {
            let now = self.now;
            let Some(state) = self.links.get_mut(&link) else {
                continue;
            };
            state.last_heard = state.last_heard.after(lag).min(now);
            let (heard, sent) = (state.last_heard, state.last_sent);
            let Some(shortcut) = state.shortcut() else {
                continue;
            };
            let ends_by = shortcut.ends_by;
            if ends_by.is_some_and(|at| at <= now) {
                self.close_shortcut(link, CloseHow::Abort);
            } else if now.since(heard) >= DEAD_AFTER {
                tracing::info!(%link, "a shortcut fell silent");
                self.end_link(link, CloseHow::Abort, RemoveReason::Silent, "TIMEOUT");
            } else if ends_by.is_none() && self.is_unused(link, self.config.shortcut_idle) {
                self.end_shortcut(link);
            } else if now.since(sent) >= HEARTBEAT_AFTER {
                self.send(link, native::heartbeat());
            }
        }
    }

    /// The links that are shortcuts or are to be, and their members.
    pub(super) fn all_shortcuts(&self) -> impl Iterator<Item = (LinkId, &Member)> {
        let links = self.links.iter();
        links.filter_map(|(link, state)| Some((*link, state.shortcut_to()?)))
    }

    /// The member that sent a handshake, if it can have a shortcut; otherwise the objection.
    fn may_cut(&mut self, hello: &Hello) -> Result<Member, Option<Why>> {
        let member = self.member_behind(hello).ok_or(None)?;
        let is_meant = |(_, other): &(LinkId, &Member)| other.handle == member.handle;
        let links = self.all_shortcuts().filter(is_meant);
        for link in links.map(|(link, _)| link).collect::<Vec<_>>() {
            match self.links.get(&link).map(|state| &state.phase) {
                Some(Phase::AwaitingShortcut(_)) if self.me < hello.id => return Err(None),
                // It may still bring its last letters. A pair has one shortcut at a time, because
                // its letters are put in order again for two paths, not three.
                Some(Phase::Shortcut(shortcut)) if shortcut.ends_by.is_some() => return Err(None),
                // A member that dials again has lost the link that it had.
                _ => self.close_shortcut(link, CloseHow::Abort),
            }
        }
        match self.makes_shortcut_room() {
            true => Ok(member),
            false => Err(Some(Why::Full)),
        }
    }

    /// The member that sent a handshake, unless it is a peer.
    fn member_behind(&self, hello: &Hello) -> Option<Member> {
        let native = hello.native.as_ref()?;
        let origin = Origin {
            id: hello.id.clone(),
            epoch: native.epoch,
        };
        if native.place.members != self.config.records() || self.peer_link(&hello.id).is_some() {
            return None;
        }
        let handle = self.nodes.as_ref()?.members.handle_of(&origin)?;
        Some(Member { handle, origin })
    }

    /// Whether there is room for another shortcut; ends one that is hardly used if need be.
    fn makes_shortcut_room(&mut self) -> bool {
        let most = self.config.max_shortcuts;
        let all = self.all_shortcuts().count();
        let is_ending = |state: &&Link| state.shortcut().is_some_and(|it| it.ends_by.is_some());
        let ending = self.links.values().filter(is_ending).count();
        if all - ending < most {
            return all < 2 * most;
        }
        let stays = |state: &Link| state.shortcut().is_some_and(|it| it.ends_by.is_none());
        let links = self.links.iter().filter(|(_, state)| stays(state));
        let by_use = links.filter_map(|(link, _)| Some((self.used_at(*link)?, *link)));
        let Some((_, oldest)) = by_use.min() else {
            return false;
        };
        if !self.is_unused(oldest, SPARE_AFTER) || all >= 2 * most {
            return false;
        }
        self.end_shortcut(oldest);
        true
    }

    fn used_at(&self, link: LinkId) -> Option<Moment> {
        self.nodes.as_ref()?.routing.used_at(link)
    }

    fn is_unused(&self, link: LinkId, time: Duration) -> bool {
        let used_at = self.used_at(link);
        used_at.is_none_or(|at| self.now.since(at) >= time)
    }

    /// A member, and where it can be dialled.
    fn place_of_member(&self, handle: u32) -> Option<(Origin, Target)> {
        let members = &self.nodes.as_ref()?.members;
        let (origin, address) = (members.origin(handle)?, members.address(handle)?);
        let (host, port) = (address.host, address.port);
        let is_dialable = match host.parse() {
            Ok(ip) => self.config.is_elsewhere(SocketAddr::new(ip, port)),
            Err(_) => !host.is_empty() && port > 0,
        };
        is_dialable.then_some((origin, Target { host, port }))
    }

    fn open_shortcut(&mut self, link: LinkId, member: Member, hello: &Hello) {
        let most = hello.native.as_ref().and_then(|native| native.max_message);
        tracing::info!(%link, id = %hello.id, "made a shortcut");
        let handle = member.handle;
        if let Some(state) = self.links.get_mut(&link) {
            state.phase = Phase::Shortcut(Shortcut {
                member,
                max_message: most.map_or(usize::MAX, |most| most as usize),
                ends_by: None,
            });
        }
        self.cancel_timer(crate::proto::Timer::Handshake(link));
        self.out.push(Output::Shortcut { link });
        self.tell_routing(routing::Input::ShortcutUp(handle, link));
    }

    /// Sends no more over a shortcut. Its other end will close it.
    fn end_shortcut(&mut self, link: LinkId) {
        let ends_by = self.now.after(self.config.handshake_timeout);
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        let Phase::Shortcut(shortcut) = &mut state.phase else {
            return;
        };
        if shortcut.ends_by.replace(ends_by).is_some() {
            return;
        }
        let handle = shortcut.member.handle;
        tracing::info!(%link, "a shortcut is not needed any more");
        self.shortcuts.forgets(handle);
        self.tell_routing(routing::Input::ShortcutEnds(link));
        self.send(link, native::goodbye(true));
    }

    /// Closes a link that is or was to be a shortcut.
    fn close_shortcut(&mut self, link: LinkId, how: CloseHow) {
        self.forget_link(link, how);
        self.tell_routing(routing::Input::ShortcutDown(link));
    }

    /// Closes a link that did not become a shortcut.
    fn give_up_shortcut(&mut self, link: LinkId, handle: u32, how: CloseHow) {
        self.shortcuts.fails(handle, self.now);
        self.forget_link(link, how);
    }
}

/// The same handshake, for a shortcut.
fn for_shortcut(mut hello: Hello) -> Hello {
    if let Some(native) = &mut hello.native {
        native.place.shortcut = true;
    }
    hello
}
