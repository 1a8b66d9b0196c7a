use super::*;
use crate::proto::Origin;

const OLD: LinkId = LinkId(1);
const NATIVE: LinkId = LinkId(2);
const START: Moment = Moment(0);

fn id(text: &str) -> NodeId {
    NodeId::parse(text).unwrap()
}

/// A translator with a legacy peer and a native one.
fn translator() -> Translator {
    let mut translator = Translator::new(&Config::default());
    translator.peer_up(OLD, id("old"), false);
    translator.peer_up(NATIVE, id("new"), true);
    translator
}

fn run(payload: Payload) -> Publish {
    Publish {
        origin: Origin {
            id: id("far"),
            epoch: 7,
        },
        first: 1,
        hops: 0,
        repair: false,
        payload,
    }
}

/// A packet as the legacy peer sends it.
fn packet(id_prefix: &str, data: PacketData, value: &[u8]) -> Packet {
    let (id, text) = packets::new_packet(id_prefix, value);
    Packet {
        topic: Topic::Broadcast,
        id,
        text,
        data,
    }
}

#[test]
fn a_native_broadcast_goes_to_legacy_peers_only_and_is_recognised_when_it_returns() {
    let mut translator = translator();
    let run = run(Payload::events(r#"["chat","hi"]"#.into()));
    let mut sends = Sends::new();
    translator.translate(&run, None, Class::Own, &mut sends);
    let value = br#"["chat","hi"]"#;
    let (id, text) = packets::new_packet(&packet_prefix(&run.origin, 1), value);
    let line = as_line(line::packet(Topic::Broadcast, &text), Class::Own);
    assert_eq!(sends, [(OLD, line)]);
    let back = Packet {
        topic: Topic::Broadcast,
        id,
        text,
        data: PacketData::Event(Bytes::from_static(value)),
    };
    let arrival = translator.on_packet(OLD, &back, START, &mut Sends::new());
    assert_eq!(arrival, Arrival::Native(run));
}

#[test]
fn a_packet_of_a_legacy_node_is_passed_on_once() {
    let mut translator = translator();
    let value = br#"["chat","hi"]"#;
    let data = PacketData::Event(Bytes::from_static(value));
    let packet = packet("old-1", data, value);
    let mut sends = Sends::new();
    let arrival = translator.on_packet(OLD, &packet, START, &mut sends);
    let payload = Payload::events(Bytes::from_static(value));
    assert_eq!(arrival, Arrival::Legacy(payload));
    let frame = native::packet(Topic::Broadcast, &packet.text, Class::Forward);
    assert_eq!(sends, [(NATIVE, frame)]);
    sends.clear();
    let again = translator.on_packet(OLD, &packet, START, &mut sends);
    assert_eq!((again, sends.len()), (Arrival::Known, 0));
}

#[test]
fn a_peer_that_broadcasts_events_only_gets_no_chunks() {
    let mut translator = translator();
    let chunk = run(Payload::chunk(b"x"));
    let value = br#"["chat"]"#;
    let data = PacketData::Event(Bytes::from_static(value));
    translator.on_packet(OLD, &packet("old-1", data, value), START, &mut Sends::new());
    let mut sends = Sends::new();
    translator.translate(&chunk, None, Class::Own, &mut sends);
    assert_eq!((sends.len(), translator.counters().withheld), (0, 1));
}
