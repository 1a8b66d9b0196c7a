//! Tokio: sockets, timers, and the one `core` that owns a node's [`State`](crate::proto::State).
//!
//! All nodes of a process share one thread. Each node has a *driver* task, which waits for timers,
//! connections and the application, and each connection has a *link* task. Both lock the core for what
//! they have to do. Nobody waits for a peer: bytes go into a link's bounded `queue`, and from there into
//! the socket as far as it takes them; the link's task writes the rest.
//!
//! Messages do not cross between that thread and the application's if they need not. What is sent is
//! carried out by the application's thread, down to the system call, unless the driver is at work just
//! then; and what comes is read by it while it waits (see [`Watch`]).

#![forbid(unsafe_code)]

mod api;
mod core;
mod driver;
mod link;
mod lock;
mod node;
mod os;
mod secure;
#[cfg(test)]
mod tests;
mod wait;

pub use api::{Congestion, LinkStats, Refused, Room, SendError, Sink, Stats};
pub use link::outlet::STUCK_AFTER;
pub use node::Node;
pub use secure::{Credentials, Identity, Secret};
#[cfg(feature = "fuzzing")]
pub use secure::{Ends, transport};
pub use wait::Watch;
