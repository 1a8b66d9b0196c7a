//! Reads a link's socket, decodes its bytes, and hands the messages to the node.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::buffer::{Buffer, Fresh};
use super::port::{End, Port, Report, Role};
use crate::net::os::error::error_code;
use crate::net::secure::{MAGIC, Opener, Refusal};
use crate::net::wait::Socket;
use crate::proto::codec::Decoder;
use crate::proto::{LinkId, Message, NodeId, join_runs};

/// The outcome of reading once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The socket was empty.
    Idle,
    /// Bytes were read, and there may be more. `is_full`: they filled the buffer.
    Read { is_full: bool },
    /// Reading must pause for this long.
    Rest(Duration),
    /// The link has ended.
    Ended(End),
}

/// Why decoding stopped.
enum Decoded {
    /// All bytes are decoded.
    All,
    /// A handshake: the link may be a peer's after it.
    Greeting,
    /// The bytes are malformed.
    Failed(End),
}

pub(super) struct Reader {
    link: LinkId,
    socket: Arc<Socket>,
    buffer: Buffer,
    decoder: Decoder,
    /// Present on an encrypted link.
    opener: Option<Opener>,
    /// The decrypted bytes of an encrypted link.
    plain: BytesMut,
    /// The id of the key at the other end.
    who: Option<NodeId>,
    /// The bytes so far may be the start of an encrypted link.
    may_be_magic: bool,
    /// The role of the other end, at the last check.
    role: Role,
    port: Arc<dyn Port>,
}

impl Reader {
    /// `secure`: the decryption key, and the id of the sender.
    pub(super) fn new(
        link: LinkId,
        socket: Arc<Socket>,
        decoder: Decoder,
        secure: Option<(Opener, NodeId)>,
        port: Arc<dyn Port>,
    ) -> Self {
        let (opener, who) = secure.unzip();
        Self {
            link,
            socket,
            buffer: Buffer::default(),
            decoder,
            may_be_magic: opener.is_none(),
            opener,
            plain: BytesMut::new(),
            who,
            role: Role::Unconnected,
            port,
        }
    }

    /// Whether the other side waits for this node's consumption.
    pub(super) fn has_windows(&self) -> bool {
        self.role == Role::Peer { has_windows: true }
    }

    /// Reads once and has the node act on what arrived.
    ///
    /// Thread: any, one at a time. Locks held: this reader's; reporting takes the core's.
    pub(super) fn step(&mut self) -> Step {
        let fresh = match self.buffer.read(&self.socket) {
            Ok(None) => return Step::Ended("FIN".into()),
            Ok(Some(fresh)) => fresh,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Step::Idle,
                // As after a full read, there may be more.
                io::ErrorKind::Interrupted => return Step::Read { is_full: true },
                _ => return Step::Ended(error_code(&error).into()),
            },
        };
        let is_full = fresh.is_full;
        match self.take_in(fresh) {
            Ok(Duration::ZERO) => Step::Read { is_full },
            Ok(rest) => Step::Rest(rest),
            Err(end) => Step::Ended(end),
        }
    }

    /// Decodes the bytes that were read, piece by piece. Returns how long to pause afterwards.
    fn take_in(&mut self, mut fresh: Fresh) -> Result<Duration, End> {
        let mut rest = Duration::ZERO;
        loop {
            let decoder = self.opener.is_none().then_some(&self.decoder);
            let frame = |front: &[u8]| decoder?.frame(front);
            let has_more = self.buffer.take_in(&mut fresh, frame);
            rest = rest.max(self.digest()?);
            if !has_more {
                return Ok(rest);
            }
        }
    }

    /// Reports the complete messages. Returns how long to pause afterwards.
    fn digest(&mut self) -> Result<Duration, End> {
        self.decrypt()?;
        let mut rest = Duration::ZERO;
        loop {
            self.update_role();
            let mut messages = Vec::new();
            let decoded = self.decode(&mut messages)?;
            if !messages.is_empty() {
                let received = Report::Received(join_runs(messages));
                rest = rest.max(self.port.report(self.link, received));
            }
            match decoded {
                Decoded::Greeting => {}
                Decoded::Failed(end) => return Err(end),
                Decoded::All => {
                    self.buffer.end_large();
                    return Ok(rest);
                }
            }
        }
    }

    fn decrypt(&mut self) -> Result<(), End> {
        let bytes = &mut self.buffer.filled;
        if let Some(opener) = &mut self.opener {
            return opener.open(bytes, &mut self.plain).map_err(End::Refused);
        }
        if self.may_be_magic {
            if bytes.starts_with(&MAGIC) {
                return Err(End::Refused(Refusal::Encrypted));
            }
            self.may_be_magic = MAGIC.starts_with(bytes);
        }
        Ok(())
    }

    fn update_role(&mut self) {
        if self.role == Role::Unconnected {
            self.role = self.port.role(self.link);
            if self.role != Role::Unconnected {
                self.decoder.connected();
            }
        }
    }

    /// Decodes into `messages`, up to a handshake or the end. Fails if the sender claims an id
    /// other than its own.
    fn decode(&mut self, messages: &mut Vec<Message>) -> Result<Decoded, End> {
        let bytes = match &self.opener {
            Some(_) => &mut self.plain,
            None => &mut self.buffer.filled,
        };
        loop {
            match self.decoder.next(bytes) {
                Ok(Some(message)) if is_impostor(&message, self.who.as_ref()) => {
                    return Err(End::Refused(Refusal::Identity));
                }
                Ok(Some(message)) => {
                    let is_greeting = is_greeting(&message);
                    messages.push(message);
                    if is_greeting && self.role == Role::Unconnected {
                        return Ok(Decoded::Greeting);
                    }
                }
                Ok(None) => return Ok(Decoded::All),
                Err(error) => {
                    tracing::info!(link = %self.link, %error, "closing a link that makes no sense");
                    return Ok(Decoded::Failed("EPROTO".into()));
                }
            }
        }
    }
}

fn is_greeting(message: &Message) -> bool {
    matches!(message, Message::Handshake(_) | Message::HandshakeAck(_))
}

/// Whether a message claims an id other than that of the key at the other end.
fn is_impostor(message: &Message, who: Option<&NodeId>) -> bool {
    match message {
        Message::Handshake(hello) | Message::HandshakeAck(hello) => {
            who.is_some_and(|who| hello.id != *who)
        }
        _ => false,
    }
}
