//! Secrets, keys and ids.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use argon2::{Algorithm, Argon2, Params, Version};
use blake2::Blake2sMac256;
use blake2::digest::{KeyInit, Mac};
use tokio::time::Instant;

use super::cipher::has_aes;
use crate::net::lock::lock;
pub use crate::proto::Identity;
use crate::proto::{Bucket, Moment};

/// Argon2id's cost for a passphrase: 19 MiB and two passes. Of the choices in the OWASP password
/// storage cheat sheet, it is the first that fits a small machine.
const ARGON2_MEMORY_KIB: u32 = 19 * 1024;
const ARGON2_PASSES: u32 = 2;
/// The same for all networks, because members share only the passphrase. So two networks with the
/// same passphrase have the same key.
const ARGON2_SALT: &[u8] = b"smokesignal network passphrase 1";
const KEY_CONTEXT: &[u8] = b"smokesignal network key 1";
/// How many nodes are remembered that know only an old secret.
const MAX_KNOWN: usize = 1024;

/// The secret that the members of a network share.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Secret {
    /// A passphrase.
    Passphrase(String),
    /// Random bytes.
    Key([u8; 32]),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The credentials of a member of a closed network.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The network's secrets: the first is offered, each is accepted.
    pub secrets: Vec<Secret>,
    /// The node's key pair.
    pub identity: Identity,
}

/// [`Credentials`], ready for handshakes.
pub(in crate::net) struct Keys {
    /// The derived key of each secret.
    pub(super) networks: Vec<[u8; 32]>,
    pub(super) private: [u8; 32],
    /// Whether AES is fast at this end.
    pub(super) has_aes: bool,
    began: Instant,
    /// The rate limit of incoming handshakes.
    budget: Mutex<Bucket>,
    /// The secret that a dialled node knows, if it is not the first.
    known: Mutex<HashMap<SocketAddr, usize>>,
}

impl Keys {
    /// Slow if a secret is a passphrase that is new to this process.
    ///
    /// Thread: the network's. Locks held: none.
    pub(in crate::net) async fn derive(
        credentials: Credentials,
        handshakes_per_second: f64,
    ) -> Result<Self, &'static str> {
        let mut networks = Vec::new();
        for secret in &credentials.secrets {
            let secret = match secret {
                Secret::Key(key) => *key,
                Secret::Passphrase(words) => stretch(words).await?,
            };
            networks.push(network_key(&secret).ok_or("no key")?);
        }
        let rate = handshakes_per_second;
        Ok(Self {
            networks,
            private: *credentials.identity.private(),
            has_aes: has_aes(),
            began: Instant::now(),
            budget: Mutex::new(Bucket::new(rate * 2.0, rate, Moment::default())),
            known: Mutex::default(),
        })
    }

    /// The number of secrets.
    pub(in crate::net) fn secrets(&self) -> usize {
        self.networks.len()
    }

    /// The order in which to offer the secrets to a node.
    pub(in crate::net) fn order(&self, remote: SocketAddr) -> Vec<usize> {
        let known = self.known().get(&remote).copied();
        let others = (0..self.secrets()).filter(|secret| Some(*secret) != known);
        known.into_iter().chain(others).collect()
    }

    /// Notes that a node knows a secret.
    pub(in crate::net) fn note(&self, remote: SocketAddr, secret: usize) {
        let mut known = self.known();
        known.remove(&remote);
        if secret == 0 {
            return;
        }
        // Only nodes that know a secret get here, so it is hardly ever full. Then it starts anew.
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(remote, secret);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<SocketAddr, usize>> {
        lock(&self.known)
    }

    /// Whether the rate limit allows one more handshake.
    pub(super) fn afford(&self) -> bool {
        let now = Moment(self.began.elapsed().as_micros() as u64);
        lock(&self.budget).take(now)
    }
}

/// The pre-shared key of the handshakes.
fn network_key(secret: &[u8; 32]) -> Option<[u8; 32]> {
    let mac = Blake2sMac256::new_from_slice(secret).ok()?;
    Some(mac.chain_update(KEY_CONTEXT).finalize().into_bytes().into())
}

/// The keys of passphrases, computed or being computed.
type Known = Mutex<HashMap<String, Arc<tokio::sync::OnceCell<[u8; 32]>>>>;

/// Argon2id, off the network's thread, once per passphrase and process.
async fn stretch(words: &str) -> Result<[u8; 32], &'static str> {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    once(KNOWN.get_or_init(Known::default), words, argon2id).await
}

/// The result of `compute` for `words`, remembered.
async fn once(
    known: &Known,
    words: &str,
    compute: impl FnOnce(&[u8]) -> Result<[u8; 32], &'static str> + Send + 'static,
) -> Result<[u8; 32], &'static str> {
    let cell = lock(known).entry(words.to_owned()).or_default().clone();
    let compute = || async {
        let words = words.to_owned();
        let computing = tokio::task::spawn_blocking(move || compute(words.as_bytes()));
        computing.await.map_err(|_| "interrupted")?
    };
    cell.get_or_try_init(compute).await.copied()
}

fn argon2id(words: &[u8]) -> Result<[u8; 32], &'static str> {
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, 1, Some(32));
    let params = params.map_err(|_| "bad parameters")?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(words, ARGON2_SALT, &mut key)
        .map_err(|_| "out of memory")?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    #[test]
    fn a_passphrase_gives_the_same_key_each_time_and_no_other_passphrases() {
        let key = |words: &str| argon2id(words.as_bytes()).unwrap();
        assert_eq!(key("a"), key("a"));
        assert_ne!(key("a"), key("b"));
    }

    #[test]
    fn a_passphrase_is_stretched_once_even_if_several_nodes_start_together() {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        let compute = |_: &[u8]| Ok([COUNT.fetch_add(1, Ordering::Relaxed); 32]);
        let known = Known::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let (one, two) = tokio::join!(
                once(&known, "words", compute),
                once(&known, "words", compute)
            );
            let later = once(&known, "words", compute).await;
            let others = once(&known, "other words", compute).await;
            let all = [one, two, later, others].map(Result::unwrap);
            assert_eq!(all, [[0; 32], [0; 32], [0; 32], [1; 32]]);
        });
    }

    #[test]
    fn nothing_secret_is_printed() {
        let credentials = Credentials {
            secrets: vec![Secret::Passphrase("hush".to_owned())],
            identity: Identity::from_private([42; 32]).unwrap(),
        };
        let id = credentials.identity.id();
        assert_eq!(
            format!("{credentials:?}"),
            format!("Credentials {{ secrets: [Secret], identity: Identity {{ id: {id:?} }} }}")
        );
    }
}
