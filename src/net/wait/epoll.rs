//! Two threads may read: JavaScript's while it is idle, the network's otherwise.
//!
//! A wake-up of a thread costs more than everything else that a message needs. If only the
//! network's thread read, each message for an idle process would wake two threads in turn. So all
//! sockets of a node are in an epoll instance of its own, which both threads can wait for.

mod socket;
mod watch;

pub(in crate::net) use socket::Socket;
pub use watch::Watch;
pub(in crate::net) use watch::Watched;
