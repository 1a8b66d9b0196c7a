//! Events that are not messages, as JSON for a chunk.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::proto::members::Member;
use crate::proto::{Event, RemoveReason, SeedOutcome, Target};

/// An entry that is not a message, and its effect on the queue.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) json: String,
    /// It is the last of its chunk, because JavaScript sets a filter before the next messages.
    pub(crate) ends_chunk: bool,
    /// The channel that has ended.
    pub(crate) ends_channel: Option<u32>,
}

impl Notice {
    /// The notice of `event`. `None` for messages, and for events whose notice needs more data.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let json = of_node(event).or_else(|| of_seeds(event))?;
        let ends_channel = match event {
            Event::PeerRemoved { link, .. } => Some(link.0),
            _ => None,
        };
        Some(Self {
            json: json.to_string(),
            ends_chunk: matches!(event, Event::PeerAdded { .. }),
            ends_channel,
        })
    }

    /// Messages were dropped because JavaScript was too slow. `chunks`: the bytes of stream chunks
    /// among them, by channel.
    pub(crate) fn lost(count: u64, chunks: &BTreeMap<u32, u64>) -> Self {
        let chunks: Vec<_> = chunks.iter().collect();
        Self::plain(json!({"t": "lost", "count": count, "chunks": chunks}))
    }

    /// Broadcasts of `id` were lost: no peer still had them. `chunks`: stream chunks may be among
    /// them.
    pub(crate) fn skipped(id: &str, count: u64, chunks: bool) -> Self {
        Self::plain(json!({"t": "skipped", "id": id, "count": count, "chunks": chunks}))
    }

    /// A line for the application's logger.
    pub(crate) fn log(level: &str, message: &str) -> Self {
        Self::plain(json!({"t": "log", "level": level, "message": message}))
    }

    fn plain(json: Value) -> Self {
        Self {
            json: json.to_string(),
            ends_chunk: false,
            ends_channel: None,
        }
    }
}

/// A notice about the node itself and its peers.
fn of_node(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Listening { port } => json!({"t": "listening", "port": port}),
        Event::Failed { code, message } => {
            json!({"t": "error", "code": code, "message": message})
        }
        Event::Stopped => json!({"t": "stopped"}),
        Event::PeerAdded {
            link,
            id,
            remote,
            native,
            max_message,
            ..
        } => json!({
            "t": "add",
            "peer": link.0,
            "id": id.as_str(),
            "address": remote.ip().to_canonical().to_string(),
            "port": remote.port(),
            "native": native,
            "max": max_message,
        }),
        Event::PeerRemoved { link, reason } => {
            json!({"t": "remove", "peer": link.0, "reason": reason_name(*reason)})
        }
        Event::Dialed { request, result } => match result {
            Ok(link) => json!({"t": "dialed", "req": request, "peer": link.0}),
            Err(code) => json!({"t": "dialed", "req": request, "code": code}),
        },
        Event::Drain(link) => json!({"t": "drain", "peer": link.map_or(0, |link| link.0)}),
        Event::Conflict { what, id, remote } => json!({
            "t": "conflict",
            "what": what.name(),
            "id": id.as_str(),
            "address": remote.ip().to_canonical().to_string(),
            "port": remote.port(),
        }),
        Event::Refused { remote, reason } => json!({
            "t": "refused",
            "address": remote.ip().to_canonical().to_string(),
            "port": remote.port(),
            "reason": reason,
        }),
        Event::MemberJoined(member) => of_member("joined", member),
        Event::MemberUpdated(member) => of_member("updated", member),
        Event::MemberLeft(member) => json!({"t": "left", "member": member.0}),
        Event::Undelivered { member, count } => {
            json!({"t": "undelivered", "member": member.0, "count": count})
        }
        Event::SlowReceiver { id } => json!({"t": "slow", "id": id.as_str()}),
        Event::Oversized { id, size, limit } => {
            json!({"t": "oversized", "id": id.as_str(), "size": size, "limit": limit})
        }
        _ => return None,
    })
}

/// A notice about seeds.
fn of_seeds(event: &Event) -> Option<Value> {
    let place =
        |what: &str, seed: &Target| json!({"t": what, "address": seed.host, "port": seed.port});
    Some(match event {
        Event::Netsplit { seed } => place("netsplit", seed),
        Event::NetsplitResolved { seed } => place("resolved", seed),
        Event::Island { seed, is_over } => match is_over {
            true => place("mainland", seed),
            false => place("island", seed),
        },
        Event::Outside { seeds } => {
            let told = seeds.iter().map(|SeedOutcome { seed, reason }| {
                json!({"address": seed.host, "port": seed.port, "reason": reason})
            });
            json!({"t": "outside", "seeds": told.collect::<Vec<_>>()})
        }
        _ => return None,
    })
}

fn of_member(what: &str, member: &Member) -> Value {
    json!({
        "t": what,
        "member": member.handle,
        "id": member.id.as_str(),
        "address": member.address.host,
        "port": member.address.port,
        "body": member.body,
        "legacy": member.is_stub,
    })
}

fn reason_name(reason: RemoveReason) -> &'static str {
    match reason {
        RemoveReason::Local => "local",
        RemoveReason::Remote => "remote",
        RemoveReason::Silent => "silent",
        RemoveReason::Slow => "slow",
        RemoveReason::Misbehaved => "misbehaved",
    }
}
