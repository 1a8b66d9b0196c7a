//! Members: the nodes of the network, found by link state.
//!
//! Each node floods a [`Record`] of itself: its address, a text of its application, and its peers.
//! It floods a new one on each change. Two nodes are joined by an *edge* if each record names the
//! other. **Members are the component of that graph that contains us.** So a member leaves with its
//! last edge, whichever end drops it, and a part of the network that is cut off leaves at once.
//!
//! - *Flooding*: a node forwards a record to every peer except its sender, at once or, in a flood,
//!   every 20 ms. A later record of a node replaces an earlier one ([`record::Stamp`]).
//! - *Repair*: when a link comes up, and then every 10 s, the end with the greater id sends a
//!   digest of its records. If the digests differ, both ends compare the digests of 256 parts, then
//!   the records of the differing parts, and send the records that the other lacks. A newcomer gets
//!   all records this way.
//! - *Stop*: a node that stops floods a final record. A crashed node's peers drop it from theirs.
//! - *Lies*: in a closed network each node signs its record with the key behind its id. So a node
//!   can lie only about itself.
//! - *Nodes without a record*, legacy ones and native ones from before these frames, are members,
//!   too. Only their peers' records name them.
//!
//! A pure state machine, separate from [`State`](super::State): [`Input`]s in, [`Output`]s out.

mod census;
mod component;
mod event;
mod fields;
mod flood;
mod frame;
mod own;
mod pending;
mod record;
mod sync;
mod table;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{LinkId, Moment, NodeId, Origin, PublicKey};
pub use event::{ALL_HANDLES, Config, Counters, Event, FIRST_HANDLE, Input, Member, Output};
pub use fields::Members;
use fields::{Announced, Link, Sync};
pub use frame::{Entry, Frame};
use pending::Pending;
pub use record::{Address, Neighbour, Raw, Record};
use table::{Node, Reach, Slot, Standing, Table};
use view::View;
pub use view::{MAX_BODY, MAX_NEIGHBOURS};

/// The shortest time between two floods: short compared to a link's latency.
const FLUSH: Duration = Duration::from_millis(20);
/// How long changes of our own record are collected.
const COLLECT: Duration = Duration::from_millis(20);
/// Our own record changes at most this often in the long run.
pub(super) const CHANGE_EVERY: Duration = Duration::from_secs(1);
/// Burst on top of `CHANGE_EVERY`: a node that joins gets its first peers within a second.
const CHANGE_AHEAD: Duration = Duration::from_secs(3);
/// Records of one origin are accepted this often in the long run: twice an honest node's rate.
pub(super) const RECORD_EVERY: Duration = Duration::from_millis(500);
/// Burst on top of `RECORD_EVERY`.
const RECORD_AHEAD: Duration = Duration::from_secs(8);
/// The shortest time between two censuses, per record: bounds their cost to a few hundredths of a
/// core.
const STOCK_EVERY: Duration = Duration::from_micros(50);
/// New records that one peer may bring per second in the long run. Checking their signatures takes
/// a tenth of a core.
const NEW_RECORDS_PER_SECOND: f64 = 1000.0;
/// How long the record of an unreachable node is kept: a link that was cut may heal.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// How often digests are compared and unneeded records are dropped.
const COMPARE_EVERY: Duration = Duration::from_secs(10);

