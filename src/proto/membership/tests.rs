//! Membership by itself: inputs in, whole outputs out.

use std::net::SocketAddr;
use std::time::Duration;

use super::event::Dial;
use super::*;
use crate::proto::codec::native;
use crate::proto::{
    Config, Hello, HelloNative, Intent, LinkId, Moment, Native, NodeId, PeerAddress, Place,
    RemoveReason, Timer,
};

/// Dials to these nodes are under way.
#[derive(Default)]
struct UnderWay(Vec<PeerAddress>);

impl Dials for UnderWay {
    fn is_dialing(&self, who: &PeerAddress) -> bool {
        self.0.contains(who)
    }

    fn under_way(&self) -> usize {
        self.0.len()
    }

    fn younger_than(&self, _: Duration) -> usize {
        self.0.len()
    }

    fn is_missed_seed(&self, _: SocketAddr) -> bool {
        false
    }
}

struct Node {
    state: State,
    config: Config,
    dials: UnderWay,
    rng: fastrand::Rng,
    now: Moment,
}

impl Node {
    fn new(min_peers: usize, max_peers: usize) -> Self {
        let config = Config {
            address: "10.0.0.1".to_owned(),
            port: 1,
            min_peers,
            max_peers,
            ..Config::default()
        };
        Self {
            state: State::new(&config, id("me")),
            config,
            dials: UnderWay::default(),
            rng: fastrand::Rng::with_seed(7),
            now: Moment(1_000_000),
        }
    }

