//! The handshake of an encrypted link.

use snow::{Builder, HandshakeState};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::key::Keys;
use super::refusal::{MAGIC, Refusal};
use super::session::{Opener, Sealer, session};
use crate::net::os::error::error_code;
use crate::proto::{NodeId, PublicKey};

const PATTERN: &str = "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s";
const TAG: usize = 16;
const POINT: usize = 32;
/// An ephemeral key, protected by the secret.
const FIRST: usize = POINT + TAG;
/// An ephemeral key and an encrypted static key.
const SECOND: usize = POINT + POINT + TAG + TAG;
/// An encrypted static key.
const THIRD: usize = POINT + TAG + TAG;

/// Why a handshake failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::net) enum Failure {
    /// The other side was refused.
    Refused(Refusal),
    /// The connection ended, with this error code.
    Ended(&'static str),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The outcome of a handshake: both directions, and the id of the other end's key.
#[derive(Debug)]
pub(in crate::net) struct Session {
    pub(in crate::net) sealer: Sealer,
    pub(in crate::net) opener: Opener,
    pub(in crate::net) remote: NodeId,
}

/// Does the handshake on a connection that we dialled, with one of the secrets.
///
/// Thread: the network's. Locks held: none.
pub(in crate::net) async fn dial<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    keys: &Keys,
    secret: usize,
) -> Result<Session, Failure> {
    let mut noise = begin(keys, secret, true)?;
    let mut opening = [0; MAGIC.len() + FIRST];
    opening[..MAGIC.len()].copy_from_slice(&MAGIC);
    write(&mut noise, &mut opening[MAGIC.len()..])?;
    stream.write_all(&opening).await.map_err(unanswered)?;
    let mut second = [0; SECOND];
    stream.read_exact(&mut second).await.map_err(unanswered)?;
    read(&mut noise, &second)?;
    let mut third = [0; THIRD];
    write(&mut noise, &mut third)?;
    stream.write_all(&third).await.map_err(unanswered)?;
    finish(noise, keys.has_aes)
}

/// Does the handshake on a connection that we accepted. Writes nothing until the other side has
/// proved that it knows the secret.
///
/// Thread: the network's. Locks held: none.
pub(in crate::net) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    keys: &Keys,
) -> Result<Session, Failure> {
    let mut opening = [0; MAGIC.len() + FIRST];
    let mut filled = 0;
    while filled < opening.len() {
        match stream.read(&mut opening[filled..]).await {
            Ok(0) => return Err(Failure::Ended("FIN")),
            Ok(count) => filled += count,
            Err(error) => return Err(Failure::Ended(error_code(&error))),
        }
        let begun = filled.min(MAGIC.len());
        if opening[..begun] != MAGIC[..begun] {
            return Err(Refusal::Plaintext.into());
        }
    }
    let mut noise = recognise(keys, &opening[MAGIC.len()..])?;
    // The rest is expensive, and the first message may be a replay.
    if !keys.afford() {
        return Err(Refusal::Crowded.into());
    }
    let mut second = [0; SECOND];
    write(&mut noise, &mut second)?;
    stream.write_all(&second).await.map_err(ended)?;
    let mut third = [0; THIRD];
    stream.read_exact(&mut third).await.map_err(ended)?;
    read(&mut noise, &third)?;
    finish(noise, keys.has_aes)
}

/// The id of the node with this public key.
fn node_id(public: &[u8]) -> Option<NodeId> {
    PublicKey(public.try_into().ok()?).id()
}

/// Begins a handshake with the secret that the first message was made with.
fn recognise(keys: &Keys, first: &[u8]) -> Result<HandshakeState, Failure> {
    for secret in 0..keys.secrets() {
        let mut noise = begin(keys, secret, false)?;
        if read(&mut noise, first).is_ok() {
            return Ok(noise);
        }
    }
    Err(Refusal::Secret.into())
}

fn begin(keys: &Keys, secret: usize, dials: bool) -> Result<HandshakeState, Failure> {
    let network = keys.networks.get(secret).ok_or(Failure::Ended("EIO"))?;
    let build = || {
        let builder = Builder::new(PATTERN.parse()?)
            .prologue(&MAGIC)?
            .local_private_key(&keys.private)?
            .psk(0, network)?;
        if dials {
            builder.build_initiator()
        } else {
            builder.build_responder()
        }
    };
    build().map_err(|error: snow::Error| {
        // Fails only if the system has no random numbers.
        tracing::error!(%error, "cannot encrypt");
        Failure::Ended("EIO")
    })
}

fn write(noise: &mut HandshakeState, message: &mut [u8]) -> Result<(), Failure> {
    match noise.write_message(&[], message) {
        Ok(length) if length == message.len() => Ok(()),
        Ok(_) | Err(_) => Err(Failure::Ended("EIO")),
    }
}

fn read(noise: &mut HandshakeState, message: &[u8]) -> Result<(), Failure> {
    let outcome = noise.read_message(message, &mut []);
    outcome.map(drop).map_err(|_| Refusal::Secret.into())
}

fn finish(noise: HandshakeState, has_aes: bool) -> Result<Session, Failure> {
    let remote = noise.get_remote_static().and_then(node_id);
    let Some(remote) = remote.filter(|_| noise.is_handshake_finished()) else {
        return Err(Refusal::Secret.into());
    };
    let (sealer, opener) = session(noise, has_aes).map_err(|_| Failure::Ended("EIO"))?;
    Ok(Session {
        sealer,
        opener,
        remote,
    })
}

fn ended(error: std::io::Error) -> Failure {
    Failure::Ended(match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "FIN",
        _ => error_code(&error),
    })
}

/// A node without our secret closes without an answer.
fn unanswered(error: std::io::Error) -> Failure {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error.kind() {
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe => {
            Refusal::Unanswered.into()
        }
        _ => ended(error),
    }
}