impl Members {
    /// A node that knows only itself.
    pub fn new(config: Config, me: Origin, now: Moment) -> Self {
        let mut table = Table::default();
        let record = Record::new(
            me.clone(),
            1,
            false,
            config.address.clone(),
            config.body.clone(),
            Vec::new(),
        );
        let record = match &config.identity {
            Some(identity) => record.signed(identity),
            None => record,
        };
        let view = View::read(record.raw());
        let slot = view.and_then(|view| table.put(record.raw(), &view, view.stamp().2));
        let slot = slot.unwrap_or_default();
        let reach = table.reach(slot);
        // Nodes that started together compare at different times.
        let offset = record::key_of(&me.id) % COMPARE_EVERY.as_micros() as u64;
        Self {
            config,
            me,
            version: 1,
            slot,
            table,
            reach,
            links: BTreeMap::new(),
            sync: Sync::default(),
            renew_at: None,
            earned: now,
            flush_at: None,
            flushed_at: None,
            stock_at: None,
            stocked_at: Moment::default(),
            compare_at: now.after(Duration::from_micros(offset)),
            wake_at: None,
            is_stopped: false,
            announced: Vec::new(),
            by_handle: HashMap::new(),
            next_handle: FIRST_HANDLE,
            ways: Vec::new(),
            first_steps: Vec::new(),
            counters: Counters::default(),
            out: Vec::new(),
        }
    }

