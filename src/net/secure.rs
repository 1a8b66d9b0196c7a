//! Encryption and admission: links between nodes that share a secret.
//!
//! A link begins with [`MAGIC`] and the three messages of a Noise handshake
//! (`XXpsk0_25519_ChaChaPoly_BLAKE2s`), each of a fixed length. Then both sides send Noise
//! messages, each preceded by its length in two bytes. They carry the bytes of a plaintext link. An
//! empty message announces a new key for its sender's next messages.
//!
//! An end that has AES in hardware says so with an empty message before all others. Once both have,
//! each changes to AES-256-GCM and says so with two empty messages in a row. To an end that has
//! no AES, and to nodes of 1.0, which do not know it, a first empty message is just a new key.
//!
//! The secret already protects the first message: a dialer without it gets no answer and costs no
//! Diffie-Hellman. (`snow` still multiplies once, to compute our own public key again.)

mod cipher;
#[cfg(feature = "fuzzing")]
mod ends;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod handshake;
mod key;
mod refusal;
mod session;
#[cfg(test)]
mod tests;

pub use key::{Credentials, Identity, Secret};
#[cfg(feature = "fuzzing")]
pub use {ends::Ends, fuzz::transport};

pub(super) use handshake::{Failure, Session, accept, dial};
pub(super) use key::Keys;
pub(super) use refusal::{MAGIC, Refusal};
pub(super) use session::{Opener, Sealer};
