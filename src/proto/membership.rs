//! The active and the passive view of native nodes: HyParView.
//!
//! The *active view* is the list of peers: a node seeks [`Config::min_peers`](crate::proto::Config)
//! and accepts up to `max_peers`. The *passive view* is a random handful of other addresses. A node
//! that loses a peer dials one of them at once. Shuffles keep the passive view fresh: a node trades
//! addresses with a node a few random steps away, and the answer walks back the same way, so it
//! needs no extra connection.
//!
//! A node enters by a handshake with a seed that says `join`. A seed with room accepts it. A full
//! one refuses, names other nodes, and sends the address on random walks (FORWARD JOIN); the node
//! at the end of a walk dials it if it has room. So seeds have no more peers than other nodes. A
//! node without any peer dials urgently: another node then makes room with a GOODBYE that says so.
//! A legacy node cannot send an urgent request; when it asks again, the walks on its behalf are
//! urgent. Legacy peers are never closed to make room, because they would not find their way back.
//!
//! HyParView: Leitão, Pereira, Rodrigues, "HyParView: a membership protocol for reliable
//! gossip-based broadcast", 2007. The numbers come from there unless noted otherwise.
//!
//! [`State`] takes [`Input`]s and returns [`Output`]s for the node to carry out; a few methods
//! answer at once instead, such as [`State::make_room_for`]. It owns the passive view, its own
//! record of the peers, the addresses of lost and of waiting nodes, and all limits on dials to
//! addresses that came from other nodes. From outside it gets the time, the options, the dials
//! under way and the random numbers, in a [`Context`].
//!
//! Its parts: [`passive`] keeps addresses; [`seek`] dials them while there are too few peers;
//! [`lost`] dials peers that broke off; [`shuffle`] and [`walks`] pass on addresses; [`requests`]
//! dials nodes that ask for peers; [`room`] decides which peer a full node closes; [`waiting`]
//! brings together nodes that were refused; [`budget`] limits dials.

mod budget;
mod context;
mod event;
mod handle;
mod lost;
mod passive;
mod peer;
mod requests;
mod room;
mod seek;
mod shuffle;
mod state;
#[cfg(test)]
mod tests;
mod waiting;
mod walks;

pub(super) use context::{Context, Dials};
pub(super) use event::{Input, Output};
pub(super) use peer::Peer;
pub(super) use state::{State, count};
