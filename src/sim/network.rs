//! Hosts, the wires between them, and time.

mod application;
mod connect;
mod faults;
mod handout;
mod parts;
mod records;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::schedule::Schedule;
use crate::proto::{
    Class, Config, Counters, Event, Input, LinkId, Moment, NodeId, Output, State, Timer,
};
pub use parts::HostId;
use parts::{Application, Frame, PORT, Port, Syn, Wire};
use records::Records;

/// The options of a [`Network`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed of all random decisions.
    pub seed: u64,
    /// Minimum one-way latency, per pair of hosts. Default 10 ms.
    pub min_latency: Duration,
    /// Maximum one-way latency, per pair of hosts. Default 50 ms.
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
    /// Power loss: other nodes get no sign of it.
    Vanish,
}

/// An event that an application or an observer would see.
#[derive(Clone, Debug)]
pub struct Happening {
    /// The time.
    pub at: Moment,
    /// The host.
    pub host: HostId,
    /// The event.
    pub event: Event,
    /// The hops of an [`Event::Broadcast`].
    pub hops: u8,
}

/// The traffic of a node.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Traffic {
    /// Bytes sent, except an application's data.
    pub control: u64,
    /// Bytes of an application's data sent.
    pub data: u64,
    /// Runs of broadcasts received, duplicates included.
    pub copies: u64,
    /// Messages received, of any kind.
    pub messages: u64,
}

/// A peer link, as one of its ends sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its id at this end.
    pub id: LinkId,
    /// The host at the other end.
    pub to: HostId,
}

#[derive(Debug)]
struct Host {
    config: Config,
    id: NodeId,
    /// Absent before the first start and after the node's end.
    state: Option<Box<State>>,
    counters: Counters,
    life: u32,
    timers: Vec<(Timer, u64)>,
    links: Vec<(LinkId, Port)>,
    unconnected: VecDeque<(LinkId, HostId, Moment)>,
    group: u32,
    /// Whether packets to it are lost.
    dark: bool,
    /// Whether other hosts cannot dial it.
    shielded: bool,
    starved_until: Moment,
    traffic: Traffic,
    application: Application,
}

