//! One connection: reads and decodes, writes what is queued.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::error_code;
use super::handle::Sink;
use super::queue::{Next, Queue};
use crate::proto::codec::Decoder;
use crate::proto::{CloseHow, Level, LinkId, Message};

/// How much is read at once; also the size of the buffers that payloads share.
const READ: usize = 64 << 10;
/// How much is handed to one system call.
const WRITE: usize = 256 << 10;
const SLICES: usize = 128;
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
    Closed(&'static str),
}

pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) stream: TcpStream,
    pub(super) queue: Arc<Queue>,
    pub(super) decoder: Decoder,
    pub(super) reports: mpsc::Sender<(LinkId, Report)>,
    pub(super) sink: Arc<dyn Sink>,
}

impl Link {
    /// Runs the link to its end.
    pub(super) async fn run(self) {
        let Self {
            id,
            mut stream,
            queue,
            mut decoder,
            reports,
            sink,
        } = self;
        let (mut reading, mut writing) = stream.split();
        let reader = read(id, &mut reading, &mut decoder, &reports, &*sink);
        tokio::pin!(reader);
        let ended = tokio::select! {
            reason = &mut reader => Err(reason),
            ended = write(id, &mut writing, &queue, &reports) => ended,
        };
        let reason = match ended {
            Err(reason) => reason,
            Ok(CloseHow::Abort) => return,
            Ok(CloseHow::Flush) => {
                drop(shut_down(&mut writing).await);
                drop(timeout(LINGER, discard(reader)).await);
                return;
            }
            Ok(CloseHow::HalfClose) => match shut_down(&mut writing).await {
                Ok(()) => reader.await,
                Err(error) => error_code(&error),
            },
        };
        drop(reports.send((id, Report::Closed(reason))).await);
    }
}

async fn shut_down(writing: &mut WriteHalf<'_>) -> io::Result<()> {
    tokio::io::AsyncWriteExt::shutdown(writing).await
}

/// Lets the reader run on; the driver no longer knows this link and ignores what it reports.
async fn discard(reader: impl Future<Output = &'static str>) {
    reader.await;
}

/// Reads until the other side closes, and says why it ended.
async fn read(
    id: LinkId,
    reading: &mut ReadHalf<'_>,
    decoder: &mut Decoder,
    reports: &mpsc::Sender<(LinkId, Report)>,
    sink: &dyn Sink,
) -> &'static str {
    let mut buffer = BytesMut::new();
    loop {
        while sink.is_congested() {
            sleep(CONGESTION_CHECK).await;
        }
        buffer.reserve(READ);
        match reading.read_buf(&mut buffer).await {
            Ok(0) => return "FIN",
            Ok(_) => {}
            Err(error) => return error_code(&error),
        }
        let mut messages = Vec::new();
        let broken = loop {
            match decoder.next(&mut buffer) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        if !messages.is_empty()
            && reports
                .send((id, Report::Received(messages)))
                .await
                .is_err()
        {
            return "STOPPED";
        }
        if let Some(error) = broken {
            tracing::info!(link = %id, %error, "closing a link that makes no sense");
            return "EPROTO";
        }
    }
}

/// Writes what is queued until the queue is closed, and says how it shall end.
async fn write(
    id: LinkId,
    writing: &mut WriteHalf<'_>,
    queue: &Queue,
    reports: &mpsc::Sender<(LinkId, Report)>,
) -> Result<CloseHow, &'static str> {
    let mut batch: VecDeque<Bytes> = VecDeque::new();
    loop {
        match queue.take(&mut batch, WRITE, SLICES) {
            Next::Wait => queue.changed().await,
            Next::End(how) => return Ok(how),
            Next::Write => {
                let written = write_some(writing, queue, &mut batch).await?;
                if let Some(level) = queue.written(written) {
                    drop(reports.send((id, Report::Pressure(level))).await);
                }
            }
        }
    }
}

/// Writes one batch, as far as one system call gets.
async fn write_some(
    writing: &mut WriteHalf<'_>,
    queue: &Queue,
    batch: &mut VecDeque<Bytes>,
) -> Result<usize, &'static str> {
    loop {
        let mut slices = [IoSlice::new(&[]); SLICES];
        for (slice, bytes) in slices.iter_mut().zip(batch.iter()) {
            *slice = IoSlice::new(bytes);
        }
        let count = batch.len().min(SLICES);
        match writing.try_write_vectored(&slices[..count]) {
            Ok(0) => return Err("EPIPE"),
            Ok(written) => {
                advance(batch, written);
                return Ok(written);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait_writable(writing, queue).await?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error_code(&error)),
        }
    }
}

async fn wait_writable(writing: &WriteHalf<'_>, queue: &Queue) -> Result<(), &'static str> {
    let stalled = tokio::time::sleep(STALLED_AFTER);
    tokio::pin!(stalled);
    loop {
        tokio::select! {
            ready = writing.writable() => return ready.map_err(|error| error_code(&error)),
            () = &mut stalled => return Err("SLOW"),
            // Closed in the meantime: an abort does not wait for the other side.
            () = queue.changed() => if queue.is_aborted() { return Err("ABORTED") },
        }
    }
}

fn advance(batch: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(front) = batch.front_mut() {
        if written < front.len() {
            return front.advance(written);
        }
        written -= front.len();
        batch.pop_front();
    }
}
