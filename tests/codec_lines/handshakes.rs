//! What is said before a link is a peer's: handshakes, entry requests, pongs.

use smokesignal::proto::codec::line;
use smokesignal::proto::{Hello, HelloNative, Message, Pong};

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
    };
    Hello {
        native: Some(native),
        ..hello()
    }
}
