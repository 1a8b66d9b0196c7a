//! A network in a box: the state machine that ships, thousands of times, under a virtual clock.
//!
//! [`Network`] stands in for everything below [`proto`](crate::proto): the driver, TCP and the
//! hosts. Links have latencies and keep their order; hosts die with and without a word, come back,
//! and are cut off from each other. Messages go through the real codec, byte for byte.
//! Nothing depends on the time of day, on addresses in memory or on hash seeds: the same seed gives
//! the same run.
//!
//! [`scenario`] plays and measures the scenarios that overlays are judged by; [`report`] prints the figures.

#![forbid(unsafe_code)]

mod graph;
pub mod layout;
mod network;
mod picture;
pub mod report;
pub mod scenario;
mod schedule;

pub use graph::{Graph, Reach};
pub use network::{Death, Happening, HostId, Link, Network, Options, Traffic};
pub use picture::draw;
