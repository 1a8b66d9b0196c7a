//! The codec on random messages cut at random places, and on random bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proptest::sample::Index;
use smokesignal::proto::codec::{DecodeError, Decoder, Limits, native};
use smokesignal::proto::legacy::canonical;
use smokesignal::proto::legacy::{line, packet};
use smokesignal::proto::{
    Beacon, Class, Hello, HelloNative, Intent, Message, Native, NodeId, Origin, Outgoing, Packet,
    PacketData, Payload, PeerAddress, Place, Pong, Publish, Range, Records, Topic, Watermark, Why,
};

const LIMITS: Limits = Limits {
    unconnected: usize::MAX,
    line: 8192,
    frame: 8192,
};

fn node_id() -> impl Strategy<Value = NodeId> {
    let id = prop_oneof!["[0-9a-z]{1,14}", "[!#-,.-\\[\\]-~]{1,64}"];
    id.prop_map(|id| NodeId::parse(&id).unwrap())
}

fn address() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_map(|address| address.to_canonical())
}

fn peer_address() -> impl Strategy<Value = PeerAddress> {
    (node_id(), address(), 1..=u16::MAX).prop_map(|(id, address, port)| PeerAddress {
        id,
        address,
        port,
    })
}

fn socket_address() -> impl Strategy<Value = SocketAddr> {
    (address(), 1..=u16::MAX).prop_map(SocketAddr::from)
}

fn hello() -> impl Strategy<Value = Hello> {
    let intent = prop::sample::select(Intent::ALL.to_vec());
    let host = "[0-9a-zA-Z.:_%-]{1,40}";
    let parts = (host, 1..=u16::MAX, any::<u64>(), intent, place());
    let abilities = (any::<bool>(), any::<Option<u32>>());
    let native = (parts, abilities).prop_map(|(parts, abilities)| {
        let (address, port, epoch, intent, place) = parts;
        let (windows, max_message) = abilities;
        HelloNative {
            version: 1,
            address,
            port,
            epoch,
            intent,
            windows,
            max_message,
            place,
        }
    });
    (node_id(), prop::option::of(native)).prop_map(|(id, native)| Hello { id, native })
}

fn place() -> impl Strategy<Value = Place> {
    let parts = (
        prop::option::of(any::<[u16; 3]>()),
        prop::collection::vec(any::<u64>(), 0..=8),
        prop::option::of("\\PC{1,16}"),
        prop::option::of(prop::sample::select(Why::ALL.to_vec())),
        prop::sample::select(vec![Records::None, Records::Plain, Records::Signed]),
        any::<bool>(),
    );
    parts.prop_map(|(numbers, part, network, why, members, shortcut)| Place {
        max_peers: numbers.map(|[max, ..]| max),
        peers: numbers.map_or(0, |[_, has, _]| has),
        ways: numbers.map_or(0, |[.., ways]| ways),
        part,
        network,
        why,
        members,
        shortcut,
    })
}

/// The canonical text of `[event, ...args]`.
fn event() -> impl Strategy<Value = Vec<u8>> {
    let arg = prop_oneof![
        any::<f64>()
            .prop_filter("no JSON", |n| n.is_finite())
            .prop_map(|n| format!("{n:e}")),
        "[ -~&&[^\"\\\\]]{0,20}".prop_map(|text| format!("\"{text}\"")),
        "\\PC{0,10}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#"{"b":[null,true],"7":{}}"#.to_owned()),
    ];
    let name = any::<String>().prop_map(|name| serde_json::to_string(&name).unwrap());
    (name, prop::collection::vec(arg, 0..4)).prop_map(|(name, mut args)| {
        args.insert(0, name);
        canonical(format!("[{}]", args.join(",")).as_bytes()).unwrap()
    })
}

fn chunk() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..200)
}

fn payload() -> impl Strategy<Value = Payload> {
    let events = prop::collection::vec(event(), 1..5)
        .prop_map(|events| Payload::events(events.join(&b'\n').into()));
    let rich = (event(), prop::collection::vec(chunk(), 0..3)).prop_map(|(event, attachments)| {
        let attachments: Vec<_> = attachments.iter().map(Vec::as_slice).collect();
        Payload::rich(&event, &attachments)
    });
    prop_oneof![
        events,
        chunk().prop_map(|chunk| Payload::chunk(&chunk)),
        rich
    ]
}

