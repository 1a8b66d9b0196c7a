//! Native broadcasts: exactly once, in order per origin, along a tree.
//!
//! Every origin numbers its broadcasts. A node delivers and forwards an origin's broadcasts only in
//! order, so a *watermark*, the highest number delivered, describes everything that the node has:
//!
//! - A run that begins at the next number is delivered, kept for 30 s, and pushed to every peer
//!   that is not *lazy* for this origin. A run below the watermark is a duplicate: its sender gets
//!   a PRUNE and makes this node lazy. The remaining links form a spanning tree per origin, along
//!   the fastest links. In Plumtree the node that prunes stops pushing, too. With several runs in
//!   flight, a node could then lose the link that it depends on. Here a node keeps the link that
//!   brought the latest new run. If the node has just pruned that peer, the run was only in flight,
//!   and the node keeps the link of the duplicate instead.
//! - Lazy peers get watermarks (IHAVE), in batches. A peer that lacks announced numbers for too
//!   long sends a GRAFT: it asks for the range, and to be pushed to again.
//! - A run beyond the next number is held until the gap before it is repaired in the same way. If
//!   no peer holds the missing range any more (GONE), or no peer answers for too long, the range is
//!   skipped and counted.
//! - Two nodes exchange the watermarks of all active origins when a native link comes up, so that
//!   the new link repairs the losses of an old one.
//!
//! Plumtree has one tree for all origins. When several origins speak at once, their duplicates
//! prune more links than one tree can spare, and every repair costs a graft timeout. Plumtree:
//! Leitão, Pereira, Rodrigues, "Epidemic Broadcast Trees", 2007.
//!
//! [`State`] takes [`Input`]s and returns [`Output`]s for the node to carry out. It keeps its own
//! record of the peers. Its parts: [`runs`] sends, delivers and forwards; [`tree`] decides which
//! peers are pushed to; [`watermarks`] announces; [`repair`] asks for missing runs and
//! [`retransmission`] answers from the [`cache`]; [`skip`] gives up; [`oversized`] handles runs
//! above a peer's limit; [`window`] limits outstanding data.

mod cache;
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
mod view;
mod watermarks;
mod window;

pub(super) use event::{Input, Output};
pub(super) use intake::Outstanding;
pub(super) use peer::Peer;
pub(super) use state::State;
pub(super) use streams::DETACH_BELOW;
#[cfg(test)]
pub(super) use streams::{MAX_CLAIMED, MAX_STREAMS};
