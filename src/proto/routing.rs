//! Letters: messages to any node, forwarded by the nodes between.
//!
//! Each node forwards a [`Letter`] along a shortest path that it knows itself ([`Roads`]).
//! Guarantees for one sender and one receiver while each is a member to the other:
//!
//! - *Order*: messages are delivered in the order of sending. Each has a number. A message that
//!   arrives after a later one, because the path has changed, is dropped.
//! - *At most once*: no node forwards a letter twice.
//! - *Loss*: a letter is lost when a node or a link dies with it. A node that must drop a letter
//!   reports that to the sender. The receiver detects gaps, and a sender asks about letters that
//!   nobody acknowledges.
//! - *No loops*: a letter never goes back over the link it came from. It crosses at most a few more
//!   links than the sender's own path has. So it soon ends where the records of nodes disagree.
//! - *Shortcuts*: a pair that sends much is [`Output::Busy`], and may get a link of its own. It
//!   carries nothing but the letters and notes from one end to the other.
//! - *Pressure*: a sender may be one window ahead of the receiver's application. Only the two ends
//!   keep state; between them, letters wait only in the queues of links.
//!
//! A letter to several nodes is one copy on each link while their paths are the same.
//!
//! A pure state machine, separate from [`State`](super::State). It asks [`Roads`] about the
//! network.

mod arrivals;
mod ends;
mod event;
mod fields;
mod frame;
mod load;
mod notes;
mod order;
mod paths;
mod seal;
mod shortcuts;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Bucket, Class, LinkId, Mark, Moment, Origin, Payload};
use ends::Sending;
pub use event::{Config, Counters, Input, Output, Roads};
pub use fields::Routing;
pub use frame::{Frame, Letter, MAX_RECEIVERS, Note, Receiver, What};
use paths::Paths;
use seal::Seals;

/// A letter may cross this many more links than the sender's own path has.
const DETOUR: u16 = 8;
/// How often a sender asks a silent receiver.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long letters wait for their sender's record, which is on its way.
const HOLD_FOR: Duration = Duration::from_secs(2);
/// Bound on waiting letters, in bytes.
const MAX_HELD: usize = 256 << 10;
/// Bound on letters that wait for earlier ones on another path, in bytes: half of what sixteen
/// pairs may have outstanding.
const MAX_EARLY: usize = 8 << 20;
/// The same for one sender, which may overrun its window by as much again. A larger letter may wait
/// alone.
const MAX_EARLY_OF_ONE: usize = 2 << 20;
/// How many members that left keep their numbers.
const MAX_PAST: usize = 1024;
/// Smaller payloads are copied, because a slice would keep a whole receive buffer alive.
const DETACH_BELOW: usize = 32 << 10;
/// How many notes of undelivered letters a node sends per second.
const COMPLAINTS_PER_SECOND: f64 = 100.0;

/// Burst of reports of undelivered messages to the application; afterwards one per second.
const REPORTS_AT_ONCE: f64 = 10.0;

impl Routing {
    /// A node that has sent nothing yet.
    pub fn new(config: Config, me: Origin, now: Moment) -> Self {
        Self {
            seals: Seals::new(config.identity.clone()),
            config,
            me,
            paths: Paths::default(),
            sessions: 0,
            sending: BTreeMap::new(),
            receiving: BTreeMap::new(),
            past: VecDeque::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            early_bytes: 0,
            complaints: Bucket::new(COMPLAINTS_PER_SECOND, COMPLAINTS_PER_SECOND, now),
            reports: Bucket::new(REPORTS_AT_ONCE, 1.0, now),
            is_busy: false,
            wake_at: None,
            counters: Counters::default(),
            out: Vec::new(),
        }
    }

