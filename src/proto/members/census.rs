//! The census: finds the current members and reports changes to the application.

use std::sync::Arc;

use super::fields::Announced;
use super::record::Address;
use super::table::{Reach, Slot, Standing};
use super::view::View;
use super::{ALL_HANDLES, Event, FIRST_HANDLE, Member, Members, Moment, Output, STOCK_EVERY};

impl Members {
    /// Finds the current members and reports changes to the application.
    pub(super) fn take_stock(&mut self, now: Moment) {
        // The cost grows with the number of records, so a flood of them gets few censuses.
        let pause = STOCK_EVERY * self.table.records() as u32;
        if now.since(self.stocked_at) < pause && self.stocked_at > Moment::default() {
            self.stock_at = Some(self.stocked_at.after(pause));
            return;
        }
        let reach = self.table.reach(self.slot);
        if Arc::ptr_eq(&reach, &self.reach) {
            // What was freed was no member, so it was not announced.
            self.table.reuse_freed();
            return;
        }
        self.stocked_at = now;
        self.reach = reach.clone();
        self.ways.clear();
        self.table.fit(&mut self.announced, None);
        let mut come = Vec::new();
        for slot in self.table.take_changed() {
            self.table.note_absent(slot, &reach, now);
            let announced = self.announced[slot as usize];
            let found = self.look_at(slot, &reach, announced);
            match (announced, found) {
                (Some(old), None) => self.tell_left(slot, old),
                (Some(old), Some(new)) if old.handle != new.handle => {
                    self.tell_left(slot, old);
                    come.push((slot, true));
                }
                (Some(old), Some(new)) => {
                    self.announced[slot as usize] = Some(new);
                    if old.face != new.face {
                        come.push((slot, false));
                    }
                }
                (None, Some(_)) => come.push((slot, true)),
                (None, None) => {}
            }
        }
        for (slot, is_new) in come {
            self.tell_of(slot, is_new);
        }
        self.table.reuse_freed();
    }

    /// The application's view of a slot's node. Handle 0 means that a new handle is needed.
    fn look_at(
        &self,
        slot: Slot,
        reach: &Reach,
        announced: Option<Announced>,
    ) -> Option<Announced> {
        let standing = reach.standing(slot);
        if slot == self.slot || standing == Standing::Absent {
            return None;
        }
        let kept = self.table.node(slot)?.record();
        let kept = kept.filter(|_| standing == Standing::Member);
        let epoch = kept.map_or(0, |kept| kept.stamp().1);
        let hash = kept.map_or(0, |kept| kept.hash);
        let is_same =
            |announced: &Announced| announced.standing == standing && announced.epoch == epoch;
        let Some(old) = announced.filter(is_same) else {
            let (handle, face) = (0, 0);
            return Some(Announced {
                handle,
                epoch,
                hash,
                face,
                standing,
            });
        };
        let face = match kept {
            Some(kept) if old.hash != hash => View::face_of(&kept.raw).unwrap_or(old.face),
            _ => old.face,
        };
        Some(Announced { hash, face, ..old })
    }

    fn tell_left(&mut self, slot: Slot, announced: Announced) {
        self.announced[slot as usize] = None;
        self.by_handle.remove(&announced.handle);
        self.out.push(Output::Event(Event::Left(announced.handle)));
    }

    fn tell_of(&mut self, slot: Slot, is_new: bool) {
        let reach = self.reach.clone();
        let Some(node) = self.table.node(slot) else {
            return;
        };
        let Some(id) = node.id() else { return };
        let standing = reach.standing(slot);
        let kept = node.record().filter(|_| standing == Standing::Member);
        let hash = kept.map_or(0, |kept| kept.hash);
        let record = kept.and_then(|kept| View::read(&kept.raw));
        let face = record.as_ref().map_or(0, View::face);
        let epoch = record.as_ref().map_or(0, |record| record.epoch);
        let announced = self.announced[slot as usize].filter(|_| !is_new);
        let handle_before = announced.map(|announced| announced.handle);
        let (address, body) = match record {
            Some(View {
                address: (host, port),
                body,
                ..
            }) => (Address::new(host, port), body.to_owned()),
            None => {
                let address = self.table.stub_address(slot, &reach);
                (address.unwrap_or_default(), String::new())
            }
        };
        let handle = handle_before.unwrap_or_else(|| self.new_handle());
        self.announced[slot as usize] = Some(Announced {
            handle,
            epoch,
            hash,
            face,
            standing,
        });
        self.by_handle.insert(handle, slot);
        let is_stub = standing == Standing::Stub;
        let member = Member {
            handle,
            id,
            address,
            body,
            is_stub,
        };
        let event = match is_new {
            true => Event::Joined(member),
            false => Event::Updated(member),
        };
        self.out.push(Output::Event(event));
    }

    fn new_handle(&mut self) -> u32 {
        loop {
            let handle = self.next_handle;
            self.next_handle = match handle + 1 {
                ALL_HANDLES => FIRST_HANDLE,
                next => next,
            };
            // Handles wrap around after two billion members, and early ones may still be in use.
            if !self.by_handle.contains_key(&handle) {
                return handle;
            }
        }
    }
}
