//! One connection: reads and decodes, writes what is queued.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{sleep, timeout};

use super::core::Reporter;
use super::error_code;
use super::handle::Sink;
use super::queue::Queue;
use super::secure::{self, Failure, Keys, MAGIC, Opener, Refusal, Sealer};
use super::writer::{Progress, Writer};
use crate::proto::codec::Decoder;
use crate::proto::{CloseHow, Level, LinkId, Message, NodeId, join_runs};

/// How much is read at once.
const READ: usize = 64 << 10;
/// The size of the buffers that payloads share. Whoever keeps a payload keeps its buffer, so a buffer is
/// not given up before it has been filled by half.
const BUFFER: usize = 2 * READ;
/// A link that takes no bytes for so long is closed (overlay design, backpressure).
const STALLED_AFTER: Duration = Duration::from_secs(10);
/// How often a link that has stopped reading looks whether it may go on. What waits for the
/// application meanwhile lasts far longer.
const CONGESTION_CHECK: Duration = Duration::from_millis(2);
/// After our FIN, how long we read on for the other side's: closing earlier would turn data still
/// on its way to us into a reset, and the reset would cost the other side what it has not read.
const LINGER: Duration = Duration::from_secs(1);

/// What a link tells its driver.
#[derive(Debug)]
pub(super) enum Report {
    Received(Vec<Message>),
    Pressure(Level),
    /// The last one.
    Closed(End),
}

/// Why a link ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The connection ended, for this reason.
    Because(&'static str),
    /// It was not to be trusted.
    Refused(Refusal),
}

impl From<&'static str> for End {
    fn from(reason: &'static str) -> Self {
        Self::Because(reason)
    }
}

/// How a link is encrypted.
pub(super) enum Security {
    /// Not at all.
    Plain,
    /// We dialled.
    Dials(Arc<Keys>),
    /// We were dialled.
    Accepts(Arc<Keys>),
}

/// Who is at the other end of an encrypted link, and the two directions.
#[derive(Default)]
struct Session {
    sealer: Option<Sealer>,
    opener: Option<Opener>,
    who: Option<NodeId>,
}

pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) stream: TcpStream,
    pub(super) security: Security,
    pub(super) queue: Arc<Queue>,
    pub(super) decoder: Decoder,
    pub(super) reports: Reporter,
    pub(super) sink: Arc<dyn Sink>,
}

impl Link {
    /// Runs the link to its end.
    pub(super) async fn run(self) {
        let Self {
            id,
            mut stream,
            security,
            queue,
            mut decoder,
            reports,
            sink,
        } = self;
        let shaken = tokio::select! {
            shaken = shake_hands(&mut stream, security) => shaken,
            // Nobody waits for it any more.
            () = ending(&queue) => return,
        };
        let session = match shaken {
            Ok(session) => session,
            Err(end) => {
                if matches!(end, End::Refused(_)) {
                    tokio::select! {
                        _ = timeout(LINGER, turn_away(&mut stream)) => {}
                        () = ending(&queue) => return,
                    }
                }
                reports.report(id, Report::Closed(end));
                return;
            }
        };
        let (mut reading, writing) = stream.into_split();
        let writing = Arc::new(writing);
        queue.open(Writer::new(writing.clone(), session.sealer));
        let _shut = Shut(&queue);
        let input = Incoming {
            decoder: &mut decoder,
            opener: session.opener,
            who: session.who,
        };
        let reader = read(id, &mut reading, input, &reports, &*sink);
        tokio::pin!(reader);
        let ended = tokio::select! {
            reason = &mut reader => Err(reason),
            ended = write(id, &writing, &queue, &reports) => ended,
        };
        let reason = match ended {
            Err(reason) => reason,
            Ok(CloseHow::Abort) => return,
            Ok(CloseHow::Flush) => {
                drop(shut_down(&writing));
                drop(timeout(LINGER, discard(reader)).await);
                return;
            }
            Ok(CloseHow::HalfClose) => match shut_down(&writing) {
                Ok(()) => reader.await,
                Err(error) => error_code(&error).into(),
            },
        };
        reports.report(id, Report::Closed(reason));
    }
}

async fn shake_hands(stream: &mut TcpStream, security: Security) -> Result<Session, End> {
    let shaken = match security {
        Security::Plain => return Ok(Session::default()),
        Security::Dials(keys) => secure::dial(stream, &keys).await,
        Security::Accepts(keys) => secure::accept(stream, &keys).await,
    };
    match shaken {
        Ok(session) => Ok(Session {
            sealer: Some(session.sealer),
            opener: Some(session.opener),
            who: Some(session.remote),
        }),
        Err(Failure::Refused(refusal)) => Err(End::Refused(refusal)),
        Err(Failure::Ended(reason)) => Err(End::Because(reason)),
    }
}

