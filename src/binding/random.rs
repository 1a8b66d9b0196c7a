//! Random numbers of the system.

use napi::Result;
use napi_derive::napi;
use ring::rand::{SecureRandom as _, SystemRandom};

/// A random whole number below 2^48. `node:crypto` is not loaded for it: that takes milliseconds.
#[napi]
#[allow(
    unreachable_pub,
    dead_code,
    reason = "the addon exports it; Rust code does not see it"
)]
pub fn random() -> Result<f64> {
    let mut bytes = [0; 8];
    let filled = SystemRandom::new().fill(&mut bytes[2..]);
    filled.map_err(|_| napi::Error::from_reason("the system has no random numbers"))?;
    Ok(u64::from_be_bytes(bytes) as f64)
}
