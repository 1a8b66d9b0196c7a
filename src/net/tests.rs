//! Nodes on real sockets, without Node.js.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::secure::{self, Keys};
use super::{Credentials, Identity, Node, Room, Secret, Sink};
use crate::proto::legacy::line;
use crate::proto::{Config, Event, Item, LinkId, Mark, NodeId, Payload, Target};

/// Consumes every event at once.
struct Forward(Sender<Event>, Mutex<Vec<Mark>>);

impl Sink for Forward {
    fn event(&self, event: Event) {
        // A test that has seen enough no longer listens.
        self.1.lock().unwrap().extend(event.mark());
        drop(self.0.send(event));
    }

    fn consumed(&self) -> Vec<Mark> {
        std::mem::take(&mut self.1.lock().unwrap())
    }
}

struct Running {
    node: Node,
    events: Receiver<Event>,
    port: u16,
}

impl Running {
    fn start(id: &str, config: Config) -> Self {
        let (sender, events) = channel();
        let id = NodeId::parse(id).unwrap();
        let log = tracing::Dispatch::none();
        let node = Node::start(config, id, Arc::new(Forward(sender, Mutex::default())), log);
        Self::listening(node, events)
    }

    fn start_closed(credentials: Credentials) -> Self {
        let (sender, events) = channel();
        let log = tracing::Dispatch::none();
        let sink = Arc::new(Forward(sender, Mutex::default()));
        let node = Node::start_closed(Config::default(), credentials, sink, log);
        Self::listening(node, events)
    }

    fn listening(node: Node, events: Receiver<Event>) -> Self {
        let mut running = Self {
            node,
            events,
            port: 0,
        };
        running.port = running.expect(|event| match event {
            Event::Listening { port } => Some(port),
            _ => None,
        });
        running
    }

    /// The first event for which `pick` returns something; earlier ones are skipped.
    fn expect<T>(&self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut passed = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) => {
                    if let Some(found) = pick(event.clone()) {
                        return found;
                    }
                    passed.push(event);
                }
                Err(error) => panic!("{error}; saw only {passed:?}"),
            }
        }
    }

    fn peer(&self) -> LinkId {
        self.expect(|event| match event {
            Event::PeerAdded { link, .. } => Some(link),
            _ => None,
        })
    }

    fn messages(&self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        self.expect(|event| {
            if let Event::Broadcast { payload, .. } = event {
                texts.extend(payload.items().map(text));
            }
            (texts.len() >= count).then_some(())
        });
        texts
    }

    fn target(&self) -> Target {
        Target {
            host: "127.0.0.1".to_owned(),
            port: self.port,
        }
    }
}

fn text(item: Item) -> String {
    match item {
        Item::Event(text) | Item::Chunk(text) | Item::Rich(text, _) => {
            String::from_utf8(text.to_vec()).unwrap()
        }
    }
}

fn event(text: &str) -> Payload {
    Payload::events(Bytes::copy_from_slice(text.as_bytes()))
}

fn pair(native: bool) -> (Running, Running) {
    let a = Running::start(
        "a",
        Config {
            native,
            ..Config::default()
        },
    );
    let b = Running::start(
        "b",
        Config {
            seeds: vec![a.target()],
            ..Config::default()
        },
    );
    (a, b)
}

