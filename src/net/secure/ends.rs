//! Both ends of an encrypted link without a connection, for benches.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::io::duplex;

use super::fuzz::{SECRET, keys, run};
use super::handshake::{Session, accept, dial};
use super::session::{Opener, Sealer};

/// The size of a link's reads.
const READ: usize = 64 << 10;

/// An encrypted link's sending and receiving end.
#[derive(Debug)]
pub struct Ends {
    sealer: Sealer,
    opener: Opener,
    batch: VecDeque<Bytes>,
    sealed: BytesMut,
    plain: BytesMut,
}

impl Ends {
    /// Two ends after a handshake.
    pub fn connect() -> Self {
        let both = run(async {
            let (mut near, mut far) = duplex(4096);
            let (dialer, accepter) = (keys(SECRET, 2).await, keys(SECRET, 3).await);
            tokio::join!(dial(&mut near, &dialer, 0), accept(&mut far, &accepter))
        });
        let (Ok(near), Ok(far)) = both else {
            unreachable!("two members");
        };
        let (Session { sealer, .. }, Session { opener, .. }) = answered(near, far);
        Self {
            sealer,
            opener,
            batch: VecDeque::new(),
            sealed: BytesMut::new(),
            plain: BytesMut::new(),
        }
    }

    /// Encrypts a batch of one part. Returns the number of encrypted bytes.
    pub fn seal(&mut self, part: &Bytes) -> usize {
        self.batch.push_back(part.clone());
        let sealed = self.sealer.seal(&mut self.batch);
        assert_eq!(sealed.ok(), Some(part.len()));
        self.sealer.bytes().len()
    }

    /// Encrypts a batch of one part, and decrypts it in pieces, as read from a socket.
    pub fn pass(&mut self, part: &Bytes) -> Bytes {
        self.seal(part);
        for piece in self.sealer.bytes().chunks(READ) {
            if self.sealed.capacity() - self.sealed.len() < READ {
                self.sealed.reserve(2 * READ);
            }
            self.sealed.extend_from_slice(piece);
            let opened = self.opener.open(&mut self.sealed, &mut self.plain);
            assert_eq!(opened, Ok(()));
        }
        self.plain.split().freeze()
    }
}

/// Sends one message back, so that the ends have agreed on a cipher.
fn answered(mut near: Session, mut far: Session) -> (Session, Session) {
    let mut batch = VecDeque::from([Bytes::from_static(b"x")]);
    assert_eq!(far.sealer.seal(&mut batch).ok(), Some(1));
    let (mut sealed, mut plain) = (BytesMut::from(far.sealer.bytes()), BytesMut::new());
    assert_eq!(near.opener.open(&mut sealed, &mut plain), Ok(()));
    (near, far)
}
