//! Rate limits.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::Moment;

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

    /// Takes more tokens, also some that are yet to come.
    pub(crate) fn spend(&mut self, tokens: f64) {
        self.tokens -= tokens;
    }

    /// How long it takes until what was spent beyond its means is earned.
    pub(crate) fn debt(&mut self, now: Moment) -> Duration {
        self.earn(now);
        Duration::from_secs_f64((-self.tokens / self.per_second).max(0.0))
    }

    fn earn(&mut self, now: Moment) {
        let earned = now.since(self.last).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + earned).min(self.burst);
        self.last = now;
    }

    /// Whether a bucket left alone since would be full: then it need not be remembered.
    pub(crate) fn is_full(&self, now: Moment) -> bool {
        let earned = now.since(self.last).as_secs_f64() * self.per_second;
        self.tokens + earned >= self.burst
    }
}
