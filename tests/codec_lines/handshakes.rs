//! Messages before a link is a peer's: handshakes, entry requests, pongs.

use smokesignal::proto::legacy::line;
use smokesignal::proto::{Hello, HelloNative, Message, NodeId, Pong, Records, Reject};

use super::{SHAPE, decode, hello, peer};

const SMOKE2: &str = r#"{"v":1,"address":"example.org","port":4321,"epoch":"00000000000000ab"}"#;

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
fn a_nonsensical_offer_makes_a_legacy_handshake() {
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
    const BAD_ID: Message = Message::Rejected(Reject::BadId);
    let long = format!(r#"{{"id":"{}"}}"#, "a".repeat(513));
    for (data, expected) in [
        ("null", SHAPE),
        ("{}", SHAPE),
        ("[]", SHAPE),
        ("\"abc\"", SHAPE),
        (r#"{"id":""}"#, BAD_ID),
        (r#"{"id":null}"#, BAD_ID),
        (r#"{"id":{"a":1}}"#, BAD_ID),
        (r#"{"id":"\ud800"}"#, BAD_ID),
        (&long, BAD_ID),
    ] {
        for kind in ["handshake", "handshake ack"] {
            let line = format!(r#"["smoke","{kind}",{data}]"#);
            assert_eq!(decode(&line), expected, "for {data}");
        }
    }
}

#[test]
fn legacy_nodes_may_have_any_text_or_number_for_an_id() {
    for (raw, id) in [
        ("\"Mathew Franqui\"", "Mathew Franqui"),
        ("\"J\\u00fcrgen\"", "Jürgen"),
        ("\"a-b\"", "a-b"),
        ("\"tab\\there\"", "tab\there"),
        ("\"a\\\"b\"", "a\"b"),
        ("42", "42"),
        ("-1.5", "-1.5"),
    ] {
        let line = format!(r#"["smoke","handshake",{{"id":{raw}}}]"#);
        let expected = Hello {
            id: NodeId::parse(id).unwrap(),
            native: None,
        };
        assert_eq!(decode(&line), Message::Handshake(expected.clone()), "{id}");
        let again = line::handshake(&expected);
        let again = String::from_utf8(again[..again.len() - 1].to_vec()).unwrap();
        assert_eq!(decode(&again), Message::Handshake(expected), "{id}");
    }
}

#[test]
fn a_handshake_names_the_records_that_a_node_keeps() {
    let records = |raw: &str| {
        let offer = SMOKE2.replace('}', &format!(r#","members":{raw}}}"#));
        let line = format!(r#"["smoke","handshake",{{"id":"abc","smoke2":{offer}}}]"#);
        match decode(&line) {
            Message::Handshake(hello) => hello.native.unwrap().place.members,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(records("true"), Records::Plain);
    assert_eq!(records("\"signed\""), Records::Signed);
    for other in ["false", "\"true\"", "\"sealed\"", "2", "null", "{}"] {
        assert_eq!(records(other), Records::None, "{other}");
    }
}

#[test]
fn an_invalid_network_name_matches_no_network() {
    let network = |raw: &str| {
        let offer = SMOKE2.replace('}', &format!(r#","network":{raw}}}"#));
        let line = format!(r#"["smoke","handshake",{{"id":"abc","smoke2":{offer}}}]"#);
        match decode(&line) {
            Message::Handshake(hello) => hello.native.unwrap().place.network,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(network("\"shop\"").as_deref(), Some("shop"));
    let long = format!("\"{}\"", "a".repeat(65));
    for bad in ["1", "\"\"", "null", &long] {
        assert_eq!(network(bad).as_deref(), Some(""), "{bad}");
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
    for responds_to in ["1", "null", "\"\"", "\"abc\"", "\"-d\""] {
        let line = line.replace("\"abc-def-0123\"", responds_to);
        assert_eq!(decode(&line), SHAPE, "for {responds_to}");
    }
    assert_eq!(decode(r#"["smoke","pong",null]"#), SHAPE);
}

fn native_hello() -> Hello {
    let address = "example.org".to_owned();
    let native = HelloNative {
        version: 1,
        address,
        port: 4321,
        epoch: 0xab,
        intent: smokesignal::proto::Intent::Peer,
        windows: false,
        max_message: None,
        place: Default::default(),
    };
    Hello {
        native: Some(native),
        ..hello()
    }
}
