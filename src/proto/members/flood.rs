//! Flooding of records.

use super::record::Raw;
use super::table::{Node, Slot, Tick};
use super::view::View;
use super::{
    FLUSH, FORGET_AFTER, Frame, Members, Moment, Output, RECORD_AHEAD, RECORD_EVERY, frame,
};
use crate::proto::LinkId;

/// Bound on the size of all records, in bytes per allowed member: twice the longest body.
const BYTES_EACH: usize = 4 << 10;
/// Bound on known nodes per allowed member, including nodes that are only named in records.
const NAMED_EACH: usize = 4;
/// Most bytes sent over one link at once: a newcomer's link carries other traffic, too.
const AT_ONCE: usize = 1 << 20;

impl Members {
    pub(super) fn on_frame(&mut self, now: Moment, link: LinkId, frame: Frame) {
        // Only peers that announced support for these frames may send them.
        let state = self.links.get(&link);
        if state.is_none_or(|state| state.stub.is_some()) {
            return;
        }
        match frame {
            Frame::Records(records) => self.on_records(now, link, &records),
            Frame::Digest(digest) => self.on_digest(now, link, digest),
            Frame::Buckets(buckets) => self.on_buckets(now, link, &buckets),
            Frame::Summary(parts) => self.on_summary(now, link, &parts),
            Frame::Want(keys) => self.on_want(now, link, &keys),
        }
    }

    fn on_records(&mut self, now: Moment, link: LinkId, records: &[Raw]) {
        self.sync.goes_on(now, link);
        for (number, raw) in records.iter().enumerate() {
            let (slot, is_known) = self.table.look_up(raw);
            if let Some(slot) = slot.filter(|_| is_known) {
                // Its sender need not get it from us.
                if let Some(state) = self.links.get_mut(&link) {
                    state.pending.remove(slot);
                }
                continue;
            }
            if !self.may_bring(now, link) {
                // Excess records must cost next to nothing. A later comparison brings the useful
                // ones.
                self.counters.refused += (records.len() - number) as u64;
                break;
            }
            match View::parse(raw) {
                Some(record) => self.on_record(now, link, slot, (raw, &record)),
                None => self.out.push(Output::Malformed(link)),
            }
        }
        self.flush_soon(now);
    }

