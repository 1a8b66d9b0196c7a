//! A link's reader and the right to use it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(target_os = "linux")]
use tokio::sync::Notify;

use super::buffer::READ;
use super::reader::{Reader, Step};
use super::socket::Socket;
use crate::net::api::{Congestion, Sink};

/// A link's reader and the right to use it. Either thread that sees the socket become readable may
/// read once; whatever cannot be settled by that is for the link's task.
pub(in crate::net) struct Inlet {
    state: Mutex<State>,
    /// Wakes the link's task.
    #[cfg(target_os = "linux")]
    wake: Notify,
    socket: Arc<Socket>,
    sink: Arc<dyn Sink>,
}

struct State {
    reader: Reader,
    /// Left over by a visit.
    left: Option<Step>,
    /// The link's task is to read, or is at it.
    is_taken: bool,
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet").finish_non_exhaustive()
    }
}

impl Inlet {
    pub(in crate::net) fn new(reader: Reader, sink: Arc<dyn Sink>) -> Self {
        let socket = reader.socket.clone();
        let state = State {
            reader,
            left: None,
            is_taken: false,
        };
        Self {
            state: Mutex::new(state),
            #[cfg(target_os = "linux")]
            wake: Notify::new(),
            socket,
            sink,
        }
    }

    #[cfg(target_os = "linux")]
    pub(in crate::net) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Reads once, on the caller's thread; returns whether there may be more for it. `is_last`: the other
    /// side has closed, so that nothing will announce what is left then.
    #[cfg(target_os = "linux")]
    pub(in crate::net) fn visit(&self, is_last: bool) -> bool {
        use std::sync::TryLockError;
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Whoever is at it may have looked before this came.
            Err(TryLockError::WouldBlock) => {
                self.wake.notify_one();
                return false;
            }
        };
        if state.is_taken {
            return false;
        }
        if !self.is_congested(&state.reader) {
            match state.reader.step() {
                Step::Idle if !is_last => return false,
                // Less than there was room for: the socket is empty, and what comes next will be announced.
                Step::Read(count) if !is_last => return count == READ,
                Step::Idle | Step::Read(_) => {}
                left => state.left = Some(left),
            }
        }
        state.is_taken = true;
        self.wake.notify_one();
        false
    }

    /// Waits until it is the link's task that shall read.
    pub(in crate::net) async fn is_task_needed(&self) {
        #[cfg(target_os = "linux")]
        self.wake.notified().await;
        // That it failed, the next read will tell.
        #[cfg(not(target_os = "linux"))]
        self.socket.readable().await.ok();
    }

    /// Whether the link's task shall wait before it reads: what comes is taken more slowly than it
    /// comes, and the sender does not know.
    pub(in crate::net) fn shall_rest(&self) -> bool {
        self.is_congested(&self.lock().reader)
    }

    fn is_congested(&self, reader: &Reader) -> bool {
        match self.sink.congestion() {
            Congestion::None => false,
            Congestion::Light => !reader.has_windows,
            Congestion::Heavy => true,
        }
    }

    /// Reads once, for the link's task; which is to go on until nothing is there.
    pub(in crate::net) fn step(&self) -> Step {
        let mut state = self.lock();
        state.is_taken = true;
        if let Some(left) = state.left.take() {
            return left;
        }
        let step = state.reader.step();
        state.is_taken = step != Step::Idle;
        step
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
