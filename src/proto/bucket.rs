//! Rate limits.

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
        let earned = now.since(self.last).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + earned).min(self.burst);
        self.last = now;
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

    /// Whether a bucket left alone since would be full: then it need not be remembered.
    pub(crate) fn is_full(&self, now: Moment) -> bool {
        let earned = now.since(self.last).as_secs_f64() * self.per_second;
        self.tokens + earned >= self.burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(2.0, 4.0, Moment(0));
        assert!(bucket.take(Moment(0)));
        assert!(bucket.take(Moment(0)));
        assert!(!bucket.take(Moment(0)));
        assert!(!bucket.is_full(Moment(250_000)));
        assert!(bucket.take(Moment(250_000)));
        assert!(!bucket.take(Moment(250_000)));
        assert!(bucket.is_full(Moment(750_000)));
    }
}
