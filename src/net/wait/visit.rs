//! A link as seen by the thread that finds its socket readable.

use std::fmt::Debug;

/// A readable link.
#[cfg_attr(not(shared_reads), expect(dead_code, reason = "only its task reads"))]
pub(in crate::net) trait Visit: Debug + Send + Sync {
    /// Reads once. `is_last`: the other side has closed, so nothing will announce the rest.
    ///
    /// Thread: JavaScript's or the network's. Locks held: none. It takes the link's reading lock if
    /// that is free.
    fn visit(&self, is_last: bool) -> Visited;
}

/// The work that a visit leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::net) enum Visited {
    /// None: the next bytes will be announced.
    Done,
    /// There may be more to read.
    More,
    /// The link's task must go on.
    ForTask,
}
