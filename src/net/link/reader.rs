//! The reading end of a link, for whichever thread finds something to read.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::buffer::{Buffer, READ};
use super::socket::Socket;
use super::task::{End, Report};
use crate::net::core::Reporter;
use crate::net::os::error::error_code;
use crate::net::secure::{MAGIC, Opener, Refusal};
use crate::proto::codec::Decoder;
use crate::proto::{LinkId, Message, NodeId, join_runs};

/// What is left of reading once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::net) enum Step {
    /// Nothing was there.
    Idle,
    /// This much was there; there may be more.
    Read(usize),
    /// Nothing shall be read for so long.
    Rest(Duration),
    /// Nothing will be there any more.
    Ended(End),
}

/// What makes messages of a socket's bytes and has the node deal with them.
pub(in crate::net) struct Reader {
    link: LinkId,
    pub(super) socket: Arc<Socket>,
    input: Buffer,
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
    pub(super) has_windows: bool,
    reports: Reporter,
}

impl Reader {
    /// `secure`: what an encrypted link's messages are decrypted with, and who sends them.
    pub(in crate::net) fn new(
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
            input: Buffer::default(),
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

    pub(super) fn step(&mut self) -> Step {
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
