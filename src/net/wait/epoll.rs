//! Who reads: the application's thread while it has nothing else to do, the core's otherwise.
//!
//! Waking a thread costs more than all that a message needs done. Were it always the core's thread that
//! reads, each message for an idle application would cost two wake-ups, one after the other. So the
//! sockets of a node's links are in an epoll instance of their own, which both threads can wait for:
//! whichever looks at it first reads. As long as the application is known to wait too, the core's thread
//! only sees to it that something is done soon ([`NAP`]); if nothing is, the application is busy with
//! something else, and the core's thread reads until the application says that it waits again.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::task::yield_now;
use tokio::time::sleep;
use tracing::dispatcher::{Dispatch, with_default};

use crate::net::link::inlet::Inlet;
use crate::net::link::socket::wait_for;
use crate::proto::LinkId;

/// How long something may be there to be read before it is looked whether the application's thread has.
/// It delays what a node passes on while its application is busy, once; and a thread that has to wake up
/// that often costs nearly nothing.
const NAP: Duration = Duration::from_millis(4);
/// How many links are looked at before the readiness of all is asked for again.
const BATCH: usize = 64;

/// What a link is watched for; each is said once.
const FLAGS: EventFlags = EventFlags::IN
    .union(EventFlags::RDHUP)
    .union(EventFlags::ET);

fn data_of(link: LinkId) -> EventData {
    EventData::new_u64(u64::from(link.0))
}

/// What came of a look at all links.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    /// There was nothing to read.
    Nothing,
    /// Something was read.
    Some,
    /// The same, and there may be more.
    More,
}

/// The sockets of a node's links.
#[derive(Debug)]
pub struct Watch {
    epoll: OwnedFd,
    links: Mutex<HashMap<LinkId, Arc<Inlet>>>,
    /// The application's thread waits, or will at once.
    is_attended: AtomicBool,
    /// How often it has looked.
    visits: AtomicU64,
    /// Receives what is logged on its thread.
    log: Dispatch,
}

impl Watch {
    pub(in crate::net) fn new(log: Dispatch) -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            links: Mutex::default(),
            is_attended: AtomicBool::new(false),
            visits: AtomicU64::new(0),
            log,
        })
    }

    /// Has `inlet` visited when there is something to read, until the guard is dropped.
    pub(in crate::net) fn add(
        self: &Arc<Self>,
        link: LinkId,
        inlet: Arc<Inlet>,
    ) -> io::Result<Watched> {
        self.links().insert(link, inlet.clone());
        let watched = Watched {
            watch: self.clone(),
            link,
            inlet: inlet.clone(),
        };
        epoll::add(&self.epoll, inlet.socket(), data_of(link), FLAGS)?;
        Ok(watched)
    }

    /// Says that the application's thread waits for [`Self::as_fd`], and will [`Self::visit`] when
    /// that can be read; or that it does not.
    pub fn attend(&self, is_attended: bool) {
        self.is_attended.store(is_attended, SeqCst);
    }

    /// Reads, on the application's thread, what is there; returns whether anything was.
    pub fn visit(&self) -> bool {
        self.attend(false);
        self.visits.fetch_add(1, SeqCst);
        with_default(&self.log, || self.look()) != Found::Nothing
    }

    /// Reads on the core's thread what the application's does not.
    pub(in crate::net) async fn run(self: Arc<Self>) {
        if let Err(error) = self.stand_in().await {
            tracing::error!(fatal = true, %error, "cannot wait for what comes");
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
            // From here on this thread is not woken by what the other deals with: whoever writes to us
            // would have to wake both.
            drop(epoll);
            self.oversee().await;
        }
    }

    /// Waits until the application's thread has nothing to read, or does not read it.
    async fn oversee(&self) {
        loop {
            let visits = self.visits.load(SeqCst);
            sleep(NAP).await;
            if self.visits.load(SeqCst) == visits {
                if self.has_something() {
                    self.attend(false);
                }
                return;
            }
        }
    }

    /// Visits the links that have something to read, a bounded number of them.
    fn look(&self) -> Found {
        let mut events = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        let ready = epoll::wait(&self.epoll, &mut events, Some(&Timespec::default()));
        let Ok((events, _)) = ready else {
            // It fails only when interrupted: then there is another look.
            return Found::More;
        };
        let mut found = match events.len() {
            0 => Found::Nothing,
            BATCH => Found::More,
            _ => Found::Some,
        };
        for &Event { data, flags } in &*events {
            let link = LinkId(data.u64() as u32);
            let Some(inlet) = self.links().get(&link).cloned() else {
                continue;
            };
            let is_last = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            if inlet.visit(is_last) {
                // Announced again, if so: it is another link's turn, or JavaScript's.
                match epoll::modify(&self.epoll, inlet.socket(), data_of(link), FLAGS) {
                    Ok(()) => found = Found::More,
                    // It is no longer watched.
                    Err(error) => tracing::debug!(%link, %error, "cannot read on"),
                }
            }
        }
        found
    }

    fn has_something(&self) -> bool {
        let mut epoll = [PollFd::new(&self.epoll, PollFlags::IN)];
        poll(&mut epoll, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<LinkId, Arc<Inlet>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// What the runtime waits for.
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

/// A link that is watched.
#[derive(Debug)]
pub(in crate::net) struct Watched {
    watch: Arc<Watch>,
    link: LinkId,
    inlet: Arc<Inlet>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.links().remove(&self.link);
        // It may never have been added.
        epoll::delete(&self.watch.epoll, self.inlet.socket()).ok();
    }
}
