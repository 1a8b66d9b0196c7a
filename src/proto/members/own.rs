//! A node's own record.

use super::record::{Neighbour, Record};
use super::view::View;
use super::{
    CHANGE_AHEAD, CHANGE_EVERY, COLLECT, Config, Event, Frame, Link, Members, Moment, Output,
};
use crate::proto::LinkId;

impl Members {
    /// Floods a final record, so that all nodes learn of the stop at once.
    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
        self.version += 1;
        let record = self.own_record(true);
        let neighbours = self.links.iter();
        let aware = neighbours.filter(|(_, state)| state.stub.is_none());
        let links: Vec<LinkId> = aware.map(|(link, _)| *link).collect();
        for link in links {
            let frame = Frame::Records(vec![record.raw().clone()]);
            self.out.push(Output::Send(link, frame));
        }
        for announced in std::mem::take(&mut self.announced).into_iter().flatten() {
            self.out.push(Output::Event(Event::Left(announced.handle)));
        }
        self.by_handle.clear();
        self.links.clear();
    }

    /// Our own record.
    pub(super) fn own_record(&self, is_final: bool) -> Record {
        let neighbour = |link: &Link| Neighbour {
            id: link.id.clone(),
            stub: link.stub.clone(),
        };
        let neighbours = match is_final {
            true => Vec::new(),
            false => self.links.values().map(neighbour).collect(),
        };
        let Config {
            address,
            body,
            identity,
            ..
        } = self.config.clone();
        let record = Record::new(
            self.me.clone(),
            self.version,
            is_final,
            address,
            body,
            neighbours,
        );
        match identity {
            Some(identity) => record.signed(&identity),
            None => record,
        }
    }

    pub(super) fn renew_soon(&mut self, now: Moment) {
        if self.renew_at.is_none() {
            let earned = Moment(
                self.earned
                    .0
                    .saturating_sub(CHANGE_AHEAD.as_micros() as u64),
            );
            self.renew_at = Some(now.after(COLLECT).max(earned));
        }
    }

    pub(super) fn renew(&mut self, now: Moment) {
        self.renew_at = None;
        self.earned = self.earned.max(now).after(CHANGE_EVERY);
        self.version += 1;
        let record = self.own_record(false);
        if let Some(view) = View::read(record.raw()) {
            self.table.put(record.raw(), &view, view.stamp().2);
        }
        self.pend_all(self.slot, None);
        self.flush_at = Some(now);
    }
}
