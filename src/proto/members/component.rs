//! The component of the network that contains one node, kept up to date with each record.
//!
//! The members form a tree: each has a parent, to which it has an edge. A new record mostly adds
//! edges, or drops some that the tree does not need, or that cost few members their place in it.
//! Otherwise the component is found anew when it is next asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::table::{BUCKETS, Kept, Reach, STUB, Slot, Standing, Table, bucket_of};

/// How many steps one record may take. In large networks it is as many as there are nodes: to find
/// the component anew takes ten times as many.
const MOST_STEPS: usize = 4096;

impl Table {
    /// The component that contains `me`, including members without a record.
    pub(super) fn reach(&mut self, me: Slot) -> Arc<Reach> {
        // Edges have no direction: all nodes of a component share one result.
        if let Some(reach) = self.reach.as_ref().filter(|reach| reach.contains(me)) {
            return reach.clone();
        }
        let mut reach = Reach {
            standing: vec![Standing::Absent; self.len()],
            buckets: Box::new([0; BUCKETS]),
        };
        self.parents.clear();
        self.parents.resize(self.len(), me);
        self.root = me;
        let stubs = self.join(&mut reach, me, me);
        for stub in stubs {
            let standing = &mut reach.standing[stub as usize];
            if *standing == Standing::Absent {
                *standing = Standing::Stub;
            }
        }
        let reach = Arc::new(reach);
        self.reach = Some(reach.clone());
        self.changed = None;
        reach
    }

    /// Follows the change of the record of `slot`, which was `before`.
    pub(super) fn follow(&mut self, slot: Slot, before: Option<&Kept>) {
        let Some(mut reach) = self.reach.take() else {
            return;
        };
        let own = Arc::make_mut(&mut reach);
        own.standing.resize(self.len(), Standing::Absent);
        self.parents.resize(self.len(), self.root);
        if self.adapt(own, slot, before).is_some() {
            self.reach = Some(reach);
        }
    }

    /// `None` if the component must be found anew.
    fn adapt(&mut self, reach: &mut Reach, slot: Slot, before: Option<&Kept>) -> Option<()> {
        self.note_change(slot);
        let old = before.map_or(&[][..], |kept| &kept.links);
        let new = self.links(slot).to_vec();
        if old.iter().chain(&new).any(|link| link & STUB != 0) {
            return None;
        }
        match reach.standing(slot) {
            Standing::Stub => return None,
            Standing::Absent => {
                let is_member = |to: &Slot| reach.contains(*to) && self.is_edge(slot, *to);
                if let Some(parent) = new.iter().copied().find(is_member) {
                    return self.join_all(reach, slot, parent);
                }
                return Some(());
            }
            Standing::Member => {}
        }
        let node = self.node(slot)?;
        let bucket = bucket_of(node.key);
        let records = [before, node.record()];
        for kept in records.into_iter().flatten() {
            reach.buckets[bucket] ^= kept.hash;
        }
        for to in &new {
            if !reach.contains(*to) && self.is_edge(slot, *to) {
                self.join_all(reach, *to, slot)?;
            }
        }
        let dropped: Vec<Slot> = old.iter().copied().filter(|to| !new.contains(to)).collect();
        let mut steps = MOST_STEPS.max(self.len());
        if slot != self.root && dropped.contains(&self.parents[slot as usize]) {
            self.adopt(reach, slot, &mut steps)?;
        }
        for to in dropped {
            let is_child = reach.contains(to) && self.parents[to as usize] == slot;
            if is_child && to != self.root && to != slot {
                self.adopt(reach, to, &mut steps)?;
            }
        }
        Some(())
    }

    /// Adds `slot` and all that it leads to. `None` if nodes without a record are among them.
    fn join_all(&mut self, reach: &mut Reach, slot: Slot, parent: Slot) -> Option<()> {
        self.join(reach, slot, parent).is_empty().then_some(())
    }

