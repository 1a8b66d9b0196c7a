//! Identifiers and time in the state machine.

/// The identity of a stream of broadcasts: a node between one start and its stop.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Origin {
    /// The node that broadcasts.
    pub id: NodeId,
    /// The node's epoch.
    pub epoch: u64,
}

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use md5::{Digest as _, Md5};

/// A node's id, unique in its network: 1 to [`NodeId::MAX_LEN`] bytes of any text, as in 0.2.
///
/// Frames and packet ids carry it as a *code*: 1 to 64 printable ASCII characters without `-`
/// (legacy nodes split packet ids on it), `"` and `\` (which JSON would escape). Most ids are valid
/// codes and encode as themselves. Any other id becomes `=` and the text with escapes, or, if that
/// is too long, `=#` and the text's MD5. Generated ids are lowercase base 36.
#[derive(Clone)]
pub struct NodeId {
    code: Arc<str>,
    /// The text, if it differs from the code.
    text: Option<Arc<str>>,
}

impl NodeId {
    /// The longest id that is accepted, in bytes.
    pub const MAX_LEN: usize = 512;
    /// The longest code, in bytes.
    pub const MAX_CODE_LEN: usize = 64;

    /// Validates `text` as an id.
    pub fn parse(text: &str) -> Option<Self> {
        if is_code(text) {
            return Some(Self {
                code: text.into(),
                text: None,
            });
        }
        (1..=Self::MAX_LEN).contains(&text.len()).then(|| Self {
            code: encode(text).into(),
            text: Some(text.into()),
        })
    }

    /// The id with a given code.
    pub fn from_code(code: &str) -> Option<Self> {
        is_code(code).then(|| Self {
            code: code.into(),
            text: decode(code).map(Into::into),
        })
    }

    /// Whether `text` is a code.
    pub(super) fn is_code(text: &str) -> bool {
        is_code(text)
    }

    /// Its code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The id's text, or the code if the text is unknown (a long id that was read from a code).
    pub fn as_str(&self) -> &str {
        self.text.as_ref().unwrap_or(&self.code)
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'-' | b'"' | b'\\')
}

fn is_code(text: &str) -> bool {
    // Every byte is looked at, so that the compiler can look at many at once.
    (1..=NodeId::MAX_CODE_LEN).contains(&text.len())
        && text.bytes().fold(true, |all, byte| all & is_plain(byte))
}

fn encode(text: &str) -> String {
    let mut code = String::from("=");
    for byte in text.bytes() {
        match byte {
            b'%' => code.push_str("%25"),
            plain if is_plain(plain) => code.push(char::from(plain)),
            other => code.push_str(&format!("%{other:02X}")),
        }
    }
    if code.len() > NodeId::MAX_CODE_LEN {
        let hash = Md5::digest(text.as_bytes());
        code = hash.iter().fold(String::from("=#"), |code, byte| {
            code + &format!("{byte:02x}")
        });
    }
    code
}

/// The text of a code, if it differs from the code.
fn decode(code: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = code.strip_prefix('=')?.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    (!is_code(&text) && encode(&text) == code).then_some(text)
}

impl PartialEq for NodeId {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}
impl Eq for NodeId {}
impl PartialOrd for NodeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for NodeId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.code.cmp(&other.code)
    }
}
impl Hash for NodeId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.code.hash(state);
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One TCP connection of one node; the id is not used again while the connection exists.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LinkId(pub u32);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A point in time: microseconds since the driver of the state machine began to count.
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

    /// The time since `earlier`; zero if `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}