#[derive(Debug)]
enum Cause {
    Arrival(Port),
    Timer(HostId, Timer),
    /// A slow application has handled a message, in that life of its node.
    Handled(HostId, u32),
    Syn(Box<Syn>),
    /// A dial fails, with this code.
    Refusal(Box<Syn>, &'static str),
}

/// Hosts, and the connections between them.
pub struct Network {
    options: Options,
    rng: fastrand::Rng,
    now: Moment,
    schedule: Schedule<Cause>,
    hosts: Vec<Host>,
    wires: Vec<Wire>,
    free: Vec<u32>,
    /// Pairs of groups; data from the first to the second is lost.
    blocked: Vec<(u32, u32)>,
    names: BTreeMap<String, Vec<HostId>>,
    /// The name that leads to a random running node.
    balancer: Option<String>,
    happenings: Vec<Happening>,
    /// Which events are reported.
    is_reported: fn(&Event) -> bool,
    records: Records,
    /// The outputs of a node; kept to reuse its memory.
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
    /// A network without hosts, at time zero.
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
            balancer: None,
            happenings: Vec::new(),
            is_reported: |_| true,
            records: Records::default(),
            outputs: Vec::new(),
            handled: 0,
        }
    }

    /// Adds a host, whose node is not started. Fills in address and port in `config`.
    pub fn add(&mut self, config: Config) -> HostId {
        let host = HostId(self.hosts.len() as u32);
        // Ids must not reveal the order of arrival.
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
            unconnected: VecDeque::new(),
            group: 0,
            dark: false,
            shielded: false,
            starved_until: Moment(0),
            traffic: Traffic::default(),
            application: Application::default(),
        });
        host
    }

    /// Makes `name` resolve to these hosts, tried in order.
    pub fn name(&mut self, name: &str, hosts: Vec<HostId>) {
        self.names.insert(name.to_owned(), hosts);
    }

    /// Makes `name` lead to a random running node, another one for each dial.
    pub fn balance(&mut self, name: &str) {
        self.balancer = Some(name.to_owned());
    }

    /// Blocks all dials to this host from now on; its own dials succeed.
    pub fn shield(&mut self, host: HostId) {
        self.hosts[host.index()].shielded = true;
    }

    /// Starts a host's node, or starts it again.
    pub fn start(&mut self, host: HostId) {
        let seed = self.rng.u64(..);
        let node = &mut self.hosts[host.index()];
        node.life += 1;
        node.dark = false;
        node.application.restart();
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
        node.unconnected.clear();
        node.dark = death == Death::Vanish;
        for (_, port) in std::mem::take(&mut node.links) {
            match death {
                Death::Vanish => {
                    self.end_of(port).open = false;
                    self.recycle(port);
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

    /// The hosts with a running node.
    pub fn living(&self) -> Vec<HostId> {
        self.hosts().filter(|host| self.is_alive(*host)).collect()
    }

    /// The current time.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// The number of inputs handled by all nodes.
    pub fn handled(&self) -> u64 {
        self.handled
    }

    /// A node's id.
    pub fn id(&self, host: HostId) -> &NodeId {
        &self.hosts[host.index()].id
    }

    /// The counters of a node since its latest start.
    pub fn counters(&self, host: HostId) -> Counters {
        let node = &self.hosts[host.index()];
        node.state
            .as_ref()
            .map_or(node.counters, |state| state.counters())
    }

    /// The traffic of a host.
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

    /// The number of a node's pending timers.
    pub fn timers(&self, host: HostId) -> usize {
        self.hosts[host.index()].timers.len()
    }

    /// The one-way latency between two hosts, the same both ways.
    pub fn latency(&self, a: HostId, b: HostId) -> Duration {
        // Derived from the pair, so that it need not be stored.
        let (low, high) = (a.min(b), a.max(b));
        let key = self.options.seed ^ (u64::from(low.0) << 32 | u64::from(high.0));
        let min = self.options.min_latency.as_micros() as u64;
        let max = self.options.max_latency.as_micros() as u64;
        let mut rng = fastrand::Rng::with_seed(key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Duration::from_micros(rng.u64(min..=max))
    }

    /// The events since the last call.
    pub fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    /// Decides which events are reported from now on. Default: all. Thousands of nodes that count
    /// thousands of members have millions.
    pub fn report(&mut self, is_reported: fn(&Event) -> bool) {
        self.is_reported = is_reported;
    }

    /// Advances time.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now.after(time));
    }

    /// Advances time.
    pub fn run_until(&mut self, until: Moment) {
        while let Some(due) = self.schedule.pop_until(until) {
            self.now = due.at;
            self.happen(due.what, due.number);
        }
        self.now = until;
    }

    /// Gives a node an input, if it is running.
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
                    self.settle(host, *link);
                }
                self.give(host, &event);
                if (self.is_reported)(&event) {
                    let at = self.now;
                    self.happenings.push(Happening {
                        at,
                        host,
                        event,
                        hops,
                    });
                }
            }
            Output::SetTimer { timer, after } => self.set_timer(host, timer, after),
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
                    picked: None,
                    began,
                });
            }
            Output::Shortcut { link } => self.settle(host, link),
            Output::Close { link, how } => self.close(host, link, how),
            Output::Window {
                link: None,
                outstanding,
                size,
            } => self.hosts[host.index()].application.window = (outstanding, size),
            // Simulated applications do not send to a single peer.
            Output::Window { link: Some(_), .. } => {}
        }
    }

    fn set_timer(&mut self, host: HostId, timer: Timer, after: Duration) {
        let at = self.now.after(after);
        let number = self.schedule.add(at, Cause::Timer(host, timer));
        let timers = &mut self.hosts[host.index()].timers;
        match timers.iter_mut().find(|(other, _)| *other == timer) {
            Some(set) => set.1 = number,
            None => timers.push((timer, number)),
        }
    }

    fn at(&mut self, at: Moment, cause: Cause) {
        self.schedule.add(at, cause);
    }

    fn happen(&mut self, cause: Cause, number: u64) {
        match cause {
            Cause::Arrival(port) => self.arrive(port),
            Cause::Timer(host, timer) => self.fire(host, timer, number),
            Cause::Handled(host, life) => self.handled_by(host, life),
            Cause::Syn(syn) => self.arrive_syn(syn),
            Cause::Refusal(syn, code) => {
                if self.hosts[syn.from.index()].life == syn.life {
                    let (link, code) = (syn.link, code.to_owned());
                    self.input(syn.from, Input::DialFailed { link, code });
                }
            }
        }
    }

    /// Fires a timer, unless the node has moved or cancelled it since.
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
        if timer == Timer::Window {
            let consumed = self.hosts[host.index()].application.take_consumed();
            self.input(host, Input::Consumed(consumed));
        }
        self.input(host, Input::TimerFired(timer));
    }
}