    /// Adds `slot` and all that it leads to. Returns the nodes without a record that they name.
    fn join(&mut self, reach: &mut Reach, slot: Slot, parent: Slot) -> Vec<Slot> {
        let mut stubs = Vec::new();
        let mut queue = VecDeque::from([slot]);
        reach.standing[slot as usize] = Standing::Member;
        self.parents[slot as usize] = parent;
        while let Some(from) = queue.pop_front() {
            self.note_change(from);
            let node = self.nodes.get(from as usize);
            let kept = node.and_then(|node| Some((node.key, node.record()?)));
            let Some((key, kept)) = kept else { continue };
            reach.buckets[bucket_of(key)] ^= kept.hash;
            for link in &kept.links {
                let to = link & !STUB;
                if link & STUB != 0 {
                    stubs.push(to);
                } else if !reach.contains(to) && self.is_edge(from, to) {
                    reach.standing[to as usize] = Standing::Member;
                    self.parents[to as usize] = from;
                    queue.push_back(to);
                }
            }
        }
        stubs
    }

    fn note_change(&mut self, slot: Slot) {
        let most = self.len();
        if let Some(changed) = &mut self.changed {
            changed.push(slot);
            if changed.len() > most {
                self.changed = None;
            }
        }
    }

    /// The slots that the next census must look at, in order.
    pub(super) fn take_changed(&mut self) -> Vec<Slot> {
        match self.changed.replace(Vec::new()) {
            Some(mut changed) => {
                changed.sort_unstable();
                changed.dedup();
                changed
            }
            None => (0..self.len() as Slot).collect(),
        }
    }

    /// Finds another place in the tree for `child`, whose parent it has no edge to any more, or
    /// removes it and all that only it leads to. `None` if that takes too many steps, or if nodes
    /// without a record are among them.
    fn adopt(&mut self, reach: &mut Reach, child: Slot, steps: &mut usize) -> Option<()> {
        // Members below `child`, and the ones that lead to them.
        let mut below = HashMap::from([(child, child)]);
        let mut queue = VecDeque::from([child]);
        while let Some(from) = queue.pop_front() {
            for to in self.links(from).to_vec() {
                *steps = steps.checked_sub(1)?;
                if below.contains_key(&to) || !reach.contains(to) || !self.is_edge(from, to) {
                    continue;
                }
                if !self.is_below(&below, to, steps)? {
                    self.turn(&below, from, to);
                    return Some(());
                }
                below.insert(to, from);
                queue.push_back(to);
            }
        }
        below
            .into_keys()
            .try_for_each(|slot| self.leave(reach, slot))
    }

    /// Whether the way from `slot` to the root leads through one of `below`.
    fn is_below(&self, below: &HashMap<Slot, Slot>, slot: Slot, steps: &mut usize) -> Option<bool> {
        let mut above = slot;
        while above != self.root {
            above = self.parents[above as usize];
            if below.contains_key(&above) {
                return Some(true);
            }
            *steps = steps.checked_sub(1)?;
        }
        Some(false)
    }

    /// Makes `parent` the parent of `slot`, and turns the way that led to `slot`.
    fn turn(&mut self, below: &HashMap<Slot, Slot>, mut slot: Slot, mut parent: Slot) {
        loop {
            self.parents[slot as usize] = parent;
            match below.get(&slot) {
                Some(before) if *before != slot => (slot, parent) = (*before, slot),
                _ => return,
            }
        }
    }

    /// Removes a member. `None` if it names nodes without a record.
    fn leave(&mut self, reach: &mut Reach, slot: Slot) -> Option<()> {
        self.note_change(slot);
        reach.standing[slot as usize] = Standing::Absent;
        let node = self.node(slot)?;
        let kept = node.record()?;
        reach.buckets[bucket_of(node.key)] ^= kept.hash;
        kept.links.iter().all(|link| link & STUB == 0).then_some(())
    }
}
