//! A link's received bytes that are not whole messages yet.

use std::cell::Cell;
use std::io;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::net::wait::Socket;

/// The most bytes per read.
pub(super) const READ: usize = 64 << 10;
/// The size of the buffers that payloads share on a busy link. A kept payload keeps its whole
/// buffer alive, so each buffer is used until it is at least half full.
const BUFFER: usize = 2 * READ;
/// The size of a link's first buffer. Each is twice as large as the one before.
const FIRST: usize = 1 << 10;

/// A frame larger than this gets memory of exactly its size. It is not moved while it grows, shares
/// memory with no other payload, and is read straight into place.
const LARGE: usize = READ / 2;

/// Bytes that were read and are not decoded yet.
///
/// A read goes into memory of the thread and is copied from there. So a link holds little more than
/// its received bytes, and no buffer has to be zeroed first.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) filled: BytesMut,
    /// The size of the last buffer.
    size: usize,
    /// A large, incomplete frame and its length. Meanwhile, `filled` is empty.
    large: Option<(Vec<u8>, usize)>,
}

/// Bytes that a thread has read and no buffer has taken yet.
#[derive(Debug)]
pub(super) struct Fresh {
    scratch: Vec<u8>,
    range: Range<usize>,
    /// There may be more to read.
    pub(super) is_full: bool,
}

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Fresh {
    fn bytes(&self) -> &[u8] {
        &self.scratch[self.range.clone()]
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        SCRATCH.set(std::mem::take(&mut self.scratch));
    }
}

impl Buffer {
    /// Reads once: up to [`READ`] bytes, or the rest of a large frame. `None` at the end.
    pub(super) fn read(&mut self, socket: &Socket) -> io::Result<Option<Fresh>> {
        let mut fresh = Fresh {
            scratch: SCRATCH.take(),
            range: 0..0,
            is_full: false,
        };
        if let Some((large, len)) = &mut self.large
            && large.len() + READ < *len
        {
            if socket.try_read_into(large)? == 0 {
                return Ok(None);
            }
            fresh.is_full = large.len() >= *len;
            self.end_frame();
            return Ok(Some(fresh));
        }
        fresh.scratch.resize(READ, 0);
        let count = socket.try_read(&mut fresh.scratch)?;
        fresh.range = 0..count;
        fresh.is_full = count == READ;
        Ok((count > 0).then_some(fresh))
    }

    /// Takes the bytes that were read: all of them, or those of a large frame. `frame` returns the
    /// length of the frame at the front of some bytes. Returns whether bytes are left for after the
    /// next decoding.
    pub(super) fn take_in(
        &mut self,
        fresh: &mut Fresh,
        frame: impl Fn(&[u8]) -> Option<usize>,
    ) -> bool {
        let front = match self.filled.is_empty() {
            true => fresh.bytes(),
            false => &self.filled,
        };
        if self.large.is_none()
            && let Some(len) = frame(front).filter(|len| *len > LARGE && *len > self.filled.len())
        {
            let mut large = Vec::with_capacity(len);
            large.extend_from_slice(&self.filled);
            self.filled = BytesMut::new();
            self.large = Some((large, len));
        }
        let taken = match &mut self.large {
            Some((large, len)) => {
                let bytes = fresh.bytes();
                let part = &bytes[..bytes.len().min(len.saturating_sub(large.len()))];
                large.extend_from_slice(part);
                part.len()
            }
            None => {
                self.append(fresh.bytes());
                fresh.range.len()
            }
        };
        fresh.range.start += taken;
        self.end_frame();
        !fresh.range.is_empty()
    }

    /// Hands a complete large frame to the decoder.
    fn end_frame(&mut self) {
        if let Some((mut large, len)) = self.large.take_if(|(large, len)| large.len() >= *len) {
            // The allocation may be larger than requested.
            let next = large.split_off(len);
            self.filled = Bytes::from(large).into();
            self.filled.extend_from_slice(&next);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.filled.capacity() - self.filled.len() < bytes.len() {
            self.renew(bytes.len());
        }
        self.filled.extend_from_slice(bytes);
    }

    /// Returns to a buffer of the usual size after a large message, so that neither the next
    /// payloads nor an idle link keep the large buffer alive.
    pub(super) fn end_large(&mut self) {
        if self.filled.capacity() == 0 {
            // It may be the rest of a large frame's own memory.
            self.filled = BytesMut::new();
        }
        if self.size > BUFFER && self.filled.len() < READ {
            let mut filled = BytesMut::with_capacity(BUFFER);
            filled.extend_from_slice(&self.filled);
            (self.filled, self.size) = (filled, BUFFER);
        }
    }

    /// Makes room for `room` bytes: in the same buffer if no payload holds it any more, otherwise
    /// in a new one.
    fn renew(&mut self, room: usize) {
        if self.filled.try_reclaim(room) {
            return;
        }
        let needed = self.filled.len() + room;
        self.size = if needed > BUFFER {
            // Doubles, so that a large message is moved only a few times.
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
                Ok(fresh) => {
                    let mut fresh = fresh.unwrap();
                    got += fresh.range.len();
                    assert!(!input.take_in(&mut fresh, |_| None));
                }
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

    /// The frame of these tests: a `u32` length and that many bytes.
    fn frame(front: &[u8]) -> Option<usize> {
        let length = u32::from_be_bytes(*front.first_chunk::<4>()?);
        Some(4 + length as usize)
    }

    #[tokio::test]
    async fn large_frames_have_memory_of_their_own() {
        let (mut near, socket) = connection().await;
        let lens = [10, 70_000, 200_000, 33_000, 0, 400_000, 131_072, 1000];
        let sent: Vec<Vec<u8>> = lens.iter().map(|len| vec![*len as u8; *len]).collect();
        let stream: Vec<u8> = sent
            .iter()
            .flat_map(|body| [&(body.len() as u32).to_be_bytes(), &body[..]].concat())
            .collect();
        for piece in [333, 1000, 40_000, stream.len()] {
            let mut input = Buffer::default();
            let (mut pieces, mut got) = (stream.chunks(piece), Vec::new());
            while got.len() < sent.len() {
                if let Some(piece) = pieces.next() {
                    let mut rest = piece;
                    while !rest.is_empty() {
                        // In parts, because nobody reads meanwhile.
                        let (part, after) = rest.split_at(rest.len().min(30_000));
                        near.write_all(part).unwrap();
                        rest = after;
                        frames(&mut input, &socket, &mut got);
                    }
                }
                tokio::task::yield_now().await;
                frames(&mut input, &socket, &mut got);
            }
            assert!(got == sent, "in pieces of {piece}");
        }
    }

    /// Reads and decodes until the socket is empty.
    fn frames(input: &mut Buffer, socket: &Socket, got: &mut Vec<Vec<u8>>) {
        while let Ok(Some(mut fresh)) = input.read(socket) {
            loop {
                let has_more = input.take_in(&mut fresh, frame);
                let len =
                    |input: &Buffer| frame(&input.filled).filter(|len| *len <= input.filled.len());
                while let Some(len) = len(input) {
                    let body = input.filled.split_to(len).freeze().split_off(4);
                    input.end_large();
                    assert!(len <= LARGE || body.is_unique(), "shared with others");
                    got.push(body.to_vec());
                }
                if !has_more {
                    break;
                }
            }
        }
    }
}
