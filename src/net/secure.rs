//! Encryption and admission: links between nodes that share a secret.
//!
//! A link begins with [`MAGIC`] and the three messages of a Noise handshake
//! (`XXpsk0_25519_ChaChaPoly_BLAKE2s`), each of a fixed length. Then both sides send Noise messages,
//! each after its length in two bytes, and inside them what they would have sent without. A message
//! without content says that its sender's next ones are under a new key.
//!
//! The first message is under the secret already: whoever does not know it gets no answer and costs
//! no Diffie-Hellman. (`snow` multiplies once all the same: it computes our own public key again.)

#[cfg(feature = "fuzzing")]
mod ends;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod handshake;
mod key;
mod session;
#[cfg(test)]
mod tests;

pub use key::{Credentials, Identity, Secret};
#[cfg(feature = "fuzzing")]
pub use {ends::Ends, fuzz::transport};

pub(super) use handshake::{Failure, accept, dial};
pub(super) use key::Keys;
pub(super) use session::{Opener, Sealer};

/// What an encrypted link begins with; the last byte is the version. A plaintext one begins with `[`.
pub(super) const MAGIC: [u8; 5] = *b"SMKS\x01";

/// Why a link came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// It is not encrypted, and this node has a secret.
    Plaintext,
    /// It is encrypted, and this node has no secret.
    Encrypted,
    /// Its secret is another, or what it sends makes no sense.
    Secret,
    /// The node that we dialled ended the handshake: it has no secret, or another.
    Unanswered,
    /// The id that it claims does not belong to its key.
    Identity,
    /// A message was changed, repeated or left out on its way.
    Corrupted,
    /// There are more handshakes than we care to pay for.
    Crowded,
    /// [`Config::allow`](crate::proto::Config::allow) has no such address.
    Address,
}

impl Refusal {
    /// The name of the reason, for the application.
    pub(super) fn name(self) -> &'static str {
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

    /// The error code for whoever waits for the link.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Secret | Self::Unanswered | Self::Encrypted => "SECRET",
            Self::Address => "NOT_ALLOWED",
            Self::Plaintext | Self::Identity | Self::Corrupted | Self::Crowded => "EPROTO",
        }
    }

    /// What the log says.
    pub(super) fn sentence(self) -> &'static str {
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
