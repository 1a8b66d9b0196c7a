//! Rate limits.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::Moment;

/// Most targets whose rate is remembered.
const MAX_TARGETS: usize = 1024;

/// A token bucket: `burst` at once, `per_second` in the long run.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    burst: f64,
    per_second: f64,
    last: Moment,
}

impl Bucket {
    pub(crate) fn new(burst: f64, per_second: f64, now: Moment) -> Self {
        Self {
            tokens: burst,
            burst,
            per_second,
            last: now,
        }
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, now: Moment) -> bool {
        self.earn(now);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    /// Takes tokens that the bucket may not have yet, and so may leave it in debt.
    pub(crate) fn spend(&mut self, tokens: f64) {
        self.tokens -= tokens;
    }

    /// The time until the debt is earned back.
    pub(crate) fn debt(&mut self, now: Moment) -> Duration {
        self.earn(now);
        Duration::from_secs_f64((-self.tokens / self.per_second).max(0.0))
    }

    fn earn(&mut self, now: Moment) {
        let earned = now.since(self.last).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + earned).min(self.burst);
        self.last = now;
    }

    /// Whether the bucket would be full if it was unused since: then it can be forgotten.
    pub(crate) fn is_full(&self, now: Moment) -> bool {
        let earned = now.since(self.last).as_secs_f64() * self.per_second;
        self.tokens + earned >= self.burst
    }
}

/// A bucket for each address.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    buckets: BTreeMap<SocketAddr, Bucket>,
    burst: f64,
    per_second: f64,
}

impl Targets {
    /// The limit per address: `burst` at once, and `per_second`.
    pub(crate) fn new((burst, per_second): (f64, f64)) -> Self {
        Self {
            buckets: BTreeMap::new(),
            burst,
            per_second,
        }
    }

    /// Takes a token from the bucket of `target` if there is one.
    pub(crate) fn take(&mut self, target: SocketAddr, now: Moment) -> bool {
        let buckets = &mut self.buckets;
        if buckets.len() >= MAX_TARGETS {
            buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        if buckets.len() >= MAX_TARGETS {
            return false;
        }
        let bucket = buckets.entry(target);
        bucket
            .or_insert_with(|| Bucket::new(self.burst, self.per_second, now))
            .take(now)
    }
}