fn packet() -> impl Strategy<Value = Packet> {
    let data = prop_oneof![
        event().prop_map(|text| {
            (
                Topic::Broadcast,
                text.clone(),
                PacketData::Event(text.into()),
            )
        }),
        prop::collection::vec(any::<u8>(), 1..200).prop_map(|chunk| {
            (
                Topic::Broadcast,
                packet::chunk_data(&chunk),
                PacketData::Chunk(chunk.into()),
            )
        }),
        peer_address().prop_map(|peer| {
            (
                Topic::PeerRequest,
                packet::peer_request_data(&peer),
                PacketData::PeerRequest(peer),
            )
        }),
        (socket_address(), socket_address()).prop_map(|(from, target)| {
            (
                Topic::Ping,
                packet::ping_data(from, target),
                PacketData::Ping { from, target },
            )
        }),
    ];
    (node_id(), "[0-9a-z]{1,14}", data).prop_map(|(id, uuid, (topic, text, data))| {
        let (id, text) = packet::new_packet(&format!("{id}-{uuid}"), &text);
        Packet {
            topic,
            id,
            text,
            data,
        }
    })
}

fn application() -> impl Strategy<Value = Bytes> {
    event().prop_filter_map("one of ours, or without a path", |text| {
        let is_theirs = text.contains(&b',') && !text.starts_with(b"[\"smoke\"");
        let array = serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(&text).ok()?;
        (is_theirs && array.len() > 1).then(|| text.into())
    })
}

/// A message that fits on a line, and the line.
fn on_line() -> impl Strategy<Value = (Message, Bytes)> {
    let peer_request = peer_address().prop_map(|peer| {
        (
            Message::PeerRequest(peer.clone()),
            line::peer_request(&peer),
        )
    });
    let pong = (peer_address(), packet()).prop_map(|(from, packet)| {
        let pong = Pong {
            from,
            responds_to: packet.id,
        };
        let line = line::pong(&pong);
        (Message::Pong(pong), line)
    });
    let packet = packet().prop_map(|packet| {
        let line = line::packet(packet.topic, &packet.text);
        (Message::Packet(packet), line)
    });
    prop_oneof![
        hello().prop_map(|hello| (Message::Handshake(hello.clone()), line::handshake(&hello))),
        hello().prop_map(|hello| (
            Message::HandshakeAck(hello.clone()),
            line::handshake_ack(&hello)
        )),
        peer_request,
        pong,
        packet,
        event().prop_map(|text| {
            let line = line::direct_event(&text);
            (Message::Direct(Payload::events(text.into())), line)
        }),
        chunk().prop_map(|chunk| (
            Message::Direct(Payload::chunk(&chunk)),
            line::direct_chunk(&chunk)
        )),
        application().prop_map(|text| (Message::Line(text.clone()), line::application(&text))),
    ]
}

fn origin() -> impl Strategy<Value = Origin> {
    (node_id(), any::<u64>()).prop_map(|(id, epoch)| Origin { id, epoch })
}

fn range() -> impl Strategy<Value = Range> {
    (origin(), 1..u64::MAX, 1..u64::MAX).prop_map(|(origin, a, b)| Range {
        origin,
        first: a.min(b),
        last: a.max(b),
    })
}

fn publish() -> impl Strategy<Value = Publish> {
    (
        origin(),
        1..u64::MAX - 10,
        any::<u8>(),
        any::<bool>(),
        payload(),
    )
        .prop_map(|(origin, first, hops, repair, payload)| Publish {
            origin,
            first,
            hops,
            repair,
            payload,
        })
}

fn contacts() -> impl Strategy<Value = Vec<PeerAddress>> {
    prop::collection::vec(peer_address(), 0..=32)
}

fn watermarks() -> impl Strategy<Value = Vec<Watermark>> {
    let watermark = (origin(), 0..u64::MAX).prop_map(|(origin, high)| Watermark { origin, high });
    prop::collection::vec(watermark, 0..5)
}

