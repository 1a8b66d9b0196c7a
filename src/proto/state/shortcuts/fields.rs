//! The fields of shortcuts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::proto::Moment;

/// How long no second shortcut is dialled after a failure. It doubles with each further one.
const WAIT: Duration = Duration::from_secs(60);
/// The longest wait. A firewall may change, but not often.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Most members whose failures are remembered.
const MAX_FAILED: usize = 256;

/// The members that shortcuts cannot be made to, by handle.
#[derive(Debug, Default)]
pub(in crate::proto::state) struct Shortcuts {
    failed: BTreeMap<u32, Failure>,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    wait: Duration,
    until: Moment,
}

impl Shortcuts {
    /// Whether a member may be dialled.
    pub(in crate::proto::state) fn may_dial(&self, handle: u32, now: Moment) -> bool {
        let failure = self.failed.get(&handle);
        failure.is_none_or(|failure| failure.until <= now)
    }

    /// A shortcut to a member could not be made, or broke.
    pub(in crate::proto::state) fn fails(&mut self, handle: u32, now: Moment) {
        let known = self.failed.get(&handle);
        let wait = known.map_or(WAIT, |failure| (failure.wait * 2).min(LONGEST_WAIT));
        let until = now.after(wait);
        self.failed.insert(handle, Failure { wait, until });
        if self.failed.len() > MAX_FAILED {
            let soonest = self.failed.iter().min_by_key(|(_, failure)| failure.until);
            if let Some(handle) = soonest.map(|(handle, _)| *handle) {
                self.failed.remove(&handle);
            }
        }
    }

    /// A member has left, or a shortcut to it has served.
    pub(in crate::proto::state) fn forgets(&mut self, handle: u32) {
        self.failed.remove(&handle);
    }

    pub(in crate::proto::state) fn failed(&self) -> usize {
        self.failed.len()
    }
}
