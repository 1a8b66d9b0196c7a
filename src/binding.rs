//! Node-API: translation only.
//!
//! What JavaScript sends goes straight to [`net::Node`](crate::net::Node). What it is told goes
//! through one bounded [`queue`]: the driver puts events in and rings a doorbell; JavaScript drains
//! the queue in chunks of JSON text, so that a burst of messages costs one call and one
//! `JSON.parse`, and messages that nobody listens for never cross.

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
mod text;

#[cfg(feature = "fuzzing")]
pub use fuzz::batch;
