//! Writes from a link's queue to its socket, encrypted if the link is.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};

use super::queue::{Next, Queue};
use crate::net::lock::lock;
use crate::net::os::error::error_code;
use crate::net::secure::Sealer;
use crate::net::wait::Socket;
use crate::proto::{CloseHow, Level};

/// The most bytes and slices per system call.
const WRITE: usize = 256 << 10;
const SLICES: usize = 128;
/// The most bytes per encryption, because the core may be locked meanwhile.
const SEAL: usize = 64 << 10;
/// Steps per call: encrypt a batch, write it, see that nothing is left. With more, a peer that
/// reads as fast as we write would keep the thread to itself.
const STEPS: usize = 3;

/// A socket, and the bytes taken from the queue that are not written yet.
#[derive(Debug)]
pub(super) struct Writer {
    socket: Arc<Socket>,
    batch: VecDeque<Bytes>,
    sealed: Option<Sealed>,
    /// The socket is full. The link's task waits until it is not.
    is_blocked: bool,
    /// Why writing failed. The system reports an error only once.
    failed: Option<&'static str>,
}

/// The encrypted batch of an encrypted link.
#[derive(Debug)]
struct Sealed {
    sealer: Sealer,
    /// The number of encrypted bytes already written.
    written: usize,
    /// The size of the batch before encryption.
    weight: usize,
}

/// How far writing got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// Everything is written.
    Idle,
    /// There may be more to write.
    More,
    /// There is more to write, and the socket is full.
    Blocked,
    /// The queue is closed, and everything is written.
    Ended(CloseHow),
    /// The socket is broken.
    Failed(&'static str),
}

impl Writer {
    pub(super) fn new(socket: Arc<Socket>, sealer: Option<Sealer>) -> Self {
        let sealed = sealer.map(|sealer| Sealed {
            sealer,
            written: 0,
            weight: 0,
        });
        Self {
            socket,
            batch: VecDeque::new(),
            sealed,
            is_blocked: false,
            failed: None,
        }
    }

    /// The socket may accept more.
    pub(super) fn unblock(&mut self) {
        self.is_blocked = false;
    }

    /// Writes from `queue` in a few steps. Returns the progress, and the queue's new level if this
    /// changed it.
    ///
    /// Thread: any, one at a time. Locks held: this writer's, in a flush the core's, too. It locks
    /// `queue` between system calls, not during them.
    pub(super) fn write(&mut self, queue: &Mutex<Queue>) -> (Progress, Option<Level>) {
        let mut level = None;
        if self.is_blocked {
            return (Progress::Blocked, level);
        }
        for _ in 0..STEPS {
            let progress = self.failed.map_or_else(
                || self.step(queue, &mut level),
                |reason| Ok(Progress::Failed(reason)),
            );
            match progress {
                Ok(Progress::More) => {}
                Ok(progress) => return (progress, level),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.is_blocked = true;
                        return (Progress::Blocked, level);
                    }
                    io::ErrorKind::Interrupted => {}
                    _ => self.failed = Some(error_code(&error)),
                },
            }
        }
        (Progress::More, level)
    }

    fn step(&mut self, queue: &Mutex<Queue>, level: &mut Option<Level>) -> io::Result<Progress> {
        if let Some(sealed) = self.sealed.as_mut().filter(|sealed| !sealed.is_written()) {
            if lock(queue).is_aborted() {
                return Ok(Progress::Ended(CloseHow::Abort));
            }
            sealed.write(&self.socket)?;
            lock(queue).moves();
            if sealed.is_written() {
                *level = lock(queue).written(sealed.weight).or(*level);
            }
            return Ok(Progress::More);
        }
        let most = self.sealed.as_ref().map_or(WRITE, |_| SEAL);
        let next = lock(queue).take(&mut self.batch, most, SLICES);
        match next {
            Next::Wait => return Ok(Progress::Idle),
            Next::End(how) => return Ok(Progress::Ended(how)),
            Next::Write => {}
        }
        match &mut self.sealed {
            Some(sealed) => sealed.seal(&mut self.batch)?,
            None => {
                let written = write_batch(&self.socket, &mut self.batch)?;
                *level = lock(queue).written(written).or(*level);
            }
        }
        Ok(Progress::More)
    }
}

impl Sealed {
    fn seal(&mut self, batch: &mut VecDeque<Bytes>) -> io::Result<()> {
        let sealed = self.sealer.seal(batch);
        self.weight = sealed.map_err(|_| io::Error::other("cannot encrypt"))?;
        self.written = 0;
        Ok(())
    }

    fn is_written(&self) -> bool {
        self.written == self.sealer.bytes().len()
    }

    fn write(&mut self, socket: &Socket) -> io::Result<()> {
        self.written += some(socket.try_write(&self.sealer.bytes()[self.written..])?)?;
        Ok(())
    }
}

/// Writes as much of `batch` as one system call takes. Returns that number of bytes.
fn write_batch(socket: &Socket, batch: &mut VecDeque<Bytes>) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    for (slice, bytes) in slices.iter_mut().zip(batch.iter()) {
        *slice = IoSlice::new(bytes);
    }
    let count = batch.len().min(SLICES);
    let written = some(socket.try_write_vectored(&slices[..count])?)?;
    advance(batch, written);
    Ok(written)
}

/// A socket that takes nothing and reports no error will not take more later.
fn some(written: usize) -> io::Result<usize> {
    match written {
        0 => Err(io::ErrorKind::BrokenPipe.into()),
        written => Ok(written),
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
