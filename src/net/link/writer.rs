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

/// The most bytes, and slices, that one system call gets.
const WRITE: usize = 256 << 10;
const SLICES: usize = 128;
/// The most bytes that are encrypted at once: the core may be locked meanwhile.
const SEAL: usize = 64 << 10;
/// Steps in one go: encrypt a batch, write it, see that nothing is left. More would let a peer that
/// reads as fast as we write keep the thread to itself.
const STEPS: usize = 3;

/// A socket, and the bytes that left the queue for it and are not written yet.
#[derive(Debug)]
pub(super) struct Writer {
    socket: Arc<Socket>,
    batch: VecDeque<Bytes>,
    sealed: Option<Sealed>,
    /// The socket took no more. The link's task waits until it does.
    is_blocked: bool,
    /// Why nothing more can be written. The system reports an error only once.
    failed: Option<&'static str>,
}

/// The encrypted batch of an encrypted link.
#[derive(Debug)]
struct Sealed {
    sealer: Sealer,
    /// How many of the encrypted bytes are written.
    written: usize,
    /// How many bytes the batch had before.
    weight: usize,
}

/// How far writing got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// Everything is written.
    Idle,
    /// There may be more to write.
    More,
    /// There is more to write, and the socket takes none now.
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

    /// The socket may take more.
    pub(super) fn unblock(&mut self) {
        self.is_blocked = false;
    }

    /// Writes from `queue` as far as it gets in a few steps; also returns the queue's new level if
    /// that changed it.
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

/// Writes as much of `batch` as one system call takes; returns how much that was.
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

/// A socket that takes nothing and gives no reason will not take more later.
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
