//! The reading end of a link, for whichever thread finds something to read.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
#[cfg(target_os = "linux")]
use tokio::sync::Notify;

use super::core::Reporter;
use super::error_code;
use super::handle::{Congestion, Sink};
use super::link::{End, Report};
use super::secure::{MAGIC, Opener, Refusal};
use super::socket::Socket;
use crate::proto::codec::Decoder;
use crate::proto::{LinkId, Message, NodeId, join_runs};

/// How much is read at once.
const READ: usize = 64 << 10;
/// The size of the buffers that payloads share, on a link that brings much. Whoever keeps a payload keeps
/// its buffer, so a buffer is not given up before it has been filled by half.
const BUFFER: usize = 2 * READ;
/// The size of a link's first; each is twice as large as the one before.
const FIRST: usize = 1 << 10;

/// What is left of reading once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Nothing was there.
    Idle,
    /// This much was there; there may be more.
    Read(usize),
    /// Nothing shall be read for so long.
    Rest(Duration),
    /// Nothing will be there any more.
    Ended(End),
}

/// A link's reader and the right to use it. Either thread that sees the socket become readable may
/// read once; whatever cannot be settled by that is for the link's task.
pub(super) struct Inlet {
    state: Mutex<State>,
    /// Wakes the link's task.
    #[cfg(target_os = "linux")]
    wake: Notify,
    socket: Arc<Socket>,
    sink: Arc<dyn Sink>,
}

struct State {
    reader: Reader,
    /// Left over by a visit.
    left: Option<Step>,
    /// The link's task is to read, or is at it.
    is_taken: bool,
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet").finish_non_exhaustive()
    }
}

