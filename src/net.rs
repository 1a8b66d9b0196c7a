//! Tokio: sockets, timers, and the one driver task that owns a node's [`State`](crate::proto).

#![forbid(unsafe_code)]

mod handle;

pub use handle::{Node, Room, SendError, Sink};
