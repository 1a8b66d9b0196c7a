//! Framing: where lines end, how long they may be, and what is none.

use bytes::BytesMut;
use smokesignal::proto::Message;
use smokesignal::proto::codec::{DecodeError, Decoder, Limits};
use smokesignal::proto::json::MAX_DEPTH;

use super::{NOISE, decode, decode_all, hello};

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
