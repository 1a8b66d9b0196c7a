//! The protocol: pure state machines, driven from outside.
//!
//! Nothing here opens a socket, reads a clock or draws entropy: time comes in with every
//! [`Input`], randomness from the seed given to [`State::new`]. That is what lets the simulator
//! run the very code that ships.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods)]

mod bucket;
pub mod codec;
mod config;
mod event;
mod id;
mod identity;
mod jitter;
mod join;
pub mod json;
pub mod legacy;
pub mod members;
mod membership;
mod message;
mod payload;
mod publish;
pub mod routing;
mod state;
mod stats;
mod timers;
mod wire;

pub(crate) use bucket::Bucket;
pub use config::{Config, Target};
pub use event::{
    Class, CloseHow, Event, Input, Level, Mark, Outgoing, Output, RemoveReason, SeedOutcome, Timer,
};
pub use id::{LinkId, Moment, NodeId, Origin};
pub use identity::{CODE, Code, Identity, PUBLIC_KEY, PairKey, PublicKey, SIGNATURE};
pub(crate) use join::join_runs;
pub(crate) use message::LAST_SEQUENCE;
pub use message::{
    Beacon, Hello, HelloNative, Intent, Message, Native, Packet, PacketData, PeerAddress, Place,
    Pong, Publish, Range, Records, Reject, Topic, Watermark, Why,
};
pub use payload::{Item, Items, Kind, Payload};
pub use state::{Footprint, State};
pub use stats::Counters;
pub use timers::Timers;
