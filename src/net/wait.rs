//! Who reads a node's sockets.

#[cfg_attr(not(target_os = "linux"), path = "wait/none.rs")]
pub(super) mod epoll;