impl Inlet {
    pub(super) fn new(reader: Reader, sink: Arc<dyn Sink>) -> Self {
        let socket = reader.socket.clone();
        let state = State {
            reader,
            left: None,
            is_taken: false,
        };
        Self {
            state: Mutex::new(state),
            #[cfg(target_os = "linux")]
            wake: Notify::new(),
            socket,
            sink,
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Reads once, on the caller's thread; returns whether there may be more for it. `is_last`: the other
    /// side has closed, so that nothing will announce what is left then.
    #[cfg(target_os = "linux")]
    pub(super) fn visit(&self, is_last: bool) -> bool {
        use std::sync::TryLockError;
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Whoever is at it may have looked before this came.
            Err(TryLockError::WouldBlock) => {
                self.wake.notify_one();
                return false;
            }
        };
        if state.is_taken {
            return false;
        }
        if !self.is_congested(&state.reader) {
            match state.reader.step() {
                Step::Idle if !is_last => return false,
                // Less than there was room for: the socket is empty, and what comes next will be announced.
                Step::Read(count) if !is_last => return count == READ,
                Step::Idle | Step::Read(_) => {}
                left => state.left = Some(left),
            }
        }
        state.is_taken = true;
        self.wake.notify_one();
        false
    }

    /// Waits until it is the link's task that shall read.
    pub(super) async fn is_task_needed(&self) {
        #[cfg(target_os = "linux")]
        self.wake.notified().await;
        // That it failed, the next read will tell.
        #[cfg(not(target_os = "linux"))]
        self.socket.readable().await.ok();
    }

    /// Whether the link's task shall wait before it reads: what comes is taken more slowly than it
    /// comes, and the sender does not know.
    pub(super) fn shall_rest(&self) -> bool {
        self.is_congested(&self.lock().reader)
    }

    fn is_congested(&self, reader: &Reader) -> bool {
        match self.sink.congestion() {
            Congestion::None => false,
            Congestion::Light => !reader.has_windows,
            Congestion::Heavy => true,
        }
    }

    /// Reads once, for the link's task; which is to go on until nothing is there.
    pub(super) fn step(&self) -> Step {
        let mut state = self.lock();
        state.is_taken = true;
        if let Some(left) = state.left.take() {
            return left;
        }
        let step = state.reader.step();
        state.is_taken = step != Step::Idle;
        step
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What makes messages of a socket's bytes and has the node deal with them.
pub(super) struct Reader {
    link: LinkId,
    socket: Arc<Socket>,
    input: Input,
    decoder: Decoder,
    /// Of an encrypted link.
    opener: Option<Opener>,
    /// What it has decrypted.
    plain: BytesMut,
    /// Whose key is at the other end.
    who: Option<NodeId>,
    /// Nothing says yet that the other side does not encrypt.
    may_be_magic: bool,
    /// It may say as much as a peer may.
    is_peer: bool,
    /// It waits for what this node consumes.
    has_windows: bool,
    reports: Reporter,
}

impl Reader {
    /// `secure`: what an encrypted link's messages are decrypted with, and who sends them.
    pub(super) fn new(
        link: LinkId,
        socket: Arc<Socket>,
        decoder: Decoder,
        secure: Option<(Opener, NodeId)>,
        reports: Reporter,
    ) -> Self {
        let (opener, who) = secure.unzip();
        Self {
            link,
            socket,
            input: Input::default(),
            decoder,
            may_be_magic: opener.is_none(),
            opener,
            plain: BytesMut::new(),
            who,
            is_peer: false,
            has_windows: false,
            reports,
        }
    }

    fn step(&mut self) -> Step {
        let count = match self.input.read(&self.socket) {
            Ok(0) => return Step::Ended("FIN".into()),
            Ok(count) => count,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Step::Idle,
                // As if it had been a full one: there may be more.
                io::ErrorKind::Interrupted => return Step::Read(READ),
                _ => return Step::Ended(error_code(&error).into()),
            },
        };
        match self.digest() {
            Ok(Duration::ZERO) => Step::Read(count),
            Ok(rest) => Step::Rest(rest),
            Err(end) => Step::Ended(end),
        }
    }

    /// Has the node deal with the whole messages that were read, and returns how long to rest then.
    fn digest(&mut self) -> Result<Duration, End> {
        let bytes = &mut self.input.filled;
        let bytes = if let Some(opener) = &mut self.opener {
            opener.open(bytes, &mut self.plain).map_err(End::Refused)?;
            &mut self.plain
        } else {
            if self.may_be_magic {
                if bytes.starts_with(&MAGIC) {
                    return Err(End::Refused(Refusal::Encrypted));
                }
                self.may_be_magic = MAGIC.starts_with(bytes);
            }
            bytes
        };
        let mut rest = Duration::ZERO;
        loop {
            if !self.is_peer && self.reports.is_peer(self.link) {
                self.is_peer = true;
                self.has_windows = self.reports.has_windows(self.link);
                self.decoder.connected();
            }
            let mut messages = Vec::new();
            let end = loop {
                match self.decoder.next(bytes) {
                    Ok(Some(message)) if is_impostor(&message, self.who.as_ref()) => {
                        return Err(End::Refused(Refusal::Identity));
                    }
                    Ok(Some(message)) => {
                        let is_greeting = is_greeting(&message);
                        messages.push(message);
                        // What comes after it may be a peer's.
                        if is_greeting && !self.is_peer {
                            break None;
                        }
                    }
                    Ok(None) => break Some(Ok(())),
                    Err(error) => break Some(Err(error)),
                }
            };
            if !messages.is_empty() {
                let received = Report::Received(join_runs(messages));
                rest = rest.max(self.reports.report(self.link, received));
            }
            match end {
                None => {}
                Some(Ok(())) => {
                    self.input.end_large();
                    return Ok(rest);
                }
                Some(Err(error)) => {
                    tracing::info!(link = %self.link, %error, "closing a link that makes no sense");
                    return Err("EPROTO".into());
                }
            }
        }
    }
}

fn is_greeting(message: &Message) -> bool {
    matches!(message, Message::Handshake(_) | Message::HandshakeAck(_))
}

/// Whether a message claims another id than that of the key at the other end.
fn is_impostor(message: &Message, who: Option<&NodeId>) -> bool {
    match message {
        Message::Handshake(hello) | Message::HandshakeAck(hello) => {
            who.is_some_and(|who| hello.id != *who)
        }
        _ => false,
    }
}

/// What was read and nobody has made sense of yet.
///
/// Sockets are read into memory of the thread's, and copied from there: so a link holds what it has
/// brought and little more, however many links there are, and no buffer has to be cleared first.
#[derive(Debug, Default)]
struct Input {
    filled: BytesMut,
    /// The size of the last buffer.
    size: usize,
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Input {
    /// Reads once, up to [`READ`] bytes.
    fn read(&mut self, socket: &Socket) -> io::Result<usize> {
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

    /// Goes on in a buffer of the usual size when a large message is complete: what comes next must not
    /// keep all of its buffer alive.
    fn end_large(&mut self) {
        if self.size > BUFFER && self.filled.len() < READ {
            let mut filled = BytesMut::with_capacity(BUFFER);
            filled.extend_from_slice(&self.filled);
            (self.filled, self.size) = (filled, BUFFER);
        }
    }

    /// Goes on in another buffer, or in the old one if nobody holds any of it any more, with room for
    /// so much.
    fn renew(&mut self, room: usize) {
        if self.filled.try_reclaim(room) {
            return;
        }
        let needed = self.filled.len() + room;
        self.size = if needed > BUFFER {
            // Of a large message, so much that it is moved a few times only.
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

    /// Reads until `wanted` bytes have come, and returns what `take` left of each read.
    async fn read(input: &mut Input, socket: &Socket, wanted: usize) {
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
    async fn what_is_left_of_a_read_stays_in_front_of_the_next() {
        let (mut near, socket) = connection().await;
        let mut input = Input::default();
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
    async fn a_buffer_is_used_again_once_nobody_holds_any_of_it() {
        let (mut near, socket) = connection().await;
        let mut input = Input {
            size: BUFFER,
            ..Input::default()
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
    async fn a_link_holds_no_more_than_it_has_brought_and_buffers_grow_with_what_comes() {
        let (mut near, socket) = connection().await;
        let mut input = Input::default();
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
    async fn what_follows_a_large_message_does_not_keep_its_buffer_alive() {
        let (mut near, socket) = connection().await;
        let mut input = Input::default();
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
    async fn what_was_taken_is_not_overwritten() {
        let (mut near, socket) = connection().await;
        let mut input = Input::default();
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
