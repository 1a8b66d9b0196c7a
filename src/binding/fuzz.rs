//! The fuzz target `batch`: from messages that came over the wire to what JavaScript dispatches.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::queue::Queue;
use super::text;
use crate::net::Sink as _;
use crate::proto::{Event, LinkId, Payload};

/// One message, as JavaScript gets it: its channel, and the texts of the event's elements or the
/// bytes of the chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Heard {
    Event(u32, Vec<String>),
    Chunk(u32, Bytes),
}

/// Queues what the data makes up and drains it as lib/crossing.js does, with rewinds: each message
/// that is a well-formed event comes once and in order, and none can pass for anything else.
///
/// The first byte decides about rewinds; the rest is messages of one peer, separated by zeros. What
/// begins with `#` is a chunk, anything else events on lines.
pub fn batch(data: &[u8]) {
    let Some((&pace, rest)) = data.split_first() else {
        return;
    };
    let queue = Arc::new(Queue::new(|| true));
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
                    .filter_map(text::event)
                    .map(|event| Heard::Event(*channel, elements(event))),
            ),
        }
        queue.event(match channel {
            0 => Event::Broadcast(payload),
            link => Event::Direct {
                link: LinkId(*link),
                payload,
            },
        });
    }
    assert_eq!(drain(&queue, usize::from(pace)), sent);
}

/// All that the queue has, where after `pace` items a chunk is given back, if `pace` is not 0.
fn drain(queue: &Queue, pace: usize) -> Vec<Heard> {
    let mut heard = Vec::new();
    let mut turn = 0;
    while let Some(chunk) = queue.drain() {
        turn += 1;
        // Every other time, so that there is progress.
        let most = match pace {
            0 => usize::MAX,
            _ if turn % 2 == 0 => usize::MAX,
            pace => pace,
        };
        let (consumed, is_whole) = dispatch(queue, &chunk, most, &mut heard);
        if !is_whole {
            queue.rewind(consumed);
        }
    }
    heard
}

/// Dispatches up to `most` items; returns how many it were, and whether these were all.
fn dispatch(queue: &Queue, chunk: &str, most: usize, heard: &mut Vec<Heard>) -> (usize, bool) {
    let items = parse(chunk);
    assert!(!items.is_empty(), "a chunk has items");
    let buffers = queue.buffers();
    let (mut consumed, mut channel) = (0, None);
    let mut items = items.iter().map(|item| item.get());
    while let Some(item) = items.next() {
        if consumed == most {
            return (consumed, false);
        }
        consumed += 1;
        match item.as_bytes()[0] {
            b'[' => heard.push(Heard::Event(expect(channel), elements(item))),
            b'"' => {
                let arguments = parse(expect(items.next()));
                for argument in arguments {
                    if consumed == most {
                        return (consumed, false);
                    }
                    consumed += 1;
                    let event = vec![item.to_owned(), argument.get().to_owned()];
                    heard.push(Heard::Event(expect(channel), event));
                }
            }
            b'{' => {
                let index = item.strip_prefix(r#"{"t":"chunk","n":"#);
                let index = index.and_then(|rest| rest.strip_suffix('}')?.parse::<usize>().ok());
                let chunk = buffers[expect(index)].clone();
                heard.push(Heard::Chunk(expect(channel), chunk));
            }
            _ => channel = item.parse().ok(),
        }
    }
    (consumed, true)
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
