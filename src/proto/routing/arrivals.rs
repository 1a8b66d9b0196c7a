//! Letters for this node. Some wait for their sender's record, some for earlier letters.

use std::collections::VecDeque;

use super::ends::Receiving;
use super::fields::Held;
use super::order::{Order, Run, Verdict};
use super::paths::Path;
use super::{
    HOLD_FOR, MAX_EARLY, MAX_EARLY_OF_ONE, MAX_HELD, MAX_PAST, Mark, Moment, Origin, Output,
    Payload, Receiver, Roads, Routing,
};

impl Routing {
    /// Receives a letter, or holds it until its sender is a member.
    pub(super) fn arrived(
        &mut self,
        (now, path): (Moment, Path),
        from: &Origin,
        to: &Receiver,
        payload: &Payload,
        roads: &impl Roads,
    ) {
        match roads.handle_of(from) {
            Some(handle) => self.receive((now, path), handle, from, to, payload, roads),
            None => {
                let held = Held {
                    at: now,
                    from: from.clone(),
                    to: to.clone(),
                    payload: payload.clone(),
                };
                if self.held_bytes + held.cost() <= MAX_HELD {
                    self.held_bytes += held.cost();
                    self.held.push_back(held);
                    self.is_busy = true;
                } else {
                    self.counters.missed += u64::from(payload.count());
                }
            }
        }
    }

    /// The receiving end for a member. A member that returns continues its former one.
    pub(super) fn receiving(&mut self, handle: u32, from: &Origin) -> &mut Receiving {
        let past = &mut self.past;
        let (_, receiving) = self.receiving.entry(handle).or_insert_with(|| {
            let known = past.iter().position(|(origin, _)| origin == from);
            let known = known.and_then(|index| past.remove(index));
            known.map_or_else(
                || (from.clone(), Receiving::default()),
                |(origin, end)| (origin, end.again()),
            )
        });
        receiving
    }

    fn receive(
        &mut self,
        (at, path): (Moment, Path),
        handle: u32,
        from: &Origin,
        to: &Receiver,
        payload: &Payload,
        roads: &impl Roads,
    ) {
        if !self.seals.is_letter(handle, from, to, payload, roads) {
            self.counters.forged += 1;
            return;
        }
        let Receiver { session, first, .. } = *to;
        if !self.begins(handle, from, session) {
            self.counters.missed += u64::from(payload.count());
            return;
        }
        let run = Run {
            at,
            path,
            first,
            payload: payload.clone(),
        };
        let order = &mut self.receiving(handle, from).order;
        if path == Path::Overlay {
            order.meets(first);
        }
        let sure = order.sure(path, first - 1);
        self.settle(handle, sure, at);
        match self.receiving(handle, from).order.judges(&run) {
            Verdict::Late => self.counters.missed += u64::from(run.payload.count()),
            Verdict::Next => {
                self.give(handle, run);
                self.give_due(handle);
            }
            Verdict::Early => self.keep(handle, run),
        }
    }

    /// Begins the session that a letter or note is of; returns false if it is over.
    pub(super) fn begins(&mut self, handle: u32, from: &Origin, session: u32) -> bool {
        if self.receiving(handle, from).order.ends_with(session) {
            self.give_all(handle, Order::any);
            self.receiving(handle, from).begins(session);
        }
        self.receiving(handle, from).order.session() == session
    }

    /// Nothing up to `number` can come any more: what is missing is lost.
    pub(super) fn settle(&mut self, handle: u32, number: u64, now: Moment) {
        self.give_all(handle, |order| order.up_to(number));
        if let Some((_, end)) = self.receiving.get_mut(&handle)
            && end.order.received() < number
        {
            self.counters.missed += end.has_sent(number, now);
        }
        self.give_due(handle);
    }

    /// Gives the early runs that are due.
    pub(super) fn give_due(&mut self, handle: u32) {
        self.give_all(handle, Order::due);
    }

    /// Gives the early runs whose predecessors have not come in time.
    pub(super) fn give_overdue(&mut self, now: Moment) {
        let is_early = |(_, (_, end)): &(&u32, &(Origin, Receiving))| end.order.early_bytes() > 0;
        let waiting = self.receiving.iter().filter(is_early);
        for handle in waiting.map(|(handle, _)| *handle).collect::<Vec<_>>() {
            if self.give_all(handle, |order| order.overdue(now)) {
                self.give_due(handle);
            }
        }
    }

    /// Keeps an early run, or gives all of them if there are too many.
    fn keep(&mut self, handle: u32, run: Run) {
        let Some((_, end)) = self.receiving.get_mut(&handle) else {
            return;
        };
        let (cost, waiting) = (run.cost(), end.order.early_bytes());
        let has_room = waiting == 0 || waiting + cost <= MAX_EARLY_OF_ONE;
        if has_room && self.early_bytes + cost <= MAX_EARLY {
            end.order.keeps(run);
            self.early_bytes += cost;
            self.is_busy = true;
        } else {
            self.give_all(handle, Order::any);
            self.give(handle, run);
        }
    }

    /// Gives the runs that `next` takes from those that wait; returns whether there were any.
    fn give_all(&mut self, handle: u32, next: impl Fn(&mut Order) -> Option<Run>) -> bool {
        let mut has_given = false;
        while let Some((_, end)) = self.receiving.get_mut(&handle)
            && let Some(run) = next(&mut end.order)
        {
            self.early_bytes -= run.cost();
            self.give(handle, run);
            has_given = true;
        }
        has_given
    }

    /// Gives a run to the application, as the next one.
    fn give(&mut self, handle: u32, run: Run) {
        let Some((_, end)) = self.receiving.get_mut(&handle) else {
            return;
        };
        let (count, last) = (u64::from(run.payload.count()), run.last());
        if run.first <= end.order.received() {
            self.counters.missed += count;
            return;
        }
        self.counters.missed += end.gives(run.first, last, run.at);
        // Nodes between do not check the depth of JSON.
        if run.payload.is_deep() {
            self.counters.missed += count;
            return;
        }
        self.counters.received += count;
        let stream = handle;
        let mark = Mark { stream, last };
        self.out.push(Output::Deliver(handle, run.payload, mark));
    }

    /// A member has left: what waits for it is lost.
    pub(super) fn forget_arrivals(&mut self, handle: u32) {
        let Some((origin, end)) = self.receiving.remove(&handle) else {
            return;
        };
        self.early_bytes -= end.order.early_bytes();
        self.counters.missed += end.order.early();
        self.past.push_back((origin, end.again()));
        if self.past.len() > MAX_PAST {
            self.past.pop_front();
        }
    }

    /// Delivers the letters that waited for that member's record.
    pub(super) fn joined(&mut self, now: Moment, handle: u32, roads: &impl Roads) {
        let Some(origin) = roads.origin(handle).filter(|_| !self.held.is_empty()) else {
            return;
        };
        let (due, rest) = self.held.drain(..).partition(|held| held.from == origin);
        let due: VecDeque<Held> = due;
        self.held = rest;
        for held in due {
            self.held_bytes -= held.cost();
            if now.since(held.at) < HOLD_FOR {
                let (from, by) = (&held.from, (now, Path::Overlay));
                self.receive(by, handle, from, &held.to, &held.payload, roads);
            }
        }
    }
}
