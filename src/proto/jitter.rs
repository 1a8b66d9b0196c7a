//! Random delays.

use std::time::Duration;

/// `time` plus or minus a random part of up to `share` of it, so that nodes do not act in step.
pub(super) fn jitter(rng: &mut fastrand::Rng, time: Duration, share: f64) -> Duration {
    time.mul_f64(1.0 - share + 2.0 * share * rng.f64())
}
