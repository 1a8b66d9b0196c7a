//! The fuzz target `batch`: from messages on the wire to the messages that JavaScript dispatches.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::queue::Queue;
use super::validation;
use crate::net::Sink as _;
use crate::proto::{Event, LinkId, Payload};

/// One message as JavaScript gets it: its channel, and the texts of the event's elements or the
/// bytes of the chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Heard {
    Event(u32, Vec<String>),
    Chunk(u32, Bytes),
}

/// Queues the messages in `data` and drains them as lib/crossing.js does, with rewinds. Each
/// well-formed event must arrive once and in order, and no message may pass for another.
///
/// The first byte controls rewinds. The rest is messages of one peer, separated by zeros. A message
/// that begins with `#` is a chunk; any other is events on lines.
pub fn batch(data: &[u8]) {
    let Some((&pace, rest)) = data.split_first() else {
        return;
    };
    let queue = Queue::new(|| true);
    let mut sent = Vec::new();
    for (piece, channel) in rest.split(|byte| *byte == 0).zip([0, 7, 7].iter().cycle()) {
        let payload = match piece.strip_prefix(b"#") {
            Some(chunk) => Payload::chunk(chunk),
            None => Payload::events(Bytes::copy_from_slice(piece)),
        };
        match piece.strip_prefix(b"#") {
            Some(chunk) => sent.push(Heard::Chunk(*channel, Bytes::copy_from_slice(chunk))),
            None => sent.extend(
                piece
                    .split(|byte| *byte == b'\n')
                    .filter_map(validation::event)
                    .map(|event| Heard::Event(*channel, elements(event.text))),
            ),
        }
        queue.event(match channel {
            0 => Event::Broadcast {
                payload,
                mark: None,
            },
            link => Event::Direct {
                link: LinkId(*link),
                payload,
                mark: None,
            },
        });
    }
    assert_eq!(drain(&queue, usize::from(pace)), sent);
}

/// Everything in the queue. If `pace` is not 0, chunks are rewound after `pace` messages.
fn drain(queue: &Queue, pace: usize) -> Vec<Heard> {
    let mut heard = Vec::new();
    let mut turn = 0;
    while let Some(chunk) = queue.drain() {
        turn += 1;
        // Rewinds every other time, so that there is progress.
        let messages = dispatch(queue, &chunk);
        if pace > 0 && turn % 2 == 1 && pace < messages.len() {
            queue.rewind(pace);
            heard.extend(messages.into_iter().take(pace));
        } else {
            heard.extend(messages);
        }
    }
    heard
}

/// The messages of a chunk as lib/crossing.js reads them.
fn dispatch(queue: &Queue, chunk: &str) -> Vec<Heard> {
    let buffers = queue.buffers();
    let mut heard = Vec::new();
    let lists = parse(chunk);
    let [kinds, runs, values] = expect(lists.first_chunk::<3>()).map(|list| parse(list.get()));
    let mut values = values.into_iter().map(RawValue::get);
    for run in runs.chunks(2) {
        let &[kind, count] = expect(run.first_chunk::<2>());
        let start = 3 * number(kind.get());
        let &[channel, name, arity] = expect(kinds[start..].first_chunk::<3>());
        let (channel, arity) = (number(channel.get()) as u32, number(arity.get()));
        for _ in 0..number(count.get()) {
            let mut next = || expect(values.next());
            heard.push(match name.get() {
                "null" => {
                    let [buffer, start, len] = [next(), next(), next()].map(number);
                    Heard::Chunk(channel, buffers[buffer].slice(start..start + len))
                }
                name => {
                    let arguments = (0..arity).map(|_| next().to_owned());
                    let event = std::iter::once(name.to_owned()).chain(arguments);
                    Heard::Event(channel, event.collect())
                }
            });
        }
    }
    assert_eq!(values.next(), None, "all values belong to messages");
    assert!(!heard.is_empty(), "a chunk has messages");
    heard
}

fn number(text: &str) -> usize {
    expect(text.parse().ok())
}

fn elements(event: &str) -> Vec<String> {
    let elements = parse(event);
    elements.iter().map(|item| item.get().to_owned()).collect()
}

fn parse(array: &str) -> Vec<&RawValue> {
    match serde_json::from_str(array) {
        Ok(items) => items,
        Err(error) => panic!("no JSON array ({error}): {array}"),
    }
}

fn expect<T>(value: Option<T>) -> T {
    match value {
        Some(value) => value,
        None => panic!("the chunk is not what JavaScript expects"),
    }
}
