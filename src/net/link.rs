//! One connection: its task, its two sides, and its way to the node.
//!
//! Either thread may read and write a link. The reading side is inlet → reader → buffer, the
//! writing side outlet → writer → queue. In each, the first has the lock, the second the socket,
//! and the third is a plain structure. The task does what takes waiting.

mod buffer;
mod inlet;
pub(super) mod outlet;
pub(super) mod port;
mod queue;
mod reader;
pub(super) mod task;
mod writer;

pub(super) use queue::Pushed;