    /// Handles `input` and appends the resulting actions, in order, to `out`.
    pub fn handle(
        &mut self,
        now: Moment,
        input: Input,
        roads: &mut impl Roads,
        out: &mut Vec<Output>,
    ) {
        std::mem::swap(&mut self.out, out);
        match input {
            Input::Send(to, payload) => self.send(now, &to, &payload, roads),
            Input::Frame(link, frame) if !self.is_in_place(link, &frame) => {}
            Input::Frame(link, Frame::Letter(letter)) => self.on_letter(now, link, letter, roads),
            Input::Frame(link, Frame::Note(note)) => self.on_note(now, link, note, roads),
            Input::Consumed(handle, number) => self.on_consumed_here(handle, number, roads),
            Input::Joined(handle) => self.joined(now, handle, roads),
            Input::Left(handle) => {
                self.seals.forget(handle);
                self.sending.remove(&handle);
                self.forget_arrivals(handle);
            }
            Input::ShortcutUp(handle, link) => self.shortcut_up(now, handle, link, roads),
            Input::ShortcutEnds(link) => self.shortcut_ends(link, roads),
            Input::ShortcutDown(link) => self.shortcut_down(now, link, roads),
            Input::Pressure => {
                for handle in self.sending.keys().copied().collect::<Vec<_>>() {
                    self.update_window(handle, roads);
                }
            }
            Input::Wake => self.wake(now, roads),
        }
        self.sleep(now);
        std::mem::swap(&mut self.out, out);
    }

    /// The counters.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The number of remembered pairs, and the bytes that wait for a member's record.
    pub fn footprint(&self) -> (usize, usize) {
        let ends = self.sending.len() + self.receiving.len() + self.past.len();
        let pairs = ends.max(self.seals.len());
        (pairs, self.held_bytes)
    }

    /// The bytes that wait for earlier letters on another path.
    pub fn early_bytes(&self) -> usize {
        self.early_bytes
    }

    /// Whether the application has unconsumed messages, or a sender does not know of its progress.
    pub fn is_waiting(&self) -> bool {
        self.receiving.values().any(|(_, end)| end.is_waiting())
    }

    fn send(&mut self, now: Moment, to: &[u32], payload: &Payload, roads: &mut impl Roads) {
        let mut ways: BTreeMap<LinkId, (u16, Vec<Receiver>)> = BTreeMap::new();
        for handle in to.iter().copied() {
            let Some(origin) = roads.origin(handle) else {
                continue;
            };
            let Some((link, length)) = self.way_to(handle, &origin, roads) else {
                self.undelivered(now, handle, payload.count().into());
                continue;
            };
            self.paths.uses(link, now);
            self.is_busy = true;
            self.counters.sent += u64::from(payload.count());
            let sending = self.sending_to(handle, now);
            let (count, bytes) = (payload.count(), payload.body().len());
            let first = sending.sends(count, bytes, now);
            let session = sending.session;
            if length > 1 && sending.load.adds(count, bytes, now) {
                self.out.push(Output::Busy(handle));
            }
            let group = ways.entry(link).or_default();
            group.0 = group.0.max(length);
            let mut to = Receiver {
                origin,
                session,
                first,
                code: None,
            };
            // Members with an invalid key can be sent nothing.
            match self.seals.of_letter(handle, &self.me, &to, payload, roads) {
                Ok(code) => {
                    to.code = code;
                    group.1.push(to);
                }
                Err(seal::NotSealed) => {
                    self.undelivered(now, handle, payload.count().into());
                }
            }
            self.update_window(handle, roads);
        }
        for (link, (length, to)) in ways {
            for to in to.chunks(MAX_RECEIVERS) {
                let letter = Letter {
                    hops: hops(length),
                    from: self.me.clone(),
                    to: to.to_vec(),
                    payload: payload.clone(),
                };
                self.pass(now, link, letter, Class::Own, roads);
            }
        }
    }

    /// The sending end for a member.
    fn sending_to(&mut self, handle: u32, now: Moment) -> &mut Sending {
        let sessions = &mut self.sessions;
        self.sending.entry(handle).or_insert_with(|| {
            *sessions += 1;
            Sending::new(*sessions, now)
        })
    }

