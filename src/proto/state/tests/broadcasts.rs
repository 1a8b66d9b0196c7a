//! Native broadcasts: a node among peers that the tests play.

mod forgery;
mod trees;
mod windows;
mod world;
