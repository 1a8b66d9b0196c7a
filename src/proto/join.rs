//! Short runs that come one behind the other, made one.

use bytes::{BufMut, BytesMut};

use super::{Kind, Message, Native, Payload, Publish};

/// Longer runs stay what they are: to copy them costs more than it saves.
const SHORT: usize = 2 << 10;
/// Where a joined run ends, in bytes.
const JOINED: usize = 16 << 10;

/// Joins short runs of events with those that continue them, in what was read at once.
///
/// The work that a run makes, here and at every node behind, hardly depends on its length. So an
/// origin that says much in ticks of one message each, as it happens or out of malice, costs little
/// more than one whose ticks are long.
pub(crate) fn join_runs(messages: Vec<Message>) -> Vec<Message> {
    if messages.len() < 2 {
        return messages;
    }
    let mut joined = Vec::with_capacity(messages.len());
    let mut open: Option<Joined> = None;
    for message in messages {
        match message {
            Message::Native(Native::Publish(run)) if is_short(&run) => match &mut open {
                Some(open) if open.is_continued_by(&run) => open.add(&run),
                _ => joined.extend(open.replace(Joined::new(run)).map(Joined::end)),
            },
            other => {
                joined.extend(open.take().map(Joined::end));
                joined.push(other);
            }
        }
    }
    joined.extend(open.map(Joined::end));
    joined
}

fn is_short(run: &Publish) -> bool {
    run.payload.kind() == Kind::Events && run.payload.body().len() < SHORT
}

/// A run, and what continues it.
struct Joined {
    run: Publish,
    /// The bodies of all, if there are several.
    body: BytesMut,
    count: u32,
}

impl Joined {
    fn new(run: Publish) -> Self {
        Self {
            count: run.payload.count(),
            body: BytesMut::new(),
            run,
        }
    }

    fn is_continued_by(&self, next: &Publish) -> bool {
        let Publish {
            origin,
            first,
            hops,
            repair,
            payload,
        } = next;
        self.run.first.checked_add(u64::from(self.count)) == Some(*first)
            && (self.run.hops, self.run.repair) == (*hops, *repair)
            && self.run.origin == *origin
            && self.body.len() + payload.body().len() < JOINED
    }

    fn add(&mut self, next: &Publish) {
        if self.body.is_empty() {
            self.body.reserve(JOINED);
            self.body.put_slice(self.run.payload.body());
        }
        self.body.put_u8(b'\n');
        self.body.put_slice(next.payload.body());
        // Both are bounded: no message has fewer bytes than none and a line end.
        self.count += next.payload.count();
    }

    fn end(self) -> Message {
        let Self {
            mut run,
            body,
            count,
        } = self;
        if count > run.payload.count() {
            run.payload = Payload::events(body.freeze());
        }
        Message::Native(Native::Publish(run))
    }
}

#[cfg(test)]
mod tests {
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
    fn a_joined_run_is_bounded_and_nothing_is_left_out() {
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
                run.payload.items().all(|item| item
                    == crate::proto::Item::Event(Bytes::copy_from_slice(text.as_bytes())))
            );
            next = run.last() + 1;
        }
        assert_eq!(next, 101);
    }
}
