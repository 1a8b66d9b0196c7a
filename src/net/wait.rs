//! Which thread reads a node's sockets.
//!
//! On Linux two threads may: JavaScript's while it is idle, the network's otherwise (`epoll`).
//! Elsewhere, and with the feature `portable-wait`, the network's thread always reads (`portable`).
//! `build.rs` sets `shared_reads` for the first.

#[cfg(shared_reads)]
mod epoll;
#[cfg(not(shared_reads))]
mod portable;
mod visit;

#[cfg(shared_reads)]
pub use epoll::Watch;
#[cfg(shared_reads)]
pub(super) use epoll::{Socket, Watched};
#[cfg(not(shared_reads))]
pub use portable::Watch;
#[cfg(not(shared_reads))]
pub(super) use portable::{Socket, Watched};
pub(super) use visit::{Visit, Visited};
