//! Packets of the legacy protocol.

use super::*;

#[test]
fn messages_that_crash_legacy_peers_are_withheld() {
    let mut node = Node::new("me", legacy());
    let peer = node.peer("old");
    node.input(Input::Broadcast(Payload::events(r#"["error",1]"#.into())));
    assert_eq!(node.sent(), []);
    let chat = packet(Topic::Broadcast, "old-1", br#"["chat","hi"]"#);
    node.receive(peer, chat);
    node.input(Input::Broadcast(Payload::chunk(b"x")));
    assert_eq!(node.sent(), []);
    assert_eq!(node.state.counters().withheld, 2);
}
