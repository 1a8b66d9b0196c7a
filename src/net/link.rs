//! One connection.

mod buffer;
pub(super) mod inlet;
pub(super) mod queue;
mod reader;
pub(super) mod socket;
pub(super) mod task;
mod writer;
