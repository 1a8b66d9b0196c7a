//! Waits for a node's sockets, on behalf of two threads.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep;
use tracing::dispatcher::{Dispatch, with_default};

use super::socket::{Socket, wait_for};
use crate::net::lock::lock;
use crate::net::wait::visit::{Visit, Visited};
use crate::proto::LinkId;

/// How long the network's thread leaves readable sockets to JavaScript's thread. It delays a node's
/// forwards once while JavaScript is busy. A thread that wakes this rarely costs nothing.
const NAP: Duration = Duration::from_millis(4);
/// How many links are visited per call to epoll.
const BATCH: usize = 64;

/// The events of a link's socket; each is reported once.
const FLAGS: EventFlags = EventFlags::IN
    .union(EventFlags::RDHUP)
    .union(EventFlags::ET);

fn data_of(link: LinkId) -> EventData {
    EventData::new_u64(u64::from(link.0))
}

/// The outcome of visiting the readable links.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    /// No socket was readable.
    Nothing,
    /// Something was read.
    Some,
    /// Something was read, and there may be more.
    More,
}

/// The sockets of a node's links.
#[derive(Debug)]
pub struct Watch {
    epoll: OwnedFd,
    entries: Mutex<HashMap<LinkId, Arc<Entry>>>,
    /// JavaScript's thread waits for `epoll`, or is about to.
    is_attended: AtomicBool,
    /// How many times JavaScript's thread has visited the links.
    visits: AtomicU64,
    /// Wakes the network's thread, because JavaScript's will not visit soon.
    resigned: Notify,
    /// The log of JavaScript's thread.
    log: Dispatch,
}

#[derive(Debug)]
struct Entry {
    link: Arc<dyn Visit>,
    socket: Arc<Socket>,
    /// Wakes the link's task.
    wake: Notify,
}

impl Watch {
    pub(in crate::net) fn new(log: Dispatch) -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            entries: Mutex::default(),
            is_attended: AtomicBool::new(false),
            visits: AtomicU64::new(0),
            resigned: Notify::new(),
            log,
        })
    }

    /// Has `link` visited when its socket is readable, until the guard is dropped.
    ///
    /// Thread: the network's, in the link's task. Locks held: none.
    pub(in crate::net) fn add(
        self: &Arc<Self>,
        id: LinkId,
        link: Arc<dyn Visit>,
        socket: Arc<Socket>,
    ) -> io::Result<Watched> {
        let wake = Notify::new();
        let entry = Arc::new(Entry { link, socket, wake });
        lock(&self.entries).insert(id, entry.clone());
        let watch = self.clone();
        let watched = Watched { watch, id, entry };
        epoll::add(&self.epoll, &watched.entry.socket, data_of(id), FLAGS)?;
        Ok(watched)
    }

    /// Sets whether JavaScript's thread waits for [`Self::as_fd`] and then calls [`Self::visit`].
    ///
    /// Thread: any. Locks held: none.
    pub fn attend(&self, is_attended: bool) {
        self.is_attended.store(is_attended, SeqCst);
    }

    /// JavaScript's thread no longer waits, and will not visit soon.
    ///
    /// Thread: JavaScript's. Locks held: none.
    pub fn resign(&self) {
        self.attend(false);
        self.resigned.notify_one();
    }

    /// Reads the readable links; returns whether anything was read.
    ///
    /// Thread: JavaScript's. Locks held: none.
    pub fn visit(&self) -> bool {
        self.attend(false);
        self.visits.fetch_add(1, SeqCst);
        with_default(&self.log, || self.look()) != Found::Nothing
    }

    /// Reads whatever JavaScript's thread leaves.
    ///
    /// Thread: the network's, in a task of its own. Locks held: none.
    pub(in crate::net) async fn run(self: Arc<Self>) {
        if let Err(error) = self.stand_in().await {
            tracing::error!(fatal = true, %error, "cannot wait for the sockets");
        }
    }

    async fn stand_in(self: &Arc<Self>) -> io::Result<()> {
        loop {
            let epoll = wait_for(Descriptor(self.clone()), Interest::READABLE)?;
            loop {
                let mut ready = epoll.readable().await?;
                if self.is_attended.load(SeqCst) {
                    break;
                }
                ready.clear_ready();
                while let Found::More = self.look() {
                    yield_now().await;
                }
            }
            // While JavaScript's thread reads, this one must not wake: a sender would pay for both.
            drop(epoll);
            self.oversee().await;
        }
    }

    /// Waits until JavaScript's thread has resigned, or leaves sockets unread.
    async fn oversee(&self) {
        loop {
            let visits = self.visits.load(SeqCst);
            tokio::select! {
                () = sleep(NAP) => {}
                // JavaScript's thread may be waiting again.
                () = self.resigned.notified() => match self.is_attended.load(SeqCst) {
                    true => continue,
                    false => return,
                },
            }
            if self.visits.load(SeqCst) == visits {
                if self.has_something() {
                    self.attend(false);
                }
                return;
            }
        }
    }

    /// Visits a bounded number of readable links.
    fn look(&self) -> Found {
        let mut events = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        let ready = epoll::wait(&self.epoll, &mut events, Some(&Timespec::default()));
        let Ok((events, _)) = ready else {
            // It fails only when interrupted. The next call gets the events.
            return Found::More;
        };
        let mut found = match events.len() {
            0 => Found::Nothing,
            BATCH => Found::More,
            _ => Found::Some,
        };
        for &Event { data, flags } in &*events {
            let id = LinkId(data.u64() as u32);
            let Some(entry) = lock(&self.entries).get(&id).cloned() else {
                continue;
            };
            let is_last = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            match entry.link.visit(is_last) {
                Visited::Done => {}
                Visited::ForTask => entry.wake.notify_one(),
                // Requests a new event, so that other links, or JavaScript's thread, come first.
                Visited::More => {
                    match epoll::modify(&self.epoll, &entry.socket, data_of(id), FLAGS) {
                        Ok(()) => found = Found::More,
                        // The link is no longer watched.
                        Err(error) => tracing::debug!(link = %id, %error, "cannot read on"),
                    }
                }
            }
        }
        found
    }

    fn has_something(&self) -> bool {
        let mut epoll = [PollFd::new(&self.epoll, PollFlags::IN)];
        poll(&mut epoll, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The epoll instance, for Tokio to wait for.
struct Descriptor(Arc<Watch>);

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.epoll.as_raw_fd()
    }
}

/// A link that is watched until this is dropped.
#[derive(Debug)]
pub(in crate::net) struct Watched {
    watch: Arc<Watch>,
    id: LinkId,
    entry: Arc<Entry>,
}

impl Watched {
    /// Waits until the link's task must read.
    pub(in crate::net) async fn needs_task(&self) {
        self.entry.wake.notified().await;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.watch.entries).remove(&self.id);
        // Adding the socket may have failed.
        epoll::delete(&self.watch.epoll, &self.entry.socket).ok();
    }
}
