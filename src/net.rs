//! Tokio: sockets, timers, and the one driver task that owns a node's [`State`](crate::proto::State).
//!
//! All nodes of a process share one thread. Each node has a *driver* task, which alone touches the
//! state; each connection has a *link* task, which reads, decodes and writes. The driver never
//! waits for a peer: it puts bytes into a link's bounded [`queue`] and goes on.

#![forbid(unsafe_code)]

mod driver;
mod handle;
mod link;
mod listener;
mod queue;
mod runtime;
mod secure;
#[cfg(test)]
mod tests;

pub use handle::{LinkStats, Node, Refused, Room, SendError, Sink, Stats};
pub use secure::{Credentials, Identity, Secret};

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
