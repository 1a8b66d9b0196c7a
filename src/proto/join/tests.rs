use bytes::Bytes;

use super::*;
use crate::proto::{NodeId, Origin};

fn run(id: &str, first: u64, text: &str) -> Message {
    Message::Native(Native::Publish(Publish {
        origin: Origin {
            id: NodeId::parse(id).unwrap(),
            epoch: 1,
        },
        first,
        hops: 1,
        repair: false,
        payload: Payload::events(Bytes::copy_from_slice(text.as_bytes())),
    }))
}

#[test]
fn short_runs_that_continue_each_other_become_one() {
    let long = "x".repeat(SHORT);
    let others = [
        Message::Native(Native::Heartbeat),
        run("a", 5, &long),
        run("a", 6, "no line"),
        run("b", 7, "another's"),
        run("b", 9, "a gap"),
        run("b", u64::MAX, "the last"),
        run("b", 0, "nothing after it"),
    ];
    let mut messages = vec![run("a", 1, "[1]"), run("a", 2, "[2]\n[3]"), run("a", 4, "")];
    messages.extend(others.clone());
    let mut expected = vec![run("a", 1, "[1]\n[2]\n[3]\n")];
    expected.extend(others);
    assert_eq!(join_runs(messages), expected);
}

#[test]
fn a_joined_run_is_bounded_and_loses_no_message() {
    let text = "x".repeat(SHORT - 1);
    let messages: Vec<_> = (1..=100).map(|first| run("a", first, &text)).collect();
    let joined = join_runs(messages);
    assert!(joined.len() < 20);
    let mut next = 1;
    for message in joined {
        let Message::Native(Native::Publish(run)) = message else {
            panic!("{message:?}");
        };
        assert!(run.payload.body().len() <= JOINED);
        assert_eq!(run.first, next);
        assert!(
            run.payload
                .items()
                .all(|item| item
                    == crate::proto::Item::Event(Bytes::copy_from_slice(text.as_bytes())))
        );
        next = run.last() + 1;
    }
    assert_eq!(next, 101);
}
