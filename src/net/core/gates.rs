//! The fill levels of a node's ways out. Senders read them without the core's lock.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::net::api::{Room, Stats};
use crate::net::link::outlet::Outlet;
use crate::net::lock::lock;
use crate::proto::members::FIRST_HANDLE;
use crate::proto::{Level, LinkId};

/// Senders must wait above this many bytes on their way to the driver.
const CROSSING_HIGH: usize = 2 << 20;

/// The fill level of one way out of the node: to one peer, or to all.
///
/// Thread: any. Locks held: the holder of the core's lock writes; senders read without a lock.
#[derive(Debug, Default)]
pub(in crate::net) struct Gate {
    /// The queue of the link, unless the way leads to all peers.
    outlet: Option<Arc<Outlet>>,
    /// A [`Level`], as its number.
    level: AtomicU8,
    /// Bytes sent and not consumed.
    outstanding: AtomicUsize,
    /// Outstanding bytes above which senders must wait.
    window: AtomicUsize,
    /// Set above the window, and cleared at half of it.
    is_behind: AtomicBool,
    /// Whether a sender waits for a drain event.
    waiting: AtomicBool,
    /// The peer's message limit, if its handshake gave one.
    pub(in crate::net) max_message: Option<usize>,
}

/// The ways to members. Most are never used, so a gate is made at the first message.
#[derive(Debug, Default)]
struct Members {
    all: HashSet<LinkId>,
    gates: HashMap<LinkId, Arc<Gate>>,
    /// Members whose senders wait for a drain event.
    waiting: HashSet<LinkId>,
}

/// State that the handle shares with the core and the driver.
///
/// Thread: any. Locks held: at most the core's.
#[derive(Debug)]
pub(in crate::net) struct Shared {
    /// The weight of all commands on the way to the driver.
    crossing: AtomicUsize,
    /// The number of commands on the way to the driver.
    commands: AtomicUsize,
    limit: usize,
    pub(in crate::net) broadcast: Gate,
    peers: Mutex<HashMap<LinkId, Arc<Gate>>>,
    members: Mutex<Members>,
    pub(in crate::net) report: Mutex<Stats>,
}

impl Gate {
    pub(in crate::net) fn new(outlet: Arc<Outlet>, max_message: Option<usize>) -> Self {
        Self {
            outlet: Some(outlet),
            max_message,
            ..Self::default()
        }
    }

    /// Sets the outstanding bytes and the window.
    pub(in crate::net) fn set_window(&self, outstanding: usize, window: usize) {
        self.outstanding.store(outstanding, SeqCst);
        self.window.store(window, SeqCst);
        let is_behind = match self.is_behind.load(SeqCst) {
            true => outstanding > window / 2,
            false => outstanding > window,
        };
        self.is_behind.store(is_behind, SeqCst);
    }

    /// Whether `bytes` more are too many for the receivers. A sender that obeys backpressure never
    /// gets there. A message of any size passes if nothing is outstanding.
    fn is_overrun(&self, bytes: usize, limit: usize) -> bool {
        let outstanding = self.outstanding.load(SeqCst);
        let most = limit.max(2 * self.window.load(SeqCst));
        outstanding > 0 && outstanding + bytes > most
    }

    /// Whether senders must wait.
    fn is_pressed(&self) -> bool {
        self.level.load(SeqCst) > Level::Low as u8 || self.is_behind.load(SeqCst)
    }

    pub(in crate::net) fn set(&self, level: Level) {
        self.level.store(level as u8, SeqCst);
    }

    /// Whether to send a drain event to a waiting sender; true at most once per wait.
    pub(in crate::net) fn opens(&self) -> bool {
        !self.is_pressed() && self.waiting.swap(false, SeqCst)
    }
}

impl Shared {
    pub(in crate::net) fn new(limit: usize) -> Self {
        Self {
            crossing: AtomicUsize::new(0),
            commands: AtomicUsize::new(0),
            limit,
            broadcast: Gate::default(),
            peers: Mutex::default(),
            members: Mutex::default(),
            report: Mutex::default(),
        }
    }

    /// Whether no command is on its way to the driver.
    pub(in crate::net) fn is_idle(&self) -> bool {
        self.commands.load(SeqCst) == 0
    }

