//! The fields of [`Members`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::event::{Config, Counters, Output};
use super::record::Address;
use super::table::{Reach, Slot, Standing, Table};
use crate::proto::{Bucket, LinkId, Moment, NodeId, Origin};

/// How long one comparison keeps others from beginning: who is told of everything by its first peer
/// need not be told it by all of them.
pub(super) const ONE_AT_A_TIME: Duration = Duration::from_secs(1);

/// What a node knows of all nodes.
#[derive(Debug)]
pub struct Members {
    pub(super) config: Config,
    pub(super) me: Origin,
    /// Of our own record.
    pub(super) version: u64,
    pub(super) slot: Slot,
    pub(super) table: Table,
    pub(super) reach: Arc<Reach>,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) sync: Sync,
    /// When our record is to be renewed.
    pub(super) renew_at: Option<Moment>,
    /// When we have earned the right to the next change of it.
    pub(super) earned: Moment,
    pub(super) flush_at: Option<Moment>,
    pub(super) flushed_at: Option<Moment>,
    /// When it is looked who is a member, once something has changed.
    pub(super) stock_at: Option<Moment>,
    /// When that was done last.
    pub(super) stocked_at: Moment,
    pub(super) compare_at: Moment,
    /// When we asked to be woken.
    pub(super) wake_at: Option<Moment>,
    pub(super) is_stopped: bool,
    /// What the application was told, by slot.
    pub(super) told: Vec<Option<Told>>,
    pub(super) by_handle: HashMap<u32, Slot>,
    pub(super) next_handle: u32,
    /// First steps towards everybody; empty until somebody asks.
    pub(super) ways: Vec<Option<(u16, u16)>>,
    pub(super) first_steps: Vec<LinkId>,
    pub(super) counters: Counters,
    pub(super) out: Vec<Output>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: NodeId,
    pub(super) stub: Option<Address>,
    /// Records that it is to be sent.
    pub(super) pending: BTreeSet<Slot>,
    /// Unknown nodes that it may tell of.
    pub(super) news: Bucket,
    /// Comparisons that it may ask for.
    pub(super) compares: Bucket,
    /// Records that it may ask for.
    pub(super) wants: Bucket,
    /// New records that it may bring.
    pub(super) brings: Bucket,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// 0 if it is to get one.
    pub(super) handle: u32,
    /// The hash of its id: slots are used again.
    pub(super) key: u64,
    pub(super) epoch: u64,
    pub(super) version: u64,
    pub(super) face: u64,
    pub(super) standing: Standing,
}

/// The comparison that is under way, and those that wait for it.
#[derive(Debug, Default)]
pub(super) struct Sync {
    pub(super) busy: Option<(LinkId, Moment)>,
    pub(super) waiting: BTreeMap<LinkId, Option<u64>>,
}

impl Sync {
    /// Whether a comparison over `link` may go on; if not it waits, with the digest that came.
    pub(super) fn begins(&mut self, now: Moment, link: LinkId, digest: Option<u64>) -> bool {
        if self
            .busy
            .is_some_and(|(other, until)| other != link && until > now)
        {
            self.waiting.insert(link, digest);
            return false;
        }
        self.busy = Some((link, now.after(ONE_AT_A_TIME)));
        self.waiting.remove(&link);
        true
    }

    /// Records come over `link`.
    pub(super) fn goes_on(&mut self, now: Moment, link: LinkId) {
        if let Some((other, until)) = &mut self.busy
            && *other == link
            && *until > now
        {
            *until = now.after(ONE_AT_A_TIME);
        }
    }

    pub(super) fn forget(&mut self, link: LinkId) {
        self.waiting.remove(&link);
        if self.busy.is_some_and(|(other, _)| other == link) {
            self.busy = None;
        }
    }

    /// When the next one may begin, if one waits.
    pub(super) fn due(&self) -> Option<Moment> {
        let until = self.busy.map_or(Moment::default(), |(_, until)| until);
        (!self.waiting.is_empty()).then_some(until)
    }
}
