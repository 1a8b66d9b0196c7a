//! Why links are refused.

/// The first bytes of an encrypted link; the last is the version. A plaintext link begins with `[`.
pub(in crate::net) const MAGIC: [u8; 5] = *b"SMKS\x01";

/// Why a link was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::net) enum Refusal {
    /// It is not encrypted, and this node has a secret.
    Plaintext,
    /// It is encrypted, and this node has no secret.
    Encrypted,
    /// It has a different secret, or sends an invalid handshake.
    Secret,
    /// The dialled node ended the handshake: it has no secret, or a different one.
    Unanswered,
    /// Its claimed id does not belong to its key.
    Identity,
    /// A message was changed, repeated or dropped on the way.
    Corrupted,
    /// Handshakes exceed the configured rate.
    Crowded,
    /// Its address is not in [`Config::allow`](crate::proto::Config::allow).
    Address,
}

impl Refusal {
    /// The name of the reason that the application gets.
    pub(in crate::net) fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Encrypted => "encrypted",
            Self::Secret | Self::Unanswered => "secret",
            Self::Identity => "identity",
            Self::Corrupted => "corrupted",
            Self::Crowded => "crowded",
            Self::Address => "address",
        }
    }

    /// The error code for a caller that waits for the link.
    pub(in crate::net) fn code(self) -> &'static str {
        match self {
            Self::Secret | Self::Unanswered | Self::Encrypted => "SECRET",
            Self::Address => "NOT_ALLOWED",
            Self::Plaintext | Self::Identity | Self::Corrupted | Self::Crowded => "EPROTO",
        }
    }

    /// The log line.
    pub(in crate::net) fn sentence(self) -> &'static str {
        match self {
            Self::Plaintext => "refused a link that is not encrypted; this node has a secret",
            Self::Encrypted => "refused an encrypted link; this node has no secret",
            Self::Secret => "refused a link: the other side has another secret",
            Self::Unanswered => "the node that was dialled has no secret, or another",
            Self::Identity => "refused a link: the id does not belong to the key",
            Self::Corrupted => "closed a link: its data were changed on the way",
            Self::Crowded => "refused a link: too many handshakes",
            Self::Address => "refused a link: the address is not in the option allow",
        }
    }
}
