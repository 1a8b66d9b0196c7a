mod closed;
mod component;

use super::*;

/// Nodes and the frames between them.
struct Room {
    now: Moment,
    nodes: Vec<Members>,
    wakes: Vec<Option<Moment>>,
    /// Both ends of a link have the same name.
    links: Vec<(usize, usize)>,
    wire: std::collections::VecDeque<(usize, LinkId, Frame)>,
    events: Vec<Vec<Event>>,
    /// Links that brought a forged record.
    forgers: Vec<LinkId>,
    bytes: usize,
}

fn id(number: usize) -> NodeId {
    NodeId::parse(&format!("node{number}")).unwrap()
}

fn config() -> Config {
    Config {
        max_members: 64,
        address: Address {
            host: "10.0.0.1".to_owned(),
            port: 1,
        },
        body: String::new(),
        identity: None,
    }
}

impl Room {
    fn new(count: usize) -> Self {
        let mut room = Self {
            now: Moment(0),
            nodes: Vec::new(),
            wakes: Vec::new(),
            links: Vec::new(),
            wire: std::collections::VecDeque::new(),
            events: vec![Vec::new(); count],
            forgers: Vec::new(),
            bytes: 0,
        };
        for number in 0..count {
            room.nodes.push(fresh(number, 1, room.now));
            room.wakes.push(None);
        }
        room
    }

    fn input(&mut self, node: usize, input: Input) {
        let mut out = Vec::new();
        self.nodes[node].handle(self.now, input, &mut out);
        for output in out {
            match output {
                Output::Send(link, frame) => {
                    let mut body = bytes::BytesMut::new();
                    frame.write(&mut body);
                    self.bytes += body.len();
                    let frame = Frame::read(frame.kind(), body.freeze()).unwrap();
                    let Some((one, other)) = self.links.get(link.0 as usize).copied() else {
                        continue;
                    };
                    let to = if one == node { other } else { one };
                    self.wire.push_back((to, link, frame));
                }
                Output::WakeAt(at) => self.wakes[node] = Some(at),
                Output::Malformed(link) => panic!("a malformed record on {link}"),
                Output::Forged(link) => self.forgers.push(link),
                Output::Event(event) => self.events[node].push(event),
            }
        }
    }

    fn connect(&mut self, one: usize, other: usize) -> LinkId {
        self.links.push((one, other));
        let link = LinkId(self.links.len() as u32 - 1);
        for (node, peer) in [(one, other), (other, one)] {
            let (id, stub) = (self.nodes[peer].me.id.clone(), None);
            self.input(node, Input::LinkUp { link, id, stub });
        }
        link
    }

    fn cut(&mut self, link: LinkId) {
        let (one, other) = std::mem::replace(&mut self.links[link.0 as usize], (99, 99));
        self.wire.retain(|(_, other, _)| *other != link);
        self.input(one, Input::LinkDown(link));
        self.input(other, Input::LinkDown(link));
    }

