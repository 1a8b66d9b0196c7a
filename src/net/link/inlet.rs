//! The reading side of a link: its reader, with its lock. It mirrors
//! [`Outlet`](super::outlet::Outlet).

use std::fmt;
use std::sync::{Arc, Mutex};

use super::reader::{Reader, Step};
use crate::net::api::{Congestion, Sink};
use crate::net::lock::{lock, try_lock};
use crate::net::wait::{Visit, Visited};

/// A link's reader, and the right to use it. Any thread that finds the socket readable may read
/// once. Pauses and the end of the link are left to the link's task.
pub(super) struct Inlet {
    turn: Mutex<Turn>,
    sink: Arc<dyn Sink>,
}

struct Turn {
    reader: Reader,
    /// The step that a visit has left to the link's task.
    left: Option<Step>,
    /// The link's task reads, or is about to.
    is_taken: bool,
    /// How many reads brought something.
    reads: u64,
}

impl Turn {
    fn read(&mut self) -> Step {
        let step = self.reader.step();
        self.reads += u64::from(step != Step::Idle);
        step
    }
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet").finish_non_exhaustive()
    }
}

impl Inlet {
    pub(super) fn new(reader: Reader, sink: Arc<dyn Sink>) -> Self {
        let turn = Turn {
            reader,
            left: None,
            is_taken: false,
            reads: 0,
        };
        Self {
            turn: Mutex::new(turn),
            sink,
        }
    }

    /// Whether the link's task must pause: messages arrive faster than the application consumes
    /// them, and the sender does not wait.
    ///
    /// Thread: the network's, in the link's task. Locks held: none.
    pub(super) fn shall_rest(&self) -> bool {
        self.is_congested(&lock(&self.turn).reader)
    }

    /// Reads once. The task must repeat this until nothing is left.
    ///
    /// Thread: the network's, in the link's task. Locks held: none.
    pub(super) fn step(&self) -> Step {
        let mut turn = lock(&self.turn);
        turn.is_taken = true;
        if let Some(left) = turn.left.take() {
            return left;
        }
        let step = turn.read();
        turn.is_taken = step != Step::Idle;
        step
    }

    /// How many reads have brought something so far.
    ///
    /// Thread: any. Locks held: none.
    pub(super) fn reads(&self) -> u64 {
        lock(&self.turn).reads
    }

    fn is_congested(&self, reader: &Reader) -> bool {
        match self.sink.congestion() {
            Congestion::None => false,
            Congestion::Light => !reader.has_windows(),
            Congestion::Heavy => true,
        }
    }
}

impl Visit for Inlet {
    fn visit(&self, is_last: bool) -> Visited {
        let Some(mut turn) = try_lock(&self.turn) else {
            // The reading thread may have checked the socket before these bytes arrived.
            return Visited::ForTask;
        };
        if turn.is_taken {
            return Visited::Done;
        }
        if !self.is_congested(&turn.reader) {
            match turn.read() {
                Step::Idle if !is_last => return Visited::Done,
                Step::Read { is_full: true } if !is_last => return Visited::More,
                // The read was not full, so the socket is empty, and epoll announces the next
                // bytes.
                Step::Read { .. } if !is_last => return Visited::Done,
                Step::Idle | Step::Read { .. } => {}
                left => turn.left = Some(left),
            }
        }
        turn.is_taken = true;
        Visited::ForTask
    }
}
