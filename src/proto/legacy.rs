//! The wire of smokesignal 0.1 and 0.2: one JSON array per line.
//!
//! - [`line`]: the lines and their meaning;
//! - [`packet`]: the packets that travel inside lines, checked by their hash;
//! - [`canonical`]: JSON exactly as V8 writes it, because the hash covers that text;
//! - [`seen`]: the packets seen recently, because packets are flooded;
//! - [`ids`]: the ids that native broadcasts have as packets;
//! - [`translator`]: the interface of all this for a node with legacy peers.

mod base64;
mod canonical;
mod ids;
pub mod line;
pub mod packet;
mod seen;
mod translator;

pub use canonical::canonical;
pub(in crate::proto) use ids::base36;
pub(in crate::proto) use translator::{Arrival, Sends, Translator};
