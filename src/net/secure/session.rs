//! The two directions of an encrypted link.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::error::Unspecified;
use snow::HandshakeState;
use tokio::time::Instant;

use super::refusal::Refusal;

/// The longest message of the Noise protocol.
const MAX_MESSAGE: usize = 65535;
const TAG: usize = 16;
const MAX_PLAIN: usize = MAX_MESSAGE - TAG;
const LENGTH: usize = 2;
const KEY: usize = 32;
/// A link takes a new key after this many messages, or this long, so that a key stolen later cannot
/// read earlier recordings.
const REKEY_MESSAGES: u64 = 1 << 20;
const REKEY_AFTER: Duration = Duration::from_secs(3600);

/// The two directions after a handshake. Each has its own key, so neither waits for the other.
pub(super) fn session(mut noise: HandshakeState) -> Result<(Sealer, Opener), Unspecified> {
    let (ours, theirs) = match (noise.is_initiator(), noise.dangerously_get_raw_split()) {
        (true, (first, second)) => (first, second),
        (false, (first, second)) => (second, first),
    };
    let sealer = Sealer {
        cipher: Cipher::new(&ours)?,
        sealed: Vec::new(),
        since_rekey: 0,
        rekeyed_at: Instant::now(),
        rekey_messages: REKEY_MESSAGES,
    };
    let opener = Opener {
        cipher: Cipher::new(&theirs)?,
        rekeys: 0,
    };
    Ok((sealer, opener))
}

/// The key of one direction, and the number of the next message: a CipherState of Noise.
struct Cipher {
    key: LessSafeKey,
    next: u64,
}

impl Cipher {
    fn new(key: &[u8; KEY]) -> Result<Self, Unspecified> {
        Ok(Self {
            key: key_of(key)?,
            next: 0,
        })
    }

    /// Encrypts `content` in place; returns its tag.
    fn seal(&mut self, content: &mut [u8]) -> Result<impl AsRef<[u8]> + use<>, Unspecified> {
        let nonce = self.nonce()?;
        self.key
            .seal_in_place_separate_tag(nonce, Aad::empty(), content)
    }

    /// Decrypts a message, with its tag, in place; returns its content.
    fn open<'a>(&mut self, message: &'a mut [u8]) -> Result<&'a [u8], Unspecified> {
        let nonce = self.nonce()?;
        let content = self.key.open_in_place(nonce, Aad::empty(), message)?;
        Ok(content)
    }

    fn nonce(&mut self) -> Result<Nonce, Unspecified> {
        let number = self.next;
        // Noise reserves the last number for rekeying.
        self.next = number.checked_add(1).ok_or(Unspecified)?;
        Ok(nonce_of(number))
    }

    /// The next key, as Noise defines it: the first bytes of encrypted zeros.
    fn renew(&mut self) -> Result<(), Unspecified> {
        let mut key = [0; KEY];
        let _tag =
            self.key
                .seal_in_place_separate_tag(nonce_of(u64::MAX), Aad::empty(), &mut key)?;
        self.key = key_of(&key)?;
        Ok(())
    }
}

fn key_of(key: &[u8; KEY]) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&CHACHA20_POLY1305, key).map(LessSafeKey::new)
}

/// Four zeros and the number, little-endian.
fn nonce_of(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// The outgoing direction.
///
/// Thread: any. Locks held: the writer's.
pub(in crate::net) struct Sealer {
    cipher: Cipher,
    /// The encrypted bytes of the last batch.
    sealed: Vec<u8>,
    since_rekey: u64,
    rekeyed_at: Instant,
    pub(super) rekey_messages: u64,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// Encrypts all of `batch` into [`Self::bytes`], which must be written before the next batch.
    /// Returns the size of the batch.
    pub(in crate::net) fn seal(
        &mut self,
        batch: &mut VecDeque<Bytes>,
    ) -> Result<usize, Unspecified> {
        self.sealed.clear();
        if self.since_rekey >= self.rekey_messages || self.rekeyed_at.elapsed() >= REKEY_AFTER {
            // An empty message announces the new key.
            self.message(&mut VecDeque::new())?;
            self.cipher.renew()?;
            self.since_rekey = 0;
            self.rekeyed_at = Instant::now();
        }
        let mut bytes = 0;
        while batch.iter().any(|part| !part.is_empty()) {
            bytes += self.message(batch)?;
        }
        batch.clear();
        Ok(bytes)
    }

    /// Encrypts as much of `batch` as fits in one message. Returns that number of bytes.
    fn message(&mut self, batch: &mut VecDeque<Bytes>) -> Result<usize, Unspecified> {
        let start = self.sealed.len();
        let body = start + LENGTH;
        self.sealed.extend_from_slice(&[0; LENGTH]);
        while let Some(front) = batch.front_mut() {
            let room = MAX_PLAIN + body - self.sealed.len();
            if front.len() > room {
                self.sealed.extend_from_slice(&front.split_to(room));
                break;
            }
            self.sealed.extend_from_slice(front);
            batch.pop_front();
        }
        let content = self.sealed.len() - body;
        let tag = self.cipher.seal(&mut self.sealed[body..])?;
        self.sealed.extend_from_slice(tag.as_ref());
        let length = (content + TAG) as u16;
        self.sealed[start..body].copy_from_slice(&length.to_be_bytes());
        self.since_rekey += 1;
        Ok(content)
    }

    /// The encrypted bytes of the last batch.
    pub(in crate::net) fn bytes(&self) -> &[u8] {
        &self.sealed
    }
}

/// The incoming direction.
///
/// Thread: any. Locks held: the link's reading lock.
pub(in crate::net) struct Opener {
    cipher: Cipher,
    pub(super) rekeys: u64,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

impl Opener {
    /// Decrypts the complete messages at the front of `sealed` and appends their content to
    /// `plain`. After an error, the link must be closed.
    pub(in crate::net) fn open(
        &mut self,
        sealed: &mut BytesMut,
        plain: &mut BytesMut,
    ) -> Result<(), Refusal> {
        while let Some(length) = sealed.first_chunk::<LENGTH>() {
            let end = LENGTH + usize::from(u16::from_be_bytes(*length));
            if end < LENGTH + TAG {
                return Err(Refusal::Corrupted);
            }
            let Some(message) = sealed.get_mut(LENGTH..end) else {
                break;
            };
            let content = self.cipher.open(message).map_err(|_| Refusal::Corrupted)?;
            plain.extend_from_slice(content);
            if content.is_empty() {
                self.cipher.renew().map_err(|_| Refusal::Corrupted)?;
                self.rekeys += 1;
            }
            sealed.advance(end);
        }
        Ok(())
    }
}