#[test]
fn a_node_enters_through_a_seed_and_both_hear_each_other() {
    for native in [true, false] {
        let (a, b) = pair(native);
        let (to_b, to_a) = (a.peer(), b.peer());
        assert_eq!(a.node.broadcast(event(r#"["one",1]"#)), Ok(Room::Free));
        assert_eq!(
            b.node.broadcast(event("[\"two\",2]\n[\"three\",3]")),
            Ok(Room::Free)
        );
        assert_eq!(b.messages(1), [r#"["one",1]"#]);
        assert_eq!(a.messages(2), [r#"["two",2]"#, r#"["three",3]"#]);
        a.node.send(to_b, event(r#"["direct"]"#)).unwrap();
        let direct = b.expect(|event| match event {
            Event::Direct { link, payload, .. } => {
                Some((link, payload.items().map(text).collect()))
            }
            _ => None,
        });
        assert_eq!(
            direct,
            (to_a, vec![r#"["direct"]"#.to_owned()]),
            "native: {native}"
        );
    }
}

#[test]
fn a_stopped_node_says_goodbye_and_frees_its_port() {
    let (a, b) = pair(true);
    a.peer();
    let link = b.peer();
    a.node.stop();
    a.expect(|event| matches!(event, Event::Stopped).then_some(()));
    b.expect(|event| {
        matches!(event, Event::PeerRemoved { link: l, .. } if l == link).then_some(())
    });
    let again = Running::start(
        "c",
        Config {
            port: a.port,
            ..Config::default()
        },
    );
    assert_eq!(again.port, a.port);
}

#[test]
fn a_port_in_use_is_an_error_with_its_code() {
    let a = Running::start("a", Config::default());
    let (sender, events) = channel();
    let config = Config {
        port: a.port,
        ..Config::default()
    };
    let id = NodeId::parse("b").unwrap();
    let _b = Node::start(
        config,
        id,
        Arc::new(Forward(sender, Mutex::default())),
        tracing::Dispatch::none(),
    );
    match events.recv_timeout(Duration::from_secs(10)) {
        Ok(Event::Failed { code, .. }) => assert_eq!(code, "EADDRINUSE"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sender_that_ignores_pressure_is_stopped_at_a_limit_and_told_when_to_go_on() {
    let config = Config {
        link_queue: 1 << 20,
        ..Config::default()
    };
    let a = Running::start("a", config);
    // A peer that shakes hands and then never reads.
    let mut deaf = std::net::TcpStream::connect(("127.0.0.1", a.port)).unwrap();
    std::io::Write::write_all(&mut deaf, b"[\"smoke\",\"handshake\",{\"id\":\"deaf\"}]\n").unwrap();
    let link = a.peer();
    let message = event(&format!("[\"x\",\"{}\"]", "x".repeat(100_000)));
    let mut sent = 0;
    let refused = loop {
        match a.node.send(link, message.clone()) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(
            sent < 1000,
            "100 MB were taken for a peer that does not read"
        );
    };
    assert_eq!(refused, super::SendError::Overloaded);
    let mut sink = vec![0; 1 << 20];
    let reader = std::thread::spawn(move || {
        while std::io::Read::read(&mut deaf, &mut sink).is_ok_and(|read| read > 0) {}
    });
    a.expect(|event| (event == Event::Drain(Some(link))).then_some(()));
    assert!(a.node.send(link, message).is_ok());
    drop(a);
    reader.join().unwrap();
}

fn member(private: u8) -> Credentials {
    Credentials {
        secrets: vec![Secret::Key([1; 32])],
        identity: Identity::from_private([private; 32]).unwrap(),
    }
}

/// Connects to the node of the closed network at `port` with the key `private`, and claims to be
/// the member with the key 3.
async fn claim_to_be_the_third(port: u16, private: u8) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let keys = Keys::derive(member(private), 100.0).await.unwrap();
    let mut session = secure::dial(&mut stream, &keys, 0).await.unwrap();
    let id = member(3).identity.id().clone();
    let hello = line::handshake(&crate::proto::Hello { id, native: None });
    session.sealer.seal(&mut [hello].into()).unwrap();
    stream.write_all(session.sealer.bytes()).await.unwrap();
    drop(stream.read(&mut [0; 100]).await);
}

#[test]
fn a_member_that_claims_anothers_id_is_refused() {
    let node = Running::start_closed(member(2));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(claim_to_be_the_third(node.port, 4));
    let first = node.expect(|event| match event {
        Event::PeerAdded { id, .. } => Some(id.to_string()),
        Event::Refused { reason, .. } => Some(reason.to_owned()),
        _ => None,
    });
    assert_eq!(first, "identity");
    runtime.block_on(claim_to_be_the_third(node.port, 3));
    let id = member(3).identity.id().clone();
    node.expect(|event| matches!(event, Event::PeerAdded { id: i, .. } if i == id).then_some(()));
}

#[cfg(shared_reads)]
mod watched {
    use std::thread::{ThreadId, current};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::net::Watch;

    /// Reports the thread on which broadcasts arrive.
    struct Where(Sender<(Event, ThreadId)>);

    impl Sink for Where {
        fn event(&self, event: Event) {
            drop(self.0.send((event, current().id())));
        }

        fn consumed(&self) -> Vec<Mark> {
            Vec::new()
        }
    }

    type Events = Receiver<(Event, ThreadId)>;

    /// Two nodes that are peers; the receiver gets what the second hears.
    fn nodes() -> (Running, Node, Events) {
        let a = Running::start("a", Config::default());
        let (sender, events) = channel();
        let config = Config {
            seeds: vec![a.target()],
            ..Config::default()
        };
        let id = NodeId::parse("b").unwrap();
        let log = tracing::Dispatch::none();
        let b = Node::start(config, id, Arc::new(Where(sender)), log);
        a.peer();
        (a, b, events)
    }

    /// Waits like an event loop until there is something to read, and reads it. Other messages than
    /// broadcasts arrive, too, so it may have to wait again.
    fn wait_and_visit(watch: &Watch, events: &Events) -> ThreadId {
        let deadline = Instant::now() + Duration::from_secs(10);
        let second = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        while Instant::now() < deadline {
            watch.attend(true);
            poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&second)).unwrap();
            watch.visit();
            if let Some(thread) = broadcast(events, Duration::ZERO) {
                return thread;
            }
        }
        panic!("nothing came");
    }

    /// The thread on which the next broadcast arrives, if it does in time.
    fn broadcast(events: &Events, within: Duration) -> Option<ThreadId> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let (Event::Broadcast { .. }, thread) = events.recv_timeout(left).ok()? {
                return Some(thread);
            }
        }
    }

    #[test]
    fn an_idle_thread_that_waits_for_the_sockets_reads_them() {
        let (a, b, events) = nodes();
        let watch = b.watch().unwrap();
        let threads: Vec<_> = (0..20)
            .map(|_| {
                watch.attend(true);
                a.node.broadcast(event(r#"["x"]"#)).unwrap();
                wait_and_visit(&watch, &events)
            })
            .collect();
        // The network's thread reads if the system does not run this thread in time.
        assert!(threads.contains(&current().id()), "{threads:?}");
    }

    #[test]
    fn the_network_thread_reads_what_an_idle_thread_does_not() {
        let (a, b, events) = nodes();
        let watch = b.watch().unwrap();
        watch.attend(true);
        for _ in 0..20 {
            a.node.broadcast(event(r#"["x"]"#)).unwrap();
            let thread = broadcast(&events, Duration::from_secs(10)).unwrap();
            assert_ne!(thread, current().id());
        }
    }

    #[test]
    fn a_stopped_node_keeps_no_epoll_descriptor() {
        let (a, b, events) = nodes();
        assert!(b.watch().is_some());
        b.stop();
        while !matches!(events.recv().unwrap(), (Event::Stopped, _)) {}
        let deadline = Instant::now() + Duration::from_secs(10);
        while b.watch().is_some() {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        drop(a);
    }
}
