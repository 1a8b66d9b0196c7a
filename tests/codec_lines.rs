//! The legacy wire, both ways, byte for byte.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use smokesignal::Config;
use smokesignal::proto::codec::{DecodeError, Decoder, Limits, line, packet};
use smokesignal::proto::json::MAX_DEPTH;
use smokesignal::proto::{
    Hello, HelloNative, Message, NodeId, Packet, PacketData, Payload, PeerAddress, Pong, Reject,
    Topic,
};

const SHAPE: Message = Message::Rejected(Reject::BadShape);
const HASH: Message = Message::Rejected(Reject::BadHash);
const NOISE: Message = Message::Rejected(Reject::NotAMessage);

fn limits() -> Limits {
    Limits::from(&Config::default())
}

fn decode_all(input: &[u8]) -> Vec<Message> {
    let mut decoder = Decoder::new(limits(), false);
    let mut input = BytesMut::from(input);
    let messages = std::iter::from_fn(|| decoder.next(&mut input).unwrap()).collect();
    assert_eq!(input, "", "everything was taken");
    messages
}

fn decode(line: &str) -> Message {
    let messages = decode_all(format!("{line}\n").as_bytes());
    let [message] = <[Message; 1]>::try_from(messages).unwrap();
    message
}

fn id(text: &str) -> NodeId {
    NodeId::parse(text).unwrap()
}

fn peer(address: &str) -> PeerAddress {
    PeerAddress {
        id: id("abc"),
        address: address.parse().unwrap(),
        port: 8000,
    }
}

fn hello() -> Hello {
    Hello {
        id: id("abc"),
        native: None,
    }
}

fn native_hello() -> Hello {
    let address = "example.org".to_owned();
    let native = HelloNative {
        version: 1,
        address,
        port: 4321,
        epoch: 0xab,
        intent: smokesignal::proto::Intent::Peer,
    };
    Hello {
        native: Some(native),
        ..hello()
    }
}

const SMOKE2: &str = r#"{"v":1,"address":"example.org","port":4321,"epoch":"00000000000000ab"}"#;

/// The message of a packet with that data, hashed as it stands.
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

fn event(text: &'static str) -> PacketData {
    PacketData::Event(Bytes::from(text))
}

fn chunk(bytes: &'static [u8]) -> PacketData {
    PacketData::Chunk(Bytes::from(bytes))
}

