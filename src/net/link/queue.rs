//! The bytes that wait for one link.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::writer::{Progress, Writer};
use crate::proto::{Class, CloseHow, Level, Outgoing};

/// Control data, and what the application was promised to be sent, may exceed the limit by this
/// factor. Senders are held to the limit itself before their data gets here; the factor is for what
/// encoding adds.
const SLACK: usize = 2;
/// A link that took bytes within this time goes on, if slowly.
const MOVING_WITHIN: Duration = Duration::from_secs(1);
/// A link that took no bytes for so long no longer holds senders back.
///
/// That is so where senders do not wait for receivers; elsewhere it takes as long as any slow receiver
/// has.
pub const STUCK_AFTER: Duration = Duration::from_millis(250);

/// A link's queue: bounded, with a policy for when it is full.
///
/// Control data goes first. The application's own data and forwarded data leave in the order in
/// which they came; they differ in what is dropped when there is no room: the oldest forwards.
#[derive(Debug)]
pub(in crate::net) struct Queue {
    inner: Mutex<Inner>,
    /// The socket, while it can be written to. Locked before `inner`.
    writer: Mutex<Option<Writer>>,
    /// Wakes the link's task.
    wake: Notify,
    limit: usize,
    /// How long a link may take no bytes and still hold senders back.
    patience: Duration,
}

#[derive(Debug)]
struct Inner {
    control: VecDeque<Outgoing>,
    own: VecDeque<(u64, Outgoing)>,
    forward: VecDeque<(u64, Outgoing)>,
    stamp: u64,
    bytes: usize,
    /// When bytes were last written, or first queued.
    progress: Instant,
    level: Level,
    closing: Option<CloseHow>,
}

/// What became of a push.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::net) enum Pushed {
    /// Queued.
    Queued,
    /// The queue's level changed.
    Level(Level),
    /// Queued, in the place of older forwards.
    Displaced,
    /// There was no room for it.
    Refused,
    /// Not even for control data is there room: the link is beyond hope.
    Hopeless,
}

/// What the writer shall do next.
#[derive(Debug)]
pub(in crate::net) enum Next {
    /// There is something to write.
    Write,
    /// There is nothing to write now.
    Wait,
    /// Everything is written and the link shall end thus.
    End(CloseHow),
}

