//! The fields for members and routing.

use crate::proto::members::Members;
use crate::proto::routing::Routing;

/// Members and routing while the node runs.
#[derive(Debug)]
pub(in crate::proto::state) struct Nodes {
    pub(in crate::proto::state) members: Members,
    pub(in crate::proto::state) routing: Routing,
}
