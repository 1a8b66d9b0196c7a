//! smokesignal: a peer-to-peer network for Node.js programs, without a broker.
//!
//! Three layers; dependencies point down only:
//!
//! ```text
//! index.js, lib/*.js   the public API: EventEmitter and stream semantics
//! binding              Node-API: translation, one batched queue each way
//! net                  Tokio: sockets, timers, the one driver task that owns a node's state
//! proto                the protocol: a pure state machine; no I/O, no clock, no entropy of its own
//! ```
//!
//! One vocabulary runs through all of them: a driver feeds an [`proto::Input`] to the
//! [`proto::State`] and carries out each [`proto::Output`]; a [`proto::Timer`] is asked for and
//! comes back as an input; an [`proto::Event`] is what the application is told.

#[cfg(feature = "node")]
mod binding;
pub mod net;
pub mod proto;
pub mod sim;

/// Fuzz targets and benches for what is not public otherwise.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    #[cfg(feature = "node")]
    pub use crate::binding::batch;
    pub use crate::net::{Ends, transport};
}

pub use proto::Config;
