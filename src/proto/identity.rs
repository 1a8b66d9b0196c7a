//! The key of a node in a closed network: its id, its signatures, and keys shared with other nodes.
//!
//! One X25519 key serves all of them. The id is a hash of the public key. Signatures are Ed25519
//! with the same key in its Edwards form, whose sign is 0 (as in XEdDSA). Two nodes share a key by
//! a Diffie-Hellman of their static keys. Codes under it authenticate messages between them.

#[cfg(test)]
mod tests;

use std::fmt;

use blake2::digest::{Digest, KeyInit, Mac};
use blake2::{Blake2s256, Blake2sMac256};
use curve25519_dalek::montgomery::MontgomeryPoint;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{Sha512, Signature, VerifyingKey};

use super::NodeId;

const ID_CONTEXT: &[u8] = b"smokesignal node id 1";
const NONCE_CONTEXT: &[u8] = b"smokesignal signatures 1";
const PAIR_CONTEXT: &[u8] = b"smokesignal pair of nodes 1";
/// Bytes of the hash that form an id: enough that nobody finds another key with the same id.
const ID_BYTES: usize = 16;

/// Bytes of a signature.
pub const SIGNATURE: usize = 64;
/// Bytes of a public key.
pub const PUBLIC_KEY: usize = 32;
/// Bytes of a [`Code`].
pub const CODE: usize = 16;

/// Authenticates a message between two nodes to each other.
pub type Code = [u8; CODE];

/// A node's key pair and its id.
#[derive(Clone)]
pub struct Identity {
    private: [u8; 32],
    public: PublicKey,
    id: NodeId,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("id", &self.id).finish()
    }
}

impl Identity {
    /// The identity of an X25519 private key: any 32 random bytes.
    pub fn from_private(private: [u8; 32]) -> Option<Self> {
        let public = PublicKey(MontgomeryPoint::mul_base_clamped(private).to_bytes());
        let id = public.id()?;
        Some(Self {
            private,
            public,
            id,
        })
    }

    /// The id.
    pub fn id(&self) -> &NodeId {
        &self.id
    }

    /// The public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The private key.
    pub(crate) fn private(&self) -> &[u8; 32] {
        &self.private
    }

    /// Signs `message`. The same message gets the same signature.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        let mut secret = [0; 64];
        secret[..32].copy_from_slice(&self.private);
        // Ed25519 derives nonces from the second half of its key; an X25519 key has none.
        let nonce = Blake2s256::new()
            .chain_update(NONCE_CONTEXT)
            .chain_update(self.private)
            .finalize();
        secret[32..].copy_from_slice(&nonce);
        let mut key = ExpandedSecretKey::from_bytes(&secret);
        let mut public = VerifyingKey::from(&key);
        // A Montgomery point has no sign, so the Edwards point's sign is 0 by convention.
        if public.as_bytes()[31] >> 7 == 1 {
            key.scalar = -key.scalar;
            public = VerifyingKey::from(&key);
        }
        raw_sign::<Sha512>(&key, message, &public).to_bytes()
    }

    /// The key shared with the node of `other`; `None` if `other` is invalid.
    pub fn pair_key(&self, other: &PublicKey) -> Option<PairKey> {
        let shared = MontgomeryPoint(other.0).mul_clamped(self.private);
        // A point of small order gives everyone the same result.
        if shared.to_bytes() == [0; 32] {
            return None;
        }
        let mac = Blake2sMac256::new_from_slice(shared.as_bytes()).ok()?;
        let (low, high) = match self.public.0 < other.0 {
            true => (&self.public, other),
            false => (other, &self.public),
        };
        let mac = mac.chain_update(PAIR_CONTEXT).chain_update(low.0);
        let key = mac.chain_update(high.0).finalize().into_bytes();
        Some(PairKey(key.into()))
    }
}

/// An X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublicKey(pub [u8; PUBLIC_KEY]);

impl PublicKey {
    /// The id of the node with this key.
    pub fn id(&self) -> Option<NodeId> {
        let hash = Blake2s256::new()
            .chain_update(ID_CONTEXT)
            .chain_update(self.0)
            .finalize();
        NodeId::parse(&base32(hash.get(..ID_BYTES)?))
    }

    /// Whether `signature` is this key's signature of `message`.
    pub fn has_signed(&self, message: &[u8], signature: &[u8; SIGNATURE]) -> bool {
        let Some(point) = MontgomeryPoint(self.0).to_edwards(0) else {
            return false;
        };
        let key = VerifyingKey::from(point);
        let signature = Signature::from_bytes(signature);
        key.verify_strict(message, &signature).is_ok()
    }
}

/// A key shared by two nodes.
#[derive(Clone)]
pub struct PairKey([u8; 32]);

impl fmt::Debug for PairKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairKey")
    }
}

impl PairKey {
    /// The code of a message given in parts. The boundaries of the parts do not enter into it.
    pub fn code(&self, parts: &[&[u8]]) -> Code {
        let mut code = [0; CODE];
        if let Some(mac) = self.mac(parts) {
            code.copy_from_slice(&mac.finalize().into_bytes()[..CODE]);
        }
        code
    }

    /// Whether `code` is the code of a message. Runs in constant time.
    pub fn is_code(&self, parts: &[&[u8]], code: &Code) -> bool {
        let mac = self.mac(parts);
        mac.is_some_and(|mac| mac.verify_truncated_left(code).is_ok())
    }

    fn mac(&self, parts: &[&[u8]]) -> Option<Blake2sMac256> {
        let mut mac = Blake2sMac256::new_from_slice(&self.0).ok()?;
        for part in parts {
            mac.update(part);
        }
        Some(mac)
    }
}

/// RFC 4648's alphabet in lower case, without padding.
fn base32(bytes: &[u8]) -> String {
    let digit = |at: usize| {
        let value = (0..5).fold(0, |value, bit| {
            let at = at * 5 + bit;
            let byte = bytes.get(at / 8).copied().unwrap_or(0);
            value << 1 | byte >> (7 - at % 8) & 1
        });
        char::from(if value < 26 {
            b'a' + value
        } else {
            b'2' + value - 26
        })
    };
    (0..(bytes.len() * 8).div_ceil(5)).map(digit).collect()
}
