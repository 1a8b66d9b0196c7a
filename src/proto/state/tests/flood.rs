//! Packets of the legacy protocol.

use super::*;

#[test]
fn what_would_crash_a_legacy_peer_does_not_reach_it() {
    let mut node = Node::new("me", legacy());
    let peer = node.peer("old");
    node.input(Input::Broadcast(Payload::events(r#"["error",1]"#.into())));
    assert_eq!(node.sent(), []);
    let (_, text) = crate::proto::codec::packet::new_packet("old-1", br#"["chat","hi"]"#);
    let mut bytes = BytesMut::from(&line::packet(Topic::Broadcast, &text)[..]);
    let mut decoder = Decoder::new(Limits::from(&Config::default()), false);
    node.receive(peer, decoder.next(&mut bytes).unwrap().unwrap());
    node.input(Input::Broadcast(Payload::chunk(b"x")));
    assert_eq!(node.sent(), []);
    assert_eq!(node.state.counters().withheld, 2);
}
