//! Where the runtime itself waits for what can be read, there is nothing to watch.

use std::io;
use std::sync::Arc;

use tracing::Dispatch;

use super::reader::Inlet;
use crate::proto::LinkId;

/// Nothing, on this system.
#[derive(Debug)]
pub struct Watch;

#[derive(Debug)]
pub(super) struct Watched;

impl Watch {
    pub(super) fn new(_: Dispatch) -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) fn add(self: &Arc<Self>, _: LinkId, _: Arc<Inlet>) -> io::Result<Watched> {
        Ok(Watched)
    }

    pub(super) async fn run(self: Arc<Self>) {}
}
