//! A virtual network: the real state machine, in thousands of nodes, under a virtual clock.
//!
//! [`Network`] replaces everything below [`proto`](crate::proto): the driver, TCP and the hosts.
//! Links have latencies and keep order. Hosts stop, crash, restart and are cut off from each other.
//! Messages go through the real codec, byte for byte. Nothing depends on the time of day, on memory
//! addresses or on hash seeds: the same seed gives the same run.
//!
//! [`scenario`] runs and measures the scenarios that overlays are judged by; [`report`] prints the
//! figures.

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
