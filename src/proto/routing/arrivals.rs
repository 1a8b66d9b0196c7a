//! Letters for this node. Some wait for their sender's record.

use std::collections::VecDeque;

use super::ends::{Receiving, Verdict};
use super::fields::Held;
use super::{HOLD_FOR, MAX_HELD, Mark, Moment, Origin, Output, Payload, Receiver, Roads, Routing};

impl Routing {
    /// Receives a letter, or holds it until its sender is a member.
    pub(super) fn arrived(
        &mut self,
        now: Moment,
        from: &Origin,
        to: &Receiver,
        payload: &Payload,
        roads: &impl Roads,
    ) {
        match roads.handle_of(from) {
            Some(handle) => self.receive(handle, from, to, payload, roads),
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

    pub(super) fn receive(
        &mut self,
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
        let count = u64::from(payload.count());
        let last = first + count - 1;
        match self.receiving(handle, from).receives(session, first, last) {
            Verdict::Late => self.counters.missed += count,
            // Nodes between do not check the depth of JSON.
            Verdict::Next(_) if payload.is_deep() => self.counters.missed += count,
            Verdict::Next(lost) => {
                self.counters.missed += lost;
                self.counters.received += count;
                let stream = handle;
                let mark = Mark { stream, last };
                self.out
                    .push(Output::Deliver(handle, payload.clone(), mark));
            }
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
                self.receive(handle, &held.from, &held.to, &held.payload, roads);
            }
        }
    }
}
