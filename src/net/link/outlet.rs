//! The writing side of a link: its queue and its writer, with their locks and wake-ups. It mirrors
//! [`Inlet`](super::inlet::Inlet).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::queue::{Pushed, Queue};
use super::writer::{Progress, Writer};
use crate::net::lock::{lock, try_lock};
use crate::proto::{CloseHow, Level, Outgoing};

/// Without waiting for receivers, a link that took no bytes for this long no longer holds senders
/// back. Otherwise, the timeout of slow receivers applies.
pub const STUCK_AFTER: Duration = Duration::from_millis(250);

/// A link's queue, and the right to write from it to the socket. Any thread that has queued data
/// may write; the link's task writes the rest.
#[derive(Debug)]
pub(in crate::net) struct Outlet {
    queue: Mutex<Queue>,
    /// The socket's writing end, while there is one. Locked before `queue`.
    writer: Mutex<Option<Writer>>,
    /// Wakes the link's task.
    wake: Notify,
    /// How long a link that takes no bytes still holds senders back.
    patience: Duration,
    /// Everything is written, and the other end is still taking it from the system.
    is_lingering: AtomicBool,
}

/// Thread: any. Locks held: at most the core's; each takes `queue` for a few instructions.
impl Outlet {
    pub(in crate::net) fn new(limit: usize, patience: Duration) -> Self {
        Self {
            queue: Mutex::new(Queue::new(limit)),
            writer: Mutex::new(None),
            wake: Notify::new(),
            patience,
            is_lingering: AtomicBool::new(false),
        }
    }

    /// Queues `data`; [`Self::flush`] must follow.
    pub(in crate::net) fn push(&self, data: Outgoing) -> Pushed {
        lock(&self.queue).push(data)
    }

    /// Ends the link. Queued data is still written, unless `how` says otherwise.
    pub(in crate::net) fn close(&self, how: CloseHow) {
        lock(&self.queue).close(how);
        self.wake.notify_one();
    }

    /// Whether the link must end at once.
    pub(in crate::net) fn is_aborted(&self) -> bool {
        lock(&self.queue).is_aborted()
    }

    /// Whether the link ends without waiting for the other side.
    pub(in crate::net) fn is_ending(&self) -> bool {
        lock(&self.queue).is_ending()
    }

    /// Whether the other end has taken bytes lately, or none wait.
    pub(in crate::net) fn is_moving(&self) -> bool {
        !self.is_stuck(self.patience)
    }

    /// Whether bytes wait and the other end has taken some lately.
    pub(in crate::net) fn is_draining(&self) -> bool {
        lock(&self.queue).is_draining()
    }

    /// Whether bytes wait and none was taken for the time `after`.
    pub(in crate::net) fn is_stuck(&self, after: Duration) -> bool {
        lock(&self.queue).is_stuck(after)
    }

    /// The number of bytes that were written in all.
    pub(super) fn all_written(&self) -> u64 {
        lock(&self.queue).all_written()
    }

    /// Notes whether the other end is still taking what was written.
    pub(super) fn set_lingering(&self, is_lingering: bool) {
        self.is_lingering.store(is_lingering, Ordering::Relaxed);
    }

    /// Whether the link has ended here, and the other end is still taking what was written.
    pub(in crate::net) fn is_lingering(&self) -> bool {
        self.is_lingering.load(Ordering::Relaxed)
    }

    /// The number of waiting bytes.
    pub(in crate::net) fn bytes(&self) -> usize {
        lock(&self.queue).bytes()
    }
}

impl Outlet {
    /// Writes queued data with a few system calls, and leaves the rest to the link's task. Returns
    /// the queue's level if this changed it.
    ///
    /// Thread: the one that queued. Locks held: the core's.
    pub(in crate::net) fn flush(&self) -> Option<Level> {
        let Some(mut writer) = try_lock(&self.writer) else {
            // The task is writing, and may have found the queue empty just before this data.
            self.wake.notify_one();
            return None;
        };
        // Without a writer the link is not ready yet. Its task will write the queued data.
        let (progress, level) = writer.as_mut()?.write(&self.queue);
        if !matches!(progress, Progress::Idle) {
            self.wake.notify_one();
        }
        level
    }

    /// Like [`Self::flush`], and also returns the progress to the task.
    ///
    /// Thread: the network's, in the link's task. Locks held: none.
    pub(super) fn write(&self) -> (Progress, Option<Level>) {
        match &mut *lock(&self.writer) {
            Some(writer) => {
                writer.unblock();
                writer.write(&self.queue)
            }
            None => (Progress::Idle, None),
        }
    }

    /// Allows writing until the guard is dropped.
    pub(super) fn open(&self, writer: Writer) -> Opened<'_> {
        *lock(&self.writer) = Some(writer);
        Opened(self)
    }

    /// Waits until there may be data to write, or the link must end.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }
}

/// Drops the socket when the link's task ends, because others still hold the outlet.
pub(super) struct Opened<'a>(&'a Outlet);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        *lock(&self.0.writer) = None;
    }
}
