//! One connection: reads and decodes, writes what is queued.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::inlet::Inlet;
use super::queue::Queue;
use super::reader::{Reader, Step};
use super::socket::Socket;
use super::writer::{Progress, Writer};
use crate::net::api::Sink;
use crate::net::core::Reporter;
use crate::net::os::error::error_code;
use crate::net::secure::{self, Failure, Keys, Opener, Refusal, Sealer};
use crate::net::wait::epoll::Watch;
use crate::proto::codec::Decoder;
use crate::proto::{CloseHow, Level, LinkId, Message, NodeId};

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
pub(in crate::net) enum Report {
    Received(Vec<Message>),
    Pressure(Level),
    /// The last one.
    Closed(End),
}

/// Why a link ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::net) enum End {
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
pub(in crate::net) enum Security {
    /// Not at all.
    Plain,
    /// We dialled.
    Dials(Arc<Keys>),
    /// We were dialled.
    Accepts(Arc<Keys>),
}

/// The two directions of an encrypted link, and who is at the other end.
type Session = (Sealer, (Opener, NodeId));

pub(in crate::net) struct Link {
    pub(in crate::net) id: LinkId,
    pub(in crate::net) stream: TcpStream,
    pub(in crate::net) security: Security,
    pub(in crate::net) queue: Arc<Queue>,
    pub(in crate::net) decoder: Decoder,
    pub(in crate::net) watch: Arc<Watch>,
    pub(in crate::net) reports: Reporter,
    pub(in crate::net) sink: Arc<dyn Sink>,
}

impl Link {
    /// Runs the link to its end.
    pub(in crate::net) async fn run(self) {
        let Self {
            id,
            mut stream,
            security,
            queue,
            decoder,
            watch,
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
                return reports.ended(id, end);
            }
        };
        let socket = match Socket::new(stream) {
            Ok(socket) => Arc::new(socket),
            Err(error) => return reports.ended(id, error_code(&error)),
        };
        let (sealer, secure) = session.unzip();
        let reader = Reader::new(id, socket.clone(), decoder, secure, reports.clone());
        let inlet = Arc::new(Inlet::new(reader, sink));
        queue.open(Writer::new(socket.clone(), sealer));
        let _shut = Shut(&queue);
        let _watched = match watch.add(id, inlet.clone()) {
            Ok(watched) => watched,
            Err(error) => return reports.ended(id, error_code(&error)),
        };
        let reader = read(&inlet);
        tokio::pin!(reader);
        let ended = tokio::select! {
            reason = &mut reader => Err(reason),
            ended = write(id, &socket, &queue, &reports) => ended,
        };
        let reason = match ended {
            Err(reason) => reason,
            Ok(CloseHow::Abort) => return,
            Ok(CloseHow::Flush) => {
                drop(socket.shut_down());
                drop(timeout(LINGER, discard(reader)).await);
                return;
            }
            Ok(CloseHow::HalfClose) => match socket.shut_down() {
                Ok(()) => reader.await,
                Err(error) => error_code(&error).into(),
            },
        };
        reports.ended(id, reason);
    }
}

async fn shake_hands(stream: &mut TcpStream, security: Security) -> Result<Option<Session>, End> {
    let shaken = match security {
        Security::Plain => return Ok(None),
        Security::Dials(keys) => secure::dial(stream, &keys).await,
        Security::Accepts(keys) => secure::accept(stream, &keys).await,
    };
    match shaken {
        Ok(session) => Ok(Some((session.sealer, (session.opener, session.remote)))),
        Err(Failure::Refused(refusal)) => Err(End::Refused(refusal)),
        Err(Failure::Ended(reason)) => Err(End::Because(reason)),
    }
}

/// Closes without a word, and without the reset that unread data would cause: to the other side, a
/// reset looks like a broken network.
async fn turn_away(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
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

/// Lets the reader run on; the driver no longer knows this link and ignores what it reports.
async fn discard(reader: impl Future<Output = End>) {
    reader.await;
}

/// Reads what nobody else did until the other side closes, and says why it ended.
async fn read(inlet: &Inlet) -> End {
    loop {
        inlet.is_task_needed().await;
        loop {
            while inlet.shall_rest() {
                sleep(CONGESTION_CHECK).await;
            }
            match inlet.step() {
                Step::Idle => break,
                // There may be more: others first.
                Step::Read(_) => yield_now().await,
                Step::Rest(rest) => sleep(rest).await,
                Step::Ended(end) => return end,
            }
        }
    }
}

/// Writes what is queued until the queue is closed, and says how it shall end. Most is written before
/// it gets here, by whoever queued it.
async fn write(
    id: LinkId,
    socket: &Socket,
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
            Progress::More => yield_now().await,
            Progress::Blocked => wait_writable(socket, queue).await?,
            Progress::Ended(how) => return Ok(how),
            Progress::Failed(reason) => return Err(reason.into()),
        }
    }
}

async fn wait_writable(socket: &Socket, queue: &Queue) -> Result<(), &'static str> {
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
