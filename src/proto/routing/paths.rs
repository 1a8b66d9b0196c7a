//! Paths to a member: over the overlay, or over a shortcut.

use std::collections::BTreeMap;

use crate::proto::{LinkId, Moment, Origin};

/// A path from one member to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Path {
    /// From neighbour to neighbour.
    Overlay,
    /// A link of its own.
    Shortcut(LinkId),
}

/// The shortcuts of this node.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// By handle, while they take our letters.
    pub(super) open: BTreeMap<u32, LinkId>,
    pub(super) ends: BTreeMap<LinkId, Shortcut>,
}

#[derive(Debug)]
pub(super) struct Shortcut {
    pub(super) handle: u32,
    /// The node at the other end.
    pub(super) origin: Origin,
    /// When it last carried a letter.
    pub(super) used_at: Moment,
}

impl Paths {
    /// The shortcut that takes letters to a member.
    pub(super) fn to(&self, handle: u32) -> Option<LinkId> {
        self.open.get(&handle).copied()
    }

    /// The path that a link belongs to.
    pub(super) fn of(&self, link: LinkId) -> Path {
        match self.ends.contains_key(&link) {
            true => Path::Shortcut(link),
            false => Path::Overlay,
        }
    }

    pub(super) fn uses(&mut self, link: LinkId, now: Moment) {
        if let Some(shortcut) = self.ends.get_mut(&link) {
            shortcut.used_at = now;
        }
    }
}