/// A message that fits in a frame, and the frame.
fn in_frame() -> impl Strategy<Value = (Message, Bytes)> {
    let frame = prop_oneof![
        watermarks().prop_map(|watermarks| {
            let frame = native::consumed(&watermarks);
            (Message::Native(Native::Consumed(watermarks)), frame)
        }),
        (origin(), node_id()).prop_map(|(origin, id)| {
            let frame = native::stalled(&origin, &id);
            (Message::Native(Native::Stalled { origin, id }), frame)
        }),
        range().prop_map(|it| {
            let frame = native::oversized(&it, Class::Own);
            (Message::Native(Native::Oversized(it)), frame)
        }),
        any::<u64>().prop_map(|count| {
            let frame = native::direct_consumed(count);
            (Message::Native(Native::DirectConsumed(count)), frame)
        }),
        publish().prop_map(|publish| {
            let frame = native::publish(&publish, Class::Forward);
            (Message::Native(Native::Publish(publish)), frame)
        }),
        watermarks().prop_map(|watermarks| {
            let frame = native::i_have(&watermarks);
            (Message::Native(Native::IHave(watermarks)), frame)
        }),
        (range(), any::<u32>()).prop_map(|(range, max_age_ms)| {
            let frame = native::graft(&range, max_age_ms);
            (Message::Native(Native::Graft { range, max_age_ms }), frame)
        }),
        range().prop_map(|it| (Message::Native(Native::Gone(it.clone())), native::gone(&it))),
        origin().prop_map(|it| (
            Message::Native(Native::Prune(it.clone())),
            native::prune(&it)
        )),
        Just((Message::Native(Native::Heartbeat), native::heartbeat())),
        any::<(u16, u16)>().prop_map(|(count, ways)| {
            let peers = Native::Peers { count, ways };
            (Message::Native(peers), native::peers(count, ways))
        }),
        (any::<bool>(), any::<u8>(), peer_address()).prop_map(|(urgent, ttl, who)| {
            let frame = native::forward_join(urgent, ttl, &who);
            let join = Native::ForwardJoin { urgent, ttl, who };
            (Message::Native(join), frame)
        }),
        (any::<u32>(), any::<u8>(), contacts()).prop_map(|(nonce, ttl, contacts)| {
            let frame = native::shuffle(nonce, ttl, &contacts);
            let shuffle = Native::Shuffle {
                nonce,
                ttl,
                contacts,
            };
            (Message::Native(shuffle), frame)
        }),
        (any::<u32>(), contacts()).prop_map(|(nonce, contacts)| {
            let frame = native::contacts(nonce, &contacts);
            (Message::Native(Native::Contacts { nonce, contacts }), frame)
        }),
        any::<bool>().prop_map(|keep| {
            let frame = native::goodbye(keep);
            (Message::Native(Native::Goodbye { keep }), frame)
        }),
        (origin(), socket_address(), any::<u64>()).prop_map(|(origin, address, number)| {
            let beacon = Beacon {
                origin,
                address: SocketAddr::new(address.ip().to_canonical(), address.port()),
                number,
            };
            let frame = native::beacon(&beacon);
            (Message::Native(Native::Beacon(beacon)), frame)
        }),
        (node_id(), any::<bool>()).prop_map(|(seed, wanted)| {
            let frame = native::beacon_tree(&seed, wanted);
            (Message::Native(Native::BeaconTree { seed, wanted }), frame)
        }),
        payload().prop_map(|it| (Message::Direct(it.clone()), native::direct(&it, Class::Own))),
        packet().prop_map(|it| {
            let frame = native::packet(it.topic, &it.text, Class::Forward);
            (Message::Packet(it), frame)
        }),
        application().prop_map(|it| (
            Message::Line(it.clone()),
            native::application(&it, Class::Own)
        )),
    ];
    frame.prop_map(|(message, Outgoing { head, body, .. })| (message, [head, body].concat().into()))
}

fn native_hello() -> Hello {
    let native = HelloNative {
        version: 1,
        address: "::1".to_owned(),
        port: 1,
        epoch: 1,
        intent: Intent::Peer,
        windows: false,
        max_message: None,
        place: Place::default(),
    };
    Hello {
        id: NodeId::parse("a").unwrap(),
        native: Some(native),
    }
}

/// Feeds `stream` in pieces cut at `cuts`. Returns the messages and the outcome. Checks that the
/// decoder never keeps more than one unfinished message.
fn feed(
    stream: &[u8],
    cuts: &[Index],
    offers_native: bool,
) -> (Vec<Message>, Result<(), DecodeError>) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    let mut decoder = Decoder::new(LIMITS, offers_native);
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for piece in cuts.windows(2) {
        input.extend_from_slice(&stream[piece[0]..piece[1]]);
        loop {
            match decoder.next(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
        assert!(input.len() <= LIMITS.line.max(LIMITS.frame + 4));
    }
    (messages, Ok(()))
}

fn join(parts: &[(Message, Bytes)]) -> (Vec<Message>, Vec<u8>) {
    let messages = parts.iter().map(|(message, _)| message.clone()).collect();
    (
        messages,
        parts.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect(),
    )
}

fn cuts() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 0..40)
}

