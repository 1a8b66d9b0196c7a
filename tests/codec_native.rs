//! The native wire, encoded and decoded byte for byte.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::{Bytes, BytesMut};
use smokesignal::Config;
use smokesignal::proto::codec::{DecodeError, Decoder, LEAST, Limits, native};
use smokesignal::proto::legacy::{line, packet};
use smokesignal::proto::{
    Class, Hello, HelloNative, Kind, Message, Native, NodeId, Origin, Outgoing, Packet, PacketData,
    Payload, Publish, Range, Reject, Topic, Watermark,
};
use smokesignal::proto::{members, routing};

const SHAPE: Message = Message::Rejected(Reject::BadShape);
const NOISE: Message = Message::Rejected(Reject::NotAMessage);

fn limits() -> Limits {
    Limits::from(&Config::default())
}

fn hello(is_native: bool) -> Hello {
    let address = "10.0.0.1".to_owned();
    let native = HelloNative {
        version: 1,
        address,
        port: 1,
        epoch: 1,
        intent: smokesignal::proto::Intent::Peer,
        windows: false,
        max_message: None,
        place: Default::default(),
    };
    Hello {
        id: NodeId::parse("abc").unwrap(),
        native: is_native.then_some(native),
    }
}

/// A decoder that has just decoded a native handshake.
fn greeted(limits: Limits) -> Decoder {
    let mut decoder = Decoder::new(limits, true);
    let mut input = BytesMut::from(&line::handshake(&hello(true))[..]);
    assert_eq!(
        decoder.next(&mut input),
        Ok(Some(Message::Handshake(hello(true))))
    );
    decoder
}

/// The same for a peer's link.
fn decoder(limits: Limits) -> Decoder {
    let mut decoder = greeted(limits);
    decoder.connected();
    decoder
}

fn bytes_of(sent: &Outgoing) -> Vec<u8> {
    [&sent.head[..], &sent.body[..]].concat()
}

fn said(payload: Payload) -> Publish {
    Publish {
        origin: origin(),
        first: 1,
        hops: 0,
        repair: false,
        payload,
    }
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 1).to_be_bytes()[..], &[kind], body].concat()
}

fn decode(frame: &[u8]) -> Message {
    let mut input = BytesMut::from(frame);
    let message = decoder(limits()).next(&mut input).unwrap().unwrap();
    assert_eq!(input, "", "everything was taken");
    message
}

#[track_caller]
fn check_frame(sent: &Outgoing, class: Class, kind: u8, body: &[u8], message: Message) {
    let bytes = bytes_of(sent);
    assert_eq!(bytes, frame(kind, body));
    assert_eq!(sent.class, class);
    assert_eq!(decode(&bytes), message);
}

fn origin() -> Origin {
    Origin {
        id: NodeId::parse("abc").unwrap(),
        epoch: 0x0102_0304_0506_0708,
    }
}

const ORIGIN: &[u8] = b"\x03abc\x01\x02\x03\x04\x05\x06\x07\x08";

