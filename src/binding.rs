//! Node-API: translation only.
//!
//! JavaScript's sends go straight to [`net::Node`](crate::net::Node). Events for JavaScript go
//! through one bounded [`queue`]: the driver puts them in and rings a doorbell. JavaScript drains
//! the queue in chunks of JSON text, so a burst of messages costs one call and one `JSON.parse`.
//! Messages without a listener never cross.

mod backlog;
mod chunk;
mod config;
mod consumption;
mod counters;
mod entry;
mod filter;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod local_ip;
mod log;
mod node;
mod notice;
mod parcel;
#[cfg_attr(not(shared_reads), path = "binding/poll_none.rs")]
mod poll;
mod queue;
mod random;
mod validation;

#[cfg(feature = "fuzzing")]
pub use fuzz::batch;
