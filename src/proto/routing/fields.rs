//! The fields of [`Routing`].

use std::collections::{BTreeMap, VecDeque};

use super::ends::{Receiving, Sending};
use super::event::{Config, Counters, Output};
use super::frame::Receiver;
use super::paths::Paths;
use super::seal::Seals;
use crate::proto::{Bucket, Moment, Origin, Payload};

/// The cost of one of them on top of its bytes.
pub(super) const HELD_OVERHEAD: usize = 256;

/// All routing state of a node.
#[derive(Debug)]
pub struct Routing {
    pub(super) config: Config,
    pub(super) me: Origin,
    pub(super) seals: Seals,
    pub(super) paths: Paths,
    pub(super) sessions: u32,
    pub(super) sending: BTreeMap<u32, Sending>,
    pub(super) receiving: BTreeMap<u32, (Origin, Receiving)>,
    /// The progress of members that left, so that a late letter stays late if they return.
    pub(super) past: VecDeque<(Origin, Receiving)>,
    pub(super) held: VecDeque<Held>,
    pub(super) held_bytes: usize,
    /// Bytes of letters that wait for earlier ones on another path.
    pub(super) early_bytes: usize,
    pub(super) complaints: Bucket,
    /// Reports of undelivered messages to the application: any node may claim some.
    pub(super) reports: Bucket,
    /// Something was sent or held since the last wake-up.
    pub(super) is_busy: bool,
    pub(super) wake_at: Option<Moment>,
    pub(super) counters: Counters,
    pub(super) out: Vec<Output>,
}

/// A letter whose sender is not a member yet.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) at: Moment,
    pub(super) from: Origin,
    pub(super) to: Receiver,
    pub(super) payload: Payload,
}

impl Held {
    pub(super) fn cost(&self) -> usize {
        self.payload.body().len() + HELD_OVERHEAD
    }
}
