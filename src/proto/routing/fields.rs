//! The fields of [`Routing`].

use std::collections::{BTreeMap, VecDeque};

use super::ends::{Receiving, Sending};
use super::event::{Config, Counters, Output};
use super::frame::Receiver;
use super::seal::Seals;
use crate::proto::{Bucket, Moment, Origin, Payload};

/// What one of them costs beside its bytes.
pub(super) const HELD_OVERHEAD: usize = 256;

/// All that a node remembers of letters.
#[derive(Debug)]
pub struct Routing {
    pub(super) config: Config,
    pub(super) me: Origin,
    pub(super) seals: Seals,
    pub(super) sessions: u32,
    pub(super) sending: BTreeMap<u32, Sending>,
    pub(super) receiving: BTreeMap<u32, (Origin, Receiving)>,
    /// How far those had come that left: what comes late then is late still.
    pub(super) past: VecDeque<(Origin, Receiving)>,
    pub(super) held: VecDeque<Held>,
    pub(super) held_bytes: usize,
    pub(super) complaints: Bucket,
    /// Reports of undelivered messages to the application: anybody may claim such.
    pub(super) reports: Bucket,
    /// Something was sent or held since the last look.
    pub(super) is_busy: bool,
    pub(super) wake_at: Option<Moment>,
    pub(super) counters: Counters,
    pub(super) out: Vec<Output>,
}

/// A letter of a node that is no member yet.
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
