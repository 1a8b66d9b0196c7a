//! Hosts, the wires between them, and time.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;

use super::schedule::Schedule;
use crate::proto::codec::{Decoder, Limits};
use crate::proto::{
    Class, CloseHow, Config, Counters, Event, Input, LinkId, Message, Moment, Native, NodeId,
    Outgoing, Output, State, Target, Timer,
};

/// The port of every host.
const PORT: u16 = 4000;
/// A connection attempt that nobody answers is repeated after this, like a SYN.
const SYN_AGAIN: Duration = Duration::from_secs(1);
/// As in the driver: a connection is not made to yield to a newer one before this.
const STRANGER_GRACE: Duration = Duration::from_millis(500);
/// How much later than its predecessor a frame may arrive beyond the link's latency.
const JITTER: u64 = 500;

/// A host, which runs at most one node at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostId(pub u32);

impl HostId {
    fn index(self) -> usize {
        self.0 as usize
    }

    fn ip(self) -> Ipv4Addr {
        Ipv4Addr::from((10 << 24) + self.0 + 1)
    }

    /// Where its node listens.
    pub fn address(self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ip()), PORT)
    }
}

/// What a [`Network`] is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// One way, per pair of hosts: from this
    pub min_latency: Duration,
    /// to this. Default 10 to 50 ms (overlay design, numbers to reach).
    pub max_latency: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            min_latency: Duration::from_millis(10),
            max_latency: Duration::from_millis(50),
        }
    }
}

/// How a node ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Death {
    /// `stop()`.
    Stop,
    /// `kill -9`: the system closes its sockets.
    Kill,
    /// Power loss: nobody is told anything.
    Vanish,
}

/// Something an application, or an observer, would see.
#[derive(Clone, Debug)]
pub struct Happening {
    /// When.
    pub at: Moment,
    /// To whom.
    pub host: HostId,
    /// What.
    pub event: Event,
    /// For [`Event::Broadcast`]: how many links it has crossed.
    pub hops: u8,
}

/// What a node has sent and received.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Traffic {
    /// Bytes of everything that is not an application's, sent.
    pub control: u64,
    /// Bytes of everything else, sent.
    pub data: u64,
    /// Runs of broadcasts received, duplicates included.
    pub copies: u64,
    /// Messages received, of any kind.
    pub messages: u64,
}

/// A peer link, as one of its ends sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its name at this end.
    pub id: LinkId,
    /// Who is at the other one.
    pub to: HostId,
}

#[derive(Debug)]
struct Host {
    config: Config,
    id: NodeId,
    /// Absent before the first start and after death.
    state: Option<Box<State>>,
    counters: Counters,
    life: u32,
    timers: Vec<(Timer, u64)>,
    links: Vec<(LinkId, Port)>,
    strangers: VecDeque<(LinkId, HostId, Moment)>,
    group: u32,
    /// Whether packets to it vanish.
    dark: bool,
    starved_until: Moment,
    traffic: Traffic,
}

/// One end of a wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Port {
    wire: u32,
    generation: u32,
    end: u8,
}

impl Port {
    fn other(self) -> Self {
        Self {
            end: 1 - self.end,
            ..self
        }
    }
}

/// A TCP connection.
#[derive(Debug)]
struct Wire {
    generation: u32,
    latency: Duration,
    /// Nothing gets through any more, and neither side is told.
    dead: bool,
    ends: [End; 2],
}

#[derive(Debug)]
struct End {
    host: HostId,
    life: u32,
    link: LinkId,
    /// Whether its owner still knows of it.
    open: bool,
    /// What is on its way to this end.
    inbound: VecDeque<Frame>,
    last_arrival: Moment,
    /// Frames wait for a partition to heal.
    stalled: bool,
    decoder: Decoder,
    buffer: BytesMut,
}

#[derive(Debug)]
enum Frame {
    /// The other side's half of a dial.
    Connected,
    Data(Outgoing),
    Fin,
    Reset,
}

