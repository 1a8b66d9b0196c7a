//! The legacy wire, encoded and decoded byte for byte.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod application;
mod framing;
mod handshakes;
mod packets;

use bytes::{Bytes, BytesMut};
use smokesignal::Config;
use smokesignal::proto::codec::{Decoder, Limits};
use smokesignal::proto::{
    Hello, Message, NodeId, Packet, PacketData, PeerAddress, Pong, Reject, Topic,
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

fn event(text: &'static str) -> PacketData {
    PacketData::Event(Bytes::from(text))
}

fn chunk(bytes: &'static [u8]) -> PacketData {
    PacketData::Chunk(Bytes::from(bytes))
}

#[test]
fn lines_of_a_legacy_node_are_understood() {
    let lines = include_str!("../data/legacy-0.2.2.txt");
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