    /// `slot`: the place of the record's node, if it has one.
    fn on_record(
        &mut self,
        now: Moment,
        link: LinkId,
        slot: Option<Slot>,
        (raw, record): (&Raw, &View<'_>),
    ) {
        let known = slot.and_then(|slot| {
            let node = self.table.node(slot)?;
            Some((slot, node.earned.moment(), node.record()?.stamp()))
        });
        let stamp = record.stamp();
        let is_own = record.code == self.me.id.code();
        match known {
            Some((slot, _, kept)) if kept > stamp => self.pend(link, slot),
            Some((_, earned, _)) if !is_own && earned > now.after(RECORD_AHEAD) => {
                self.counters.refused += 1;
            }
            // The most expensive check comes last.
            _ if !self.is_genuine(link, record) => {}
            // A record of our last life, or a lie. Our next version overrides it.
            _ if is_own => {
                self.version = self.version.max(record.version);
                self.renew_soon(now);
            }
            Some((_, earned, _)) => self.take(now, link, (raw, record, stamp.2), earned),
            None if self.may_come(now, link) => self.take(now, link, (raw, record, stamp.2), now),
            None => self.counters.refused += 1,
        }
    }

    /// Whether a peer may bring one more new record.
    fn may_bring(&mut self, now: Moment, link: LinkId) -> bool {
        let state = self.links.get_mut(&link);
        state.is_some_and(|state| state.brings.take(now))
    }

    /// Whether a record comes from the node that it describes, as far as can be checked.
    fn is_genuine(&mut self, link: LinkId, record: &View<'_>) -> bool {
        if self.config.identity.is_none() {
            let is_signed = record.key.is_some();
            if is_signed {
                self.out.push(Output::Malformed(link));
            }
            return !is_signed;
        }
        let is_genuine = record.is_signed();
        if !is_genuine {
            self.counters.forged += 1;
            self.out.push(Output::Forged(link));
        }
        is_genuine
    }

    fn take(
        &mut self,
        now: Moment,
        link: LinkId,
        (raw, record, hash): (&Raw, &View<'_>, u64),
        earned: Moment,
    ) {
        let slot = match self.fits(record) {
            true => self.table.put(raw, record, hash),
            false => None,
        };
        let Some(slot) = slot else {
            self.counters.refused += 1;
            return;
        };
        self.counters.taken += 1;
        if let Some(node) = self.table.node_mut(slot) {
            node.earned = Tick::of(earned.max(now).after(RECORD_EVERY));
        }
        self.pend_all(slot, Some(link));
    }

    /// Whether a record fits the memory bounds. Long texts and nodes that are only named count,
    /// too.
    fn fits(&self, record: &View<'_>) -> bool {
        let most = self.config.max_members;
        self.table.bytes() + record.raw.len() <= most.saturating_mul(BYTES_EACH)
            && self.table.known() + record.count <= most.saturating_mul(NAMED_EACH)
    }

    /// Whether there is room for the record of a node that has none yet.
    fn may_come(&mut self, now: Moment, link: LinkId) -> bool {
        let has_means = self
            .links
            .get_mut(&link)
            .is_some_and(|state| state.news.take(now));
        has_means && (self.table.records() < self.config.max_members || self.make_room())
    }

    /// Drops the record that has been unreachable for the longest time.
    fn make_room(&mut self) -> bool {
        let absent = self.table.recorded();
        let absent = absent.filter_map(|(slot, node, _)| Some((node.absent_since?, slot)));
        let Some((_, slot)) = absent.min() else {
            return false;
        };
        self.table.remove(slot);
        true
    }

    pub(super) fn forget_absent(&mut self, now: Moment) {
        if self.table.is_complete() {
            return;
        }
        let is_over = |since: Tick| now.since(since.moment()) >= FORGET_AFTER;
        let absent = self.table.recorded();
        let over = absent.filter(|(_, node, _)| node.absent_since.is_some_and(is_over));
        let over: Vec<Slot> = over.map(|(slot, ..)| slot).collect();
        if !over.is_empty() {
            for slot in over {
                self.table.remove(slot);
            }
            self.flush_soon(now);
        }
    }

    pub(super) fn pend(&mut self, link: LinkId, slot: Slot) {
        if let Some(state) = self.links.get_mut(&link) {
            state.pending.insert(slot);
        }
    }

    pub(super) fn pend_all(&mut self, slot: Slot, but: Option<LinkId>) {
        for (link, state) in &mut self.links {
            if Some(*link) == but {
                state.pending.remove(slot);
            } else if state.stub.is_none() {
                state.pending.insert(slot);
            }
        }
    }

    pub(super) fn flush_soon(&mut self, now: Moment) {
        // Sends at once when idle. A flood of records is collected into fewer frames.
        let at = self.flushed_at.map_or(now, |at| at.after(FLUSH).max(now));
        self.flush_at.get_or_insert(at);
    }

    pub(super) fn send_pending(&mut self, now: Moment) {
        let mut is_left = false;
        for (link, state) in &mut self.links {
            let mut sent = 0;
            while sent < AT_ONCE && !state.pending.is_empty() {
                let (mut size, mut records) = (0, Vec::new());
                while size < frame::FULL
                    && let Some(slot) = state.pending.pop_first()
                {
                    if let Some(kept) = self.table.node(slot).and_then(Node::record) {
                        size += 2 + kept.raw.len();
                        records.push(kept.raw.clone());
                    }
                }
                sent += size;
                if !records.is_empty() {
                    let frame = Frame::Records(records);
                    self.out.push(Output::Send(*link, frame));
                }
            }
            is_left |= !state.pending.is_empty();
        }
        if is_left {
            self.flush_soon(now);
        }
    }
}
