//! The fuzz target `batch`: from messages on the wire to the items that JavaScript dispatches.

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

/// Everything in the queue. If `pace` is not 0, chunks are rewound after `pace` items.
fn drain(queue: &Queue, pace: usize) -> Vec<Heard> {
    let mut heard = Vec::new();
    let mut turn = 0;
    while let Some(chunk) = queue.drain() {
        turn += 1;
        // Rewinds every other time, so that there is progress.
        let items = dispatch(queue, &chunk);
        if pace > 0 && turn % 2 == 1 && pace < items.len() {
            queue.rewind(pace);
            heard.extend(items.into_iter().take(pace).flatten());
        } else {
            heard.extend(items.into_iter().flatten());
        }
    }
    heard
}

/// The items of a chunk as lib/crossing.js counts them, with the message of each.
fn dispatch(queue: &Queue, chunk: &str) -> Vec<Option<Heard>> {
    let buffers = queue.buffers();
    let mut heard = Vec::new();
    let mut channel = None;
    let items = parse(chunk);
    let mut items = items.iter().map(|item| item.get());
    while let Some(item) = items.next() {
        match item.as_bytes()[0] {
            b'"' => {
                heard.push(None);
                let arity: usize = expect(items.next().and_then(|arity| arity.parse().ok()));
                let list = parse(expect(items.next()));
                for arguments in list.chunks(arity.max(1)) {
                    let mut event = vec![item.to_owned()];
                    let arguments = arguments.iter().map(|argument| argument.get().to_owned());
                    event.extend(arguments.take(arity));
                    heard.push(Some(Heard::Event(expect(channel), event)));
                }
            }
            b'n' => {
                heard.push(None);
                let list = parse(expect(items.next()));
                let numbers = list.iter().map(|item| expect(item.get().parse().ok()));
                let numbers: Vec<usize> = numbers.collect();
                for place in numbers.chunks(3) {
                    let &[buffer, start, len] = expect(place.first_chunk::<3>());
                    let chunk = buffers[buffer].slice(start..start + len);
                    heard.push(Some(Heard::Chunk(expect(channel), chunk)));
                }
            }
            _ => {
                channel = item.parse().ok();
                heard.push(None);
            }
        }
    }
    assert!(!heard.is_empty(), "a chunk has items");
    heard
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