    fn ask<T>(&mut self, ask: impl FnOnce(&mut State, &mut Context<'_>) -> T) -> (T, Vec<Output>) {
        let mut out = Vec::new();
        let mut context = Context {
            now: self.now,
            config: &self.config,
            dials: &self.dials,
            rng: &mut self.rng,
            out: &mut out,
        };
        let answer = ask(&mut self.state, &mut context);
        (answer, out)
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.ask(|state, context| state.handle(input, context)).1
    }

    /// Adds a peer with `peers` peers, of which all lead on.
    fn peer(&mut self, name: &str, link: u32, peers: u16) -> LinkId {
        let hello = hello(name, Intent::Peer, peers.saturating_sub(1));
        let link = LinkId(link);
        let contact = Some(who(name));
        let peer = Peer::new(link, &hello, contact, &self.config, Moment(0));
        self.input(Input::PeerUp(Box::new(peer)));
        let (native, muted) = (
            Native::Peers {
                count: peers,
                ways: peers,
            },
            false,
        );
        self.input(Input::Received {
            link,
            native,
            muted,
        });
        link
    }
}

fn id(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

/// A node that listens at a port of its own.
fn who(name: &str) -> PeerAddress {
    PeerAddress {
        id: id(name),
        address: "10.0.0.9".parse().unwrap(),
        port: name.bytes().map(u16::from).sum(),
    }
}

fn hello(name: &str, intent: Intent, peers: u16) -> Hello {
    Hello {
        id: id(name),
        native: Some(HelloNative {
            version: 1,
            address: "10.0.0.9".to_owned(),
            port: who(name).port,
            epoch: 1,
            intent,
            windows: false,
            max_message: None,
            place: Place {
                max_peers: Some(5),
                peers,
                ..Place::default()
            },
        }),
    }
}

fn dialled(outputs: &[Output]) -> Vec<&PeerAddress> {
    let dial = |output| match output {
        &Output::Dial(Dial { ref who, .. }) => Some(who),
        _ => None,
    };
    outputs.iter().filter_map(dial).collect()
}

#[test]
fn a_node_without_peers_dials_a_named_node_urgently_and_seeks_again() {
    let mut node = Node::new(3, 5);
    let outputs = node.input(Input::Named(vec![who("a")]));
    let [Output::Dial(dial), Output::SetTimer { timer, after }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    let expected = Dial {
        who: who("a"),
        intent: Intent::Urgent,
        displaces: false,
    };
    assert_eq!((dial, timer), (&expected, &Timer::Seek));
    let (least, most) = (Duration::from_millis(800), Duration::from_millis(1200));
    assert!((least..=most).contains(after), "{after:?}");
}

#[test]
fn two_ids_at_one_address_are_dialled_once() {
    let mut node = Node::new(3, 5);
    let twin = PeerAddress {
        id: id("twin"),
        ..who("a")
    };
    let outputs = node.input(Input::Named(vec![who("a"), twin]));
    assert_eq!(dialled(&outputs).len(), 1, "{outputs:?}");
}

#[test]
fn dials_under_way_count_and_are_not_repeated() {
    let mut node = Node::new(3, 5);
    node.dials = UnderWay(["a", "x", "y"].map(who).to_vec());
    let outputs = node.input(Input::Named(["a", "b", "c"].map(who).to_vec()));
    let [only] = dialled(&outputs)[..] else {
        panic!("{outputs:?}");
    };
    assert!([who("b"), who("c")].contains(only), "{only:?}");
}

#[test]
fn a_peer_closed_for_a_newcomer_is_told_first_and_is_not_missed() {
    let mut node = Node::new(1, 2);
    let (one, two) = (node.peer("one", 1, 4), node.peer("two", 2, 2));
    let hello = hello("new", Intent::Urgent, 1);
    let newcomer = who("new");
    let (has_room, outputs) =
        node.ask(|state, context| state.make_room_for(&hello, Some(&newcomer), context));
    assert!(has_room);
    let send = |link, data| Output::Send { link, data };
    let expected = [
        send(one, native::contacts(0, &[newcomer])),
        send(one, native::goodbye(true)),
        Output::Close(one),
    ];
    assert_eq!(outputs, expected);
    let reason = RemoveReason::Local;
    assert_eq!(node.input(Input::PeerDown { link: one, reason }), []);
    // Its address stays, so it is dialled when peers are needed.
    node.config.min_peers = 2;
    assert_eq!(dialled(&node.input(Input::Seek)), [&who("one")]);
    let reason = RemoveReason::Silent;
    assert_eq!(node.input(Input::PeerDown { link: two, reason }), []);
}

#[test]
fn a_muted_peer_only_reports_on_itself() {
    let mut node = Node::new(1, 5);
    let link = node.peer("one", 1, 2);
    let mut receive = |native| {
        let muted = true;
        node.input(Input::Received {
            link,
            native,
            muted,
        })
    };
    let shuffle = Native::Shuffle {
        nonce: 1,
        ttl: 0,
        contacts: vec![who("a")],
    };
    assert_eq!(receive(shuffle), []);
    // It has no other peer now, so this node tells how many of its peers have.
    let outputs = receive(Native::Peers { count: 1, ways: 0 });
    let data = native::peers(1, 0);
    assert_eq!(outputs, [Output::Send { link, data }]);
    assert_eq!(node.state.counters().ignored_of_muted, 1);
}

#[test]
fn too_many_shuffles_are_blamed_on_the_peer() {
    let mut node = Node::new(1, 5);
    let link = node.peer("one", 1, 2);
    let burst = node.config.shuffles_per_second as u32 * 10;
    let mut shuffle = |nonce| {
        let (contacts, muted) = (Vec::new(), false);
        let native = Native::Shuffle {
            nonce,
            ttl: 0,
            contacts,
        };
        node.input(Input::Received {
            link,
            native,
            muted,
        })
    };
    let is_blamed = |output: &Output| matches!(output, Output::Blame { .. });
    assert!((0..burst).all(|nonce| !shuffle(nonce).iter().any(is_blamed)));
    let what = "too many shuffles";
    assert_eq!(shuffle(burst), [Output::Blame { link, what }]);
}

#[test]
fn a_node_whose_addresses_are_all_dead_asks_its_peer_for_others() {
    let mut node = Node::new(2, 5);
    let link = node.peer("one", 1, 2);
    node.now = Moment(60_000_000);
    let seek = || Input::TimerFired(Timer::Seek);
    // An address that it knows is tried first.
    let outputs = node.input(Input::Named(vec![who("dead")]));
    assert_eq!(dialled(&outputs), [&who("dead")]);
    node.dials = UnderWay(vec![who("dead")]);
    let outputs = node.input(seek());
    assert!(
        matches!(outputs[..], [Output::SetTimer { .. }]),
        "{outputs:?}"
    );
    node.dials = UnderWay::default();
    node.input(Input::Unreachable {
        id: id("dead"),
        address: Some(who("dead").socket()),
    });
    let outputs = node.input(seek());
    let own = PeerAddress {
        id: id("me"),
        address: "10.0.0.1".parse().unwrap(),
        port: 1,
    };
    let data = native::shuffle(node.state.nonce, 6, &[own, who("one")]);
    assert!(
        outputs.contains(&Output::Send { link, data }),
        "{outputs:?}"
    );
    // A network of two nodes has no others.
    let asks = |node: &mut Node| {
        let outputs = node.input(seek());
        outputs
            .iter()
            .any(|output| matches!(output, Output::Send { .. }))
    };
    let asked = (0..20).filter(|_| asks(&mut node)).count();
    assert_eq!(asked, 6);
}
