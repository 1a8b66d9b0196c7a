//! The fuzz target `batch`: from messages that came over the wire to what JavaScript dispatches.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::chunk::Seal;
use super::queue::Queue;
use super::text;
use crate::net::Sink as _;
use crate::proto::{Event, LinkId, Payload};

/// The guard and the end of a seal.
type Secrets = (u32, String);

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
    let seal = seal(data);
    let queue = Arc::new(Queue::new(Seal::new(seal.0, seal.1.clone()), || true));
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
    assert_eq!(drain(&queue, &seal, usize::from(pace)), sent);
}

/// Secrets that depend on all of the data: a fuzzer that watches comparisons must not learn them.
fn seal(data: &[u8]) -> Secrets {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    let secret = hasher.finish();
    ((1 << 29) | (secret >> 35) as u32, format!("{secret:016x}"))
}

/// All that the queue has, where after `pace` items a chunk is given back, if `pace` is not 0.
fn drain(queue: &Queue, seal: &Secrets, pace: usize) -> Vec<Heard> {
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
        match dispatch(queue, seal, &chunk, most, &mut heard) {
            Outcome::Whole => {}
            Outcome::Part(consumed) => queue.rewind(consumed),
            Outcome::Broken(consumed) => assert!(queue.distrust(consumed), "was proven"),
        }
    }
    heard
}

/// What became of a chunk, and how many of its items were dispatched.
enum Outcome {
    Whole,
    Part(usize),
    Broken(usize),
}

/// Dispatches up to `most` items.
fn dispatch(
    queue: &Queue,
    seal: &Secrets,
    chunk: &str,
    most: usize,
    heard: &mut Vec<Heard>,
) -> Outcome {
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(chunk) else {
        return Outcome::Broken(0);
    };
    assert!(!items.is_empty(), "a chunk has items");
    let buffers = queue.buffers();
    let (mut consumed, mut channel, mut opened) = (0, None, 0);
    let mut items = items.iter().map(|item| item.get());
    while let Some(item) = items.next() {
        if consumed == most {
            return Outcome::Part(consumed);
        }
        let mut list = None;
        match item.as_bytes()[0] {
            b'[' => heard.push(Heard::Event(expect(channel), elements(item))),
            b'"' => list = Some((item, parse(expect(items.next())))),
            b't' => {
                list = unseal(seal, opened, &mut items);
                opened += 1;
                if list.is_none() {
                    return Outcome::Broken(consumed);
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
        consumed += 1;
        let Some((name, arguments)) = list else {
            continue;
        };
        for argument in arguments {
            if consumed == most {
                return Outcome::Part(consumed);
            }
            consumed += 1;
            let event = vec![name.to_owned(), argument.get().to_owned()];
            heard.push(Heard::Event(expect(channel), event));
        }
    }
    Outcome::Whole
}

/// The name and the arguments of a sealed list, if it is what it should be.
fn unseal<'a>(
    seal: &Secrets,
    number: usize,
    items: &mut impl Iterator<Item = &'a str>,
) -> Option<(&'a str, Vec<&'a RawValue>)> {
    let name = items.next()?;
    let list: Vec<&RawValue> = serde_json::from_str(items.next()?).ok()?;
    let (guard, end) = (seal.0.to_string(), &seal.1);
    let mut guards = list.iter().skip(1).step_by(2);
    let arguments: Vec<_> = list.iter().step_by(2).copied().collect();
    let end = format!("\"{end}{number}.{}\"", arguments.len());
    let is_whole = list.len() == 2 * arguments.len() - 1
        && guards.all(|item| item.get() == guard)
        && items.next()? == end;
    is_whole.then_some((name, arguments))
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
