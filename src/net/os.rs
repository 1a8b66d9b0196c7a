//! What the operating system gives: connections, a server socket, a thread.

pub(super) mod dial;
pub(super) mod error;
pub(super) mod listener;
pub(super) mod runtime;
