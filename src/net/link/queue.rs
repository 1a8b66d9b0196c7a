//! The bounded queue of a link: a plain structure, which [`Outlet`](super::outlet::Outlet) locks.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::proto::{Class, CloseHow, Level, Outgoing};

/// Control data and the application's own data may exceed the limit by this factor. Gates keep
/// senders to the limit itself; the factor leaves room for encoding.
const SLACK: usize = 2;
/// A link that took bytes within this time counts as moving, if slowly.
const MOVING_WITHIN: Duration = Duration::from_secs(1);

/// The bytes that wait for one link, with a policy for overload.
///
/// Control data leaves first. The application's own data and forwards leave in order of arrival. A
/// full queue drops the oldest forwards.
#[derive(Debug)]
pub(super) struct Queue {
    limit: usize,
    control: VecDeque<Outgoing>,
    own: VecDeque<(u64, Outgoing)>,
    forward: VecDeque<(u64, Outgoing)>,
    /// The number of the last push, which orders `own` and `forward`.
    stamp: u64,
    /// Waiting bytes, including those taken and not yet written.
    bytes: usize,
    /// When bytes were last written, or first queued.
    progress: Instant,
    level: Level,
    closing: Option<CloseHow>,
    /// All bytes that were written.
    written: u64,
}

/// The outcome of a push.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::net) enum Pushed {
    /// Queued.
    Queued,
    /// Queued, and the queue's level changed.
    Level(Level),
    /// Queued in place of older forwards.
    Displaced,
    /// Dropped: the queue is full.
    Refused,
    /// Dropped, and the link must end: not even control data fits.
    Hopeless,
}