    /// Delivers frames without delay and lets time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now.after(time);
        loop {
            while let Some((to, link, frame)) = self.wire.pop_front() {
                self.input(to, Input::Frame(link, frame));
            }
            let next = self.wakes.iter().enumerate();
            let next = next.filter_map(|(node, at)| Some(((*at)?, node))).min();
            match next {
                Some((at, node)) if at <= end => {
                    self.now = at.max(self.now);
                    self.wakes[node] = None;
                    self.input(node, Input::Wake);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn lists(&self) -> Vec<Vec<NodeId>> {
        self.nodes.iter().map(Members::list).collect()
    }
}

fn fresh(number: usize, epoch: u64, now: Moment) -> Members {
    let id = id(number);
    Members::new(config(), Origin { id, epoch }, now)
}

fn records(record: &Record) -> Frame {
    Frame::Records(vec![record.raw().clone()])
}

const A_WHILE: Duration = Duration::from_secs(5);

#[test]
fn nodes_in_a_line_know_each_other_and_nobody_else() {
    let mut room = Room::new(5);
    for pair in [(0, 1), (1, 2), (3, 4)] {
        room.connect(pair.0, pair.1);
    }
    room.run(A_WHILE);
    let [left, right] = [[0, 1, 2].map(id).to_vec(), [3, 4].map(id).to_vec()];
    assert_eq!(
        room.lists(),
        [&left, &left, &left, &right, &right].map(Clone::clone)
    );
    assert_eq!(room.nodes[0].way_to(&id(2)), Some((LinkId(0), 2)));
    assert_eq!(room.nodes[0].way_to(&id(4)), None);
}

#[test]
fn a_part_that_is_cut_off_leaves_at_once_and_comes_back() {
    let mut room = Room::new(4);
    room.connect(0, 1);
    let bridge = room.connect(1, 2);
    room.connect(2, 3);
    room.run(A_WHILE);
    room.events[0].clear();
    room.cut(bridge);
    room.run(Duration::from_millis(200));
    let mut gone = room.events[0].clone();
    gone.sort_by_key(|event| match event {
        Event::Left(handle) => *handle,
        _ => 0,
    });
    assert!(
        matches!(gone[..], [Event::Left(_), Event::Left(_)]),
        "{gone:?}"
    );
    room.run(A_WHILE);
    room.connect(0, 3);
    room.run(A_WHILE);
    let all = [0, 1, 2, 3].map(id).to_vec();
    assert!(
        room.lists().iter().all(|list| *list == all),
        "{:?}",
        room.lists()
    );
}

#[test]
fn a_claim_of_one_side_is_no_edge() {
    let mut room = Room::new(3);
    let link = room.connect(0, 1);
    room.connect(1, 2);
    room.run(A_WHILE);
    // A forged record: it names both as peers, and neither names it.
    let (origin, address) = (
        Origin {
            id: id(9),
            epoch: 1,
        },
        Address::default(),
    );
    let neighbour = |number| Neighbour {
        id: id(number),
        stub: None,
    };
    let neighbours = vec![neighbour(0), neighbour(2)];
    let claim = Record::new(origin, 1, false, address, String::new(), neighbours);
    room.input(1, Input::Frame(link, records(&claim)));
    room.run(A_WHILE);
    assert_eq!(room.nodes[2].records(), 4, "it was passed on");
    // One of us names it, and it does not name us.
    let (link, stub) = (LinkId(50), None);
    room.input(
        1,
        Input::LinkUp {
            link,
            id: id(9),
            stub,
        },
    );
    room.run(A_WHILE);
    let real = [0, 1, 2].map(id);
    assert_eq!(room.lists(), [real.clone(), real.clone(), real]);
}

#[test]
fn a_goodbye_is_final_and_a_second_life_is_another_member() {
    let mut room = Room::new(3);
    room.connect(0, 1);
    let link = room.connect(1, 2);
    room.run(A_WHILE);
    let handle = |room: &Room, epoch| room.nodes[0].handle_of(&Origin { id: id(2), epoch });
    let first = handle(&room, 1).unwrap();
    assert_eq!(room.nodes[0].origin(first).unwrap().id, id(2));
    // Its link is still up when its final record arrives.
    room.input(2, Input::Stop);
    room.run(Duration::from_millis(100));
    assert_eq!(room.events[0].last(), Some(&Event::Left(first)));
    assert_eq!(room.nodes[0].origin(first), None);
    room.cut(link);
    room.nodes[2] = fresh(2, 2, room.now);
    room.connect(2, 1);
    room.run(A_WHILE);
    assert!(handle(&room, 2).is_some_and(|second| second != first));
    assert_eq!(handle(&room, 1), None);
}

#[test]
fn a_node_without_a_record_is_named_by_its_peers() {
    let mut room = Room::new(2);
    room.connect(0, 1);
    let (link, id) = (LinkId(7), id(9));
    let stub = Some(Address {
        host: "10.0.0.9".to_owned(),
        port: 9,
    });
    let (name, address) = (id.clone(), stub.clone().unwrap());
    room.input(1, Input::LinkUp { link, id, stub });
    room.run(A_WHILE);
    let joined = room.events[0].iter().find_map(|event| match event {
        Event::Joined(member) if member.is_stub => Some(member.clone()),
        _ => None,
    });
    let joined = joined.unwrap();
    assert_eq!((&joined.id, &joined.address), (&name, &address));
    assert_eq!(
        room.nodes[0].origin(joined.handle),
        None,
        "nothing can be sent to it"
    );
    room.input(1, Input::LinkDown(link));
    room.run(A_WHILE);
    assert_eq!(room.events[0].last(), Some(&Event::Left(joined.handle)));
}

#[test]
fn a_node_in_the_place_of_another_is_another_member() {
    let mut room = Room::new(2);
    let link = room.connect(0, 1);
    room.run(A_WHILE);
    let names = |version, others: &[usize]| {
        let stubs = others.iter().map(|number| Neighbour {
            id: id(*number),
            stub: Some(Address::default()),
        });
        let peer = Neighbour {
            id: id(0),
            stub: None,
        };
        let (id, epoch) = (id(1), 1);
        Record::new(
            Origin { id, epoch },
            version,
            false,
            Address::default(),
            String::new(),
            std::iter::once(peer).chain(stubs).collect(),
        )
    };
    room.input(0, Input::Frame(link, records(&names(100, &[8]))));
    room.input(0, Input::Wake);
    room.events[0].clear();
    // Two changes, and no census between them.
    for record in [names(101, &[]), names(102, &[9])] {
        room.input(0, Input::Frame(link, records(&record)));
    }
    room.run(A_WHILE);
    let events = &room.events[0][..];
    assert!(
        matches!(events, [Event::Left(_), Event::Joined(member)] if member.id == id(9)),
        "{events:?}"
    );
}

#[test]
fn a_new_body_is_an_update_and_a_new_neighbour_is_not() {
    let mut room = Room::new(3);
    room.connect(0, 1);
    room.run(A_WHILE);
    room.events[0].clear();
    room.input(1, Input::Body("hi".to_owned()));
    room.run(A_WHILE);
    assert!(
        matches!(&room.events[0][..], [Event::Updated(member)] if member.body == "hi"),
        "{:?}",
        room.events[0]
    );
    room.events[0].clear();
    room.connect(1, 2);
    room.run(A_WHILE);
    assert!(
        matches!(&room.events[0][..], [Event::Joined(_)]),
        "{:?}",
        room.events[0]
    );
}

#[test]
fn changes_are_collected() {
    let mut room = Room::new(2);
    room.connect(0, 1);
    room.run(Duration::from_secs(30));
    let before = room.nodes[0].counters().taken;
    for change in 0..1000 {
        room.input(1, Input::Body(change.to_string()));
        room.run(Duration::from_millis(10));
    }
    // Ten seconds, and the burst on top of them.
    let taken = room.nodes[0].counters().taken - before;
    assert!((10..=14).contains(&taken), "{taken}");
    assert_eq!(room.nodes[0].counters().refused, 0);
}

#[test]
fn records_that_come_too_often_or_are_too_many_are_refused() {
    let mut room = Room::new(2);
    let link = room.connect(0, 1);
    room.run(A_WHILE);
    let forged = |number: usize, version| {
        let origin = Origin {
            id: id(number),
            epoch: 3,
        };
        Record::new(
            origin,
            version,
            false,
            Address::default(),
            String::new(),
            Vec::new(),
        )
    };
    for version in 1..=100 {
        let frame = records(&forged(50, version));
        room.input(0, Input::Frame(link, frame));
    }
    let taken = room.nodes[0].counters().taken;
    assert!(room.nodes[0].counters().refused >= 80, "{taken}");
    for number in 100..1000 {
        let frame = records(&forged(number, 1));
        room.input(0, Input::Frame(link, frame));
        assert!(room.nodes[0].records() <= 64);
    }
    room.run(A_WHILE);
    // No record names them, so they are not members, and are forgotten in time.
    assert_eq!(room.lists()[0], [0, 1].map(id));
    room.run(Duration::from_secs(80));
    assert_eq!(room.nodes[0].records(), 2);
}

#[test]
fn records_cannot_name_nodes_without_end() {
    let mut room = Room::new(2);
    let link = room.connect(0, 1);
    room.run(A_WHILE);
    for number in 0..60 {
        let made_up = |other| Neighbour {
            id: id(1000 + 500 * number + other),
            stub: None,
        };
        let neighbours = (0..100).map(made_up).collect();
        let (origin, address) = (
            Origin {
                id: id(number + 2),
                epoch: 1,
            },
            Address::default(),
        );
        let record = Record::new(origin, 1, false, address, String::new(), neighbours);
        room.input(0, Input::Frame(link, records(&record)));
    }
    assert_eq!(
        room.nodes[0].records(),
        4,
        "64 members may come to 256 names"
    );
    assert!(room.nodes[0].counters().refused > 50);
    let long = "x".repeat(MAX_BODY);
    for version in 2..20 {
        for number in 2..64 {
            let (origin, address) = (
                Origin {
                    id: id(number),
                    epoch: 1,
                },
                Address::default(),
            );
            let record = Record::new(origin, version, false, address, long.clone(), Vec::new());
            room.input(0, Input::Frame(link, records(&record)));
        }
    }
    assert!(
        room.nodes[0].footprint() < 400_000,
        "{}",
        room.nodes[0].footprint()
    );
}

#[test]
fn a_node_has_the_last_word_on_itself() {
    let mut room = Room::new(2);
    let link = room.connect(0, 1);
    room.run(A_WHILE);
    let origin = Origin {
        id: id(1),
        epoch: 77,
    };
    let lie = Record::new(
        origin,
        1000,
        true,
        Address::default(),
        String::new(),
        Vec::new(),
    );
    room.input(0, Input::Frame(link, records(&lie)));
    room.input(1, Input::Frame(link, records(&lie)));
    room.run(A_WHILE);
    assert_eq!(room.lists()[0], [0, 1].map(id));
}

#[test]
fn idle_nodes_send_only_digests() {
    let mut room = Room::new(30);
    for node in 1..30 {
        room.connect(node, node / 2);
    }
    room.run(Duration::from_secs(30));
    assert!(room.lists().iter().all(|list| list.len() == 30));
    room.bytes = 0;
    room.run(Duration::from_secs(100));
    assert_eq!(
        room.bytes,
        29 * 10 * 8,
        "a digest of eight bytes per link and 10 s"
    );
}

#[test]
fn missed_records_are_repaired() {
    let mut room = Room::new(3);
    room.connect(0, 1);
    room.connect(1, 2);
    room.run(A_WHILE);
    room.input(0, Input::Body("lost on the way".to_owned()));
    room.now = room.now.after(Duration::from_millis(100));
    room.input(0, Input::Wake);
    room.wire.clear();
    room.run(Duration::from_secs(12));
    let updated = |event: &Event| matches!(event, Event::Updated(m) if m.body == "lost on the way");
    assert!(room.events[2].iter().any(updated), "{:?}", room.events[2]);
}

/// Writes what a record says anew.
fn rewritten(raw: &[u8]) -> Option<Record> {
    let view = View::parse(raw)?;
    let address = |(host, port): (&str, u16)| Address::new(host, port);
    let neighbours = view.neighbours().map(|(code, stub)| {
        Some(Neighbour {
            id: NodeId::from_code(code)?,
            stub: stub.map(address),
        })
    });
    Some(Record::new(
        Origin {
            id: NodeId::from_code(view.code)?,
            epoch: view.epoch,
        },
        view.version,
        view.is_final,
        address(view.address),
        view.body.to_owned(),
        neighbours.collect::<Option<_>>()?,
    ))
}

#[test]
fn records_round_trip_and_malformed_ones_are_refused() {
    let neighbours = vec![
        Neighbour {
            id: id(2),
            stub: None,
        },
        Neighbour {
            id: NodeId::parse("Jürgen").unwrap(),
            stub: Some(Address {
                host: "::1".to_owned(),
                port: 3,
            }),
        },
    ];
    let origin = Origin {
        id: id(1),
        epoch: 5,
    };
    let address = Address {
        host: "host".to_owned(),
        port: 7,
    };
    let body = "ü".repeat(1025);
    let record = Record::new(origin, 9, true, address, body, neighbours);
    let read = rewritten(record.raw()).unwrap();
    assert_eq!(read.body, "ü".repeat(1024), "cut at a character");
    assert_eq!(read, record);
    for length in 0..record.raw().len() {
        assert_eq!(rewritten(&record.raw()[..length]), None);
    }
}

#[test]
fn ten_thousand_members_take_four_megabytes() {
    let mut node = fresh(0, 1, Moment(0));
    node.config.max_members = 16_384;
    let (link, stub, mut out) = (LinkId(1), None, Vec::new());
    let up = Input::LinkUp {
        link,
        id: id(1),
        stub,
    };
    node.handle(Moment(0), up, &mut out);
    let count = 10_000;
    // A ring with chords: each node has four neighbours, and the last also has us.
    for number in 1..=count {
        let steps = [1, count - 1, 77, count - 77];
        let around = steps.map(|step| id((number - 1 + step) % count + 1));
        let ours = (number == 1).then(|| id(0));
        let neighbour = |id| Neighbour { id, stub: None };
        let neighbours = around.into_iter().chain(ours).map(neighbour).collect();
        let origin = Origin {
            id: id(number),
            epoch: 1,
        };
        let address = config().address;
        let record = Record::new(origin, 1, false, address, String::new(), neighbours);
        node.handle(Moment(1), Input::Frame(link, records(&record)), &mut out);
    }
    for second in 1..5 {
        node.handle(Moment(second * 1_000_000), Input::Wake, &mut out);
    }
    assert_eq!((node.len(), node.records()), (count, count + 1));
    assert!(node.way_to(&id(5000)).is_some());
    assert!(node.footprint() < 4 << 20, "{}", node.footprint());
}
