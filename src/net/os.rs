//! Operating system services: connections, the server socket, the thread.

pub(super) mod dial;
pub(super) mod error;
pub(super) mod listener;
pub(super) mod runtime;
