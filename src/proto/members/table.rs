//! All records that a node has, and the component that they form.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;

use hashbrown::HashTable;

use super::record::{Address, Raw, key_of};
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
    /// Freed since the last census. Until then they are not reused, so that what was announced of a
    /// slot is about the node there.
    freed: Vec<Slot>,
    /// By the id's code. Its hash is secret, so that nobody can make many ids collide.
    index: HashTable<Slot>,
    hasher: RandomState,
    records: usize,
    /// Bytes of all records.
    bytes: usize,
    /// The component that follows from the records, unless it must be found anew.
    pub(super) reach: Option<Arc<Reach>>,
    /// By slot: the way from each of its members to `root`.
    pub(super) parents: Vec<Slot>,
    pub(super) root: Slot,
    /// The slots whose record or standing has changed since the last census. `None`: all may have.
    pub(super) changed: Option<Vec<Slot>>,
    /// How many nodes are absent.
    absent: usize,
}

/// What a table keeps of each node: there are thousands, so it is small.
#[derive(Debug)]
pub(super) struct Node {
    what: What,
    /// The hash of its id.
    pub(super) key: u64,
    /// The number of records that name it, its own included.
    named: u32,
    /// When the rate limit allows its next record, bursts aside; see [`super::RECORD_EVERY`].
    pub(super) earned: Tick,
    /// Since when it has had a record and been unreachable.
    pub(super) absent_since: Option<Tick>,
}

#[derive(Debug)]
enum What {
    /// It has a record, which begins with its id.
    Recorded(Kept),
    /// Records name it. Holds the code of its id.
    Named(Arc<str>),
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) raw: Raw,
    pub(super) hash: u64,
    /// The nodes that it names, none if it is final. The top bit marks nodes without a record.
    pub(super) links: Box<[Slot]>,
}

pub(super) const STUB: Slot = 1 << 31;

impl Kept {
    pub(super) fn stamp(&self) -> Stamp {
        let (epoch, version) = View::life_of(&self.raw).unwrap_or_default();
        Stamp(version, epoch, self.hash)
    }
}

impl Node {
    pub(super) fn record(&self) -> Option<&Kept> {
        match &self.what {
            What::Recorded(kept) => Some(kept),
            What::Named(_) => None,
        }
    }

    /// The code of its id, as bytes.
    fn code(&self) -> &[u8] {
        match &self.what {
            What::Recorded(kept) => View::code_bytes(&kept.raw),
            What::Named(code) => code.as_bytes(),
        }
    }

    pub(super) fn id(&self) -> Option<NodeId> {
        NodeId::from_code(std::str::from_utf8(self.code()).ok()?)
    }

    /// Returns the record that it had before.
    fn replace(&mut self, what: What) -> Option<Kept> {
        match std::mem::replace(&mut self.what, what) {
            What::Recorded(kept) => Some(kept),
            What::Named(_) => None,
        }
    }

    fn take_record(&mut self) -> Option<Kept> {
        let code = std::str::from_utf8(self.code()).ok()?.into();
        self.replace(What::Named(code))
    }
}

/// A moment, rounded down to tenths of a second: a quarter of the size, for thirteen years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Tick(NonZeroU32);

impl Tick {
    const LENGTH: u64 = 100_000;

    pub(super) fn of(moment: Moment) -> Self {
        let tenths = u32::try_from(moment.0 / Self::LENGTH).unwrap_or(u32::MAX);
        Self(NonZeroU32::MIN.saturating_add(tenths))
    }

    pub(super) fn moment(self) -> Moment {
        Moment(u64::from(self.0.get() - 1) * Self::LENGTH)
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

    /// Bytes of memory.
    pub(super) fn footprint(&self) -> usize {
        self.standing.capacity() + size_of_val(&*self.buckets)
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
        self.find_bytes(code.as_bytes())
    }

    fn find_bytes(&self, code: &[u8]) -> Option<Slot> {
        let is_it = |slot: &Slot| self.nodes[*slot as usize].code() == code;
        self.index.find(self.hasher.hash_one(code), is_it).copied()
    }

    /// The slot of a record's node, if it has one, and whether it has this record.
    pub(super) fn look_up(&self, record: &Raw) -> (Option<Slot>, bool) {
        let slot = self.find_bytes(View::code_bytes(record));
        let kept = slot.and_then(|slot| self.node(slot)?.record());
        (slot, kept.is_some_and(|kept| kept.raw == *record))
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
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(slot, node)| Some((slot as Slot, node, node.record()?)))
    }

