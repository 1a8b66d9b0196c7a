//! Notes: reports about letters between the two ends, and from the nodes between.

use super::paths::Path;
use super::{
    Class, Frame, LinkId, Moment, Note, Origin, Output, Receiver, Roads, Routing, What, hops,
};

impl Routing {
    pub(super) fn on_note(
        &mut self,
        now: Moment,
        link: LinkId,
        note: Note,
        roads: &mut impl Roads,
    ) {
        if note.to != self.me {
            if let Some((next, _)) = roads.way_to(&note.to.id)
                && next != link
                && note.hops > 1
            {
                let hops = note.hops - 1;
                let frame = Frame::Note(Note { hops, ..note });
                self.out.push(Output::Send(next, frame, Class::Forward));
            }
            return;
        }
        let handle = roads.handle_of(&note.from);
        if !self.seals.is_note(handle, &note, roads) {
            self.counters.forged += 1;
            return;
        }
        match (note.what, handle) {
            (What::Consumed(number), Some(handle)) => {
                let sending = self.sending.get_mut(&handle);
                let sending = sending.filter(|sending| sending.session == note.session);
                if sending.is_some_and(|sending| sending.consumed(number, now)) {
                    self.update_window(handle, roads);
                }
            }
            (What::Sent(number), Some(handle)) => {
                let path = self.paths.of(link);
                self.has_sent((now, path), handle, &note.from, note.session, number);
                if let Some((_, receiving)) = self.receiving.get(&handle) {
                    // A hanging application is not reported, so that the sender stops waiting for
                    // it.
                    let is_told = !receiving.has_unread();
                    self.tell(handle, is_told, roads);
                }
            }
            (What::Undelivered(count, about), _) => {
                // Any node may claim this, so it is only reported and changes no state.
                let handle = roads.handle_of(&about);
                if let Some(handle) = handle.filter(|it| self.sending.contains_key(it)) {
                    self.undelivered(now, handle, count);
                }
            }
            _ => {}
        }
    }

    /// A member says that it has sent messages up to `number`, and that it asks over this path.
    fn has_sent(
        &mut self,
        (now, path): (Moment, Path),
        handle: u32,
        from: &Origin,
        session: u32,
        number: u64,
    ) {
        if !self.begins(handle, from, session) {
            return;
        }
        let order = &mut self.receiving(handle, from).order;
        if order.begins_shortcut(path, number) {
            return;
        }
        let sure = match order.sure(path, number) {
            sure if sure < number && order.gives_up(now) => number,
            sure => sure,
        };
        self.settle(handle, sure, now);
    }

    /// Tells the sender that a letter ends here.
    pub(super) fn complain(
        &mut self,
        now: Moment,
        from: &Origin,
        to: &Receiver,
        count: u32,
        roads: &mut impl Roads,
    ) {
        self.counters.dropped += u64::from(count);
        if *from == self.me {
            if let Some(handle) = roads.handle_of(&to.origin) {
                self.undelivered(now, handle, count.into());
            }
        } else if self.complaints.take(now) {
            let what = What::Undelivered(count.into(), to.origin.clone());
            self.send_note(from.clone(), to.session, what, roads);
        }
    }

    /// Messages to a member were dropped on the way, or a node claims so.
    pub(super) fn undelivered(&mut self, now: Moment, handle: u32, count: u64) {
        self.counters.undelivered = self.counters.undelivered.saturating_add(count);
        if self.reports.take(now) {
            self.out.push(Output::Undelivered(handle, count));
        }
    }

    pub(super) fn send_note(
        &mut self,
        to: Origin,
        session: u32,
        what: What,
        roads: &mut impl Roads,
    ) {
        let handle = roads.handle_of(&to);
        let way = match handle {
            Some(handle) => self.way_to(handle, &to, roads),
            None => roads.way_to(&to.id),
        };
        let Some((link, length)) = way else { return };
        let mut note = Note {
            hops: hops(length),
            from: self.me.clone(),
            to,
            session,
            what,
            code: None,
        };
        // Without a key shared with the receiver, it would not believe the note.
        let Ok(code) = self.seals.of_note(handle, &note, roads) else {
            return;
        };
        note.code = code;
        // Class own keeps the note behind the letters that it is about.
        self.out
            .push(Output::Send(link, Frame::Note(note), Class::Own));
    }

    pub(super) fn on_consumed_here(&mut self, handle: u32, number: u64, roads: &mut impl Roads) {
        if let Some((_, receiving)) = self.receiving.get_mut(&handle) {
            // Repeats the number, because the application works on other messages first.
            let is_news = receiving.consumes(number);
            let is_in_line = !is_news && receiving.has_unread();
            self.tell(handle, is_in_line, roads);
        }
    }

    /// Tells a sender what was consumed, if that is news or `is_told` is set.
    pub(super) fn tell(&mut self, handle: u32, is_told: bool, roads: &mut impl Roads) {
        let Some((origin, receiving)) = self.receiving.get_mut(&handle) else {
            return;
        };
        let origin = origin.clone();
        if let Some((session, number)) = receiving.tells(is_told) {
            self.send_note(origin, session, What::Consumed(number), roads);
        }
    }
}
