//! The task of a link: does the handshake, reads and writes what other threads leave, ends the
//! link.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

use super::inlet::Inlet;
use super::outlet::Outlet;
use super::port::{End, Port, Report};
use super::reader::{Reader, Step};
use super::writer::{Progress, Writer};
use crate::net::api::Sink;
use crate::net::os::error::error_code;
use crate::net::os::listener::tune;
use crate::net::secure::{self, Failure, Keys, Opener, Refusal, Sealer};
use crate::net::wait::{Socket, Watch, Watched};
use crate::proto::codec::Decoder;
use crate::proto::{CloseHow, LinkId, NodeId};

/// A link that takes no bytes for this long is closed.
const STALLED_AFTER: Duration = Duration::from_secs(10);
/// How often a link that pauses reading checks whether it may resume. The application needs far
/// longer for the waiting messages.
const CONGESTION_CHECK: Duration = Duration::from_millis(2);
/// How long we read on after our FIN. Closing earlier would turn data still on its way to us into a
/// reset, and the other side would lose its unread data.
const LINGER: Duration = Duration::from_secs(1);
/// A link that has carried more than this lingers for longer: buffers of the system may hold it.
const LONG_FROM: u64 = 64 << 10;
/// How long such a link waits for the other side to send anything. It sends a heartbeat every 3 s
/// at the latest.
const LONG_LINGER: Duration = Duration::from_millis(3500);
/// The longest time that a link lingers.
const LONGEST_LINGER: Duration = Duration::from_secs(30);

/// How a link is encrypted.
#[derive(Clone)]
pub(in crate::net) enum Security {
    /// Unencrypted.
    Plain,
    /// Encrypted with these keys; we dialled.
    Dials(Arc<Keys>),
    /// Encrypted with these keys; we were dialled.
    Accepts(Arc<Keys>),
}

/// The two directions of an encrypted link, and the id at the other end.
type Session = (Sealer, (Opener, NodeId));

/// The state of a link's task.
pub(in crate::net) struct Link {
    pub(in crate::net) id: LinkId,
    pub(in crate::net) stream: TcpStream,
    pub(in crate::net) security: Security,
    pub(in crate::net) outlet: Arc<Outlet>,
    pub(in crate::net) decoder: Decoder,
    pub(in crate::net) watch: Arc<Watch>,
    pub(in crate::net) port: Arc<dyn Port>,
    pub(in crate::net) sink: Arc<dyn Sink>,
}

impl Link {
    /// Runs the link to its end.
    ///
    /// Thread: the network's. Locks held: none.
    pub(in crate::net) async fn run(mut self) {
        let (id, port, outlet) = (self.id, self.port.clone(), self.outlet.clone());
        let security = self.security.clone();
        let shaken = tokio::select! {
            shaken = shake_hands(&mut self.stream, security) => shaken,
            // The node has closed the link.
            () = ending(&outlet) => return,
        };
        let end = match shaken {
            Ok(session) => self.exchange(session).await,
            Err(end @ End::Because(_)) => Some(end),
            Err(end @ End::Refused(_)) => tokio::select! {
                _ = timeout(LINGER, turn_away(&mut self.stream)) => Some(end),
                () = ending(&outlet) => return,
            },
        };
        if let Some(end) = end {
            port.report(id, Report::Closed(end));
        }
    }

    /// Reads and writes. Returns why the link ended, unless the node has ended it.
    async fn exchange(self, session: Option<Session>) -> Option<End> {
        let socket = match Socket::new(self.stream) {
            Ok(socket) => Arc::new(socket),
            Err(error) => return Some(error_code(&error).into()),
        };
        let (sealer, secure) = session.unzip();
        let (id, port) = (self.id, &self.port);
        let reader = Reader::new(id, socket.clone(), self.decoder, secure, port.clone());
        let inlet = Arc::new(Inlet::new(reader, self.sink));
        let _opened = self.outlet.open(Writer::new(socket.clone(), sealer));
        let watched = match self.watch.add(id, inlet.clone(), socket.clone()) {
            Ok(watched) => watched,
            Err(error) => return Some(error_code(&error).into()),
        };
        let reading = read(&inlet, &watched);
        tokio::pin!(reading);
        let ended = tokio::select! {
            end = &mut reading => Err(end),
            ended = write(id, &socket, &self.outlet, &**port) => ended,
        };
        match ended {
            Err(end) => Some(end),
            Ok(CloseHow::Abort) => None,
            Ok(CloseHow::Flush) => {
                drop(socket.shut_down());
                // The node no longer knows this link and ignores its reports.
                linger(reading, &inlet, &self.outlet).await;
                None
            }
            Ok(CloseHow::HalfClose) => Some(match socket.shut_down() {
                Ok(()) => reading.await,
                Err(error) => error_code(&error).into(),
            }),
        }
    }
}