#[derive(Clone, Debug)]
enum Edit {
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Repeat(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let byte = || {
        prop_oneof![
            any::<u8>(),
            prop::sample::select(b"\n\"\\{}[],:-0".to_vec())
        ]
    };
    prop_oneof![
        (any::<Index>(), byte()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        any::<Index>().prop_map(Edit::Remove),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    let len = bytes.len();
    match edit {
        Edit::Set(at, byte) => bytes[at.index(len)] = *byte,
        Edit::Insert(at, byte) => bytes.insert(at.index(len), *byte),
        Edit::Remove(at) if len > 1 => drop(bytes.remove(at.index(len))),
        Edit::Remove(_) => {}
        Edit::Repeat(from, to) => {
            let (from, to) = (from.index(len), to.index(len));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(from..from, part);
        }
    }
}

/// Whether a decoded message can be forwarded without breaking a line.
fn is_fit_to_relay(message: &Message) -> bool {
    match message {
        Message::Packet(Packet { text, data, .. }) => {
            let is_event_fit = match data {
                PacketData::Event(event) => event.iter().all(|byte| *byte >= 0x20),
                _ => true,
            };
            is_event_fit && !text.contains(&b'\n') && canonical(text).is_some()
        }
        Message::Line(text) => !text.contains(&b'\n') && canonical(text).is_some(),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn lines_decode_to_the_messages_that_were_encoded(
        parts in prop::collection::vec(on_line(), 1..8), cuts in cuts(),
    ) {
        let (messages, stream) = join(&parts);
        prop_assert_eq!(feed(&stream, &cuts, false), (messages, Ok(())));
    }

    #[test]
    fn frames_decode_to_the_messages_that_were_encoded(
        mut parts in prop::collection::vec(in_frame(), 1..8), cuts in cuts(), is_ack in any::<bool>(),
    ) {
        let hello = native_hello();
        let greeting = if is_ack {
            (Message::HandshakeAck(hello.clone()), line::handshake_ack(&hello))
        } else {
            (Message::Handshake(hello.clone()), line::handshake(&hello))
        };
        parts.insert(0, greeting);
        let (messages, stream) = join(&parts);
        prop_assert_eq!(feed(&stream, &cuts, true), (messages, Ok(())));
    }

    #[test]
    fn random_bytes_cause_no_panic(
        noise in prop::collection::vec(any::<u8>(), 0..600), cuts in cuts(), is_native in any::<bool>(),
    ) {
        let greeting = if is_native { line::handshake(&native_hello()) } else { Bytes::new() };
        let stream = [&greeting[..], &noise].concat();
        let (messages, _) = feed(&stream, &cuts, true);
        prop_assert!(messages.iter().all(is_fit_to_relay));
    }

    #[test]
    fn damaged_lines_cause_no_panic(
        parts in prop::collection::vec(on_line(), 1..4),
        edits in prop::collection::vec(edit(), 1..6), cuts in cuts(),
    ) {
        let (_, mut stream) = join(&parts);
        edits.iter().for_each(|edit| apply(&mut stream, edit));
        let (messages, _) = feed(&stream, &cuts, true);
        prop_assert!(messages.iter().all(is_fit_to_relay));
        // The pieces make no difference.
        prop_assert_eq!(feed(&stream, &cuts, true), feed(&stream, &[], true));
    }

    #[test]
    fn damaged_frames_cause_no_panic(
        parts in prop::collection::vec(in_frame(), 1..4),
        edits in prop::collection::vec(edit(), 1..6), cuts in cuts(),
    ) {
        let (_, mut frames) = join(&parts);
        edits.iter().for_each(|edit| apply(&mut frames, edit));
        let stream = [&line::handshake(&native_hello())[..], &frames].concat();
        let (messages, _) = feed(&stream, &cuts, true);
        prop_assert!(messages.iter().all(is_fit_to_relay));
        prop_assert_eq!(feed(&stream, &cuts, true), feed(&stream, &[], true));
    }
}
