//! Packets: their ids, their data, and the effects of both on legacy nodes.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use smokesignal::proto::codec::Decoder;
use smokesignal::proto::legacy::{line, packet};
use smokesignal::proto::{Message, Packet, PacketData, Reject, Topic};

use super::{HASH, SHAPE, chunk, decode, event, limits, peer};

/// A packet message with that data, hashed unchanged.
fn packet_line(topic: Topic, data: &str) -> (String, Bytes, String) {
    let (id, text) = packet::new_packet("abc-def", data.as_bytes());
    let line = line::packet(topic, &text);
    (
        id,
        text,
        std::str::from_utf8(&line).unwrap().trim_end().to_owned(),
    )
}

fn decode_packet(topic: Topic, data: &str) -> Result<PacketData, Reject> {
    let (id, text, line) = packet_line(topic, data);
    match decode(&line) {
        Message::Packet(Packet {
            topic: found_topic,
            id: found_id,
            text: found_text,
            data,
        }) => {
            assert_eq!((found_topic, found_id, found_text), (topic, id, text));
            Ok(data)
        }
        Message::Rejected(reject) => Err(reject),
        other => panic!("got {other:?}"),
    }
}

#[test]
fn a_new_packet_has_its_hash_in_its_id() {
    let (id, text) = packet::new_packet("abc-def", br#"["chat","hi"]"#);
    assert_eq!(id, "abc-def-7bb97860d8792ac928dba95120455ce2");
    assert_eq!(text, format!(r#"{{"id":"{id}","data":["chat","hi"]}}"#));
    let kinds = [
        (Topic::Broadcast, "broadcast"),
        (Topic::PeerRequest, "peer request"),
        (Topic::Ping, "ping"),
    ];
    for (topic, kind) in kinds {
        let line = line::packet(topic, &text);
        assert_eq!(
            line,
            [b"[\"smoke\",\"", kind.as_bytes(), b"\",", &text, b"]\n"].concat()
        );
    }
}

#[test]
fn data_is_made_for_each_topic() {
    let data = packet::event_data(br#" ["chat",{"b":1.0,"1":[]}] "#).unwrap();
    assert_eq!(data, br#"["chat",{"1":[],"b":1}]"#);
    for text in [
        "",
        "{}",
        "[]",
        "[1]",
        "\"chat\"",
        "[\"chat\"",
        "[\"chat\"],\"x\"",
    ] {
        assert_eq!(packet::event_data(text.as_bytes()), None, "for {text}");
    }
    assert_eq!(packet::chunk_data(b""), b"\"\"");
    assert_eq!(packet::chunk_data(b"a"), b"\"YQ==\"");
    assert_eq!(packet::chunk_data(&[0xfb, 0xff, 0xbf]), b"\"+/+/\"");
    let request = br#"{"id":"abc","remoteAddress":"::1","remotePort":8000}"#;
    assert_eq!(packet::peer_request_data(&peer("::1")), request);
    let (from, target) = ("10.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap());
    let ping =
        br#"{"remoteAddress":"10.0.0.1","remotePort":1,"targetPort":2,"targetAddress":"::1"}"#;
    assert_eq!(packet::ping_data(from, target), ping);
}

#[test]
fn broadcasts_are_events_or_chunks() {
    let read = |data| decode_packet(Topic::Broadcast, data);
    assert_eq!(read(r#"["chat","hi"]"#), Ok(event(r#"["chat","hi"]"#)));
    assert_eq!(read(r#"[ "chat" ]"#), Ok(event(r#"[ "chat" ]"#)));
    assert_eq!(read("[ \"chat\",\t1.0 ]"), Ok(event(r#"["chat",1]"#)));
    assert_eq!(read("[]"), Ok(PacketData::Other));
    assert_eq!(read("[1,2]"), Ok(PacketData::Other));
    assert_eq!(read("[[\"chat\"]]"), Ok(PacketData::Other));
    assert_eq!(read(r#""aGk=""#), Ok(chunk(b"hi")));
    // Data that would crash a legacy node, and data that it ignores.
    for data in ["{}", "1", "true", "false", "null", "0", "\"\""] {
        assert_eq!(read(data), Err(Reject::BadShape), "for {data}");
    }
}

#[test]
fn base64_is_read_as_node_reads_it() {
    // The expected values come from Buffer.from(text, 'base64') on Node 20.
    let cases: [(&str, &[u8]); 12] = [
        ("YQ==YQ==", b"a"),
        ("=bad", b""),
        ("YW\\nJj", b"abc"),
        ("a", b""),
        ("ab", b"i"),
        ("abc", b"i\xb7"),
        ("-_-_", b"\xfb\xff\xbf"),
        ("YQ=", b"a"),
        ("YWI=Yw", b"ab"),
        ("é!YWJj", b"abc"),
        ("YR==", b"a"),
        ("YWJjZ", b"abc"),
    ];
    for (text, bytes) in cases {
        let read = decode_packet(Topic::Broadcast, &format!("\"{text}\""));
        assert_eq!(read, Ok(chunk(bytes)), "for {text}");
    }
}

#[test]
fn peer_requests_and_pings_are_read() {
    let data = packet::peer_request_data(&peer("10.0.0.1"));
    let data = String::from_utf8(data).unwrap();
    let read = decode_packet(Topic::PeerRequest, &data);
    assert_eq!(read, Ok(PacketData::PeerRequest(peer("10.0.0.1"))));

    let from: SocketAddr = "10.0.0.1:1".parse().unwrap();
    let target: SocketAddr = "[::1]:2".parse().unwrap();
    let data = String::from_utf8(packet::ping_data(from, target)).unwrap();
    assert_eq!(
        decode_packet(Topic::Ping, &data),
        Ok(PacketData::Ping { from, target })
    );
}

#[test]
fn odd_requests_are_relayed_unless_they_crash_a_legacy_node() {
    let request = String::from_utf8(packet::peer_request_data(&peer("10.0.0.1"))).unwrap();
    let ping = String::from_utf8(packet::ping_data(
        "10.0.0.1:8000".parse().unwrap(),
        "10.0.0.1:8000".parse().unwrap(),
    ));
    let ping = ping.unwrap();
    let odd = [
        ("\"10.0.0.1\"", "\"localhost\""),
        ("\"10.0.0.1\"", "null"),
        (":8000", ":0"),
        (":8000", ":\"8000\""),
    ];
    for (from, to) in odd {
        let read = decode_packet(Topic::PeerRequest, &request.replacen(from, to, 1));
        assert_eq!(read, Ok(PacketData::Other), "for {to}");
        assert_eq!(
            decode_packet(Topic::Ping, &ping.replace(from, to)),
            Ok(PacketData::Other)
        );
    }
    for id in ["\"\"", "null"] {
        let read = decode_packet(Topic::PeerRequest, &request.replace("\"abc\"", id));
        assert_eq!(read, Ok(PacketData::Other), "for {id}");
    }
    for id in ["\"a b\"", "7"] {
        let read = decode_packet(Topic::PeerRequest, &request.replace("\"abc\"", id));
        assert!(matches!(read, Ok(PacketData::PeerRequest(_))), "for {id}");
    }
    let harmful = [
        (":8000", ":65536"),
        (":8000", ":-1"),
        (":8000", ":0.5"),
        (":8000", ":1e999"),
        ("\"10.0.0.1\"", r#"{"toString":1}"#),
        ("\"10.0.0.1\"", r#"[{"toString":1}]"#),
        ("\"abc\"", r#"{"toString":1}"#),
    ];
    for (from, to) in harmful {
        let read = decode_packet(Topic::PeerRequest, &request.replace(from, to));
        assert_eq!(read, Err(Reject::BadShape), "for {to}");
        if !from.contains("abc") {
            for count in 1..=2 {
                let read = decode_packet(Topic::Ping, &ping.replacen(from, to, count));
                assert_eq!(read, Err(Reject::BadShape), "for {to}");
            }
        }
    }
    assert_eq!(
        decode_packet(Topic::PeerRequest, "5"),
        Err(Reject::BadShape)
    );
    assert_eq!(decode_packet(Topic::Ping, "[]"), Err(Reject::BadShape));
}

#[test]
fn a_hash_covers_the_text_or_its_canonical_form() {
    let canonical = r#"["x",{"1":1,"b":100}]"#;
    let written = r#"[ "x", {"b":1e2, "1":1.0} ]"#;
    let (id, _, line) = packet_line(Topic::Broadcast, canonical);
    let line = line.replace(canonical, written);
    let text = format!(r#"{{"id":"{id}","data":{written}}}"#).into();
    let expected = Packet {
        topic: Topic::Broadcast,
        id,
        text,
        data: event(written),
    };
    assert_eq!(decode(&line), Message::Packet(expected));
    assert_eq!(decode(&line.replace("1e2", "1e3")), HASH);

    let (id, _, line) = packet_line(Topic::Broadcast, canonical);
    assert_eq!(decode(&line.replace("100", "101")), HASH);
    assert_eq!(decode(&line.replace(&id, &id.to_uppercase())), HASH);
    assert_eq!(decode(&line.replace(&id, &id[..id.len() - 1])), HASH);
    assert_eq!(decode(&line.replace(&id, "abc-def")), HASH);
}

#[test]
fn packets_keep_unknown_members() {
    let (id, text, line) = packet_line(Topic::Broadcast, "[\"x\"]");
    let inner = std::str::from_utf8(&text).unwrap();
    let extended = inner.replace(r#"{"id""#, r#"{"v":{"a":[]},"id":"old","i\u0064""#);
    let line = line.replace(inner, &format!(" {extended}\r"));
    let expected = Packet {
        topic: Topic::Broadcast,
        id,
        text: extended.into(),
        data: event("[\"x\"]"),
    };
    assert_eq!(decode(&line), Message::Packet(expected));
}

#[test]
fn packets_of_another_shape_are_rejected() {
    let (id, _, line) = packet_line(Topic::Broadcast, "[\"x\"]");
    let quoted = format!("\"{id}\"");
    let long = format!("\"abc-{}\"", "d".repeat(packet::MAX_ID_LEN));
    for bad in ["1", "null", "[\"abc-def\"]", "\"abc\"", "\"-d\"", &long] {
        assert_eq!(decode(&line.replace(&quoted, bad)), SHAPE, "for {bad}");
    }
    assert_eq!(decode(&line.replace("data", "date")), SHAPE);
    assert_eq!(decode(r#"["smoke","broadcast",null]"#), SHAPE);
    assert_eq!(decode(r#"["smoke","ping",[]]"#), SHAPE);
}

#[test]
fn relayed_texts_are_slices_of_the_input() {
    let (_, _, line) = packet_line(Topic::Broadcast, "[\"x\"]");
    let mut input = BytesMut::from(format!("{line}\n").as_bytes());
    let memory = input.as_ptr_range();
    let message = Decoder::new(limits(), false).next(&mut input).unwrap();
    let Some(Message::Packet(Packet {
        text,
        data: PacketData::Event(event),
        ..
    })) = message
    else {
        panic!("got {message:?}");
    };
    assert!(memory.contains(&text.as_ptr()));
    assert!(memory.contains(&event.as_ptr()));
}