/// Reads on after our FIN, so that no reset destroys what the other side has not read yet. On a
/// slow link that takes as long as the other side goes on sending its reports.
async fn linger(mut reading: Pin<&mut impl Future<Output = End>>, inlet: &Inlet, outlet: &Outlet) {
    if outlet.all_written() < LONG_FROM {
        return drop(timeout(LINGER, reading).await);
    }
    outlet.set_lingering(true);
    let deadline = Instant::now() + LONGEST_LINGER;
    loop {
        let reads = inlet.reads();
        let is_over = timeout(LONG_LINGER, &mut reading).await.is_ok();
        if is_over || inlet.reads() == reads || Instant::now() >= deadline {
            return outlet.set_lingering(false);
        }
    }
}

async fn shake_hands(stream: &mut TcpStream, security: Security) -> Result<Option<Session>, End> {
    let shaken = match security {
        Security::Plain => return Ok(None),
        Security::Dials(keys) => offer(stream, &keys).await,
        Security::Accepts(keys) => secure::accept(stream, &keys).await,
    };
    match shaken {
        Ok(session) => Ok(Some((session.sealer, (session.opener, session.remote)))),
        Err(Failure::Refused(refusal)) => Err(End::Refused(refusal)),
        Err(Failure::Ended(reason)) => Err(End::Because(reason)),
    }
}

/// Does a handshake with the first of our secrets that the node knows. While a secret is being
/// changed, some nodes know only the old one. Each secret is offered on a connection of its own.
async fn offer(stream: &mut TcpStream, keys: &Keys) -> Result<secure::Session, Failure> {
    let unreachable = |error| Failure::Ended(error_code(&error));
    let remote = stream.peer_addr().map_err(unreachable)?;
    let mut outcome = Err(Refusal::Unanswered.into());
    for (count, secret) in keys.order(remote).into_iter().enumerate() {
        if count > 0 {
            *stream = TcpStream::connect(remote).await.map_err(unreachable)?;
            tune(stream);
        }
        outcome = secure::dial(stream, keys, secret).await;
        match outcome {
            Err(Failure::Refused(Refusal::Unanswered)) => {}
            Ok(_) => {
                keys.note(remote, secret);
                break;
            }
            Err(_) => break,
        }
    }
    outcome
}

/// Closes without an answer, and without the reset that unread data would cause. To the other side,
/// a reset would look like a broken network.
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

/// Waits until the node closes the link.
async fn ending(outlet: &Outlet) {
    while !outlet.is_ending() {
        outlet.changed().await;
    }
}

/// Reads what visits leave, until the other side closes. Returns why the link ended.
async fn read(inlet: &Inlet, watched: &Watched) -> End {
    loop {
        watched.needs_task().await;
        loop {
            while inlet.shall_rest() {
                sleep(CONGESTION_CHECK).await;
            }
            match inlet.step() {
                Step::Idle => break,
                // There may be more, but other tasks come first.
                Step::Read { .. } => yield_now().await,
                Step::Rest(rest) => sleep(rest).await,
                Step::Ended(end) => return end,
            }
        }
    }
}

/// Writes what flushes leave, until the node closes the link. Returns how it must end.
async fn write(
    id: LinkId,
    socket: &Socket,
    outlet: &Outlet,
    port: &dyn Port,
) -> Result<CloseHow, End> {
    loop {
        let (progress, level) = outlet.write();
        if let Some(level) = level {
            port.report(id, Report::Pressure(level));
        }
        match progress {
            Progress::Idle => outlet.changed().await,
            Progress::More => yield_now().await,
            Progress::Blocked => wait_writable(socket, outlet).await?,
            Progress::Ended(how) => return Ok(how),
            Progress::Failed(reason) => return Err(reason.into()),
        }
    }
}

async fn wait_writable(socket: &Socket, outlet: &Outlet) -> Result<(), &'static str> {
    let stalled = sleep(STALLED_AFTER);
    tokio::pin!(stalled);
    loop {
        tokio::select! {
            ready = socket.writable() => return ready.map_err(|error| error_code(&error)),
            () = &mut stalled => return Err("SLOW"),
            // An abort does not wait for the other side.
            () = outlet.changed() => if outlet.is_aborted() { return Err("ABORTED") },
        }
    }
}
