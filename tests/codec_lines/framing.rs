//! Framing: the ends of lines, their limits, and malformed lines.

use bytes::BytesMut;
use smokesignal::proto::Message;
use smokesignal::proto::codec::{DecodeError, Decoder, LEAST, Limits};
use smokesignal::proto::json::MAX_DEPTH;

use super::{NOISE, decode, decode_all, hello};

#[test]
fn a_malformed_message_is_rejected_and_the_link_survives() {
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

fn next(decoder: &mut Decoder, input: impl AsRef<str>) -> Result<Option<Message>, DecodeError> {
    decoder.next(&mut BytesMut::from(input.as_ref()))
}

/// A line of that many bytes, without its newline.
fn line(len: usize) -> String {
    format!("[\"my\",\"{}\"]\n", "x".repeat(len - 9))
}

const SMALL: Limits = Limits {
    unconnected: 3 * LEAST,
    line: 60,
    frame: 0,
};

#[test]
fn lines_of_an_unconnected_link_share_one_limit() {
    let new = || Decoder::new(SMALL, false);
    let too_much = Err(DecodeError::TooMuchUnconnected);
    let most = SMALL.unconnected;
    assert!(next(&mut new(), line(most - 1)).unwrap().is_some());
    assert_eq!(next(&mut new(), line(most)), too_much);
    assert_eq!(next(&mut new(), "x".repeat(most)), Ok(None));
    assert_eq!(next(&mut new(), "x".repeat(most + 1)), too_much);

    let mut decoder = new();
    let large = line(LEAST + 9);
    assert!(next(&mut decoder, large).unwrap().is_some());
    assert_eq!(next(&mut decoder, "\n"), Ok(None), "blank ones count, too");
    assert_eq!(next(&mut decoder, line(20)), too_much, "so do short ones");
}

#[test]
fn each_line_of_a_peer_is_limited() {
    let mut decoder = Decoder::new(SMALL, false);
    let handshake = r#"["smoke","handshake",{"id":"abc"}]"#.to_owned() + "\n";
    assert_eq!(
        next(&mut decoder, handshake),
        Ok(Some(Message::Handshake(hello())))
    );
    assert!(next(&mut decoder, line(61)).unwrap().is_some());
    decoder.connected();
    for _ in 0..3 {
        assert!(next(&mut decoder, line(60)).unwrap().is_some());
    }
    assert_eq!(next(&mut decoder, line(61)), Err(DecodeError::LineTooLong));
}

#[test]
fn a_long_line_in_small_pieces_takes_linear_time() {
    let mut decoder = Decoder::new(
        Limits {
            unconnected: (1 << 23) + 1,
            line: 0,
            frame: 0,
        },
        false,
    );
    let mut input = BytesMut::new();
    // 2^23 bytes in 2^19 pieces: if every piece searched all bytes, 2^41 steps would take hours.
    for _ in 0..1 << 19 {
        input.extend_from_slice(&[b'x'; 16]);
        assert_eq!(decoder.next(&mut input), Ok(None));
    }
    input.extend_from_slice(b"\n");
    assert_eq!(decoder.next(&mut input), Ok(Some(NOISE)));
}
