//! Native broadcasts of one node. The tests play its peers.

mod forgery;
mod repairs;
mod trees;
mod windows;
mod world;
