//! Shortcuts: how pairs move from the overlay to one, and back.
//!
//! A pair that moves from one path to the other loses nothing. The sender ends the old path, and
//! begins a shortcut, with a note of how much it has sent so far ([`What::Sent`]). The receiver
//! keeps what comes early over the one path until the other has brought what is before it (see
//! [`order`](super::order)).

use super::paths::Shortcut;
use super::{Frame, LinkId, Moment, Origin, Output, Roads, Routing, What};

impl Routing {
    /// When a shortcut last carried a letter, or when it was made.
    pub fn used_at(&self, shortcut: LinkId) -> Option<Moment> {
        Some(self.paths.ends.get(&shortcut)?.used_at)
    }

    /// The path to a member, its first link and its length.
    pub(super) fn way_to(
        &self,
        handle: u32,
        origin: &Origin,
        roads: &mut impl Roads,
    ) -> Option<(LinkId, u16)> {
        match self.paths.to(handle) {
            Some(link) => Some((link, 1)),
            None => roads.way_to(&origin.id),
        }
    }

    /// Whether a frame that a link brought may come over it: a shortcut serves its two ends only.
    pub(super) fn is_in_place(&mut self, link: LinkId, frame: &Frame) -> bool {
        let Some(shortcut) = self.paths.ends.get(&link) else {
            return true;
        };
        let (from, to) = (&shortcut.origin, &self.me);
        let is_in_place = match frame {
            Frame::Letter(letter) => {
                letter.from == *from && letter.to.iter().all(|it| it.origin == *to)
            }
            Frame::Note(note) => note.from == *from && note.to == *to,
        };
        if !is_in_place {
            self.out.push(Output::Stray(link));
        }
        is_in_place
    }

    pub(super) fn shortcut_up(
        &mut self,
        now: Moment,
        handle: u32,
        link: LinkId,
        roads: &mut impl Roads,
    ) {
        let Some(origin) = roads.origin(handle) else {
            return;
        };
        let is_used = self.sending.get(&handle).is_some_and(|it| it.sent > 0);
        if is_used {
            self.tell_sent(handle, roads);
        }
        let shortcut = Shortcut {
            handle,
            origin,
            used_at: now,
        };
        self.paths.ends.insert(link, shortcut);
        self.paths.open.insert(handle, link);
        self.sending_to(handle, now);
        self.tell_sent(handle, roads);
        self.update_window(handle, roads);
    }

    pub(super) fn shortcut_ends(&mut self, link: LinkId, roads: &mut impl Roads) {
        let Some(Shortcut { handle, .. }) = self.paths.ends.get(&link) else {
            return;
        };
        let handle = *handle;
        if self.paths.to(handle) == Some(link) {
            self.tell_sent(handle, roads);
            self.paths.open.remove(&handle);
            self.update_window(handle, roads);
        }
    }

    pub(super) fn shortcut_down(&mut self, now: Moment, link: LinkId, roads: &mut impl Roads) {
        let Some(Shortcut { handle, .. }) = self.paths.ends.remove(&link) else {
            return;
        };
        if self.paths.to(handle) == Some(link) {
            self.paths.open.remove(&handle);
            self.update_window(handle, roads);
        }
        if let Some((_, receiving)) = self.receiving.get_mut(&handle)
            && let Some(sure) = receiving.order.loses(link)
        {
            self.settle(handle, sure, now);
        }
    }

    /// Tells a member how much it was sent so far, at the end of a path to it and at the beginning
    /// of the next one.
    fn tell_sent(&mut self, handle: u32, roads: &mut impl Roads) {
        let Some(sending) = self.sending.get(&handle) else {
            return;
        };
        let (session, sent) = (sending.session, sending.sent);
        if let Some(origin) = roads.origin(handle) {
            self.send_note(origin, session, What::Sent(sent), roads);
        }
    }
}