    /// Inserts or replaces a record: `raw`, which reads as `record` and has that hash.
    pub(super) fn put(&mut self, raw: &Raw, record: &View<'_>, hash: u64) -> Option<Slot> {
        let slot = self.name(record.code)?;
        let before = self.nodes[slot as usize].replace(What::Recorded(Kept {
            raw: raw.clone(),
            hash,
            links: Box::default(),
        }));
        let same = Same::of(before.as_ref(), record);
        let mut links = Vec::with_capacity(record.count);
        for (code, stub) in record.neighbours().filter(|_| !record.is_final) {
            let stub = if stub.is_some() { STUB } else { 0 };
            let known = same.find(code);
            if let Some(slot) = known {
                self.nodes[slot as usize].named += 1;
            }
            links.extend(known.or_else(|| self.name(code)).map(|slot| slot | stub));
        }
        if let What::Recorded(kept) = &mut self.nodes[slot as usize].what {
            kept.links = links.into();
        }
        self.records += usize::from(before.is_none());
        self.bytes += raw.len();
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
        if let Some(record) = node.take_record() {
            self.records -= 1;
            self.release(slot, Some(record));
            self.reach = None;
        }
    }

    /// Notes that one more record names the id with this code. `None` if it is no code.
    fn name(&mut self, code: &str) -> Option<Slot> {
        if let Some(slot) = self.find(code) {
            self.nodes[slot as usize].named += 1;
            return Some(slot);
        }
        let node = Node {
            key: key_of(&NodeId::from_code(code)?),
            what: What::Named(code.into()),
            named: 1,
            earned: Tick::of(Moment::default()),
            absent_since: None,
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
        let hash = |slot: &Slot| self.hasher.hash_one(self.nodes[*slot as usize].code());
        self.index.insert_unique(hash(&slot), slot, hash);
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
                let hash = self.hasher.hash_one(node.code());
                if let Ok(entry) = self.index.find_entry(hash, |other| *other == slot) {
                    entry.remove();
                }
                self.freed.push(slot);
            }
        }
    }

    /// Makes `list` one of as many values as there are slots. It gets the capacity of the table's
    /// own list: if each grew by itself, all would grow at another node, and leave holes in memory.
    pub(super) fn fit<T: Clone>(&self, list: &mut Vec<T>, value: T) {
        list.reserve_exact(self.nodes.capacity().saturating_sub(list.len()));
        list.resize(self.nodes.len(), value);
    }

    /// Lets freed slots be used again: a census has taken note of them.
    pub(super) fn reuse_freed(&mut self) {
        self.free.append(&mut self.freed);
    }

    /// Whether `to` names `from`, too. The caller knows that `from` names `to`.
    pub(super) fn is_edge(&self, from: Slot, to: Slot) -> bool {
        self.links(to).contains(&from)
    }

    pub(super) fn links(&self, slot: Slot) -> &[Slot] {
        let record = self.node(slot).and_then(Node::record);
        record.map_or(&[], |kept| &kept.links)
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
        let code = self.node(stub)?.code();
        let mut neighbours = View::read(&kept.raw)?.neighbours();
        let (host, port) = neighbours.find(|(other, _)| other.as_bytes() == code)?.1?;
        Some(Address::new(host, port))
    }

    /// Notes whether the node of a slot is unreachable, and since when.
    pub(super) fn note_absent(&mut self, slot: Slot, reach: &Reach, now: Moment) {
        let Some(node) = self.nodes.get_mut(slot as usize) else {
            return;
        };
        self.absent -= usize::from(node.absent_since.is_some());
        let since = node.absent_since.unwrap_or(Tick::of(now));
        let is_absent = node.record().is_some() && !reach.contains(slot);
        node.absent_since = is_absent.then_some(since);
        self.absent += usize::from(is_absent);
    }

    /// Whether no node with a record is known to be unreachable.
    pub(super) fn is_complete(&self) -> bool {
        self.absent == 0
    }

    /// Approximate size of the table, in bytes.
    pub(super) fn footprint(&self) -> usize {
        /// What an allocation takes besides: eight bytes, and rounding.
        const ALLOCATION: usize = 16;
        /// The counters of an `Arc`.
        const COUNTERS: usize = 16;
        let of = |node: &Node| match &node.what {
            What::Recorded(kept) => {
                kept.raw.len() + COUNTERS + size_of_val(&*kept.links) + 2 * ALLOCATION
            }
            What::Named(code) => code.len() + COUNTERS + ALLOCATION,
        };
        self.nodes.iter().map(of).sum::<usize>()
            + self.nodes.capacity() * size_of::<Node>()
            // A place takes a slot and a byte.
            + self.index.capacity() * 5 * 8 / 7
            + self.parents.len() * size_of::<Slot>()
            + self.reach.as_ref().map_or(0, |reach| reach.footprint())
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
