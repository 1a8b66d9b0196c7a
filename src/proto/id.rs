//! Identifiers and time, as the state machine sees them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A node's network-wide name.
///
/// 1 to 64 printable ASCII characters without `-` (legacy nodes split packet ids on it), `"` and
/// `\` (so that it needs no escaping in JSON). Generated ids are lowercase base 36.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// The longest id that is accepted, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks `text` and makes it an id.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_LEN).contains(&text.len());
        let clean = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'-' | b'"' | b'\\');
        (fits && text.bytes().all(clean)).then(|| Self(text.into()))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One TCP connection of one node; not used again while that is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LinkId(pub u32);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A point in time: microseconds since whoever drives the state machine began to count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `after` later.
    pub fn after(self, after: Duration) -> Self {
        Self(
            self.0
                .saturating_add(after.as_micros().min(u128::from(u64::MAX)) as u64),
        )
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}
