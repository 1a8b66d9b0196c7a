//! Behaviour of the state machine: inputs in, whole outputs out.

mod broadcasts;
mod conduct;
mod entry;
mod legacy;
mod links;
mod relays;
mod room;
mod shortcuts;
mod waiting;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;

use super::State;
use crate::proto::codec::{Decoder, Limits, native};
use crate::proto::legacy::{line, packet};
use crate::proto::{
    Beacon, CloseHow, Config, Event, Hello, HelloNative, Input, Intent, LinkId, Message, Moment,
    Native, NodeId, Origin, Output, PacketData, Payload, PeerAddress, RemoveReason, Target, Timer,
    Topic,
};

const START: Moment = Moment(1_000_000);

/// A started state and its latest outputs.
struct Node {
    state: State,
    now: Moment,
    out: Vec<Output>,
}

impl Node {
    fn new(id: &str, config: Config) -> Self {
        let state = State::new(config, NodeId::parse(id).unwrap(), 7);
        let mut node = Self {
            state,
            now: START,
            out: Vec::new(),
        };
        node.input(Input::Started { port: 1000 });
        node
    }

    fn input(&mut self, input: Input) -> &[Output] {
        self.out.clear();
        self.state.handle(self.now, input, &mut self.out);
        &self.out
    }

    fn accept(&mut self) -> LinkId {
        let link = self.state.next_link();
        self.input(Input::Accepted {
            link,
            remote: remote(),
        });
        link
    }

    fn receive(&mut self, link: LinkId, message: Message) -> &[Output] {
        self.input(Input::Received { link, message })
    }

    /// Makes `id` a legacy peer.
    fn peer(&mut self, id: &str) -> LinkId {
        let link = self.accept();
        self.receive(link, Message::Handshake(hello(id)));
        assert!(
            self.events()
                .iter()
                .any(|e| matches!(e, Event::PeerAdded { .. })),
            "{:?}",
            self.out
        );
        link
    }

    /// Makes `id` a native peer that listens on `port`.
    fn native_peer(&mut self, id: &str, port: u16) -> LinkId {
        let link = self.accept();
        let hello = native_hello(id, "10.0.0.9", port);
        self.receive(link, Message::Handshake(hello));
        assert!(self.state.is_native(link), "{:?}", self.out);
        link
    }

    /// The frames just sent on a native link, decoded.
    fn frames(&self, link: LinkId) -> Vec<Native> {
        let mut decoder = Decoder::new(Limits::from(&Config::default()), true);
        decoder.connected();
        let hello = native_hello("x", "10.0.0.9", 1);
        let mut bytes = BytesMut::from(&line::handshake(&hello)[..]);
        for output in &self.out {
            match output {
                // A handshake ack is a line, not a frame.
                Output::Send { link: to, data } if *to == link && data.head[0] == 0 => {
                    bytes.extend_from_slice(&data.head);
                    bytes.extend_from_slice(&data.body);
                }
                _ => {}
            }
        }
        let mut frames = Vec::new();
        while let Some(message) = decoder.next(&mut bytes).unwrap() {
            if let Message::Native(frame) = message {
                frames.push(frame);
            }
        }
        frames
    }

    /// Dials port 2000 for the application, as request 1, and connects.
    fn dial(&mut self) -> LinkId {
        self.input(Input::AddPeer {
            request: 1,
            target: target(2000),
        });
        self.dialled()
    }

    /// Connects the latest dial.
    fn dialled(&mut self) -> LinkId {
        let link = self.dials()[0].0;
        self.input(Input::Connected {
            link,
            remote: remote(),
        });
        link
    }

    fn events(&self) -> Vec<Event> {
        let event = |output: &Output| match output {
            Output::Event(event) => Some(event.clone()),
            _ => None,
        };
        self.out.iter().filter_map(event).collect()
    }

    fn closes(&self) -> Vec<(LinkId, CloseHow)> {
        let close = |output: &Output| match output {
            Output::Close { link, how } => Some((*link, *how)),
            _ => None,
        };
        self.out.iter().filter_map(close).collect()
    }

    fn dials(&self) -> Vec<(LinkId, Target)> {
        let dial = |output: &Output| match output {
            Output::Dial { link, target } => Some((*link, target.clone())),
            _ => None,
        };
        self.out.iter().filter_map(dial).collect()
    }

    /// The messages just sent on legacy links, decoded.
    fn sent(&self) -> Vec<(LinkId, Message)> {
        let mut sent = Vec::new();
        for output in &self.out {
            let Output::Send { link, data } = output else {
                continue;
            };
            let mut decoder = Decoder::new(Limits::from(&Config::default()), false);
            let mut bytes = BytesMut::from(&data.head[..]);
            bytes.extend_from_slice(&data.body);
            while let Ok(Some(message)) = decoder.next(&mut bytes) {
                sent.push((*link, message));
            }
        }
        sent
    }
}

/// A native node that needs no peer.
fn native() -> Config {
    Config {
        native: true,
        ..legacy()
    }
}

fn remote() -> SocketAddr {
    "10.0.0.9:40000".parse().unwrap()
}

fn hello(id: &str) -> Hello {
    Hello {
        id: NodeId::parse(id).unwrap(),
        native: None,
    }
}

fn native_hello(id: &str, address: &str, port: u16) -> Hello {
    let native = HelloNative {
        version: 1,
        address: address.to_owned(),
        port,
        epoch: 1,
        intent: Intent::Peer,
        windows: false,
        max_message: None,
        place: Default::default(),
    };
    Hello {
        native: Some(native),
        ..hello(id)
    }
}

fn who(id: &str, port: u16) -> PeerAddress {
    let id = NodeId::parse(id).unwrap();
    PeerAddress {
        id,
        address: "10.0.0.9".parse().unwrap(),
        port,
    }
}

fn legacy() -> Config {
    Config {
        native: false,
        address: "10.0.0.1".to_owned(),
        ..Config::default()
    }
}

fn target(port: u16) -> Target {
    Target {
        host: "10.0.0.9".to_owned(),
        port,
    }
}

/// The packet as a legacy peer sends it.
fn packet(topic: Topic, id: &str, data: &[u8]) -> Message {
    let (_, text) = packet::new_packet(id, data);
    let mut bytes = BytesMut::from(&line::packet(topic, &text)[..]);
    let mut decoder = Decoder::new(Limits::from(&Config::default()), false);
    decoder.next(&mut bytes).unwrap().unwrap()
}
