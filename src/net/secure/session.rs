//! The two directions of an encrypted link.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use ring::error::Unspecified;
use snow::HandshakeState;
use tokio::time::Instant;

use super::cipher::{Cipher, Suite};
use super::refusal::Refusal;

/// The longest message of the Noise protocol.
const MAX_MESSAGE: usize = 65535;
const TAG: usize = 16;
const MAX_PLAIN: usize = MAX_MESSAGE - TAG;
const LENGTH: usize = 2;
/// A link takes a new key after this many messages, or this long, so that a key stolen later cannot
/// read earlier recordings. They are at most 2^32 blocks of AES. RFC 8446, section 5.5, has 2^34.5
/// as safe (2^24.5 records of 2^14 bytes).
const REKEY_MESSAGES: u64 = 1 << 20;
const REKEY_AFTER: Duration = Duration::from_secs(3600);

/// The two directions after a handshake. Each has its own key, so neither waits for the other.
/// `has_aes`: whether AES is fast at this end.
pub(super) fn session(
    mut noise: HandshakeState,
    has_aes: bool,
) -> Result<(Sealer, Opener), Unspecified> {
    let (ours, theirs) = match (noise.is_initiator(), noise.dangerously_get_raw_split()) {
        (true, (first, second)) => (first, second),
        (false, (first, second)) => (second, first),
    };
    let is_offered = Arc::new(AtomicBool::new(false));
    let sealer = Sealer {
        cipher: Cipher::new(&ours)?,
        progress: match has_aes {
            true => Progress::Begun,
            false => Progress::Settled,
        },
        is_offered: is_offered.clone(),
        sealed: Vec::new(),
        since_rekey: 0,
        rekeyed_at: Instant::now(),
        rekey_messages: REKEY_MESSAGES,
    };
    let opener = Opener {
        cipher: Cipher::new(&theirs)?,
        has_aes,
        is_offered,
        before: Before::Nothing,
        rekeys: 0,
    };
    Ok((sealer, opener))
}

/// How far an end is on its way to AES.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It has sent nothing.
    Begun,
    /// It has offered AES.
    Offered,
    /// Nothing is left to do: it uses AES, or is slow at it.
    Settled,
}

/// The outgoing direction.
///
/// Thread: any. Locks held: the writer's.
pub(in crate::net) struct Sealer {
    pub(super) cipher: Cipher,
    progress: Progress,
    /// The other end has offered AES.
    is_offered: Arc<AtomicBool>,
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
        if batch.iter().all(Bytes::is_empty) {
            batch.clear();
            return Ok(0);
        }
        self.settle()?;
        if self.since_rekey >= self.rekey_messages || self.rekeyed_at.elapsed() >= REKEY_AFTER {
            self.announce()?;
            self.cipher.renew_key()?;
        }
        let mut bytes = 0;
        while batch.iter().any(|part| !part.is_empty()) {
            bytes += self.message(batch)?;
        }
        batch.clear();
        Ok(bytes)
    }

    /// Offers AES, and changes to it once the other end has offered it, too.
    fn settle(&mut self) -> Result<(), Unspecified> {
        if self.progress == Progress::Begun {
            self.announce()?;
            self.cipher.renew_key()?;
            self.progress = Progress::Offered;
        }
        if self.progress == Progress::Offered && self.is_offered.load(Ordering::Relaxed) {
            self.announce()?;
            self.cipher.renew_key()?;
            self.announce()?;
            self.cipher.renew(Suite::Aes)?;
            self.progress = Progress::Settled;
        }
        Ok(())
    }

    /// An empty message: the next one has another key.
    fn announce(&mut self) -> Result<(), Unspecified> {
        self.message(&mut VecDeque::new())?;
        self.since_rekey = 0;
        self.rekeyed_at = Instant::now();
        Ok(())
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

/// The message before the one that is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// A message with content, or an offer.
    Other,
    /// An empty message that announced a new key.
    Empty,
}

/// The incoming direction.
///
/// Thread: any. Locks held: the link's reading lock.
pub(in crate::net) struct Opener {
    pub(super) cipher: Cipher,
    has_aes: bool,
    is_offered: Arc<AtomicBool>,
    before: Before,
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
            let is_empty = content.is_empty();
            sealed.advance(end);
            self.follow(is_empty).map_err(|_| Refusal::Corrupted)?;
        }
        Ok(())
    }

    /// Takes the next key after an empty message. The first message is empty to offer AES. Two
    /// later ones in a row change to AES.
    fn follow(&mut self, is_empty: bool) -> Result<(), Unspecified> {
        let before = std::mem::replace(&mut self.before, Before::Other);
        if !is_empty {
            return Ok(());
        }
        self.rekeys += 1;
        match before {
            Before::Nothing => self.is_offered.store(true, Ordering::Relaxed),
            Before::Other => self.before = Before::Empty,
            Before::Empty if self.has_aes => return self.cipher.renew(Suite::Aes),
            Before::Empty => {}
        }
        self.cipher.renew_key()
    }
}
