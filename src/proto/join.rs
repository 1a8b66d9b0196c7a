//! Joins consecutive short runs into one.

#[cfg(test)]
mod tests;

use bytes::{BufMut, BytesMut};

use super::{Kind, Message, Native, Payload, Publish};

/// Longer runs are not joined: copying them costs more than it saves.
const SHORT: usize = 2 << 10;
/// The size at which a joined run ends, in bytes.
const JOINED: usize = 16 << 10;

/// Joins short runs of events that continue each other, within one read.
///
/// A run causes about the same work at this node and all later ones, whatever its length. So an
/// origin that sends many ticks of one message, by chance or out of malice, costs little more than
/// one with long ticks.
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

/// A run and the runs that continue it.
struct Joined {
    run: Publish,
    /// The joined bodies, if there are several.
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
        // Both are bounded: every message has at least a byte or a line end.
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