    /// Handles `input` and appends the resulting actions, in order, to `out`.
    pub fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Output>) {
        if self.is_stopped {
            return;
        }
        std::mem::swap(&mut self.out, out);
        match input {
            Input::LinkUp { link, id, stub } => self.link_up(now, link, id, stub),
            Input::LinkDown(link) => self.link_down(now, link),
            Input::Frame(link, frame) => self.on_frame(now, link, frame),
            Input::Body(body) => {
                self.config.body = body;
                self.renew_soon(now);
            }
            Input::Wake => self.wake(now),
            Input::Stop => self.stop(),
        }
        self.sleep(now);
        std::mem::swap(&mut self.out, out);
    }

    /// The number of members besides us.
    pub fn len(&self) -> usize {
        self.by_handle.len()
    }

    /// Whether we are alone.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of records kept, including our own.
    pub fn records(&self) -> usize {
        self.table.records()
    }

    /// Approximate memory use, in bytes.
    pub fn footprint(&self) -> usize {
        let pending = self.links.values().map(|link| link.pending.footprint());
        // A place of a map takes its entry and a byte.
        let announced = self.announced.capacity() * size_of::<Option<Announced>>()
            + self.by_handle.capacity() * 9 * 8 / 7
            + self.reach.footprint();
        self.table.footprint() + announced + pending.sum::<usize>() + self.ways.len() * 6
    }

    /// The counters.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The ids of all members with a record, including our own, sorted, as of the last census.
    pub fn list(&self) -> Vec<NodeId> {
        let member = |slot: &Slot| self.reach.contains(*slot);
        let members = (0..self.table.len() as Slot).filter(member);
        let mut ids: Vec<NodeId> = members
            .filter_map(|slot| self.table.node(slot)?.id())
            .collect();
        ids.sort_unstable();
        ids
    }

    /// A hash of the set of [`Self::list`].
    pub fn hash(&self) -> u64 {
        let nodes = self.table.nodes.iter().zip(&self.reach.standing);
        let members = nodes.filter(|(_, standing)| **standing == Standing::Member);
        members.fold(0, |hash, (node, _)| hash ^ node.key)
    }

    /// Our own record.
    pub fn own_raw(&self) -> Option<&Raw> {
        Some(&self.table.node(self.slot)?.record()?.raw)
    }

    /// Whether a node is a member with a record, as of the last census.
    pub fn has(&self, id: &NodeId) -> bool {
        let slot = self.table.find(id.code());
        slot.is_some_and(|slot| self.reach.contains(slot))
    }

    /// The member with that handle, unless it keeps no record.
    pub fn origin(&self, handle: u32) -> Option<Origin> {
        let (node, epoch) = self.member(handle)?;
        let id = node.id()?;
        Some(Origin { id, epoch })
    }

    /// A member with a record, and its epoch.
    fn member(&self, handle: u32) -> Option<(&Node, u64)> {
        let slot = *self.by_handle.get(&handle)?;
        let announced = self.announced.get(slot as usize)?.as_ref()?;
        let node = self.table.node(slot)?;
        (announced.standing == Standing::Member).then_some((node, announced.epoch))
    }

    /// The handle of a member that keeps a record.
    pub fn handle_of_id(&self, id: &NodeId) -> Option<u32> {
        let slot = self.table.find(id.code())?;
        Some(self.announced.get(slot as usize)?.as_ref()?.handle)
    }

    /// The handle of a member in the life that `origin` names.
    pub fn handle_of(&self, origin: &Origin) -> Option<u32> {
        let slot = self.table.find(origin.id.code())?;
        let announced = self.announced.get(slot as usize)?.as_ref()?;
        (announced.epoch == origin.epoch).then_some(announced.handle)
    }

    /// Where the member with that handle listens.
    pub fn address(&self, handle: u32) -> Option<Address> {
        let (node, _) = self.member(handle)?;
        let (host, port) = View::read(&node.record()?.raw)?.address;
        Some(Address::new(host, port))
    }

    /// The key that signed a member's record.
    pub fn key(&self, handle: u32) -> Option<PublicKey> {
        let (node, _) = self.member(handle)?;
        View::read(&node.record()?.raw)?.key
    }

    /// The link on a shortest path to a node, and the length of that path in links.
    pub fn way_to(&mut self, id: &NodeId) -> Option<(LinkId, u16)> {
        let slot = self.table.find(id.code())?;
        if self.ways.is_empty() {
            let neighbours = self.links.iter();
            let known = neighbours.filter_map(|(link, state)| {
                let slot = self
                    .table
                    .find(state.id.code())
                    .filter(|_| state.stub.is_none())?;
                Some((*link, slot))
            });
            let (links, first): (Vec<LinkId>, Vec<Slot>) = known.unzip();
            self.ways = self.table.ways(self.slot, &first);
            self.first_steps = links;
        }
        let (number, length) = (*self.ways.get(slot as usize)?)?;
        Some((*self.first_steps.get(usize::from(number))?, length))
    }

    fn link_up(&mut self, now: Moment, link: LinkId, id: NodeId, stub: Option<Address>) {
        let most = self.config.max_members as f64;
        let is_aware = stub.is_none();
        let state = Link {
            id,
            stub,
            pending: Pending::default(),
            // A newcomer learns of all members in one burst.
            news: super::Bucket::new(most, most / 30.0, now),
            compares: super::Bucket::new(4.0, 0.5, now),
            wants: super::Bucket::new(2.0 * most, most / 10.0, now),
            brings: super::Bucket::new(2.0 * most, NEW_RECORDS_PER_SECOND, now),
        };
        self.links.insert(link, state);
        self.renew_soon(now);
        if is_aware {
            self.pend(link, self.slot);
            self.flush_soon(now);
            self.compare_with(link);
        }
    }

    fn link_down(&mut self, now: Moment, link: LinkId) {
        if self.links.remove(&link).is_some() {
            self.sync.forget(link);
            self.ways.clear();
            self.renew_soon(now);
        }
    }

    fn wake(&mut self, now: Moment) {
        self.wake_at = None;
        if self.renew_at.is_some_and(|at| at <= now) {
            self.renew(now);
        }
        if self.compare_at <= now {
            self.compare_at = now.after(COMPARE_EVERY);
            self.forget_absent(now);
            self.compare_with_all();
        }
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush_at = None;
            self.flushed_at = Some(now);
            self.stock_at.get_or_insert(now);
            self.send_pending(now);
        }
        if self.stock_at.is_some_and(|at| at <= now) {
            self.stock_at = None;
            self.take_stock(now);
        }
        self.compare_again(now);
    }

    /// Asks to be woken when the next timer is due.
    fn sleep(&mut self, now: Moment) {
        if self.is_stopped {
            return;
        }
        let times = [self.renew_at, self.flush_at, self.stock_at, self.sync.due()];
        let next = times
            .into_iter()
            .flatten()
            .fold(self.compare_at, Moment::min);
        let next = next.max(now);
        if self.wake_at != Some(next) {
            self.wake_at = Some(next);
            self.out.push(Output::WakeAt(next));
        }
    }
}