impl Queue {
    pub(in crate::net) fn new(limit: usize, patience: Duration) -> Self {
        let inner = Inner {
            control: VecDeque::new(),
            own: VecDeque::new(),
            forward: VecDeque::new(),
            stamp: 0,
            bytes: 0,
            progress: Instant::now(),
            level: Level::Low,
            closing: None,
        };
        Self {
            inner: Mutex::new(inner),
            writer: Mutex::new(None),
            wake: Notify::new(),
            limit,
            patience,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues `data`; [`Self::flush`] is to follow.
    pub(in crate::net) fn push(&self, data: Outgoing) -> Pushed {
        let mut inner = self.lock();
        if inner.closing.is_some() {
            return Pushed::Queued;
        }
        if inner.bytes == 0 {
            inner.progress = Instant::now();
        }
        inner.push(data, self.limit)
    }

    /// Writes what is queued, on the caller's thread, as far as one system call gets; the link's task
    /// does the rest. Returns the new level when that changed it.
    pub(in crate::net) fn flush(&self) -> Option<Level> {
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // The task is at it, and may just have found the queue empty.
            Err(TryLockError::WouldBlock) => {
                self.wake.notify_one();
                return None;
            }
        };
        // Without one the link is not ready yet, and begins with what is queued when it is.
        let (progress, level) = writer.as_mut()?.write(self);
        if !matches!(progress, Progress::Idle) {
            self.wake.notify_one();
        }
        level
    }

    /// The link can be written to from now on.
    pub(in crate::net) fn open(&self, writer: Writer) {
        *self.writer() = Some(writer);
    }

    /// The link cannot be written to any more.
    pub(in crate::net) fn shut(&self) {
        *self.writer() = None;
    }

    /// Like [`Self::flush`], for the link's task, which is to know what came of it.
    pub(in crate::net) fn write(&self) -> (Progress, Option<Level>) {
        match &mut *self.writer() {
            Some(writer) => {
                writer.unblock();
                writer.write(self)
            }
            None => (Progress::Idle, None),
        }
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the queue: what it holds is still written, unless `how` says otherwise.
    pub(in crate::net) fn close(&self, how: CloseHow) {
        self.lock().closing = Some(how);
        self.wake.notify_one();
    }

    /// Moves what shall be written next into `batch`, up to `max` bytes and slices.
    pub(in crate::net) fn take(
        &self,
        batch: &mut VecDeque<Bytes>,
        max_bytes: usize,
        max_slices: usize,
    ) -> Next {
        let mut inner = self.lock();
        if inner.closing == Some(CloseHow::Abort) {
            return Next::End(CloseHow::Abort);
        }
        let mut bytes = 0;
        while bytes < max_bytes && batch.len() + 1 < max_slices {
            let Some(data) = inner.pop() else { break };
            bytes += data.len();
            batch.push_back(data.head);
            if !data.body.is_empty() {
                batch.push_back(data.body);
            }
        }
        match (batch.is_empty(), inner.closing) {
            (false, _) => Next::Write,
            (true, Some(how)) => Next::End(how),
            (true, None) => Next::Wait,
        }
    }

    /// Says that `bytes` were written; the new level when that changed it.
    pub(in crate::net) fn written(&self, bytes: usize) -> Option<Level> {
        let mut inner = self.lock();
        inner.bytes = inner.bytes.saturating_sub(bytes);
        inner.progress = Instant::now();
        if inner.level != Level::Low && inner.bytes < self.limit / 4 {
            inner.level = Level::Low;
            return Some(Level::Low);
        }
        None
    }

    /// Says that the other end takes bytes.
    pub(in crate::net) fn moves(&self) {
        self.lock().progress = Instant::now();
    }

    /// Waits until there may be something to do.
    pub(in crate::net) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Whether the link shall end at once.
    pub(in crate::net) fn is_aborted(&self) -> bool {
        self.lock().closing == Some(CloseHow::Abort)
    }

    /// Whether the link shall end without what has not been written yet, or has nothing to write.
    pub(in crate::net) fn is_ending(&self) -> bool {
        matches!(self.lock().closing, Some(CloseHow::Abort | CloseHow::Flush))
    }

    /// Whether the other end has taken bytes lately, if there are any to take.
    pub(in crate::net) fn is_moving(&self) -> bool {
        !self.is_stuck(self.patience)
    }

    /// Whether bytes wait and some were taken lately.
    pub(in crate::net) fn is_draining(&self) -> bool {
        let inner = self.lock();
        inner.bytes > 0 && inner.progress.elapsed() < MOVING_WITHIN
    }

    /// Whether bytes wait and none was taken for so long.
    pub(in crate::net) fn is_stuck(&self, after: Duration) -> bool {
        let inner = self.lock();
        inner.bytes > 0 && inner.progress.elapsed() >= after
    }

    /// How many bytes wait.
    pub(in crate::net) fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

impl Inner {
    fn push(&mut self, data: Outgoing, limit: usize) -> Pushed {
        let len = data.len();
        let mut dropped = false;
        match data.class {
            Class::Control if self.bytes + len > limit * SLACK => return Pushed::Hopeless,
            Class::Control => self.control.push_back(data),
            Class::Own | Class::Forward => {
                while self.bytes + len > limit {
                    let Some((_, oldest)) = self.forward.pop_front() else {
                        break;
                    };
                    self.bytes -= oldest.len();
                    dropped = true;
                }
                let most = if data.class == Class::Own {
                    limit * SLACK
                } else {
                    limit
                };
                // One message larger than that still gets through an empty queue.
                if self.bytes > 0 && self.bytes + len > most {
                    self.level = Level::Full;
                    return Pushed::Refused;
                }
                self.stamp += 1;
                let queue = if data.class == Class::Own {
                    &mut self.own
                } else {
                    &mut self.forward
                };
                queue.push_back((self.stamp, data));
            }
        }
        self.bytes += len;
        if dropped {
            self.level = Level::Full;
            return Pushed::Displaced;
        }
        if self.level != Level::Full && self.bytes > limit {
            self.level = Level::Full;
            return Pushed::Level(Level::Full);
        }
        if self.level == Level::Low && self.bytes > limit / 2 {
            self.level = Level::High;
            return Pushed::Level(Level::High);
        }
        Pushed::Queued
    }

    fn pop(&mut self) -> Option<Outgoing> {
        if let Some(data) = self.control.pop_front() {
            return Some(data);
        }
        let queue = match (self.own.front(), self.forward.front()) {
            (Some((own, _)), Some((forward, _))) if forward < own => &mut self.forward,
            (None, _) => &mut self.forward,
            _ => &mut self.own,
        };
        queue.pop_front().map(|(_, data)| data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(class: Class, text: &'static str) -> Outgoing {
        Outgoing {
            class,
            head: Bytes::from_static(text.as_bytes()),
            body: Bytes::new(),
        }
    }

    fn drain(queue: &Queue) -> Vec<String> {
        let mut batch = VecDeque::new();
        queue.take(&mut batch, usize::MAX, 100);
        let texts = batch
            .iter()
            .map(|b| String::from_utf8_lossy(b).into_owned())
            .collect();
        queue.written(batch.iter().map(Bytes::len).sum());
        texts
    }

    #[test]
    fn control_goes_first_and_the_rest_in_order() {
        let queue = Queue::new(100, STUCK_AFTER);
        for (class, text) in [
            (Class::Forward, "f1"),
            (Class::Own, "o1"),
            (Class::Control, "c"),
            (Class::Forward, "f2"),
        ] {
            assert_eq!(queue.push(data(class, text)), Pushed::Queued);
        }
        assert_eq!(drain(&queue), ["c", "f1", "o1", "f2"]);
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn a_full_queue_drops_the_oldest_forwards_and_keeps_what_is_ours() {
        let queue = Queue::new(8, STUCK_AFTER);
        assert_eq!(queue.push(data(Class::Forward, "f1")), Pushed::Queued);
        assert_eq!(queue.push(data(Class::Own, "o1")), Pushed::Queued);
        assert_eq!(
            queue.push(data(Class::Forward, "f2")),
            Pushed::Level(Level::High)
        );
        assert_eq!(queue.push(data(Class::Own, "o2")), Pushed::Queued);
        assert_eq!(queue.push(data(Class::Own, "o3")), Pushed::Displaced);
        assert_eq!(queue.push(data(Class::Own, "o4")), Pushed::Displaced);
        assert_eq!(
            queue.push(data(Class::Forward, "f3")),
            Pushed::Refused,
            "all of it is ours"
        );
        assert_eq!(
            queue.push(data(Class::Own, "o5o5o5o5")),
            Pushed::Queued,
            "within the slack"
        );
        assert_eq!(queue.push(data(Class::Own, "o6")), Pushed::Refused);
        assert_eq!(drain(&queue), ["o1", "o2", "o3", "o4", "o5o5o5o5"]);
    }

    #[test]
    fn the_level_falls_when_a_quarter_is_left() {
        let queue = Queue::new(8, STUCK_AFTER);
        queue.push(data(Class::Own, "12345"));
        assert_eq!(queue.written(3), None);
        assert_eq!(queue.written(1), Some(Level::Low));
        assert_eq!(queue.written(1), None);
    }

    #[test]
    fn control_data_is_bounded_too() {
        let queue = Queue::new(2, STUCK_AFTER);
        assert_eq!(
            queue.push(data(Class::Control, "1234")),
            Pushed::Level(Level::Full)
        );
        assert_eq!(queue.push(data(Class::Control, "5")), Pushed::Hopeless);
    }

    #[test]
    fn a_message_beyond_the_limit_passes_an_empty_queue() {
        let queue = Queue::new(2, STUCK_AFTER);
        assert_eq!(
            queue.push(data(Class::Own, "12345")),
            Pushed::Level(Level::Full)
        );
        assert_eq!(drain(&queue), ["12345"]);
    }

    #[test]
    fn a_flushing_close_writes_what_is_left_first() {
        let queue = Queue::new(100, STUCK_AFTER);
        queue.push(data(Class::Own, "bye"));
        queue.close(CloseHow::Flush);
        let mut batch = VecDeque::new();
        assert!(matches!(queue.take(&mut batch, 100, 100), Next::Write));
        batch.clear();
        assert!(matches!(
            queue.take(&mut batch, 100, 100),
            Next::End(CloseHow::Flush)
        ));
    }
}
