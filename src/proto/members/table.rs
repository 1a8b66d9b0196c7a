//! All records that a node has, and the component that they form.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::record::{Address, Record, Stamp, key_of};
use crate::proto::{Moment, NodeId};

/// The number of parts of a digest.
pub(super) const BUCKETS: usize = 256;

/// A node's place in the table. It is reused once the node is forgotten.
pub(super) type Slot = u32;

/// All nodes that have a record or are named by one.
#[derive(Debug, Default)]
pub(super) struct Table {
    nodes: Vec<Node>,
    free: Vec<Slot>,
    /// By the hash of the id. Hashes of two ids collide only by malice. The second id is then
    /// ignored.
    index: HashMap<u64, Slot>,
    records: usize,
    /// Bytes of all records.
    bytes: usize,
    /// The component that follows from the records. Empty after a change.
    reach: Option<Arc<Reach>>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    /// The hash of [`Self::id`].
    pub(super) key: u64,
    /// The record in wire form, and the fields that are needed often.
    pub(super) record: Option<Kept>,
    /// The number of records that name it, its own included.
    named: u32,
    /// Since when it has had a record and been unreachable.
    pub(super) absent_since: Option<Moment>,
    /// When the rate limit allows its next record, bursts aside; see [`super::RECORD_EVERY`].
    pub(super) earned: Moment,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) raw: Box<[u8]>,
    pub(super) stamp: Stamp,
    pub(super) is_final: bool,
    /// The nodes that it names. The top bit marks nodes without a record.
    links: Box<[Slot]>,
}

const STUB: Slot = 1 << 31;

/// The component of the network that contains one node.
#[derive(Debug)]
pub(super) struct Reach {
    standing: Vec<Standing>,
    /// For each part of a digest, the XOR of its members' record hashes.
    pub(super) buckets: Box<[u64; BUCKETS]>,
}

/// A node's relation to the component.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Absent,
    /// Reached by edges that both ends claim.
    Member,
    /// It keeps no record; a member names it.
    Stub,
}

impl Reach {
    pub(super) fn standing(&self, slot: Slot) -> Standing {
        let standing = self.standing.get(slot as usize).copied();
        standing.unwrap_or(Standing::Absent)
    }

    pub(super) fn contains(&self, slot: Slot) -> bool {
        self.standing(slot) == Standing::Member
    }

    /// The digest of all parts.
    pub(super) fn digest(&self) -> u64 {
        let mix =
            |sum: u64, part: &u64| (sum.rotate_left(5) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.buckets.iter().fold(0, mix)
    }
}

impl Table {
    pub(super) fn node(&self, slot: Slot) -> Option<&Node> {
        self.nodes.get(slot as usize)
    }

    pub(super) fn node_mut(&mut self, slot: Slot) -> Option<&mut Node> {
        self.nodes.get_mut(slot as usize)
    }

    pub(super) fn find(&self, id: &NodeId) -> Option<Slot> {
        let slot = self.index.get(&key_of(id)).copied()?;
        self.node(slot).filter(|node| node.id == *id).map(|_| slot)
    }