/// What the writer does next.
#[derive(Debug)]
pub(super) enum Next {
    /// Write the batch.
    Write,
    /// Wait: nothing is queued.
    Wait,
    /// End the link: everything is written.
    End(CloseHow),
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            control: VecDeque::new(),
            own: VecDeque::new(),
            forward: VecDeque::new(),
            stamp: 0,
            bytes: 0,
            progress: Instant::now(),
            level: Level::Low,
            closing: None,
            written: 0,
        }
    }

    pub(super) fn push(&mut self, data: Outgoing) -> Pushed {
        if self.closing.is_some() {
            return Pushed::Queued;
        }
        if self.bytes == 0 {
            self.progress = Instant::now();
        }
        match data.class {
            Class::Control => self.push_control(data),
            Class::Own => self.push_ordered(data, self.limit * SLACK),
            Class::Forward => self.push_ordered(data, self.limit),
        }
    }

    fn push_control(&mut self, data: Outgoing) -> Pushed {
        if self.bytes + data.len() > self.limit * SLACK {
            return Pushed::Hopeless;
        }
        self.bytes += data.len();
        self.control.push_back(data);
        self.raise_level()
    }

    fn push_ordered(&mut self, data: Outgoing, most: usize) -> Pushed {
        let len = data.len();
        let has_dropped = self.drop_forwards(len);
        // A message larger than the limit may still pass through an empty queue.
        if self.bytes > 0 && self.bytes + len > most {
            self.level = Level::Full;
            return Pushed::Refused;
        }
        self.stamp += 1;
        let queue = match data.class {
            Class::Own => &mut self.own,
            Class::Control | Class::Forward => &mut self.forward,
        };
        queue.push_back((self.stamp, data));
        self.bytes += len;
        if has_dropped {
            self.level = Level::Full;
            return Pushed::Displaced;
        }
        self.raise_level()
    }

    /// Drops the oldest forwards until `len` more bytes fit; returns whether it dropped any.
    fn drop_forwards(&mut self, len: usize) -> bool {
        let mut has_dropped = false;
        while self.bytes + len > self.limit
            && let Some((_, oldest)) = self.forward.pop_front()
        {
            self.bytes -= oldest.len();
            has_dropped = true;
        }
        has_dropped
    }

    fn raise_level(&mut self) -> Pushed {
        let level = match self.bytes {
            bytes if bytes > self.limit => Level::Full,
            bytes if bytes > self.limit / 2 => Level::High,
            _ => Level::Low,
        };
        if level <= self.level {
            return Pushed::Queued;
        }
        self.level = level;
        Pushed::Level(level)
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

    /// Moves the next data to write into `batch`, up to `max_bytes` and `max_slices`.
    pub(super) fn take(
        &mut self,
        batch: &mut VecDeque<Bytes>,
        max_bytes: usize,
        max_slices: usize,
    ) -> Next {
        if self.is_aborted() {
            return Next::End(CloseHow::Abort);
        }
        let mut bytes = 0;
        while bytes < max_bytes && batch.len() + 1 < max_slices {
            let Some(data) = self.pop() else { break };
            bytes += data.len();
            batch.push_back(data.head);
            if !data.body.is_empty() {
                batch.push_back(data.body);
            }
        }
        match (batch.is_empty(), self.closing) {
            (false, _) => Next::Write,
            (true, Some(how)) => Next::End(how),
            (true, None) => Next::Wait,
        }
    }

    /// Notes that `bytes` were written. Returns the new level if this changed it.
    pub(super) fn written(&mut self, bytes: usize) -> Option<Level> {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.written += bytes as u64;
        self.progress = Instant::now();
        if self.level != Level::Low && self.bytes < self.limit / 4 {
            self.level = Level::Low;
            return Some(Level::Low);
        }
        None
    }

    /// Notes that the other end takes bytes.
    pub(super) fn moves(&mut self) {
        self.progress = Instant::now();
    }

    /// Refuses new data. Queued data is still written, unless `how` says otherwise.
    pub(super) fn close(&mut self, how: CloseHow) {
        self.closing = Some(how);
    }

    /// Whether the link must end at once.
    pub(super) fn is_aborted(&self) -> bool {
        self.closing == Some(CloseHow::Abort)
    }

    /// Whether the link ends without waiting for the other side.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.closing, Some(CloseHow::Abort | CloseHow::Flush))
    }

    /// Whether bytes wait and the other end has taken some lately.
    pub(super) fn is_draining(&self) -> bool {
        self.bytes > 0 && self.progress.elapsed() < MOVING_WITHIN
    }

    /// Whether bytes wait and none was taken for the time `after`.
    pub(super) fn is_stuck(&self, after: Duration) -> bool {
        self.bytes > 0 && self.progress.elapsed() >= after
    }

    /// The number of waiting bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of bytes that were written in all.
    pub(super) fn all_written(&self) -> u64 {
        self.written
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

    fn drain(queue: &mut Queue) -> Vec<String> {
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
        let mut queue = Queue::new(100);
        for (class, text) in [
            (Class::Forward, "f1"),
            (Class::Own, "o1"),
            (Class::Control, "c"),
            (Class::Forward, "f2"),
        ] {
            assert_eq!(queue.push(data(class, text)), Pushed::Queued);
        }
        assert_eq!(drain(&mut queue), ["c", "f1", "o1", "f2"]);
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn a_full_queue_drops_the_oldest_forwards_and_keeps_own_data() {
        let mut queue = Queue::new(8);
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
        assert_eq!(drain(&mut queue), ["o1", "o2", "o3", "o4", "o5o5o5o5"]);
    }

    #[test]
    fn the_level_falls_when_a_quarter_is_left() {
        let mut queue = Queue::new(8);
        queue.push(data(Class::Own, "12345"));
        assert_eq!(queue.written(3), None);
        assert_eq!(queue.written(1), Some(Level::Low));
        assert_eq!(queue.written(1), None);
    }

    #[test]
    fn control_data_is_bounded_too() {
        let mut queue = Queue::new(2);
        assert_eq!(
            queue.push(data(Class::Control, "1234")),
            Pushed::Level(Level::Full)
        );
        assert_eq!(queue.push(data(Class::Control, "5")), Pushed::Hopeless);
    }

    #[test]
    fn a_message_larger_than_the_limit_passes_an_empty_queue() {
        let mut queue = Queue::new(2);
        assert_eq!(
            queue.push(data(Class::Own, "12345")),
            Pushed::Level(Level::Full)
        );
        assert_eq!(drain(&mut queue), ["12345"]);
    }

    #[test]
    fn a_flushing_close_writes_the_rest_first() {
        let mut queue = Queue::new(100);
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
