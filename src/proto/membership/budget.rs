//! Limits on dials to addresses that came from other nodes.

use std::net::SocketAddr;

use crate::proto::Moment;
use crate::proto::bucket::{Bucket, Targets};

/// Limits dials in total and per address.
#[derive(Debug)]
pub(super) struct DialBudget {
    total: Bucket,
    targets: Targets,
}

impl DialBudget {
    /// Each limit: at once, and per second.
    pub(super) fn new(total: (f64, f64), per_target: (f64, f64)) -> Self {
        Self {
            total: Bucket::new(total.0, total.1, Moment::default()),
            targets: Targets::new(per_target),
        }
    }

    /// Whether the limit on the total allows another dial.
    pub(super) fn takes_one(&mut self, now: Moment) -> bool {
        self.total.take(now)
    }

    /// Whether the limit per address allows another dial to `target`.
    pub(super) fn takes_one_to(&mut self, target: SocketAddr, now: Moment) -> bool {
        self.targets.take(target, now)
    }
}
