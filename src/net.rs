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

mod core;
mod dial;
mod driver;
mod handle;
mod link;
mod listener;
mod queue;
mod reader;
mod runtime;
mod secure;
mod socket;
#[cfg(test)]
mod tests;
#[cfg_attr(not(target_os = "linux"), path = "net/watch_none.rs")]
mod watch;
mod writer;

pub use handle::{Congestion, LinkStats, Node, Refused, Room, SendError, Sink, Stats};
pub use queue::STUCK_AFTER;
pub use secure::{Credentials, Identity, Secret};
#[cfg(feature = "fuzzing")]
pub use secure::{Ends, transport};
pub use watch::Watch;

/// The system's name for an I/O error, as Node.js has it in `error.code`.
fn error_code(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::*;
    match error.kind() {
        AddrInUse => "EADDRINUSE",
        AddrNotAvailable => "EADDRNOTAVAIL",
        PermissionDenied => "EACCES",
        ConnectionRefused => "ECONNREFUSED",
        ConnectionReset => "ECONNRESET",
        ConnectionAborted => "ECONNABORTED",
        BrokenPipe => "EPIPE",
        TimedOut => "ETIMEDOUT",
        HostUnreachable => "EHOSTUNREACH",
        NetworkUnreachable => "ENETUNREACH",
        NetworkDown => "ENETDOWN",
        NotFound => "ENOENT",
        _ => match error.raw_os_error() {
            #[cfg(unix)]
            Some(23) => "ENFILE",
            #[cfg(unix)]
            Some(24) => "EMFILE",
            _ => "EIO",
        },
    }
}
