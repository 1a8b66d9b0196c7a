//! The fuzz target `transport`: encrypted links with an attacker in the middle.

use std::collections::VecDeque;

use blake2::{Blake2s256, digest::Digest};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::handshake::{Session, accept, dial};
use super::key::{Credentials, Identity, Keys, Secret};
use super::refusal::{MAGIC, Refusal};

/// The members' secret.
pub(super) const SECRET: [u8; 32] = [1; 32];

/// `data` is the first bytes of a stranger, or changes to the handshake of two members or to their
/// later messages. A stranger must get no answer and no link. Members must agree on a session only
/// if nothing was changed. The decrypted bytes must be a prefix of those sent.
pub fn transport(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    run(async {
        match kind % 4 {
            0 => stranger(data).await,
            1 => handshake(data).await,
            _ => messages(data, kind).await,
        }
    });
}

pub(super) fn run<T>(task: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    match runtime {
        Ok(runtime) => runtime.block_on(task),
        Err(error) => panic!("no runtime: {error}"),
    }
}

pub(super) async fn keys(secret: [u8; 32], private: u8) -> Keys {
    let identity = Identity::from_private([private; 32]);
    let secret = Secret::Key(secret);
    let credentials = identity.map(|identity| Credentials {
        secrets: vec![secret],
        identity,
    });
    match credentials {
        Some(credentials) => Keys::derive(credentials, f64::MAX).await.ok(),
        None => None,
    }
    .unwrap_or_else(|| unreachable!("keys"))
}

/// Each input has its own secret. A fuzzer sees the comparisons of this process, and with a
/// constant secret it found the tag of a first message, piece by piece.
async fn stranger(data: &[u8]) {
    let secret = Blake2s256::digest(data).into();
    let (mut near, mut far) = duplex(1 << 20);
    let begins = data.first().is_some_and(|byte| byte & 1 == 0);
    if begins {
        drop(near.write_all(&MAGIC).await);
    }
    drop(near.write_all(data).await);
    drop(near.shutdown().await);
    let outcome = accept(&mut far, &keys(secret, 3).await).await;
    assert!(outcome.is_err(), "a link without the secret");
    drop(far);
    let mut heard = Vec::new();
    drop(near.read_to_end(&mut heard).await);
    assert_eq!(heard, b"", "an answer to a stranger");
}

/// A handshake with an attacker in the middle that may change each message.
async fn handshake(data: &[u8]) {
    let mut changes = Source(data);
    let (mut near, mut near_wire) = duplex(4096);
    let (mut far, mut far_wire) = duplex(4096);
    let (dialer, accepter) = (keys(SECRET, 2).await, keys(SECRET, 3).await);
    let between = async {
        let mut changed = pass(&mut near_wire, &mut far_wire, 53, &mut changes).await?;
        changed |= pass(&mut far_wire, &mut near_wire, 96, &mut changes).await?;
        changed |= pass(&mut near_wire, &mut far_wire, 64, &mut changes).await?;
        drop((near_wire, far_wire));
        Some(changed)
    };
    let dialing = async {
        let outcome = dial(&mut near, &dialer, 0).await;
        drop(near);
        outcome
    };
    let accepting = async {
        let outcome = accept(&mut far, &accepter).await;
        drop(far);
        outcome
    };
    let (dialed, accepted, changed) = tokio::join!(dialing, accepting, between);
    // The dialer sends the last message, and cannot know its fate.
    assert!(accepted.is_err() || dialed.is_ok());
    assert_eq!(accepted.is_ok(), changed == Some(false), "{accepted:?}");
}

/// Passes on a message of `length` bytes. Returns whether it was changed, or `None` if it never
/// came.
async fn pass(
    from: &mut DuplexStream,
    to: &mut DuplexStream,
    length: usize,
    changes: &mut Source<'_>,
) -> Option<bool> {
    let mut message = vec![0; length];
    from.read_exact(&mut message).await.ok()?;
    let original = message.clone();
    if changes.byte() & 1 == 1 {
        let at = changes.below(length);
        message[at] ^= changes.byte();
    }
    if changes.byte() & 15 == 15 {
        message.truncate(changes.below(length));
    }
    // The receiver may have ended.
    drop(to.write_all(&message).await);
    if message.len() < length {
        drop(to.shutdown().await);
    }
    Some(message != original)
}

async fn messages(data: &[u8], kind: u8) {
    let (mut near, mut far) = duplex(4096);
    let (dialer, accepter) = (keys(SECRET, 2).await, keys(SECRET, 3).await);
    let both = tokio::join!(dial(&mut near, &dialer, 0), accept(&mut far, &accepter));
    let (Ok(Session { mut sealer, .. }), Ok(Session { mut opener, .. })) = both else {
        unreachable!("two members");
    };
    // Some inputs renew keys often, so that key announcements get lost, too.
    sealer.rekey_messages = if kind & 4 == 0 { 3 } else { u64::MAX };
    let mut source = Source(data);
    let (mut sent, mut plain, mut sealed) = (Vec::new(), BytesMut::new(), BytesMut::new());
    let mut intact = true;
    while source.has_more() {
        let length = match source.byte() {
            byte @ 0..=250 => usize::from(byte),
            _ => 70_000,
        };
        let content: Bytes = (0..length).map(|n| n as u8).collect();
        let mut batch = VecDeque::from([content.clone()]);
        let Ok(count) = sealer.seal(&mut batch) else {
            panic!("what we send can be sealed");
        };
        assert_eq!(count, length);
        let record = sealer.bytes().to_vec();
        // Bytes after a change are unreadable.
        if intact {
            sent.extend_from_slice(&content);
        }
        let (record, is_same) = tamper(record, &mut source);
        intact &= is_same;
        for piece in record.chunks(source.below(2000) + 1) {
            sealed.extend_from_slice(piece);
            if let Err(refusal) = opener.open(&mut sealed, &mut plain) {
                assert_eq!(refusal, Refusal::Corrupted);
                assert!(!intact, "refused what was sent");
                assert!(sent.starts_with(&plain));
                return;
            }
            assert!(sealed.len() < 2 + 65535, "holds at most one message");
        }
        assert!(sent.starts_with(&plain));
        assert!(!intact || plain == sent);
    }
}

/// May change a record. Returns whether it is unchanged.
fn tamper(mut record: Vec<u8>, source: &mut Source<'_>) -> (Vec<u8>, bool) {
    let original = record.clone();
    let what = source.byte();
    if !record.is_empty() {
        let at = (source.below(256) * 256 + source.below(256)) % record.len();
        match what {
            0..=199 => {}
            200..=219 => record[at] ^= source.byte(),
            220..=229 => record.truncate(at),
            230..=239 => record.extend_from_slice(&original),
            240..=244 => record.clear(),
            _ => drop(record.splice(at..at, [source.byte(), source.byte()])),
        }
    }
    let is_same = record == original;
    (record, is_same)
}

/// Decisions read from the data; zeros once it is used up.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn has_more(&self) -> bool {
        !self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }
}