/// Closes without a word, and without the reset that unread data would cause: to the other side, a
/// reset looks like a broken network.
async fn turn_away(stream: &mut TcpStream) -> io::Result<()> {
    tokio::io::AsyncWriteExt::shutdown(stream).await?;
    let mut ignored = [0; 4096];
    for _ in 0..16 {
        if stream.read(&mut ignored).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Waits until the link is closed before it had anything to say.
async fn ending(queue: &Queue) {
    while !queue.is_ending() {
        queue.changed().await;
    }
}

/// Says that nothing more will come.
fn shut_down(writing: &OwnedWriteHalf) -> io::Result<()> {
    let stream: &TcpStream = writing.as_ref();
    SockRef::from(stream).shutdown(Shutdown::Write)
}

/// Lets the reader run on; the driver no longer knows this link and ignores what it reports.
async fn discard(reader: impl Future<Output = End>) {
    reader.await;
}

/// What bytes pass through on their way in.
struct Incoming<'a> {
    decoder: &'a mut Decoder,
    opener: Option<Opener>,
    who: Option<NodeId>,
}

impl Incoming<'_> {
    /// Whether a message claims another id than that of the key at the other end.
    fn is_impostor(&self, message: &Message) -> bool {
        let Some(who) = &self.who else { return false };
        match message {
            Message::Handshake(hello) | Message::HandshakeAck(hello) => hello.id != *who,
            _ => false,
        }
    }
}

/// Reads until the other side closes, and says why it ended.
async fn read(
    id: LinkId,
    reading: &mut OwnedReadHalf,
    mut input: Incoming<'_>,
    reports: &Reporter,
    sink: &dyn Sink,
) -> End {
    let mut buffer = BytesMut::new();
    let mut sealed = BytesMut::new();
    // Until we know that it is not encrypted.
    let mut may_be_magic = input.opener.is_none();
    loop {
        while sink.is_congested() {
            sleep(CONGESTION_CHECK).await;
        }
        let bytes = if input.opener.is_some() {
            &mut sealed
        } else {
            &mut buffer
        };
        if bytes.capacity() - bytes.len() < READ {
            bytes.reserve(BUFFER);
        }
        let count = match reading.read_buf(bytes).await {
            Ok(0) => return "FIN".into(),
            Ok(count) => count,
            Err(error) => return error_code(&error).into(),
        };
        if let Some(opener) = &mut input.opener {
            if let Err(refusal) = opener.open(&mut sealed, &mut buffer) {
                return End::Refused(refusal);
            }
        } else if may_be_magic {
            if buffer.starts_with(&MAGIC) {
                return End::Refused(Refusal::Encrypted);
            }
            may_be_magic = MAGIC.starts_with(&buffer);
        }
        let mut messages = Vec::new();
        let broken = loop {
            match input.decoder.next(&mut buffer) {
                Ok(Some(message)) if input.is_impostor(&message) => {
                    return End::Refused(Refusal::Identity);
                }
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let mut rest = Duration::ZERO;
        if !messages.is_empty() {
            rest = reports.report(id, Report::Received(join_runs(messages)));
        }
        if let Some(error) = broken {
            tracing::info!(link = %id, %error, "closing a link that makes no sense");
            return "EPROTO".into();
        }
        if !rest.is_zero() {
            sleep(rest).await;
        } else if count >= READ / 2 {
            // There may be as much again: others first.
            tokio::task::yield_now().await;
        }
    }
}

/// Writes what is queued until the queue is closed, and says how it shall end. Most is written before
/// it gets here, by whoever queued it.
async fn write(
    id: LinkId,
    socket: &OwnedWriteHalf,
    queue: &Queue,
    reports: &Reporter,
) -> Result<CloseHow, End> {
    loop {
        let (progress, level) = queue.write();
        if let Some(level) = level {
            reports.report(id, Report::Pressure(level));
        }
        match progress {
            Progress::Idle => queue.changed().await,
            Progress::More => tokio::task::yield_now().await,
            Progress::Blocked => wait_writable(socket, queue).await?,
            Progress::Ended(how) => return Ok(how),
            Progress::Failed(reason) => return Err(reason.into()),
        }
    }
}

async fn wait_writable(socket: &OwnedWriteHalf, queue: &Queue) -> Result<(), &'static str> {
    let stalled = sleep(STALLED_AFTER);
    tokio::pin!(stalled);
    loop {
        tokio::select! {
            ready = socket.writable() => return ready.map_err(|error| error_code(&error)),
            () = &mut stalled => return Err("SLOW"),
            // Closed in the meantime: an abort does not wait for the other side.
            () = queue.changed() => if queue.is_aborted() { return Err("ABORTED") },
        }
    }
}

/// Gives the socket up when the link's task ends, in whichever way: others hold the queue, too.
struct Shut<'a>(&'a Queue);

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.shut();
    }
}
