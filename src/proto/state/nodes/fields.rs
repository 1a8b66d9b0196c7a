//! The fields for members and routing.

use crate::proto::members::Members;
use crate::proto::routing::Routing;

/// Both, between start and stop.
#[derive(Debug)]
pub(in crate::proto::state) struct Nodes {
    pub(in crate::proto::state) members: Members,
    pub(in crate::proto::state) routing: Routing,
}
