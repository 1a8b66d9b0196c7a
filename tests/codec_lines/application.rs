//! Data from the application for one peer: events, chunks, custom lines.

use smokesignal::proto::legacy::line;
use smokesignal::proto::{Message, Payload};

use super::{SHAPE, decode};

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
