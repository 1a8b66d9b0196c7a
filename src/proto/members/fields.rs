//! The fields of [`Members`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::event::{Config, Counters, Output};
use super::pending::Pending;
use super::record::Address;
use super::table::{Reach, Slot, Standing, Table};
use crate::proto::{Bucket, LinkId, Moment, NodeId, Origin};

/// How long one comparison keeps others from starting. A newcomer that gets all records from its
/// first peer need not get them from the others.
pub(super) const ONE_AT_A_TIME: Duration = Duration::from_secs(1);

/// A node's knowledge of all nodes.
#[derive(Debug)]
pub struct Members {
    pub(super) config: Config,
    pub(super) me: Origin,
    /// The version of our own record.
    pub(super) version: u64,
    pub(super) slot: Slot,
    pub(super) table: Table,
    pub(super) reach: Arc<Reach>,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) sync: Sync,
    /// When our own record must be renewed.
    pub(super) renew_at: Option<Moment>,
    /// When the rate limit allows its next change, bursts aside.
    pub(super) earned: Moment,
    pub(super) flush_at: Option<Moment>,
    pub(super) flushed_at: Option<Moment>,
    /// When the next census is due, if something has changed.
    pub(super) stock_at: Option<Moment>,
    /// When the last census was taken.
    pub(super) stocked_at: Moment,
    pub(super) compare_at: Moment,
    /// The wake-up that we asked for.
    pub(super) wake_at: Option<Moment>,
    pub(super) is_stopped: bool,
    /// The nodes announced to the application, by slot.
    pub(super) announced: Vec<Option<Announced>>,
    pub(super) by_handle: HashMap<u32, Slot>,
    pub(super) next_handle: u32,
    /// First steps of the paths to all nodes. Empty until first needed.
    pub(super) ways: Vec<Option<(u16, u16)>>,
    pub(super) first_steps: Vec<LinkId>,
    pub(super) counters: Counters,
    pub(super) out: Vec<Output>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: NodeId,
    pub(super) stub: Option<Address>,
    /// Records to send to it.
    pub(super) pending: Pending,
    /// Budget of unknown nodes that it may introduce.
    pub(super) news: Bucket,
    /// Budget of comparisons that it may start.
    pub(super) compares: Bucket,
    /// Budget of records that it may request.
    pub(super) wants: Bucket,
    /// Budget of new records that it may bring.
    pub(super) brings: Bucket,
}

/// A node as it was last announced to the application.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    /// 0 if a new one is needed.
    pub(super) handle: u32,
    pub(super) epoch: u64,
    /// The hash of the record that `face` was read from.
    pub(super) hash: u64,
    pub(super) face: u64,
    pub(super) standing: Standing,
}

/// The comparison in progress, and the links that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Sync {
    pub(super) busy: Option<(LinkId, Moment)>,
    pub(super) waiting: BTreeMap<LinkId, Option<u64>>,
}

impl Sync {
    /// Whether a comparison over `link` may proceed. If not, it waits, with the received digest.
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

    /// Records arrive over `link`: its comparison goes on.
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

    /// When the next waiting comparison may start.
    pub(super) fn due(&self) -> Option<Moment> {
        let until = self.busy.map_or(Moment::default(), |(_, until)| until);
        (!self.waiting.is_empty()).then_some(until)
    }
}