fn number(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

#[test]
fn publish() {
    let payload = Payload::events("[\"a\"]\n[\"b\"]".into());
    let mut publish = Publish {
        origin: origin(),
        first: 9,
        hops: 2,
        repair: false,
        payload: payload.clone(),
    };
    let body = |flags: u8, hops: u8| {
        let rest = b"\x00\x00\x00\x00\x02[\"a\"]\n[\"b\"]";
        [&[flags, hops][..], ORIGIN, &number(9), rest].concat()
    };
    let message = Message::Native(Native::Publish(publish.clone()));
    let sent = native::publish(&publish, Class::Forward);
    check_frame(&sent, Class::Forward, 0x01, &body(0, 2), message);
    assert_eq!(
        sent.body.as_ptr(),
        payload.body().as_ptr(),
        "the payload is shared"
    );

    (publish.repair, publish.hops) = (true, 255);
    let message = Message::Native(Native::Publish(publish.clone()));
    check_frame(
        &native::publish(&publish, Class::Own),
        Class::Own,
        0x01,
        &body(1, 255),
        message,
    );
}

#[test]
fn payloads_are_slices_of_the_input() {
    let publish = said(Payload::chunk(b"chunk"));
    let sent = native::publish(&publish, Class::Own);
    let mut input = BytesMut::from(&bytes_of(&sent)[..]);
    let memory = input.as_ptr_range();
    match decoder(limits()).next(&mut input) {
        Ok(Some(Message::Native(Native::Publish(publish)))) => {
            assert!(memory.contains(&publish.payload.body().as_ptr()));
        }
        other => panic!("got {other:?}"),
    }
}

#[test]
fn i_have() {
    let other = Origin {
        id: NodeId::parse("x").unwrap(),
        epoch: 0,
    };
    let watermarks = vec![
        Watermark {
            origin: origin(),
            high: 7,
        },
        Watermark {
            origin: other,
            high: 0,
        },
        Watermark {
            origin: origin(),
            high: u64::MAX - 1,
        },
    ];
    let last = number(u64::MAX - 1);
    let body = [
        ORIGIN,
        &number(7),
        b"\x01x",
        &number(0),
        &number(0),
        ORIGIN,
        &last,
    ]
    .concat();
    let message = Message::Native(Native::IHave(watermarks.clone()));
    check_frame(
        &native::i_have(&watermarks),
        Class::Control,
        0x02,
        &body,
        message,
    );
    let none = Message::Native(Native::IHave(Vec::new()));
    check_frame(&native::i_have(&[]), Class::Control, 0x02, b"", none);
}

#[test]
fn graft_and_gone() {
    let range = Range {
        origin: origin(),
        first: 1,
        last: u64::MAX - 1,
    };
    let body = [ORIGIN, &number(1), &number(u64::MAX - 1)].concat();
    let aged = [&body[..], &[0, 0, 1, 2]].concat();
    let graft = Message::Native(Native::Graft {
        range: range.clone(),
        max_age_ms: 258,
    });
    let frame = native::graft(&range, 258);
    check_frame(&frame, Class::Control, 0x03, &aged, graft);
    let gone = Message::Native(Native::Gone(range.clone()));
    check_frame(&native::gone(&range), Class::Control, 0x04, &body, gone);
}

#[test]
fn what_windows_need() {
    let watermark = Watermark {
        origin: origin(),
        high: 7,
    };
    let body = [ORIGIN, &number(7)].concat();
    let frame = native::consumed(std::slice::from_ref(&watermark));
    let consumed = Message::Native(Native::Consumed(vec![watermark]));
    check_frame(&frame, Class::Control, 0x06, &body, consumed);
    let id = NodeId::parse("slow").unwrap();
    let body = [ORIGIN, b"\x04slow"].concat();
    let frame = native::stalled(&origin(), &id);
    let stalled = Native::Stalled {
        origin: origin(),
        id,
    };
    check_frame(
        &frame,
        Class::Control,
        0x07,
        &body,
        Message::Native(stalled),
    );
    let range = Range {
        origin: origin(),
        first: 2,
        last: 3,
    };
    let body = [ORIGIN, &number(2), &number(3)].concat();
    let frame = native::oversized(&range, Class::Forward);
    let oversized = Message::Native(Native::Oversized(range));
    check_frame(&frame, Class::Forward, 0x08, &body, oversized);
    let frame = native::direct_consumed(9);
    let consumed = Message::Native(Native::DirectConsumed(9));
    check_frame(&frame, Class::Control, 0x23, &number(9), consumed);
}

#[test]
fn prune_and_heartbeat() {
    let prune = Message::Native(Native::Prune(origin()));
    let frame = native::prune(&origin());
    check_frame(&frame, Class::Control, 0x05, ORIGIN, prune);
    let heartbeat = Message::Native(Native::Heartbeat);
    check_frame(&native::heartbeat(), Class::Control, 0x10, b"", heartbeat);
}

#[test]
fn direct() {
    let payload = Payload::rich(b"[\"x\"]", &[b"ab"]);
    let body = b"\x02\x00\x00\x00\x01\x00\x00\x00\x0f\x00\x00\x00\x05[\"x\"]\x00\x00\x00\x02ab";
    let message = Message::Direct(payload.clone());
    check_frame(
        &native::direct(&payload, Class::Own),
        Class::Own,
        0x20,
        body,
        message,
    );
}

#[test]
fn legacy_packets_in_frames_are_checked_like_those_on_lines() {
    let (id, text) = packet::new_packet("abc-def", b"[\"x\"]");
    for (byte, topic) in [Topic::Broadcast, Topic::PeerRequest, Topic::Ping]
        .into_iter()
        .enumerate()
    {
        let body = [&[byte as u8][..], &text].concat();
        let packet = Packet {
            topic,
            id: id.clone(),
            text: text.clone(),
            data: PacketData::Event("[\"x\"]".into()),
        };
        let message = if topic == Topic::Broadcast {
            Message::Packet(packet)
        } else {
            SHAPE
        };
        let sent = native::packet(topic, &text, Class::Forward);
        check_frame(&sent, Class::Forward, 0x21, &body, message);
    }
    let text = std::str::from_utf8(&text).unwrap();
    let decode = |text: String| decode(&frame(0x21, format!("\0{text}").as_bytes()));
    assert_eq!(
        decode(text.replace("\"x\"", "\"y\"")),
        Message::Rejected(Reject::BadHash)
    );
    assert_eq!(decode(text.replace("\"x\"", "\"x\"\n")), NOISE);
    assert_eq!(decode(format!("{text},1")), NOISE);
    assert_eq!(decode(String::new()), NOISE);
    assert_eq!(decode("[]".to_owned()), NOISE);
}

#[test]
fn application_lines() {
    let text = Bytes::from("[\"my\",1]");
    let message = Message::Line(text.clone());
    check_frame(
        &native::application(&text, Class::Own),
        Class::Own,
        0x22,
        &text,
        message,
    );
    for text in [
        "",
        "1",
        "[\"my\"]",
        "[\"smoke\",\"handshake\",null]",
        "[\"my\",\n1]",
        "[\"my\",1]]",
        "\u{0}",
    ] {
        assert_eq!(decode(&frame(0x22, text.as_bytes())), NOISE, "for {text}");
    }
}

#[test]
fn malformed_bodies_are_rejected_and_the_link_survives() {
    let publish = |flags, first: u64, rest: &[u8]| {
        (
            0x01,
            [&[flags, 0][..], ORIGIN, &number(first), rest].concat(),
        )
    };
    let range = |first: u64, last: u64| [ORIGIN, &number(first), &number(last)].concat();
    let good = b"\x00\x00\x00\x00\x01[]";
    let bodies = [
        publish(2, 1, good),
        publish(0, 0, good),
        publish(0, u64::MAX, good),
        publish(0, 1, b"\x03\x00\x00\x00\x01[]"),
        publish(0, 1, b"\x00\x00\x00\x00\x00[]"),
        publish(0, 1, b"\x00\x00\x00\x00\x02[]"),
        publish(0, 1, b"\x00\x00\x00\x00"),
        publish(0, 1, b""),
        (0x01, b"\x00\x00\x00".to_vec()),
        (0x01, b"\x00\x00\x03a-c".to_vec()),
        (0x01, b"\x00".to_vec()),
        (0x01, b"".to_vec()),
        (0x02, b"\x03ab".to_vec()),
        (0x02, [ORIGIN, b"1234567"].concat()),
        (0x02, [ORIGIN, &number(u64::MAX)].concat()),
        (0x03, [&range(1, u64::MAX)[..], b"\0\0\0\x01"].concat()),
        (0x04, range(1, u64::MAX)),
        (0x04, range(u64::MAX, u64::MAX)),
        (0x03, range(0, 1)),
        (0x03, range(2, 1)),
        (0x03, [&range(1, 2)[..], b"x"].concat()),
        (0x04, range(1, 2)[..20].to_vec()),
        (0x05, b"x".to_vec()),
        (0x10, b"x".to_vec()),
        (0x20, b"".to_vec()),
        (0x20, b"\x01\x00\x00\x00\x01\x00\x00\x00\x02x".to_vec()),
        (0x21, b"".to_vec()),
        (0x21, b"\x03{}".to_vec()),
    ];
    let mut decoder = decoder(limits());
    let mut input = BytesMut::new();
    for (kind, body) in &bodies {
        input.extend_from_slice(&frame(*kind, body));
        assert_eq!(
            decoder.next(&mut input),
            Ok(Some(SHAPE)),
            "for {kind} {body:?}"
        );
    }
    input.extend_from_slice(&frame(0x10, b""));
    assert_eq!(
        decoder.next(&mut input),
        Ok(Some(Message::Native(Native::Heartbeat)))
    );
    assert_eq!(input, "");
}

#[test]
fn frames_of_an_unconnected_link_share_one_limit() {
    let frames = |count| {
        let mut decoder = greeted(limits());
        let heartbeat = native::heartbeat();
        let mut input = BytesMut::from(&heartbeat.head.repeat(count)[..]);
        (0..count).try_for_each(|_| decoder.next(&mut input).map(drop))
    };
    let most = limits().unconnected / LEAST - 1;
    assert_eq!(frames(most), Ok(()));
    assert_eq!(frames(most + 1), Err(DecodeError::TooMuchUnconnected));

    let large = frame(0x20, &vec![0; limits().unconnected]);
    let next = |mut decoder: Decoder| decoder.next(&mut BytesMut::from(&large[..100]));
    let too_much = Err(DecodeError::TooMuchUnconnected);
    assert_eq!(next(greeted(limits())), too_much);
    assert_eq!(next(decoder(limits())), Ok(None), "a peer may");
}

#[test]
fn events_that_nest_too_deeply_are_refused_in_every_kind_of_frame() {
    let nested = |depth: usize| {
        let inner = depth - 1;
        format!("[\"x\",{}{}]", "[".repeat(inner), "]".repeat(inner))
    };
    let ways = |text: &str| {
        let run = format!("[\"a\"]\n{text}\n[\"b\"]");
        let payloads = [
            Payload::events(text.to_owned().into()),
            Payload::events(run.into()),
            Payload::rich(text.as_bytes(), &[b"ab"]),
        ];
        let frames = payloads.into_iter().flat_map(|payload| {
            let direct = native::direct(&payload, Class::Own);
            [direct, native::publish(&said(payload), Class::Own)]
        });
        frames
            .map(|frame| decode(&bytes_of(&frame)))
            .collect::<Vec<_>>()
    };
    for message in ways(&nested(1000)) {
        assert!(!matches!(message, Message::Rejected(_)));
    }
    for message in ways(&nested(1001)) {
        assert_eq!(message, Message::Rejected(Reject::TooDeep));
    }
    let chunk = Payload::chunk(nested(1001).as_bytes());
    let frame = native::direct(&chunk, Class::Own);
    let message = decode(&bytes_of(&frame));
    assert_eq!(message, Message::Direct(chunk), "chunks are no JSON");
}

#[test]
fn a_frame_holds_a_bounded_number_of_messages() {
    for (count, fits) in [(1 << 15, true), ((1 << 15) + 1, false)] {
        let body = |size: usize| Bytes::from(vec![b'\n'; size]);
        let chunks = Payload::parse(Kind::Chunks, count, vec![0; 4 * count as usize].into());
        for payload in [Payload::events(body(count as usize - 1)), chunks.unwrap()] {
            let sent = native::direct(&payload, Class::Own);
            let decoded = decode(&bytes_of(&sent));
            let expected = if fits {
                Message::Direct(payload)
            } else {
                SHAPE
            };
            assert!(decoded == expected, "{count} messages");
        }
    }
}

#[test]
fn broken_framing_is_an_error_before_the_body_arrives() {
    let limits = Limits {
        frame: 10,
        ..limits()
    };
    let next = |input: &[u8]| decoder(limits).next(&mut BytesMut::from(input));
    assert_eq!(next(b""), Ok(None));
    assert_eq!(next(b"\0\0\0"), Ok(None));
    assert_eq!(next(b"\0\0\0\x0a"), Ok(None));
    assert_eq!(next(b"\0\0\0\x0b"), Err(DecodeError::FrameTooLong));
    assert_eq!(
        next(b"\xff\xff\xff\xff\x01"),
        Err(DecodeError::FrameTooLong)
    );
    assert_eq!(next(b"\0\0\0\0"), Err(DecodeError::EmptyFrame));
    assert_eq!(next(b"\0\0\0\x05\x05"), Ok(None));
    for kind in 0..=255 {
        let is_known = matches!(kind, 1..=8 | 0x10..=0x1b | 0x20..=0x28);
        let expected = if is_known {
            Ok(None)
        } else {
            Err(DecodeError::UnknownFrame(kind))
        };
        assert_eq!(next(&[0, 0, 0, 5, kind]), expected);
    }
}

#[test]
fn frames_of_members() {
    let entry = members::Entry {
        key: 1,
        version: 2,
        hash: 3,
    };
    let records = [&b"one"[..], b"", b"three"].map(members::Raw::from);
    let buckets = std::array::from_fn(|bucket| bucket as u64);
    let all = buckets.map(|bucket: u64| bucket.to_be_bytes()).concat();
    let summary = [&b"\x07\0\x01"[..], &number(1), &number(2), &number(3)].concat();
    let frames = [
        (
            members::Frame::Records(records.to_vec()),
            b"\0\x03one\0\0\0\x05three".to_vec(),
        ),
        (members::Frame::Digest(5), number(5).to_vec()),
        (members::Frame::Buckets(Box::new(buckets)), all),
        (members::Frame::Summary(vec![(7, vec![entry])]), summary),
        (
            members::Frame::Want(vec![8, 9]),
            [number(8), number(9)].concat(),
        ),
    ];
    for ((sent, body), kind) in frames.into_iter().zip(0x17..) {
        let message = Message::Native(Native::Members(sent.clone()));
        check_frame(
            &native::members(&sent),
            Class::Control,
            kind,
            &body,
            message,
        );
        // A frame with fewer records, keys or parts is valid; one with half a record is not.
        let message = decode(&frame(kind, &body[..body.len() - 1]));
        assert_eq!(message, Message::Rejected(Reject::BadShape));
    }
}

#[test]
fn letters_and_notes() {
    let payload = Payload::events(Bytes::from_static(b"[\"x\"]\n[1]"));
    let receiver = routing::Receiver {
        origin: origin(),
        session: 2,
        first: 3,
        code: None,
    };
    let letter = routing::Letter {
        hops: 9,
        from: origin(),
        to: vec![receiver.clone()],
        payload: payload.clone(),
    };
    let sealed = routing::Letter {
        to: vec![routing::Receiver {
            code: Some(*b"0123456789abcdef"),
            ..receiver
        }],
        ..letter.clone()
    };
    for (kind, letter, code) in [
        (0x24, letter, &b""[..]),
        (0x26, sealed, b"0123456789abcdef"),
    ] {
        let letter = routing::Frame::Letter(letter);
        let body = [
            &b"\x09"[..],
            ORIGIN,
            b"\x01",
            ORIGIN,
            b"\0\0\0\x02",
            &number(3),
            code,
            b"\0\0\0\0\x02",
            payload.body(),
        ];
        let message = Message::Native(Native::Routing(letter.clone()));
        let sent = native::routing(&letter, Class::Own);
        check_frame(&sent, Class::Own, kind, &body.concat(), message);
    }
    for (what, bytes) in [
        (
            routing::What::Consumed(7),
            [&b"\0"[..], &number(7)].concat(),
        ),
        (routing::What::Sent(7), [&b"\x01"[..], &number(7)].concat()),
        (
            routing::What::Undelivered(7, origin()),
            [&b"\x02"[..], &number(7), ORIGIN].concat(),
        ),
    ] {
        for (kind, code) in [(0x25, None), (0x27, Some(*b"0123456789abcdef"))] {
            let note = routing::Frame::Note(routing::Note {
                hops: 9,
                from: origin(),
                to: origin(),
                session: 2,
                what: what.clone(),
                code,
            });
            let before = code.as_ref().map_or(&b""[..], |code| code);
            let body = [before, b"\x09", ORIGIN, ORIGIN, b"\0\0\0\x02", &bytes].concat();
            let message = Message::Native(Native::Routing(note.clone()));
            let sent = native::routing(&note, Class::Forward);
            check_frame(&sent, Class::Forward, kind, &body, message);
            let message = decode(&frame(kind, &body[..body.len() - 1]));
            assert_eq!(message, Message::Rejected(Reject::BadShape));
        }
    }
}

#[test]
fn membership_frames() {
    let who = |id: &str, address: &str| smokesignal::proto::PeerAddress {
        id: NodeId::parse(id).unwrap(),
        address: address.parse().unwrap(),
        port: 0x0102,
    };
    let (a, b) = (who("a", "10.0.0.1"), who("bc", "::1"));
    let (a_bytes, b_bytes) = (
        b"\x01a\x04\x0a\x00\x00\x01\x01\x02",
        b"\x02bc\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\x02",
    );
    let check = |sent: Outgoing, kind, parts: &[&[u8]], native| {
        check_frame(
            &sent,
            Class::Control,
            kind,
            &parts.concat(),
            Message::Native(native),
        );
    };
    let join = Native::ForwardJoin {
        urgent: true,
        ttl: 6,
        who: a.clone(),
    };
    check(
        native::forward_join(true, 6, &a),
        0x11,
        &[b"\x01\x06", a_bytes],
        join,
    );
    let contacts = vec![a, b];
    let shuffle = Native::Shuffle {
        nonce: 7,
        ttl: 6,
        contacts: contacts.clone(),
    };
    check(
        native::shuffle(7, 6, &contacts),
        0x12,
        &[b"\0\0\0\x07\x06", a_bytes, b_bytes],
        shuffle,
    );
    let sent = native::contacts(7, &contacts);
    let reply = Native::Contacts { nonce: 7, contacts };
    check(sent, 0x13, &[b"\0\0\0\x07", a_bytes, b_bytes], reply);
    for keep in [false, true] {
        let goodbye = Native::Goodbye { keep };
        check_frame(
            &native::goodbye(keep),
            Class::Own,
            0x14,
            &[u8::from(keep)],
            Message::Native(goodbye),
        );
    }
    let beacon = smokesignal::proto::Beacon {
        origin: origin(),
        address: "10.0.0.1:258".parse().unwrap(),
        number: 5,
    };
    check(
        native::beacon(&beacon),
        0x15,
        &[ORIGIN, b"\x04\x0a\0\0\x01\x01\x02", &number(5)],
        Native::Beacon(beacon.clone()),
    );
    let tree = Native::BeaconTree {
        seed: origin().id,
        wanted: true,
    };
    check(
        native::beacon_tree(&origin().id, true),
        0x16,
        &[b"\x01\x03abc"],
        tree,
    );
}

#[test]
fn membership_frames_are_bounded_and_whole() {
    let contact = b"\x01a\x04\x0a\x00\x00\x01\x01\x02";
    let crowd = [&b"\0\0\0\x01"[..], &contact.repeat(33)].concat();
    let bad: &[(u8, &[u8])] = &[
        (0x11, b""),
        (0x11, b"\x06\x01a\x04\x0a\0\0\x01\0\0"),
        (0x11, b"\x06\x01a\x05\x0a\0\0\x01\x01\x02"),
        (0x11, b"\x06\x01a\x04\x0a\0\0\x01\x01\x02more"),
        (0x12, b"\0\0\0\x01"),
        (0x13, b"\0\0\0\x01\x01a"),
        (0x13, &crowd),
        (0x14, b"\x02"),
        (0x14, b"\0\0"),
        (0x15, ORIGIN),
        (0x16, b"\x01"),
        (0x16, b"\x02\x01a"),
    ];
    for (kind, body) in bad {
        assert_eq!(decode(&frame(*kind, body)), SHAPE, "{kind:#x} {body:?}");
    }
}

#[test]
fn a_link_turns_native_when_both_sides_offer_it() {
    let heartbeat = || Ok(Some(Message::Native(Native::Heartbeat)));
    let rejected = || Ok(Some(NOISE));
    // Our offer, their offer, and the decoder's reading of a heartbeat frame afterwards.
    let cases = [
        (true, true, heartbeat()),
        (true, false, rejected()),
        (false, true, rejected()),
    ];
    for (we_offer, they_offer, expected) in cases {
        for ack in [false, true] {
            let hello = hello(they_offer);
            let line = if ack {
                line::handshake_ack(&hello)
            } else {
                line::handshake(&hello)
            };
            let mut input = BytesMut::from(&line[..]);
            input.extend_from_slice(&frame(0x10, b""));
            if expected == rejected() {
                input.extend_from_slice(b"\n");
            }
            let mut decoder = Decoder::new(limits(), we_offer);
            let greeting = if ack {
                Message::HandshakeAck(hello)
            } else {
                Message::Handshake(hello)
            };
            assert_eq!(decoder.next(&mut input), Ok(Some(greeting)));
            assert_eq!(decoder.next(&mut input), expected);
        }
    }
}

#[test]
fn a_second_handshake_does_not_turn_a_legacy_link_native() {
    let mut decoder = Decoder::new(limits(), true);
    let mut input = BytesMut::new();
    for is_native in [false, true, true] {
        input.extend_from_slice(&line::handshake(&hello(is_native)));
        let expected = Message::Handshake(hello(is_native));
        assert_eq!(decoder.next(&mut input), Ok(Some(expected)));
    }
}

#[test]
fn every_kind_of_payload_decodes_from_its_own_byte() {
    for kind in [Kind::Events, Kind::Chunks, Kind::Rich] {
        assert_eq!(Kind::from_byte(kind as u8), Some(kind));
    }
}
