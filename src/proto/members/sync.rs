//! Comparing records with a neighbour.
//!
//! The neighbour with the greater id sends its digest. If the other's differs, it answers with its
//! buckets and gets a summary of the differing ones. It then sends the records that the summary
//! lacks and requests the records that it lacks itself.

use std::collections::BTreeMap;

use super::frame::{Entry, FULL, Frame};
use super::table::{BUCKETS, Slot, bucket_of};
use super::view::Stamp;
use super::{Members, Moment, Output};
use crate::proto::LinkId;

impl Members {
    /// Sends our digest to a neighbour with a smaller id.
    pub(super) fn compare_with(&mut self, link: LinkId) {
        let Some(state) = self.links.get(&link) else {
            return;
        };
        if state.stub.is_none() && self.me.id > state.id {
            let digest = self.reach_now().digest();
            self.out.push(Output::Send(link, Frame::Digest(digest)));
        }
    }

    pub(super) fn compare_with_all(&mut self) {
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.compare_with(link);
        }
    }

    /// Starts the next waiting comparison once none is in progress.
    pub(super) fn compare_again(&mut self, now: Moment) {
        if self.sync.due().is_none_or(|due| due > now) {
            return;
        }
        let Some((link, digest)) = self.sync.waiting.pop_first() else {
            return;
        };
        match digest {
            Some(digest) => self.on_digest(now, link, digest),
            None => self.compare_with(link),
        }
    }

    /// The component, by the current records.
    fn reach_now(&mut self) -> std::sync::Arc<super::Reach> {
        self.table.reach(self.slot)
    }

    pub(super) fn on_digest(&mut self, now: Moment, link: LinkId, digest: u64) {
        let reach = self.reach_now();
        if reach.digest() != digest && self.sync.begins(now, link, Some(digest)) {
            let frame = Frame::Buckets(reach.buckets.clone());
            self.out.push(Output::Send(link, frame));
        }
    }

    pub(super) fn on_buckets(&mut self, now: Moment, link: LinkId, theirs: &[u64; BUCKETS]) {
        if !self.may_compare(now, link) || !self.sync.begins(now, link, None) {
            return;
        }
        let reach = self.reach_now();
        let mut parts: Vec<Vec<Entry>> = vec![Vec::new(); BUCKETS];
        let mut lacking = Vec::new();
        for (slot, node, kept) in self.table.recorded() {
            let bucket = bucket_of(node.key);
            if !reach.contains(slot) || reach.buckets[bucket] == theirs[bucket] {
                continue;
            }
            if theirs[bucket] == 0 {
                lacking.push(slot);
            } else {
                parts[bucket].push(Entry {
                    key: node.key,
                    version: kept.stamp().0,
                    hash: kept.hash,
                });
            }
        }
        for slot in lacking {
            self.pend(link, slot);
        }
        let mut summary = Vec::new();
        let mut size = 0;
        for (bucket, entries) in parts.into_iter().enumerate() {
            if theirs[bucket] == 0 || theirs[bucket] == reach.buckets[bucket] {
                continue;
            }
            size += 3 + 24 * entries.len();
            summary.push((bucket as u8, entries));
            if size >= FULL {
                let frame = Frame::Summary(std::mem::take(&mut summary));
                self.out.push(Output::Send(link, frame));
                size = 0;
            }
        }
        if !summary.is_empty() {
            self.out.push(Output::Send(link, Frame::Summary(summary)));
        }
        self.flush_soon(now);
    }

    pub(super) fn on_summary(&mut self, now: Moment, link: LinkId, parts: &[(u8, Vec<Entry>)]) {
        self.sync.goes_on(now, link);
        let reach = self.reach_now();
        let mut theirs: BTreeMap<u64, Entry> = BTreeMap::new();
        let mut is_part = [false; BUCKETS];
        for (bucket, entries) in parts {
            is_part[usize::from(*bucket)] = true;
            theirs.extend(entries.iter().map(|entry| (entry.key, *entry)));
        }
        let mut newer = Vec::new();
        for (slot, node, kept) in self.table.recorded() {
            if !is_part[bucket_of(node.key)] {
                continue;
            }
            match theirs.get(&node.key).copied() {
                Some(entry) => {
                    let Stamp(version, _, hash) = kept.stamp();
                    if version > entry.version || version == entry.version && hash != entry.hash {
                        newer.push(slot);
                    }
                    if version >= entry.version && hash == entry.hash || version > entry.version {
                        theirs.remove(&node.key);
                    }
                }
                // A record that we cannot reach ourselves is useless to others.
                None if reach.contains(slot) => newer.push(slot),
                None => {}
            }
        }
        for slot in newer {
            self.pend(link, slot);
        }
        let keys: Vec<u64> = theirs.into_keys().collect();
        for keys in keys.chunks(FULL / 8) {
            let frame = Frame::Want(keys.to_vec());
            self.out.push(Output::Send(link, frame));
        }
        self.flush_soon(now);
    }

    pub(super) fn on_want(&mut self, now: Moment, link: LinkId, keys: &[u64]) {
        self.sync.goes_on(now, link);
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        if !state.wants.debt(now).is_zero() {
            return;
        }
        state.wants.spend(keys.len() as f64);
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        let wanted = self.table.recorded();
        let wanted = wanted.filter(|(_, node, _)| keys.binary_search(&node.key).is_ok());
        let wanted: Vec<Slot> = wanted.map(|(slot, ..)| slot).collect();
        for slot in wanted {
            self.pend(link, slot);
        }
        self.flush_soon(now);
    }

    fn may_compare(&mut self, now: Moment, link: LinkId) -> bool {
        let state = self.links.get_mut(&link);
        state.is_some_and(|state| state.compares.take(now))
    }
}
