//! The key of one direction of an encrypted link, and the cipher that uses it.

use ring::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::error::Unspecified;

const KEY: usize = 32;

/// The ciphers of Noise that `ring` has. Both take keys of 32 bytes and add tags of 16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Suite {
    /// Fast everywhere. Every link begins with it.
    ChaCha,
    /// Four times as fast where the CPU has instructions for it, slow elsewhere.
    Aes,
}

impl Suite {
    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::ChaCha => &CHACHA20_POLY1305,
            Self::Aes => &AES_256_GCM,
        }
    }

    fn key(self, key: &[u8; KEY]) -> Result<LessSafeKey, Unspecified> {
        UnboundKey::new(self.algorithm(), key).map(LessSafeKey::new)
    }

    /// Four zeros and the number, in the byte order that Noise gives the cipher.
    fn nonce(self, number: u64) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&match self {
            Self::ChaCha => number.to_le_bytes(),
            Self::Aes => number.to_be_bytes(),
        });
        bytes
    }
}

/// Whether this CPU has the instructions that `ring` uses for AES-GCM.
pub(super) fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has_it = std::arch::is_x86_feature_detected!("aes")
        && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    let has_it = std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has_it = false;
    has_it
}

/// A key, and the number of the next message: a CipherState of Noise.
pub(super) struct Cipher {
    suite: Suite,
    key: LessSafeKey,
    next: u64,
}

impl Cipher {
    pub(super) fn new(key: &[u8; KEY]) -> Result<Self, Unspecified> {
        let suite = Suite::ChaCha;
        Ok(Self {
            suite,
            key: suite.key(key)?,
            next: 0,
        })
    }

    /// The cipher in use.
    #[cfg(test)]
    pub(super) fn suite(&self) -> Suite {
        self.suite
    }

    /// Encrypts `content` in place; returns its tag.
    pub(super) fn seal(
        &mut self,
        content: &mut [u8],
    ) -> Result<impl AsRef<[u8]> + use<>, Unspecified> {
        let nonce = self.nonce()?;
        self.key
            .seal_in_place_separate_tag(nonce, Aad::empty(), content)
    }

    /// Decrypts a message, with its tag, in place; returns its content.
    pub(super) fn open<'a>(&mut self, message: &'a mut [u8]) -> Result<&'a [u8], Unspecified> {
        let nonce = self.nonce()?;
        let content = self.key.open_in_place(nonce, Aad::empty(), message)?;
        Ok(content)
    }

    /// Takes the next key, for `suite`: the first bytes of encrypted zeros, as Noise defines it.
    pub(super) fn renew(&mut self, suite: Suite) -> Result<(), Unspecified> {
        let mut key = [0; KEY];
        let nonce = Nonce::assume_unique_for_key(self.suite.nonce(u64::MAX));
        let _tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::empty(), &mut key)?;
        (self.suite, self.key) = (suite, suite.key(&key)?);
        Ok(())
    }

    /// Takes the next key for the same cipher.
    pub(super) fn renew_key(&mut self) -> Result<(), Unspecified> {
        self.renew(self.suite)
    }

    fn nonce(&mut self) -> Result<Nonce, Unspecified> {
        let number = self.next;
        // Noise reserves the last number for rekeying.
        self.next = number.checked_add(1).ok_or(Unspecified)?;
        Ok(Nonce::assume_unique_for_key(self.suite.nonce(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_in_nonces_as_noise_has_them() {
        assert_eq!(
            [Suite::ChaCha, Suite::Aes].map(|suite| suite.nonce(261)),
            [
                [0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5],
            ]
        );
    }
}
