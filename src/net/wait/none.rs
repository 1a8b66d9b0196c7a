//! Where the runtime itself waits for what can be read, there is nothing to watch.

use std::io;
use std::sync::Arc;

use tracing::Dispatch;

use crate::net::link::inlet::Inlet;
use crate::proto::LinkId;

/// Nothing, on this system.
#[derive(Debug)]
pub struct Watch;

#[derive(Debug)]
pub(in crate::net) struct Watched;

impl Watch {
    pub(in crate::net) fn new(_: Dispatch) -> io::Result<Self> {
        Ok(Self)
    }

    pub(in crate::net) fn add(self: &Arc<Self>, _: LinkId, _: Arc<Inlet>) -> io::Result<Watched> {
        Ok(Watched)
    }

    pub(in crate::net) async fn run(self: Arc<Self>) {}
}