    fn on_letter(&mut self, now: Moment, link: LinkId, letter: Letter, roads: &mut impl Roads) {
        let payload = letter.payload.detached(DETACH_BELOW);
        let path = self.paths.of(link);
        self.paths.uses(link, now);
        let mut ways: BTreeMap<LinkId, Vec<Receiver>> = BTreeMap::new();
        for to in letter.to {
            if to.origin == self.me {
                self.arrived((now, path), &letter.from, &to, &payload, roads);
                continue;
            }
            match roads.way_to(&to.origin.id) {
                Some((next, _)) if next != link && letter.hops > 1 => {
                    ways.entry(next).or_default().push(to);
                }
                _ => self.complain(now, &letter.from, &to, payload.count(), roads),
            }
        }
        for (next, to) in ways {
            let letter = Letter {
                hops: letter.hops - 1,
                from: letter.from.clone(),
                to,
                payload: payload.clone(),
            };
            self.counters.routed += u64::from(payload.count());
            self.pass(now, next, letter, Class::Forward, roads);
        }
    }

    /// Queues a letter on a link, if its peer accepts messages of that size.
    fn pass(
        &mut self,
        now: Moment,
        link: LinkId,
        letter: Letter,
        class: Class,
        roads: &mut impl Roads,
    ) {
        let bytes = letter.payload.body().len();
        // Forwards make room for themselves: a full queue drops the oldest ones.
        let has_room = class == Class::Forward || !roads.is_full(link);
        if has_room && roads.takes(link, bytes) {
            self.out
                .push(Output::Send(link, Frame::Letter(letter), class));
            return;
        }
        for to in &letter.to {
            self.complain(now, &letter.from, to, letter.payload.count(), roads);
        }
    }

    /// Reports the outstanding bytes: more than the window while the next link is crowded.
    fn update_window(&mut self, handle: u32, roads: &mut impl Roads) {
        let Some(sending) = self.sending.get(&handle) else {
            return;
        };
        let mut bytes = if self.config.waits {
            sending.outstanding()
        } else {
            0
        };
        let origin = roads.origin(handle);
        let way = origin.and_then(|origin| self.way_to(handle, &origin, roads));
        if way.is_some_and(|(link, _)| roads.is_crowded(link)) {
            bytes = bytes.max(self.config.window + 1);
        }
        self.out.push(Output::Window(handle, bytes));
    }

    fn wake(&mut self, now: Moment, roads: &mut impl Roads) {
        self.wake_at = None;
        while let Some(held) = self.held.front()
            && now.since(held.at) >= HOLD_FOR
            && let Some(held) = self.held.pop_front()
        {
            self.held_bytes -= held.cost();
            self.counters.missed += u64::from(held.payload.count());
        }
        self.give_overdue(now);
        let patience = self.config.patience;
        let mut asking = Vec::new();
        let mut slow = Vec::new();
        for (handle, sending) in &mut self.sending {
            if sending.gives_up(now, patience) {
                slow.push(*handle);
            } else if sending.asks(now, ASK_EVERY) {
                asking.push((*handle, sending.session, sending.sent));
            }
        }
        let is_owed = |sending: &Sending| sending.outstanding() > 0;
        let waits = !self.held.is_empty() || self.early_bytes > 0;
        self.is_busy = waits || self.sending.values().any(is_owed);
        for handle in slow {
            self.out.push(Output::Slow(handle));
            self.update_window(handle, roads);
        }
        for (handle, session, sent) in asking {
            if let Some(origin) = roads.origin(handle) {
                self.send_note(origin, session, What::Sent(sent), roads);
            }
        }
    }

    /// Asks to be woken while anything waits.
    fn sleep(&mut self, now: Moment) {
        if self.wake_at.is_none() && self.is_busy {
            let at = now.after(ASK_EVERY / 2);
            self.wake_at = Some(at);
            self.out.push(Output::WakeAt(at));
        }
    }
}

/// How many links a letter or note may cross if its path has this length.
fn hops(length: u16) -> u8 {
    (length + DETOUR).min(255) as u8
}
