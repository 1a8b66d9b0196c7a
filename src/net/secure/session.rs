//! The two directions of an encrypted link.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use snow::TransportState;
use tokio::time::Instant;

use super::refusal::Refusal;
use crate::net::lock::lock;

/// The longest message of the Noise protocol.
const MAX_MESSAGE: usize = 65535;
const TAG: usize = 16;
const MAX_PLAIN: usize = MAX_MESSAGE - TAG;
const LENGTH: usize = 2;
/// After so many messages, or so long, a link takes a new key: a key that is stolen later cannot
/// read earlier recordings.
const REKEY_MESSAGES: u64 = 1 << 20;
const REKEY_AFTER: Duration = Duration::from_secs(3600);

type Noise = Arc<Mutex<TransportState>>;

pub(super) fn session(noise: TransportState) -> (Sealer, Opener) {
    let noise = Arc::new(Mutex::new(noise));
    let sealer = Sealer {
        noise: noise.clone(),
        plain: Vec::new(),
        sealed: Vec::new(),
        filled: 0,
        since_rekey: 0,
        rekeyed_at: Instant::now(),
        rekey_messages: REKEY_MESSAGES,
    };
    (sealer, Opener { noise, rekeys: 0 })
}

/// The outgoing direction.
///
/// Thread: any. Locks held: the writer's; it takes `noise`.
pub(in crate::net) struct Sealer {
    noise: Noise,
    plain: Vec<u8>,
    /// Kept from batch to batch, so that it need not be zeroed again.
    sealed: Vec<u8>,
    filled: usize,
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
    /// Returns how many bytes the batch had.
    pub(in crate::net) fn seal(
        &mut self,
        batch: &mut VecDeque<Bytes>,
    ) -> Result<usize, snow::Error> {
        let noise = self.noise.clone();
        let mut noise = lock(&noise);
        self.filled = 0;
        if self.since_rekey >= self.rekey_messages || self.rekeyed_at.elapsed() >= REKEY_AFTER {
            // An empty message announces the new key.
            self.plain.clear();
            self.message(&mut noise)?;
            noise.rekey_outgoing();
            self.since_rekey = 0;
            self.rekeyed_at = Instant::now();
        }
        let mut bytes = 0;
        while !batch.is_empty() {
            self.plain.clear();
            fill(&mut self.plain, batch);
            bytes += self.plain.len();
            if !self.plain.is_empty() {
                self.message(&mut noise)?;
            }
        }
        Ok(bytes)
    }

    fn message(&mut self, noise: &mut TransportState) -> Result<(), snow::Error> {
        let body = self.filled + LENGTH;
        let end = body + self.plain.len() + TAG;
        if self.sealed.len() < end {
            self.sealed.resize(end, 0);
        }
        let length = noise.write_message(&self.plain, &mut self.sealed[body..end])?;
        self.sealed[self.filled..body].copy_from_slice(&(length as u16).to_be_bytes());
        self.filled = body + length;
        self.since_rekey += 1;
        Ok(())
    }

    /// The encrypted bytes of the last batch.
    pub(in crate::net) fn bytes(&self) -> &[u8] {
        &self.sealed[..self.filled]
    }
}

/// Moves as much of `batch` to `plain` as fits in one message.
fn fill(plain: &mut Vec<u8>, batch: &mut VecDeque<Bytes>) {
    while let Some(front) = batch.front_mut() {
        let room = MAX_PLAIN - plain.len();
        if front.len() > room {
            plain.extend_from_slice(&front[..room]);
            return front.advance(room);
        }
        plain.extend_from_slice(front);
        batch.pop_front();
    }
}

/// The incoming direction.
///
/// Thread: any. Locks held: the link's reading lock; it takes `noise`.
pub(in crate::net) struct Opener {
    noise: Noise,
    pub(super) rekeys: u64,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

impl Opener {
    /// Decrypts the whole messages at the front of `sealed` and appends their content to `plain`.
    /// After an error the link must be closed.
    pub(in crate::net) fn open(
        &mut self,
        sealed: &mut BytesMut,
        plain: &mut BytesMut,
    ) -> Result<(), Refusal> {
        let mut noise = lock(&self.noise);
        while let Some(length) = sealed.first_chunk::<LENGTH>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let content = length.checked_sub(TAG).ok_or(Refusal::Corrupted)?;
            let Some(message) = sealed.get(LENGTH..LENGTH + length) else {
                break;
            };
            let at = plain.len();
            plain.resize(at + content, 0);
            if noise.read_message(message, &mut plain[at..]).is_err() {
                plain.truncate(at);
                return Err(Refusal::Corrupted);
            }
            sealed.advance(LENGTH + length);
            if content == 0 {
                noise.rekey_incoming();
                self.rekeys += 1;
            }
        }
        Ok(())
    }
}