#[derive(Debug)]
enum Cause {
    Arrival(Port),
    Timer(HostId, Timer),
    Syn(Box<Syn>),
    /// A dial fails, with this code.
    Refusal(Box<Syn>, &'static str),
}

/// A connection attempt.
#[derive(Debug)]
struct Syn {
    from: HostId,
    life: u32,
    link: LinkId,
    target: Target,
    began: Moment,
}

/// Hosts and wires.
pub struct Network {
    options: Options,
    rng: fastrand::Rng,
    now: Moment,
    schedule: Schedule<Cause>,
    hosts: Vec<Host>,
    wires: Vec<Wire>,
    free: Vec<u32>,
    /// Groups of hosts between which, in this direction, nothing gets through.
    blocked: Vec<(u32, u32)>,
    names: BTreeMap<String, Vec<HostId>>,
    happenings: Vec<Happening>,
    /// Room for what a node puts out.
    outputs: Vec<Output>,
    handled: u64,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { now, hosts, .. } = self;
        write!(f, "Network {{ now: {now:?}, hosts: {} }}", hosts.len())
    }
}

impl Network {
    /// No hosts yet, at time zero.
    pub fn new(options: Options) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(options.seed),
            options,
            now: Moment(0),
            schedule: Schedule::new(),
            hosts: Vec::new(),
            wires: Vec::new(),
            free: Vec::new(),
            blocked: Vec::new(),
            names: BTreeMap::new(),
            happenings: Vec::new(),
            outputs: Vec::new(),
            handled: 0,
        }
    }

    /// A host more; its node is not started. Address and port in `config` are filled in.
    pub fn add(&mut self, config: Config) -> HostId {
        let host = HostId(self.hosts.len() as u32);
        // Ids say nothing about the order in which nodes came.
        let text = format!("{:x}n{}", self.rng.u32(..), host.0);
        let id = NodeId::parse(&text).unwrap_or_else(|| unreachable!("hexadecimal digits"));
        self.hosts.push(Host {
            config: Config {
                address: host.ip().to_string(),
                port: PORT,
                ..config
            },
            id,
            state: None,
            counters: Counters::default(),
            life: 0,
            timers: Vec::new(),
            links: Vec::new(),
            strangers: VecDeque::new(),
            group: 0,
            dark: false,
            starved_until: Moment(0),
            traffic: Traffic::default(),
        });
        host
    }

    /// Lets `name` resolve to these hosts, tried in order.
    pub fn name(&mut self, name: &str, hosts: Vec<HostId>) {
        self.names.insert(name.to_owned(), hosts);
    }

    /// Starts a host's node, anew if it has run before.
    pub fn start(&mut self, host: HostId) {
        let seed = self.rng.u64(..);
        let node = &mut self.hosts[host.index()];
        node.life += 1;
        node.dark = false;
        node.state = Some(Box::new(State::new(
            node.config.clone(),
            node.id.clone(),
            seed,
        )));
        self.input(host, Input::Started { port: PORT });
    }

    /// Ends a host's node.
    pub fn end(&mut self, host: HostId, death: Death) {
        if death == Death::Stop {
            self.input(host, Input::Stop);
        }
        let node = &mut self.hosts[host.index()];
        if let Some(state) = node.state.take() {
            node.counters = state.counters();
        }
        node.timers.clear();
        node.strangers.clear();
        node.dark = death == Death::Vanish;
        for (_, port) in std::mem::take(&mut node.links) {
            match death {
                Death::Vanish => {
                    self.end_of(port).open = false;
                }
                Death::Stop | Death::Kill => self.hang_up(port, Frame::Fin),
            }
        }
    }

    /// Whether a host's node is running.
    pub fn is_alive(&self, host: HostId) -> bool {
        self.hosts[host.index()].state.is_some()
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.hosts.len() as u32).map(HostId)
    }

    /// All hosts whose node is running.
    pub fn living(&self) -> Vec<HostId> {
        self.hosts().filter(|host| self.is_alive(*host)).collect()
    }

    /// Puts a host in a group; all begin in group 0.
    pub fn set_group(&mut self, host: HostId, group: u32) {
        self.hosts[host.index()].group = group;
    }

    /// From now on nothing gets from one group to the other.
    pub fn block(&mut self, from: u32, to: u32) {
        self.blocked.push((from, to));
    }

    /// Undoes every [`block`](Self::block). What TCP has kept is delivered.
    pub fn unblock(&mut self) {
        self.blocked.clear();
        for wire in 0..self.wires.len() as u32 {
            for end in 0..2 {
                let generation = self.wires[wire as usize].generation;
                let port = Port {
                    wire,
                    generation,
                    end,
                };
                if std::mem::take(&mut self.end_of(port).stalled) {
                    // TCP tries again at intervals that have grown meanwhile.
                    let pause = self.rng.u64(0..1_000_000);
                    let at = self.now.0 + pause;
                    for _ in 0..self.end_of(port).inbound.len() {
                        self.at(Moment(at), Cause::Arrival(port));
                    }
                    self.end_of(port).last_arrival = Moment(at);
                }
            }
        }
    }

    /// Makes a connection swallow everything, without telling its ends.
    pub fn make_half_open(&mut self, host: HostId, link: LinkId) {
        if let Some(port) = self.port(host, link) {
            self.wires[port.wire as usize].dead = true;
        }
    }

    /// Keeps a host's process from running for a while.
    pub fn starve(&mut self, host: HostId, time: Duration) {
        self.hosts[host.index()].starved_until = self.now.after(time);
    }

    /// What time it is.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// How many inputs the nodes have been given.
    pub fn handled(&self) -> u64 {
        self.handled
    }

    /// A node's id.
    pub fn id(&self, host: HostId) -> &NodeId {
        &self.hosts[host.index()].id
    }

    /// What a node has counted, in its latest life.
    pub fn counters(&self, host: HostId) -> Counters {
        let node = &self.hosts[host.index()];
        node.state
            .as_ref()
            .map_or(node.counters, |state| state.counters())
    }

    /// What a host has sent and received.
    pub fn traffic(&self, host: HostId) -> Traffic {
        self.hosts[host.index()].traffic
    }

    /// A node's state, while it runs.
    pub fn state(&self, host: HostId) -> Option<&State> {
        self.hosts[host.index()].state.as_deref()
    }

    /// A node's peers.
    pub fn peers(&self, host: HostId) -> Vec<Link> {
        let Some(state) = self.state(host) else {
            return Vec::new();
        };
        let link = |id| {
            let port = self.port(host, id)?;
            let to = self.wires[port.wire as usize].ends[usize::from(port.other().end)].host;
            Some(Link { id, to })
        };
        state.peers().filter_map(|(id, _)| link(id)).collect()
    }

    /// How many peers a host's node seeks, and how many it accepts.
    pub fn limits(&self, host: HostId) -> (usize, usize) {
        let config = &self.hosts[host.index()].config;
        (config.min_peers, config.max_peers)
    }

    /// How many timers a node has set.
    pub fn timers(&self, host: HostId) -> usize {
        self.hosts[host.index()].timers.len()
    }

    /// What has happened since the last call.
    pub fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now.after(time));
    }

    /// Lets time pass.
    pub fn run_until(&mut self, until: Moment) {
        while let Some(due) = self.schedule.pop_until(until) {
            self.now = due.at;
            self.happen(due.what, due.number);
        }
        self.now = until;
    }

    /// Gives a node an input, if it runs.
    pub fn input(&mut self, host: HostId, input: Input) {
        self.input_with_hops(host, input, 0);
    }

    fn input_with_hops(&mut self, host: HostId, input: Input, hops: u8) {
        let Some(mut state) = self.hosts[host.index()].state.take() else {
            return;
        };
        self.handled += 1;
        let mut outputs = std::mem::take(&mut self.outputs);
        state.handle(self.now, input, &mut outputs);
        self.hosts[host.index()].state = Some(state);
        for output in outputs.drain(..) {
            self.carry_out(host, output, hops);
        }
        self.outputs = outputs;
    }

    fn carry_out(&mut self, host: HostId, output: Output, hops: u8) {
        match output {
            Output::Send { link, data } => {
                let Some(port) = self.port(host, link) else {
                    return;
                };
                let traffic = &mut self.hosts[host.index()].traffic;
                match data.class {
                    Class::Control => traffic.control += data.len() as u64,
                    Class::Own | Class::Forward => traffic.data += data.len() as u64,
                }
                self.send(port.other(), Frame::Data(data));
            }
            Output::Event(event) => {
                if let Event::PeerAdded { link, .. } = &event {
                    let strangers = &mut self.hosts[host.index()].strangers;
                    strangers.retain(|(other, ..)| other != link);
                }
                let at = self.now;
                self.happenings.push(Happening {
                    at,
                    host,
                    event,
                    hops,
                });
            }
            Output::SetTimer { timer, after } => {
                let at = self.now.after(after);
                let number = self.schedule.add(at, Cause::Timer(host, timer));
                let timers = &mut self.hosts[host.index()].timers;
                match timers.iter_mut().find(|(other, _)| *other == timer) {
                    Some(set) => set.1 = number,
                    None => timers.push((timer, number)),
                }
            }
            Output::CancelTimer(timer) => {
                let timers = &mut self.hosts[host.index()].timers;
                if let Some(index) = timers.iter().position(|(other, _)| *other == timer) {
                    timers.swap_remove(index);
                }
            }
            Output::Dial { link, target } => {
                let (life, began) = (self.hosts[host.index()].life, self.now);
                self.dial(Syn {
                    from: host,
                    life,
                    link,
                    target,
                    began,
                });
            }
            Output::Close { link, how } => self.close(host, link, how),
        }
    }

    // Connections

    fn dial(&mut self, syn: Syn) {
        let latency = match self.resolve(&syn.target) {
            Some(to) => self.latency(syn.from, to),
            None => Duration::ZERO,
        };
        let at = self.now.after(latency);
        self.at(at, Cause::Syn(Box::new(syn)));
    }

    /// The first living host of a name, or the host that has the address.
    fn resolve(&self, target: &Target) -> Option<HostId> {
        if let Some(hosts) = self.names.get(&target.host) {
            return hosts
                .iter()
                .copied()
                .find(|host| self.is_alive(*host))
                .or(hosts.first().copied());
        }
        let ip: Ipv4Addr = target.host.parse().ok()?;
        let index = u32::from(ip).checked_sub((10 << 24) + 1)?;
        (target.port == PORT && (index as usize) < self.hosts.len()).then_some(HostId(index))
    }

    /// How long a frame takes between two hosts, either way.
    pub fn latency(&self, a: HostId, b: HostId) -> Duration {
        // A property of the pair, so that it need not be stored.
        let (low, high) = (a.min(b), a.max(b));
        let key = self.options.seed ^ (u64::from(low.0) << 32 | u64::from(high.0));
        let min = self.options.min_latency.as_micros() as u64;
        let max = self.options.max_latency.as_micros() as u64;
        let mut rng = fastrand::Rng::with_seed(key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Duration::from_micros(rng.u64(min..=max))
    }

    fn is_blocked(&self, from: HostId, to: HostId) -> bool {
        let (from, to) = (self.hosts[from.index()].group, self.hosts[to.index()].group);
        self.blocked.contains(&(from, to))
    }

    fn arrive_syn(&mut self, syn: Box<Syn>) {
        let from = syn.from;
        if self.hosts[from.index()].life != syn.life || !self.is_alive(from) {
            return;
        }
        let Some(to) = self.resolve(&syn.target) else {
            return self.at(self.now, Cause::Refusal(syn, "ENOTFOUND"));
        };
        let unheard =
            self.hosts[to.index()].dark || self.is_blocked(from, to) || self.is_blocked(to, from);
        if unheard {
            let timeout = self.hosts[from.index()].config.dial_timeout;
            let again = self.now.after(SYN_AGAIN);
            if again.since(syn.began) < timeout {
                return self.at(again, Cause::Syn(syn));
            }
            return self.at(syn.began.after(timeout), Cause::Refusal(syn, "ETIMEDOUT"));
        }
        let latency = self.latency(from, to);
        if !self.is_alive(to) {
            let back = self.now.after(latency);
            return self.at(back, Cause::Refusal(syn, "ECONNREFUSED"));
        }
        let port = self.wire(from, syn.link, to, latency);
        self.send(port, Frame::Connected);
        self.accept(to, from, port.other());
    }

    /// Lays a wire; returns the dialer's end, which is not yet the dialer's to use.
    fn wire(&mut self, from: HostId, link: LinkId, to: HostId, latency: Duration) -> Port {
        let end = |host: HostId, link| {
            let node = &self.hosts[host.index()];
            End {
                host,
                life: node.life,
                link,
                open: true,
                inbound: VecDeque::new(),
                last_arrival: Moment(0),
                stalled: false,
                decoder: Decoder::new(Limits::from(&node.config), node.config.native),
                buffer: BytesMut::new(),
            }
        };
        let ends = [end(from, link), end(to, LinkId(0))];
        let wire = Wire {
            generation: 0,
            latency,
            dead: false,
            ends,
        };
        let index = match self.free.pop() {
            Some(index) => {
                let generation = self.wires[index as usize].generation + 1;
                self.wires[index as usize] = Wire { generation, ..wire };
                index
            }
            None => {
                self.wires.push(wire);
                self.wires.len() as u32 - 1
            }
        };
        let generation = self.wires[index as usize].generation;
        let port = Port {
            wire: index,
            generation,
            end: 0,
        };
        self.hosts[from.index()].links.push((link, port));
        port
    }

    /// Does what the driver does with a new connection, limits included.
    fn accept(&mut self, host: HostId, from: HostId, port: Port) {
        let node = &mut self.hosts[host.index()];
        let same = node.strangers.iter().filter(|(_, ip, _)| *ip == from);
        let crowded = node.strangers.len() >= node.config.max_unconnected;
        let oldest = node.strangers.front();
        let young = oldest.is_some_and(|(.., since)| self.now.since(*since) < STRANGER_GRACE);
        if crowded && young || same.count() >= node.config.max_unconnected_per_address {
            self.end_of(port).open = false;
            return self.send(port.other(), Frame::Reset);
        }
        if let Some((oldest, ..)) = crowded.then(|| node.strangers.pop_front()).flatten() {
            self.close(host, oldest, CloseHow::Abort);
            let reason = "CROWDED".to_owned();
            self.input(
                host,
                Input::Closed {
                    link: oldest,
                    reason,
                },
            );
        }
        let node = &mut self.hosts[host.index()];
        let Some(state) = node.state.as_mut() else {
            return;
        };
        let link = state.next_link();
        node.strangers.push_back((link, from, self.now));
        node.links.push((link, port));
        self.end_of(port).link = link;
        let remote = SocketAddr::new(IpAddr::V4(from.ip()), 50_000);
        self.input(host, Input::Accepted { link, remote });
    }

    fn close(&mut self, host: HostId, link: LinkId, how: CloseHow) {
        let node = &mut self.hosts[host.index()];
        node.strangers.retain(|(other, ..)| *other != link);
        let Some(port) = self.port(host, link) else {
            return;
        };
        if how == CloseHow::HalfClose {
            return self.send(port.other(), Frame::Fin);
        }
        let last = if how == CloseHow::Abort {
            Frame::Reset
        } else {
            Frame::Fin
        };
        self.forget(host, link);
        self.hang_up(port, last);
    }

    fn forget(&mut self, host: HostId, link: LinkId) {
        let links = &mut self.hosts[host.index()].links;
        if let Some(index) = links.iter().position(|(other, _)| *other == link) {
            links.swap_remove(index);
        }
    }

    /// This end is of no more interest to its owner.
    fn hang_up(&mut self, port: Port, last: Frame) {
        let end = self.end_of(port);
        end.open = false;
        self.send(port.other(), last);
        self.recycle(port);
    }

    /// Frees a wire that neither end knows of any more.
    fn recycle(&mut self, port: Port) {
        let wire = &mut self.wires[port.wire as usize];
        if wire.ends.iter().all(|end| !end.open) {
            wire.generation += 1;
            for end in &mut wire.ends {
                end.inbound = VecDeque::new();
                end.buffer = BytesMut::new();
                end.stalled = false;
            }
            self.free.push(port.wire);
        }
    }

    fn port(&self, host: HostId, link: LinkId) -> Option<Port> {
        let links = &self.hosts[host.index()].links;
        links
            .iter()
            .find(|(other, _)| *other == link)
            .map(|(_, port)| *port)
    }

    fn end_of(&mut self, port: Port) -> &mut End {
        &mut self.wires[port.wire as usize].ends[usize::from(port.end)]
    }

    /// Puts a frame on its way to `port`.
    fn send(&mut self, port: Port, frame: Frame) {
        let jitter = Duration::from_micros(self.rng.u64(0..JITTER));
        let wire = &mut self.wires[port.wire as usize];
        if wire.generation != port.generation || wire.dead {
            return;
        }
        let end = &mut wire.ends[usize::from(port.end)];
        let at = self.now.after(wire.latency + jitter).max(end.last_arrival);
        end.last_arrival = at;
        end.inbound.push_back(frame);
        if !end.stalled {
            self.at(at, Cause::Arrival(port));
        }
    }

    fn at(&mut self, at: Moment, cause: Cause) {
        self.schedule.add(at, cause);
    }

    // What happens

    fn happen(&mut self, cause: Cause, number: u64) {
        match cause {
            Cause::Arrival(port) => self.arrive(port),
            Cause::Timer(host, timer) => self.fire(host, timer, number),
            Cause::Syn(syn) => self.arrive_syn(syn),
            Cause::Refusal(syn, code) => {
                if self.hosts[syn.from.index()].life == syn.life {
                    let (link, code) = (syn.link, code.to_owned());
                    self.input(syn.from, Input::DialFailed { link, code });
                }
            }
        }
    }

    /// A timer is due: the one a node has set, if it has that number still.
    fn fire(&mut self, host: HostId, timer: Timer, number: u64) {
        let node = &mut self.hosts[host.index()];
        let Some(index) = node.timers.iter().position(|set| *set == (timer, number)) else {
            return;
        };
        if node.starved_until > self.now {
            let cause = Cause::Timer(host, timer);
            node.timers[index].1 = self.schedule.add(node.starved_until, cause);
            return;
        }
        node.timers.swap_remove(index);
        self.input(host, Input::TimerFired(timer));
    }

    fn arrive(&mut self, port: Port) {
        let wire = &self.wires[port.wire as usize];
        if wire.generation != port.generation || wire.dead {
            return;
        }
        let [end, far] = [port, port.other()].map(|port| &wire.ends[usize::from(port.end)]);
        let (host, life, link, open) = (end.host, end.life, end.link, end.open);
        if self.is_blocked(far.host, host) {
            self.end_of(port).stalled = true;
            return;
        }
        if end.stalled {
            return;
        }
        let starved_until = self.hosts[host.index()].starved_until;
        if starved_until > self.now {
            self.end_of(port).last_arrival = starved_until;
            return self.at(starved_until, Cause::Arrival(port));
        }
        let Some(frame) = self.end_of(port).inbound.pop_front() else {
            return;
        };
        let running = self.hosts[host.index()].life == life && self.is_alive(host);
        if !open || !running {
            // Data for a closed socket: the sender is told, unless the host is gone.
            if !matches!(frame, Frame::Fin | Frame::Reset) && !self.hosts[host.index()].dark {
                self.send(port.other(), Frame::Reset);
            }
            return;
        }
        match frame {
            Frame::Connected => {
                let remote = self.wires[port.wire as usize].ends[1].host.address();
                self.input(host, Input::Connected { link, remote });
            }
            Frame::Data(data) => self.read(host, port, &data),
            Frame::Fin => self.closed(host, port, link, "FIN"),
            Frame::Reset => self.closed(host, port, link, "ECONNRESET"),
        }
    }

    fn closed(&mut self, host: HostId, port: Port, link: LinkId, reason: &str) {
        let strangers = &mut self.hosts[host.index()].strangers;
        strangers.retain(|(other, ..)| *other != link);
        self.forget(host, link);
        self.hang_up(port, Frame::Fin);
        let reason = reason.to_owned();
        self.input(host, Input::Closed { link, reason });
    }

    fn read(&mut self, host: HostId, port: Port, data: &Outgoing) {
        let end = self.end_of(port);
        end.buffer.extend_from_slice(&data.head);
        end.buffer.extend_from_slice(&data.body);
        loop {
            let end = self.end_of(port);
            if !end.open {
                return;
            }
            let link = end.link;
            let mut buffer = std::mem::take(&mut end.buffer);
            let message = end.decoder.next(&mut buffer);
            if !buffer.is_empty() {
                self.end_of(port).buffer = buffer;
            }
            match message {
                Ok(Some(message)) => {
                    let hops = self.count_message(host, &message);
                    self.input_with_hops(host, Input::Received { link, message }, hops);
                }
                Ok(None) => return,
                Err(_) => return self.closed(host, port, link, "EPROTO"),
            }
        }
    }

    fn count_message(&mut self, host: HostId, message: &Message) -> u8 {
        let traffic = &mut self.hosts[host.index()].traffic;
        traffic.messages += 1;
        match message {
            Message::Native(Native::Publish(run)) => {
                traffic.copies += 1;
                run.hops
            }
            _ => 0,
        }
    }
}