    /// The number of records.
    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// The size of all records, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of known nodes, including nodes that are only named.
    pub(super) fn known(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// One more than the largest slot in use.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes with a record, in the order of their slots.
    pub(super) fn recorded(&self) -> impl Iterator<Item = (Slot, &Node, &Kept)> {
        let kept = |(slot, node): (usize, &'_ Node)| node.record.is_some().then_some(slot as Slot);
        let slots = self.nodes.iter().enumerate().filter_map(kept);
        slots.filter_map(|slot| {
            let node = self.node(slot)?;
            Some((slot, node, node.record.as_ref()?))
        })
    }

    /// Inserts or replaces a record. `None` if another id has the same hash.
    pub(super) fn put(&mut self, record: &Record) -> Option<Slot> {
        let slot = self.name(&record.origin.id)?;
        let mut links = Vec::with_capacity(record.neighbours.len());
        for neighbour in &record.neighbours {
            let stub = if neighbour.stub.is_some() { STUB } else { 0 };
            links.extend(self.name(&neighbour.id).map(|slot| slot | stub));
        }
        let kept = Kept {
            raw: record.raw().into(),
            stamp: record.stamp(),
            is_final: record.is_final,
            links: links.into(),
        };
        let before = self.nodes[slot as usize].record.replace(kept);
        self.records += usize::from(before.is_none());
        self.bytes += record.raw().len();
        self.release(slot, before);
        self.reach = None;
        Some(slot)
    }

    /// Removes a record.
    pub(super) fn remove(&mut self, slot: Slot) {
        let Some(node) = self.nodes.get_mut(slot as usize) else {
            return;
        };
        node.absent_since = None;
        if let Some(record) = node.record.take() {
            self.records -= 1;
            self.release(slot, Some(record));
            self.reach = None;
        }
    }

    /// Notes that one more record names `id`.
    fn name(&mut self, id: &NodeId) -> Option<Slot> {
        let key = key_of(id);
        if let Some(slot) = self.index.get(&key).copied() {
            let node = &mut self.nodes[slot as usize];
            let is_it = node.id == *id;
            node.named += u32::from(is_it);
            return is_it.then_some(slot);
        }
        let node = Node {
            id: id.clone(),
            key,
            record: None,
            named: 1,
            absent_since: None,
            earned: Moment::default(),
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.nodes[slot as usize] = node;
                slot
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as Slot - 1
            }
        };
        self.index.insert(key, slot);
        Some(slot)
    }

    /// Releases a removed record, and forgets the nodes that no record names any more.
    fn release(&mut self, slot: Slot, record: Option<Kept>) {
        let Some(record) = record else { return };
        self.bytes -= record.raw.len();
        for slot in record.links.iter().map(|link| link & !STUB).chain([slot]) {
            let node = &mut self.nodes[slot as usize];
            node.named -= 1;
            if node.named == 0 {
                self.index.remove(&node.key);
                self.free.push(slot);
            }
        }
    }

    /// Whether `to` names `from`, too. The caller knows that `from` names `to`.
    fn is_edge(&self, from: Slot, to: Slot) -> bool {
        let record = self.node(to).and_then(|node| node.record.as_ref());
        record.is_some_and(|record| !record.is_final && record.links.contains(&from))
    }

    fn links(&self, slot: Slot) -> &[Slot] {
        match self.node(slot).and_then(|node| node.record.as_ref()) {
            Some(record) if !record.is_final => &record.links,
            _ => &[],
        }
    }

    /// The component that contains `me`, including members without a record.
    pub(super) fn reach(&mut self, me: Slot) -> Arc<Reach> {
        // Edges have no direction: all nodes of a component share one result.
        if let Some(reach) = self.reach.as_ref().filter(|reach| reach.contains(me)) {
            return reach.clone();
        }
        let mut standing = vec![Standing::Absent; self.nodes.len()];
        let mut queue = VecDeque::from([me]);
        standing[me as usize] = Standing::Member;
        let mut stubs = Vec::new();
        while let Some(from) = queue.pop_front() {
            for link in self.links(from) {
                let to = link & !STUB;
                if link & STUB != 0 {
                    stubs.push(to);
                } else if standing[to as usize] == Standing::Absent && self.is_edge(from, to) {
                    standing[to as usize] = Standing::Member;
                    queue.push_back(to);
                }
            }
        }
        let mut buckets = Box::new([0; BUCKETS]);
        for (slot, node, record) in self.recorded() {
            if standing[slot as usize] == Standing::Member {
                buckets[bucket_of(node.key)] ^= record.stamp.2;
            }
        }
        for stub in stubs {
            if standing[stub as usize] == Standing::Absent {
                standing[stub as usize] = Standing::Stub;
            }
        }
        let reach = Arc::new(Reach { standing, buckets });
        self.reach = Some(reach.clone());
        reach
    }

    /// The shortest path from `me` to each node: its first step, as an index into `first`, and its
    /// length. `None` for unreachable nodes.
    pub(super) fn ways(&self, me: Slot, first: &[Slot]) -> Vec<Option<(u16, u16)>> {
        let mut ways: Vec<Option<(u16, u16)>> = vec![None; self.nodes.len()];
        let mut queue = VecDeque::new();
        for (number, to) in first.iter().copied().enumerate() {
            if self.is_edge(me, to) && ways[to as usize].is_none() {
                ways[to as usize] = Some((number as u16, 1));
                queue.push_back(to);
            }
        }
        while let Some(from) = queue.pop_front() {
            let Some((number, length)) = ways[from as usize] else {
                continue;
            };
            for link in self.links(from) {
                let to = *link;
                let is_new = to & STUB == 0 && to != me && ways[to as usize].is_none();
                if is_new && self.is_edge(from, to) {
                    ways[to as usize] = Some((number, length.saturating_add(1)));
                    queue.push_back(to);
                }
            }
        }
        ways
    }

    /// The address of a node without a record, as one of its peers states it.
    pub(super) fn stub_address(&self, stub: Slot, reach: &Reach) -> Option<Address> {
        let claims = |(slot, _, kept): &(Slot, &Node, &Kept)| {
            reach.contains(*slot) && kept.links.contains(&(stub | STUB))
        };
        let (_, _, kept) = self.recorded().find(claims)?;
        let id = &self.node(stub)?.id;
        let record = Record::parse(&kept.raw)?;
        let mut neighbours = record.neighbours.into_iter();
        neighbours.find(|neighbour| neighbour.id == *id)?.stub
    }

    /// Notes which nodes are unreachable, and since when.
    pub(super) fn note_absent(&mut self, reach: &Reach, now: Moment) {
        for (slot, node) in self.nodes.iter_mut().enumerate() {
            if node.record.is_none() || reach.contains(slot as Slot) {
                node.absent_since = None;
            } else {
                node.absent_since.get_or_insert(now);
            }
        }
    }

    /// Approximate size of the table, in bytes.
    pub(super) fn footprint(&self) -> usize {
        let of = |node: &Node| {
            let record = node.record.as_ref();
            // An allocation's overhead: eight bytes, and rounding.
            let record = record.map_or(0, |kept| kept.raw.len() + kept.links.len() * 4 + 24);
            size_of::<Node>() + node.id.code().len() + 16 + 12 + record
        };
        self.nodes.iter().map(of).sum::<usize>() + self.index.capacity() * 17 * 8 / 7
    }
}

pub(super) fn bucket_of(key: u64) -> usize {
    (key >> 56) as usize
}