#[test]
fn what_a_legacy_node_writes_is_understood() {
    let lines = include_str!("data/legacy-0.2.2.txt");
    let (nine, fih) = (id("9o76f9whsvjb"), id("fihtgmobx40p"));
    let local = |id: &NodeId, port| PeerAddress {
        id: id.clone(),
        address: "127.0.0.1".parse().unwrap(),
        port,
    };
    let packet = |topic, id: &str, data| {
        let line = lines
            .lines()
            .find(|line| line.contains(&format!("{{\"id\":\"{id}")))
            .unwrap();
        let text = &line[line.find('{').unwrap()..line.len() - 1];
        Message::Packet(Packet {
            topic,
            id: id.to_owned(),
            text: text.to_owned().into(),
            data,
        })
    };
    let ping_id = "fihtgmobx40p-faoshhhv8k20-f6383b309f892a807d17ab375d00af55";
    let broadcast = Topic::Broadcast;
    let expected = vec![
        Message::Handshake(Hello {
            id: nine.clone(),
            native: None,
        }),
        Message::HandshakeAck(Hello {
            id: fih.clone(),
            native: None,
        }),
        Message::PeerRequest(local(&fih, 21112)),
        packet(
            Topic::PeerRequest,
            "fihtgmobx40p-haxeuayemdnk-bb59f13803ba5a44f731511e62a8e8eb",
            PacketData::PeerRequest(local(&fih, 21112)),
        ),
        packet(
            broadcast,
            "fihtgmobx40p-mrne1pghz7o-c9126be848b1e603804a87bbcaae7355",
            chunk(b"hello, everyone\n"),
        ),
        packet(
            broadcast,
            "fihtgmobx40p-ionjt0i27fp0-7e9c45e9209e5f471c8ba94069196cd7",
            chunk(&[0, 255, 128, 7]),
        ),
        packet(
            broadcast,
            "fihtgmobx40p-bunth027va3x-5e9e6df9737ba13287141b4cf8a2103a",
            event(r#"["chat","grüße 😀",{"7":[1.5,0,1e+21],"b":1,"a":"\ud800"},null]"#),
        ),
        packet(
            broadcast,
            "9o76f9whsvjb-sa514nncqi8g-ab27fe6742ef8860c48cc5da3e18348d",
            event("[\"tick\",1,true,\"x\u{2028}y\\\\\\\"/\"]"),
        ),
        packet(
            Topic::Ping,
            ping_id,
            PacketData::Ping {
                from: "127.0.0.1:21112".parse().unwrap(),
                target: "127.0.0.1:21111".parse().unwrap(),
            },
        ),
        Message::Pong(Pong {
            from: local(&nine, 21111),
            responds_to: ping_id.to_owned(),
        }),
    ];
    assert_eq!(decode_all(lines.as_bytes()), expected);
}

#[test]
fn handshakes_are_written_and_read() {
    assert_eq!(
        line::handshake(&hello()),
        "[\"smoke\",\"handshake\",{\"id\":\"abc\"}]\n"
    );
    assert_eq!(
        line::handshake_ack(&hello()),
        "[\"smoke\",\"handshake ack\",{\"id\":\"abc\"}]\n"
    );
    let data = format!(r#"{{"id":"abc","smoke2":{SMOKE2}}}"#);
    let handshake = format!("[\"smoke\",\"handshake\",{data}]\n");
    assert_eq!(line::handshake(&native_hello()), handshake);
    let ack = format!("[\"smoke\",\"handshake ack\",{data}]\n");
    assert_eq!(line::handshake_ack(&native_hello()), ack);

    assert_eq!(decode(&handshake), Message::Handshake(native_hello()));
    assert_eq!(decode(&ack), Message::HandshakeAck(native_hello()));
    let more = r#"["smoke","handshake",{"x":[1],"id":"old","id":"abc","y":null}]"#;
    assert_eq!(decode(more), Message::Handshake(hello()));
}

#[test]
fn an_offer_that_makes_no_sense_leaves_a_legacy_handshake() {
    let replace = |from, to| SMOKE2.replace(from, to);
    let offers = [
        "1".to_owned(),
        "{}".to_owned(),
        replace(r#""v":1"#, r#""v":0"#),
        replace(r#""v":1"#, r#""v":"1""#),
        replace(r#""v":1"#, r#""v":1.5"#),
        replace("example.org", ""),
        replace("example.org", "a b"),
        replace("example.org", &"a".repeat(256)),
        replace("4321", "0"),
        replace("4321", "65536"),
        replace("00ab", "ab"),
        replace("00ab", "+0ab"),
        replace("00ab", "00ag"),
    ];
    for offer in offers {
        let line = format!(r#"["smoke","handshake",{{"id":"abc","smoke2":{offer}}}]"#);
        assert_eq!(decode(&line), Message::Handshake(hello()), "for {offer}");
    }
    let newer = SMOKE2.replace(r#""v":1"#, r#""v":7,"new":{}"#);
    let line = format!(r#"["smoke","handshake",{{"id":"abc","smoke2":{newer}}}]"#);
    assert_eq!(decode(&line), Message::Handshake(native_hello()));
}

#[test]
fn handshakes_without_a_good_id_are_rejected() {
    for data in [
        "null",
        "{}",
        "[]",
        "\"abc\"",
        r#"{"id":1}"#,
        r#"{"id":""}"#,
        r#"{"id":"a-b"}"#,
    ] {
        assert_eq!(
            decode(&format!(r#"["smoke","handshake",{data}]"#)),
            SHAPE,
            "for {data}"
        );
        assert_eq!(
            decode(&format!(r#"["smoke","handshake ack",{data}]"#)),
            SHAPE,
            "for {data}"
        );
    }
}

#[test]
fn entry_requests_are_written_and_read() {
    let line =
        r#"["smoke","peer request",{"id":"abc","remoteAddress":"10.0.0.1","remotePort":8000}]"#;
    assert_eq!(line::peer_request(&peer("10.0.0.1")), format!("{line}\n"));
    assert_eq!(decode(line), Message::PeerRequest(peer("10.0.0.1")));
    let mapped = line.replace("10.0.0.1", "::ffff:10.0.0.1");
    assert_eq!(decode(&mapped), Message::PeerRequest(peer("10.0.0.1")));
    let six = line.replace("10.0.0.1", "::1");
    assert_eq!(decode(&six), Message::PeerRequest(peer("::1")));
    assert_eq!(
        decode(&line.replace("8000", "8.0e3")),
        Message::PeerRequest(peer("10.0.0.1"))
    );

    for address in [
        "localhost",
        "",
        "10.0.0",
        "10.0.0.1:80",
        "[::1]",
        "010.0.0.1",
    ] {
        assert_eq!(
            decode(&line.replace("10.0.0.1", address)),
            SHAPE,
            "for {address}"
        );
    }
    for port in ["0", "-1", "65536", "1.5", "1e400", "\"8000\"", "null"] {
        assert_eq!(decode(&line.replace("8000", port)), SHAPE, "for {port}");
    }
    assert_eq!(decode(r#"["smoke","peer request",null]"#), SHAPE);
}

#[test]
fn pongs_are_written_and_read() {
    let pong = Pong {
        from: peer("::1"),
        responds_to: "abc-def-0123".to_owned(),
    };
    let line = r#"["smoke","pong",{"id":"abc","remoteAddress":"::1","remotePort":8000,"respondsTo":"abc-def-0123"}]"#;
    assert_eq!(line::pong(&pong), format!("{line}\n"));
    assert_eq!(decode(line), Message::Pong(pong));
    for responds_to in ["1", "null", "\"\"", "\"abc\"", "\"abc-\\n\""] {
        let line = line.replace("\"abc-def-0123\"", responds_to);
        assert_eq!(decode(&line), SHAPE, "for {responds_to}");
    }
    assert_eq!(decode(r#"["smoke","pong",null]"#), SHAPE);
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
    // What would end a legacy node, and what it ignores.
    for data in ["{}", "1", "true", "false", "null", "0", "\"\""] {
        assert_eq!(read(data), Err(Reject::BadShape), "for {data}");
    }
}

#[test]
fn base64_is_read_as_node_reads_it() {
    // Expectations are what Buffer.from(text, 'base64') gave on Node 20.
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
fn odd_requests_are_relayed_unless_they_end_a_legacy_node() {
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
    for id in ["\"a b\"", "\"\"", "7", "null"] {
        let read = decode_packet(Topic::PeerRequest, &request.replace("\"abc\"", id));
        assert_eq!(read, Ok(PacketData::Other), "for {id}");
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
fn a_hash_holds_for_the_text_or_for_what_javascript_makes_of_it() {
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
fn packets_keep_what_is_unknown_in_them() {
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
    for bad in [
        "1",
        "null",
        "[\"abc-def\"]",
        "\"abc\"",
        "\"-d\"",
        "\"a b-d\"",
        "\"abc-\\u0000\"",
        &long,
    ] {
        assert_eq!(decode(&line.replace(&quoted, bad)), SHAPE, "for {bad}");
    }
    assert_eq!(decode(&line.replace("data", "date")), SHAPE);
    assert_eq!(decode(r#"["smoke","broadcast",null]"#), SHAPE);
    assert_eq!(decode(r#"["smoke","ping",[]]"#), SHAPE);
}

#[test]
fn direct_events_are_written_nested_and_read_nested_and_flat() {
    let nested = r#"["smoke","event",["chat","hi",1]]"#;
    assert_eq!(
        line::direct_event(br#"["chat","hi",1]"#),
        format!("{nested}\n")
    );
    let expected = Message::Direct(Payload::events(r#"["chat","hi",1]"#.into()));
    assert_eq!(decode(nested), expected);
    assert_eq!(decode(r#"["smoke","event","chat","hi",1]"#), expected);
    assert_eq!(
        decode("[\"smoke\",\"event\", \"chat\",\t\"hi\",1.0 ] \r"),
        expected
    );
    let alone = Message::Direct(Payload::events(r#"["chat"]"#.into()));
    assert_eq!(decode(r#"["smoke","event",["chat"]]"#), alone);
    assert_eq!(decode(r#"["smoke","event","chat"]"#), alone);
    for bad in ["1", "null", "[]", "[1]", r#"["x"],1"#, r#"1,"x""#] {
        assert_eq!(
            decode(&format!(r#"["smoke","event",{bad}]"#)),
            SHAPE,
            "for {bad}"
        );
    }
}

#[test]
fn direct_chunks_are_written_and_read() {
    assert_eq!(
        line::direct_chunk(b"hi"),
        "[\"smoke\",\"direct\",\"aGk=\"]\n"
    );
    let expected = Message::Direct(Payload::chunk(b"hi"));
    assert_eq!(decode(r#"["smoke","direct","aGk="]"#), expected);
    assert_eq!(decode(r#"["smoke","direct",1]"#), SHAPE);
}

#[test]
fn other_paths_are_the_applications() {
    let text = r#"["my",1,{"x":"y"}]"#;
    assert_eq!(line::application(text.as_bytes()), format!("{text}\n"));
    assert_eq!(decode(&format!(" {text}\r")), Message::Line(text.into()));
    assert_eq!(
        decode(r#"["smoke::x",null]"#),
        Message::Line(r#"["smoke::x",null]"#.into())
    );
    assert_eq!(
        decode(r#"["\ud800",null]"#),
        Message::Line(r#"["\ud800",null]"#.into())
    );
}

#[test]
fn what_is_no_message_is_rejected_and_the_link_goes_on() {
    let lines = [
        "x",
        "{}",
        "1",
        "[]",
        "[1,2]",
        "[\"my\"]",
        "[\"smoke\"]",
        "[\"smoke\",{}]",
        "[\"smoke\",\"event\"]",
        r#"["smoke",1,{}]"#,
        r#"["smoke","nothing",{}]"#,
        r#"["smoke","handshake","x",{}]"#,
        r#"["\u0073moke","nothing",{}]"#,
        "[\"my\",1] x",
        "[\"my\",",
        "[\"my\",\u{1}]",
    ];
    for line in lines {
        assert_eq!(decode(line), NOISE, "for {line}");
    }
    assert_eq!(decode_all(b"[\"my\",\"\xff\"]\n"), [NOISE]);
    let deep = MAX_DEPTH + 2;
    let deep = format!("[\"my\",{}{}]", "[".repeat(deep), "]".repeat(deep));
    assert_eq!(decode(&deep), NOISE);
    let stream = b"nonsense\n[\"my\",1]\n";
    assert_eq!(
        decode_all(stream),
        [NOISE, Message::Line("[\"my\",1]".into())]
    );
}

#[test]
fn blank_lines_are_skipped() {
    let lines = b"\n\r\n \t\n[\"my\",1]\r\n\n";
    assert_eq!(decode_all(lines), [Message::Line("[\"my\",1]".into())]);
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

#[test]
fn a_line_may_be_longer_after_a_handshake() {
    let limits = Limits {
        line_unconnected: 40,
        line: 60,
        frame: 0,
    };
    let line = |len: usize| format!("[\"my\",\"{}\"]\n", "x".repeat(len - 9));
    let next = |decoder: &mut Decoder, input: String| decoder.next(&mut BytesMut::from(&*input));

    let mut decoder = Decoder::new(limits, false);
    let fits = line(40);
    assert_eq!(
        next(&mut decoder, fits.clone()),
        Ok(Some(Message::Line(fits.trim().to_owned().into())))
    );
    assert_eq!(next(&mut decoder, line(41)), Err(DecodeError::LineTooLong));
    assert_eq!(
        next(&mut Decoder::new(limits, false), "x".repeat(40)),
        Ok(None)
    );
    assert_eq!(
        next(&mut Decoder::new(limits, false), "x".repeat(41)),
        Err(DecodeError::LineTooLong)
    );

    let mut decoder = Decoder::new(limits, false);
    let handshake = r#"["smoke","handshake",{"id":"abc"}]"#.to_owned() + "\n";
    assert_eq!(
        next(&mut decoder, handshake),
        Ok(Some(Message::Handshake(hello())))
    );
    let fits = line(60);
    assert_eq!(
        next(&mut decoder, fits.clone()),
        Ok(Some(Message::Line(fits.trim().to_owned().into())))
    );
    assert_eq!(next(&mut decoder, line(61)), Err(DecodeError::LineTooLong));
}

#[test]
fn a_long_line_in_small_pieces_takes_linear_time() {
    let mut decoder = Decoder::new(
        Limits {
            line_unconnected: 1 << 23,
            line: 0,
            frame: 0,
        },
        false,
    );
    let mut input = BytesMut::new();
    // 2^23 bytes in 2^19 pieces: 2^41 steps, hours, if each piece made it look at everything.
    for _ in 0..1 << 19 {
        input.extend_from_slice(&[b'x'; 16]);
        assert_eq!(decoder.next(&mut input), Ok(None));
    }
    input.extend_from_slice(b"\n");
    assert_eq!(decoder.next(&mut input), Ok(Some(NOISE)));
}
