//! Other systems: JavaScript's event loop does not wait for a node's sockets.

pub(super) fn is_at_the_door() -> bool {
    false
}

/// Never made.
pub(super) enum Poll {}

impl Poll {
    pub(super) fn drained(&self) {
        match *self {}
    }
}
