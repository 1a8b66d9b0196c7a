//! The bytes that a link has brought and that are not whole messages yet.

use std::cell::RefCell;
use std::io;

use bytes::BytesMut;

use crate::net::wait::Socket;

/// How much is read at once.
pub(super) const READ: usize = 64 << 10;
/// The size of the buffers that payloads share on a busy link. A payload that is kept keeps its
/// buffer, so a buffer is used until it is half full at least.
const BUFFER: usize = 2 * READ;
/// The size of a link's first buffer. Each is twice as large as the one before.
const FIRST: usize = 1 << 10;

/// Bytes that were read and are not decoded yet.
///
/// A read goes into memory of the thread and is copied from there. So a link holds little more than
/// it has brought, and no buffer has to be zeroed first.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) filled: BytesMut,
    /// The size of the last buffer.
    size: usize,
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Buffer {
    /// Reads once, up to [`READ`] bytes.
    pub(super) fn read(&mut self, socket: &Socket) -> io::Result<usize> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(READ, 0);
            let count = socket.try_read(scratch)?;
            self.append(&scratch[..count]);
            Ok(count)
        })
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.filled.capacity() - self.filled.len() < bytes.len() {
            self.renew(bytes.len());
        }
        self.filled.extend_from_slice(bytes);
    }

    /// Returns to a buffer of the usual size after a large message: the next payloads must not keep
    /// the large buffer alive.
    pub(super) fn end_large(&mut self) {
        if self.size > BUFFER && self.filled.len() < READ {
            let mut filled = BytesMut::with_capacity(BUFFER);
            filled.extend_from_slice(&self.filled);
            (self.filled, self.size) = (filled, BUFFER);
        }
    }

    /// Makes room for so many bytes, in the same buffer if no payload holds it any more, or in
    /// another.
    fn renew(&mut self, room: usize) {
        if self.filled.try_reclaim(room) {
            return;
        }
        let needed = self.filled.len() + room;
        self.size = if needed > BUFFER {
            // Doubling: a large message is moved a few times only.
            2 * needed
        } else {
            needed.max((2 * self.size).clamp(FIRST, BUFFER))
        };
        let mut filled = BytesMut::with_capacity(self.size);
        filled.extend_from_slice(&self.filled);
        self.filled = filled;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};

    async fn connection() -> (TcpStream, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        far.set_nonblocking(true).unwrap();
        let far = tokio::net::TcpStream::from_std(far).unwrap();
        (near, Socket::new(far).unwrap())
    }

    /// Reads until `wanted` bytes have arrived.
    async fn read(input: &mut Buffer, socket: &Socket, wanted: usize) {
        let mut got = 0;
        while got < wanted {
            match input.read(socket) {
                Ok(count) => got += count,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_rest_of_a_read_stays_in_front_of_the_next_read() {
        let (mut near, socket) = connection().await;
        let mut input = Buffer::default();
        let sent: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        let mut taken = Vec::new();
        for piece in sent.chunks(37_000) {
            near.write_all(piece).unwrap();
            read(&mut input, &socket, piece.len()).await;
            let whole = input.filled.len() / 1000 * 1000;
            taken.extend_from_slice(&input.filled.split_to(whole));
        }
        assert_eq!(taken, sent);
    }

    #[tokio::test]
    async fn a_buffer_is_reused_when_no_payload_holds_it() {
        let (mut near, socket) = connection().await;
        let mut input = Buffer {
            size: BUFFER,
            ..Buffer::default()
        };
        let mut starts = Vec::new();
        for _ in 0..8 {
            near.write_all(&[7; BUFFER - READ + 1]).unwrap();
            read(&mut input, &socket, BUFFER - READ + 1).await;
            starts.push(input.filled.split().as_ptr());
        }
        starts.dedup();
        assert_eq!(starts.len(), 1);
    }

    #[tokio::test]
    async fn buffers_begin_small_and_grow_with_the_traffic() {
        let (mut near, socket) = connection().await;
        let mut input = Buffer::default();
        near.write_all(b"[").unwrap();
        read(&mut input, &socket, 1).await;
        assert!(input.filled.capacity() <= FIRST);
        let mut kept = Vec::new();
        for _ in 0..BUFFER / 100 {
            near.write_all(&[7; 1000]).unwrap();
            read(&mut input, &socket, 1000).await;
            kept.push(input.filled.split().freeze());
        }
        assert!(input.size >= BUFFER);
    }

    #[tokio::test]
    async fn payloads_after_a_large_message_do_not_keep_its_buffer_alive() {
        let (mut near, socket) = connection().await;
        let mut input = Buffer::default();
        for _ in 0..32 {
            near.write_all(&[7; READ]).unwrap();
            read(&mut input, &socket, READ).await;
        }
        assert!(input.filled.capacity() > BUFFER);
        input.end_large();
        assert!(input.filled.capacity() > BUFFER, "it is not complete yet");
        let large = input.filled.split_to(31 * READ + 1).freeze();
        input.end_large();
        assert_eq!(input.filled.len(), READ - 1);
        assert!(large.is_unique());
    }

    #[tokio::test]
    async fn taken_bytes_are_not_overwritten() {
        let (mut near, socket) = connection().await;
        let mut input = Buffer::default();
        let mut kept = Vec::new();
        for n in 0..8 {
            near.write_all(&[n; 50_000]).unwrap();
            read(&mut input, &socket, 50_000).await;
            kept.push(input.filled.split().freeze());
        }
        for (n, bytes) in kept.iter().enumerate() {
            assert_eq!(bytes[..], [n as u8; 50_000]);
        }
    }
}
