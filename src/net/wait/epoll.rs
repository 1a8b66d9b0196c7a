//! Two threads may read: JavaScript's while it is idle, otherwise the network's.
//!
//! Waking a thread costs more than all other work for a message. If only the network's thread read,
//! each message for an idle process would wake two threads in turn. So each node has an epoll
//! instance for its sockets, and both threads can wait for it.

mod socket;
mod watch;

pub(in crate::net) use socket::Socket;
pub use watch::Watch;
pub(in crate::net) use watch::Watched;
