//! Tokio: sockets, timers, and the one `core` that owns a node's [`State`](crate::proto::State).
//!
//! Two threads run this code. The *network's thread* is one for all nodes of a process: each node
//! has a driver task on it, which waits for timers, connections and commands, and each connection
//! has a link task. *JavaScript's thread* is the application's, one for each worker. It carries out
//! what it sends, down to the system call, if the core is free; and it reads sockets while it is
//! idle (see [`Watch`]). So most messages wake no second thread.
//!
//! Nothing waits for a peer: bytes go into a link's bounded queue, and from there into the socket
//! as far as it takes them. The link's task writes the rest.
//!
//! # Order of locks
//!
//! A thread takes a lock only while those it holds have smaller numbers.
//!
//! |   | lock                               | guards                              | is held during                 |
//! | - | ---------------------------------- | ----------------------------------- | ------------------------------ |
//! | 1 | `turn` in `link/inlet.rs`          | a socket, for reading               | a read and its report          |
//! | 2 | `core` in `node.rs`                | state, timers and links of a node   | an input and its outputs       |
//! | 3 | `writer` in `link/outlet.rs`       | a socket, for writing               | encryption, a few system calls |
//! | 4 | `peers` in `core/gates.rs`         | the gates of peers                  | a look-up                      |
//! | 5 | `queue` in `link/outlet.rs`        | the bytes that wait for a link      | a push or a take               |
//! | 5 | `budget` in `secure/key.rs`        | the rate of handshakes              | a look                         |
//! | 5 | `known` in `secure/key.rs`         | which secret a node knows           | a look-up                      |
//! | 5 | `members` in `core/gates.rs`       | the gates of members                | a look-up                      |
//! | 5 | `report` in `core/gates.rs`        | the counters that `stats()` returns | a copy                         |
//! | 5 | `entries` in `wait/epoll/watch.rs` | the links that are watched          | a look-up                      |
//! | 6 | those of a [`Sink`] and of the log | the queue to the application        | short work of theirs           |
//!
//! Each function that another folder calls says on which thread it runs and which locks its caller
//! holds.

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
