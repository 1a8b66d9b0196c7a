//! All records that a node has, and the component that they form.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::sync::Arc;

use super::record::{Address, key_of};
use super::view::{Stamp, View};
use crate::proto::{Moment, NodeId};

/// The number of parts of a digest.
pub(super) const BUCKETS: usize = 256;

/// A node's place in the table. It is reused once the node is forgotten.
pub(super) type Slot = u32;

/// All nodes that have a record or are named by one.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) nodes: Vec<Node>,
    free: Vec<Slot>,
    /// By a hash of the id that nobody else knows, so that nobody can make two ids collide. The
    /// second id would be ignored.
    index: HashMap<u64, Slot, BuildHasherDefault<Hashed>>,
    hasher: RandomState,
    records: usize,
    /// Bytes of all records.
    bytes: usize,
    /// The component that follows from the records, unless it must be found anew.
    pub(super) reach: Option<Arc<Reach>>,
    /// By slot: the way from each of its members to `root`.
    pub(super) parents: Vec<Slot>,
    pub(super) root: Slot,
    /// How many nodes are absent.
    absent: usize,
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

pub(super) const STUB: Slot = 1 << 31;

impl Kept {
    /// The nodes that it names, unless it is final.
    pub(super) fn edges(&self) -> &[Slot] {
        match self.is_final {
            true => &[],
            false => &self.links,
        }
    }
}

/// Takes keys that are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `u64` is hashed.
        self.0 = bytes
            .iter()
            .fold(self.0, |hash, byte| hash << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The component of the network that contains one node.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    pub(super) standing: Vec<Standing>,
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

    /// Finds a node by the code of its id.
    pub(super) fn find(&self, code: &str) -> Option<Slot> {
        let slot = self.index.get(&self.hasher.hash_one(code)).copied()?;
        let node = self.node(slot).filter(|node| node.id.code() == code);
        node.map(|_| slot)
    }

    /// The slot of a record's node, if it has one, and whether it has this record.
    pub(super) fn look_up(&self, record: &[u8]) -> (Option<Slot>, bool) {
        let Some(code) = View::code_of(record) else {
            return (None, false);
        };
        let slot = self.index.get(&self.hasher.hash_one(code)).copied();
        let node = slot.and_then(|slot| self.node(slot));
        let kept = node.and_then(|node| node.record.as_ref());
        // Equal records have equal ids: most need no further look.
        let is_known = kept.is_some_and(|kept| *kept.raw == *record);
        let is_it = is_known || node.is_some_and(|node| node.id.code() == code);
        (slot.filter(|_| is_it), is_known)
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
    pub(super) fn put(&mut self, record: &View<'_>, stamp: Stamp) -> Option<Slot> {
        let slot = self.name(record.code)?;
        let before = self.nodes[slot as usize].record.take();
        let same = Same::of(before.as_ref(), record);
        let mut links = Vec::with_capacity(record.count);
        for (code, stub) in record.neighbours() {
            let stub = if stub.is_some() { STUB } else { 0 };
            let known = same.find(code);
            if let Some(slot) = known {
                self.nodes[slot as usize].named += 1;
            }
            links.extend(known.or_else(|| self.name(code)).map(|slot| slot | stub));
        }
        self.nodes[slot as usize].record = Some(Kept {
            raw: record.raw.into(),
            stamp,
            is_final: record.is_final,
            links: links.into(),
        });
        self.records += usize::from(before.is_none());
        self.bytes += record.raw.len();
        self.follow(slot, before.as_ref());
        self.release(slot, before);
        Some(slot)
    }

    /// Removes a record.
    pub(super) fn remove(&mut self, slot: Slot) {
        let Some(node) = self.nodes.get_mut(slot as usize) else {
            return;
        };
        self.absent -= usize::from(node.absent_since.take().is_some());
        if let Some(record) = node.record.take() {
            self.records -= 1;
            self.release(slot, Some(record));
            self.reach = None;
        }
    }

    /// Notes that one more record names the id with this code.
    fn name(&mut self, code: &str) -> Option<Slot> {
        let hash = self.hasher.hash_one(code);
        if let Some(slot) = self.index.get(&hash).copied() {
            let node = &mut self.nodes[slot as usize];
            let is_it = node.id.code() == code;
            node.named += u32::from(is_it);
            return is_it.then_some(slot);
        }
        let id = NodeId::from_code(code)?;
        let node = Node {
            key: key_of(&id),
            id,
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
        self.index.insert(hash, slot);
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
                self.index.remove(&self.hasher.hash_one(node.id.code()));
                self.free.push(slot);
            }
        }
    }

    /// Whether `to` names `from`, too. The caller knows that `from` names `to`.
    pub(super) fn is_edge(&self, from: Slot, to: Slot) -> bool {
        let record = self.node(to).and_then(|node| node.record.as_ref());
        record.is_some_and(|record| !record.is_final && record.links.contains(&from))
    }

    pub(super) fn links(&self, slot: Slot) -> &[Slot] {
        let record = self.node(slot).and_then(|node| node.record.as_ref());
        record.map_or(&[], Kept::edges)
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
        let code = self.node(stub)?.id.code();
        let mut neighbours = View::read(&kept.raw)?.neighbours();
        let (host, port) = neighbours.find(|(other, _)| *other == code)?.1?;
        Some(Address::new(host, port))
    }

    /// Notes which nodes are unreachable, and since when.
    pub(super) fn note_absent(&mut self, reach: &Reach, now: Moment) {
        self.absent = 0;
        for (slot, node) in self.nodes.iter_mut().enumerate() {
            if node.record.is_none() || reach.contains(slot as Slot) {
                node.absent_since = None;
            } else {
                node.absent_since.get_or_insert(now);
                self.absent += 1;
            }
        }
    }

    /// Whether no node with a record is known to be unreachable.
    pub(super) fn is_complete(&self) -> bool {
        self.absent == 0
    }

    /// Approximate size of the table, in bytes.
    pub(super) fn footprint(&self) -> usize {
        let of = |node: &Node| {
            let record = node.record.as_ref();
            // An allocation's overhead: eight bytes, and rounding.
            let record = record.map_or(0, |kept| kept.raw.len() + kept.links.len() * 4 + 24);
            size_of::<Node>() + node.id.code().len() + 16 + 12 + record
        };
        self.nodes.iter().map(of).sum::<usize>()
            + self.index.capacity() * 17 * 8 / 7
            + self.parents.len() * size_of::<Slot>()
    }
}

/// The neighbours of a node's last record, and their slots. The next record has most of them, and
/// then they need not be looked up.
struct Same<'a>(Vec<(&'a str, Slot)>);

impl<'a> Same<'a> {
    /// More neighbours than this are quicker to look up.
    const MOST: usize = 16;

    fn of(before: Option<&'a Kept>, record: &View<'_>) -> Self {
        let few = before.filter(|kept| record.count.max(kept.links.len()) <= Self::MOST);
        let view = few.and_then(|kept| Some((View::read(&kept.raw)?, kept)));
        // A neighbour without a slot would shift the others.
        let whole = view.filter(|(view, kept)| view.count == kept.links.len());
        let pairs = whole.into_iter().flat_map(|(view, kept)| {
            let slots = kept.links.iter().map(|link| link & !STUB);
            view.neighbours().map(|(code, _)| code).zip(slots)
        });
        Self(pairs.collect())
    }

    fn find(&self, code: &str) -> Option<Slot> {
        let same = self.0.iter().find(|(other, _)| *other == code);
        same.map(|(_, slot)| *slot)
    }
}

pub(super) fn bucket_of(key: u64) -> usize {
    (key >> 56) as usize
}