    /// Notes that a command of `bytes` leaves for the driver.
    pub(in crate::net) fn crosses(&self, bytes: usize) {
        self.crossing.fetch_add(bytes, SeqCst);
        self.commands.fetch_add(1, SeqCst);
    }

    /// Notes that the driver has carried out a command of `bytes`.
    pub(in crate::net) fn crossed(&self, bytes: usize) {
        self.crossing.fetch_sub(bytes, SeqCst);
        self.commands.fetch_sub(1, SeqCst);
    }

    /// Whether the way to the driver is clear enough for senders to continue.
    pub(in crate::net) fn is_calm(&self) -> bool {
        self.crossing.load(SeqCst) < CROSSING_HIGH / 4
    }

    pub(in crate::net) fn peers(&self) -> MutexGuard<'_, HashMap<LinkId, Arc<Gate>>> {
        lock(&self.peers)
    }

    /// The gate to a peer or a member.
    pub(in crate::net) fn gate(&self, to: LinkId) -> Option<Arc<Gate>> {
        if to.0 < FIRST_HANDLE {
            return self.peers().get(&to).cloned();
        }
        let mut members = lock(&self.members);
        let is_member = members.all.contains(&to);
        is_member.then(|| members.gates.entry(to).or_default().clone())
    }

    pub(in crate::net) fn member_joined(&self, member: LinkId) {
        lock(&self.members).all.insert(member);
    }

    pub(in crate::net) fn member_left(&self, member: LinkId) {
        let mut members = lock(&self.members);
        members.all.remove(&member);
        members.gates.remove(&member);
        members.waiting.remove(&member);
    }

    /// Notes that senders to this member wait for a drain event.
    pub(in crate::net) fn waits_for(&self, member: LinkId) {
        lock(&self.members).waiting.insert(member);
    }

    /// Members whose senders may continue, each once.
    pub(in crate::net) fn opened_members(&self) -> Vec<LinkId> {
        let mut members = lock(&self.members);
        let Members { gates, waiting, .. } = &mut *members;
        let opens = |member: &LinkId| gates.get(member).is_none_or(|gate| gate.opens());
        let opened: Vec<LinkId> = waiting.iter().copied().filter(opens).collect();
        for member in &opened {
            waiting.remove(member);
        }
        opened
    }

    /// Whether `bytes` more exceed the limit of `gate` and of the way to it.
    fn is_full(&self, gate: &Gate, bytes: usize) -> bool {
        if gate.is_overrun(bytes, self.limit) {
            return true;
        }
        let crossing = self.crossing.load(SeqCst);
        let level = gate.level.load(SeqCst);
        if level == Level::Low as u8 && crossing + bytes <= self.limit / 2 {
            return false;
        }
        let queued = match &gate.outlet {
            Some(outlet) => outlet.bytes(),
            // The gate to all is as full as the emptiest queue.
            None => self
                .peers()
                .values()
                .filter_map(|p| Some(p.outlet.as_ref()?.bytes()))
                .min()
                .unwrap_or(0),
        };
        // A message above the limit still passes when nothing is queued.
        queued + crossing > 0 && queued + crossing + bytes > self.limit
    }

    /// Whether `bytes` more may pass `gate`. If not, a drain event follows.
    pub(in crate::net) fn admits(&self, gate: &Gate, bytes: usize) -> bool {
        if !self.is_full(gate, bytes) {
            return true;
        }
        gate.waiting.store(true, SeqCst);
        // Between the two checks, another thread may have made room without seeing anyone wait.
        !self.is_full(gate, bytes)
    }

    /// Whether the sender may continue after its last message. If not, a drain event follows.
    pub(in crate::net) fn room(&self, gate: &Gate) -> Room {
        if !self.is_pressed(gate) {
            return Room::Free;
        }
        gate.waiting.store(true, SeqCst);
        // The second check is for the same reason as in `admits`.
        match self.is_pressed(gate) {
            true => Room::Pressed,
            false => Room::Free,
        }
    }

    fn is_pressed(&self, gate: &Gate) -> bool {
        gate.is_pressed() || self.crossing.load(SeqCst) > CROSSING_HIGH
    }
}
