//! Native broadcasts: exactly once, in order per origin, along a tree.
//!
//! Every origin numbers its broadcasts. A node delivers and forwards an origin's broadcasts only in
//! order, so a *watermark* (the highest number it has) says everything about what it has:
//!
//! - A run that begins at the next number is delivered, kept for 30 s, and pushed to every peer
//!   that is not *lazy* for this origin. A run below the watermark is a duplicate: its sender is
//!   told to PRUNE and makes us lazy. What remains is a spanning tree per origin, along the fastest
//!   links. (In Plumtree whoever prunes stops pushing, too. Then, with several runs on their way at
//!   once, a node can lose the link it depends on. Here it keeps the one over which the latest run
//!   came first; and the one on which a duplicate comes, if that other one was told to stop itself,
//!   and what came first was only on its way still.)
//! - Lazy peers get watermarks (IHAVE), batched. One that learns of numbers it does not get in
//!   time GRAFTs: it asks for the range, and to be pushed to again.
//! - A run beyond the next number is held until the gap before it is repaired the same way. If
//!   nobody holds the missing range any more (GONE), or nobody answers for too long, it is skipped
//!   and counted.
//! - Watermarks of all active origins are exchanged whenever a native link comes up, so whatever
//!   was lost with an old link is repaired over the new one.
//!
//! Trees per origin, where Plumtree has one for all: with one tree, the duplicates of several
//! origins that speak at once prune more links than the tree can spare, and every repair costs a
//! graft timeout. Plumtree: Leitão, Pereira, Rodrigues, "Epidemic Broadcast Trees", 2007.
//!
//! [`State`] takes an [`Input`] and says in [`Output`]s what has to be done; it knows the peers
//! only by what it was told of them. Its parts: [`runs`], which are sent, delivered and forwarded;
//! [`tree`], [`watermarks`], [`repair`], which asks for missing runs, [`retransmission`], which
//! answers, [`skip`], [`oversized`] and [`window`].

mod event;
mod handle;
mod intake;
mod oversized;
mod peer;
mod repair;
mod retransmission;
mod runs;
mod skip;
mod state;
mod stream;
mod streams;
mod tree;
mod watermarks;
mod window;

pub(super) use event::{Input, Output};
pub(super) use intake::Outstanding;
pub(super) use peer::Peer;
pub(super) use state::State;
pub(super) use streams::DETACH_BELOW;
#[cfg(test)]
pub(super) use streams::{MAX_CLAIMED, MAX_STREAMS};
