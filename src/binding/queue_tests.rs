use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::binding::backlog::{CAPACITY, CHUNK, MAX_LOGS};
use crate::binding::entry::OVERHEAD;
use crate::proto::{Kind, LinkId, NodeId, Payload, RemoveReason};

fn queue() -> (Queue, Arc<AtomicUsize>) {
    let rings = Arc::new(AtomicUsize::new(0));
    let counter = rings.clone();
    let ring = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        true
    };
    (Queue::new(ring), rings)
}

fn events(texts: &[&str]) -> Event {
    broadcast_of(Payload::events(Bytes::from(texts.join("\n"))))
}

fn broadcast_of(payload: Payload) -> Event {
    Event::Broadcast {
        payload,
        mark: None,
    }
}

fn direct(link: u32, text: &'static str) -> Event {
    Event::Direct {
        link: LinkId(link),
        payload: Payload::events(Bytes::from_static(text.as_bytes())),
        mark: None,
    }
}

/// The values of all messages in the queue.
fn drained(queue: &Queue) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    while let Some(text) = queue.drain() {
        all.extend(values(&text));
    }
    all
}

fn values(chunk: &str) -> Vec<serde_json::Value> {
    let [_, _, values]: [Vec<serde_json::Value>; 3] = serde_json::from_str(chunk).unwrap();
    assert!(!values.is_empty());
    values
}

fn names(names: &[&str]) -> Filter {
    Filter::new(Some(names.iter().map(|&name| name.to_owned()).collect()), 0)
}

#[test]
fn messages_of_many_channels_make_one_chunk() {
    let (queue, rings) = queue();
    queue.event(events(&[r#"["a",1]"#, r#"["b"]"#]));
    queue.event(direct(7, r#"["c",{"d":[]}]"#));
    queue.event(Event::Line {
        link: LinkId(7),
        text: Bytes::from_static(br#"["my","path",1]"#),
        mark: None,
    });
    queue.event(events(&[r#"["a",2]"#]));
    queue.event(events(&[
        r#"["a",3]"#,
        r#"["a",4,[5]]"#,
        r#"["b"]"#,
        r#"["b"]"#,
    ]));
    let lists = [
        r#"[[0,"a",1,0,"b",0,7,"c",1,7,1,1,0,"a",2]"#,
        "[0,1,1,1,2,1,3,1,0,2,4,1,1,2]",
        r#"[1,{"d":[]},["my","path",1],2,3,4,[5]]]"#,
    ];
    assert_eq!(queue.drain(), Some(lists.join(",")));
    assert_eq!(queue.drain(), None);
    assert_eq!(rings.load(Ordering::Relaxed), 1);
}

#[test]
fn the_doorbell_rings_once_until_the_queue_was_found_empty() {
    let (queue, rings) = queue();
    queue.event(events(&[r#"["a"]"#]));
    queue.event(events(&[r#"["a"]"#]));
    assert!(queue.drain().is_some());
    queue.event(events(&[r#"["a"]"#]));
    assert_eq!(rings.load(Ordering::Relaxed), 1);
    assert!(queue.drain().is_some());
    assert_eq!(queue.drain(), None);
    queue.event(events(&[r#"["a"]"#]));
    assert_eq!(rings.load(Ordering::Relaxed), 2);
}

#[test]
fn messages_without_a_listener_do_not_wake_javascript() {
    let (queue, rings) = queue();
    queue.set_filter(0, names(&["a"]));
    queue.event(events(&[r#"["b"]"#]));
    queue.event(broadcast_of(Payload::chunk(b"chunk")));
    queue.event(Event::Line {
        link: LinkId(0),
        text: Bytes::from_static(b"[1]"),
        mark: None,
    });
    assert_eq!(rings.load(Ordering::Relaxed), 0);
    queue.event(events(&[r#"["b"]"#, r#"["a"]"#]));
    assert_eq!(rings.load(Ordering::Relaxed), 1);
    assert_eq!(queue.drain().as_deref(), Some(r#"[[0,"a",0],[0,1],[]]"#));
    assert_eq!(queue.counters().unheard, 4);
}

#[test]
fn a_rewind_applies_the_new_filter() {
    let (queue, _) = queue();
    queue.set_filter(0, names(&["a"]));
    queue.event(events(&[
        r#"["a",1]"#,
        r#"["b",1]"#,
        r#"["a",2]"#,
        r#"["b",2]"#,
    ]));
    assert_eq!(queue.drain().as_deref(), Some(r#"[[0,"a",1],[0,2],[1,2]]"#));
    queue.set_filter(0, names(&["b"]));
    queue.rewind(1);
    let both = Some(r#"[[0,"b",1],[0,2],[1,2]]"#);
    assert_eq!(queue.drain().as_deref(), both);
    queue.rewind(0);
    assert_eq!(queue.drain().as_deref(), both);
    queue.rewind(9);
    queue.rewind(1);
    assert_eq!(queue.drain().as_deref(), Some(r#"[[0,"b",1],[0,1],[2]]"#));
    assert_eq!(queue.drain(), None);
}

#[test]
fn a_rewind_after_the_last_item_reaches_messages_filtered_after_it() {
    let (queue, _) = queue();
    queue.set_filter(0, names(&["a"]));
    queue.event(events(&[r#"["a"]"#, r#"["b",1]"#]));
    queue.event(events(&[r#"["b",2]"#]));
    assert_eq!(queue.drain().as_deref(), Some(r#"[[0,"a",0],[0,1],[]]"#));
    queue.set_filter(0, names(&["a", "b"]));
    queue.rewind(1);
    let both = Some(r#"[[0,"b",1],[0,2],[1,2]]"#);
    assert_eq!(queue.drain().as_deref(), both);
    assert_eq!(queue.drain(), None);
}

#[test]
fn chunks_end_at_their_budget_and_keep_order() {
    let (queue, _) = queue();
    let texts: Vec<String> = (0..2000)
        .map(|n| format!("[\"e\",{}]", 1_000_000_000 + n))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    queue.event(events(&texts[..1500]));
    queue.event(events(&texts[1500..]));
    let first = queue.drain().unwrap();
    assert!((CHUNK..CHUNK + 100).contains(&first.len()));
    queue.rewind(1);
    let mut got = vec![1_000_000_000];
    got.extend(
        drained(&queue)
            .iter()
            .map(|number| number.as_u64().unwrap()),
    );
    let expected: Vec<u64> = (1_000_000_000..1_000_002_000).collect();
    assert_eq!(got, expected);
}

#[test]
fn a_chunk_ends_after_a_peer_was_added() {
    let (queue, _) = queue();
    queue.event(Event::PeerAdded {
        link: LinkId(3),
        id: NodeId::parse("abc").unwrap(),
        remote: "[::ffff:10.0.0.1]:80".parse().unwrap(),
        native: true,
        windows: true,
        max_message: None,
    });
    queue.event(direct(3, r#"["a"]"#));
    queue.event(direct(3, r#"["b"]"#));
    queue.event(Event::PeerRemoved {
        link: LinkId(3),
        reason: RemoveReason::Remote,
    });
    let added = values(&queue.drain().unwrap());
    let address = serde_json::json!(
        {"t": "add", "peer": 3, "id": "abc", "address": "10.0.0.1", "port": 80, "native": true, "max": null}
    );
    assert_eq!(added, [address]);
    queue.set_filter(3, names(&["b"]));
    assert_eq!(
        queue.drain().as_deref(),
        Some(r#"[[3,"b",0,0,0,1],[0,1,1,1],[{"peer":3,"reason":"remote","t":"remove"}]]"#)
    );
    assert_eq!(queue.drain(), None);
    assert!(
        queue.backlog().filters.wants_chunks(3),
        "the filter went with the peer"
    );
}

#[test]
fn bytes_are_referred_to_by_their_place() {
    let (queue, _) = queue();
    let large = vec![7; 20_000];
    let rich =
        |attachments: &[&[u8]]| broadcast_of(Payload::rich(br#"["r",{"\u0000b":0}]"#, attachments));
    queue.event(broadcast_of(Payload::chunk(b"one")));
    queue.event(broadcast_of(Payload::chunk(&large)));
    queue.event(rich(&[b"two", b""]));
    queue.event(rich(&[]));
    queue.event(events(&[r#"["r",1]"#]));
    let lists = [
        r#"[[0,null,3,0,"r",-2,0,"r",1]"#,
        "[0,2,1,2,2,1]",
        r#"[0,0,3,1,0,20000,2,0,8,3,0,16,0,{"\u0000b":0},0,{"\u0000b":0},1]]"#,
    ];
    assert_eq!(queue.drain(), Some(lists.join(",")));
    let shared = b"one\0\0\0\0\0two\0\0\0\0\0";
    assert_eq!(queue.buffers(), [&shared[..], &large]);
    queue.rewind(2);
    let rest = queue.drain().unwrap();
    assert!(rest.starts_with(r#"[[0,"r",-2,0,"r",1],[0,2,1,1],[2,0,0,3,0,8,0,"#));
    assert_eq!(queue.buffers(), [&b"two\0\0\0\0\0"[..]]);
    assert_eq!(queue.drain(), None);
    assert!(queue.buffers().is_empty());
}

#[test]
fn hostile_messages_are_dropped_and_counted() {
    let (queue, _) = queue();
    let forged = r#"["a"],{"t":"stopped"}"#;
    queue.event(events(&[forged, "", "[1]", r#"["a",1]"#]));
    queue.event(Event::Line {
        link: LinkId(1),
        text: Bytes::from_static(b"{\"t\":\"stopped\"}"),
        mark: None,
    });
    let rich = Payload::rich(forged.as_bytes(), &[]);
    queue.event(broadcast_of(rich));
    let body = Bytes::from_static(b"\0\0\0\x08\0\0\0\x04[\"a\"");
    let unfinished = Payload::parse(Kind::Rich, 1, body).unwrap();
    queue.event(broadcast_of(unfinished));
    // Attachments with wrong lengths are refused before they get here.
    for body in [&b"\0\0\0\x0b\0\0\0\x05[\"a\"]\0\0"[..], b"\0\0\0\0"] {
        let body = Bytes::from_static(body);
        assert_eq!(Payload::parse(Kind::Rich, 1, body), None);
    }
    queue.event(events(&[r#"["a",2]"#]));
    assert_eq!(queue.drain().as_deref(), Some(r#"[[0,"a",1],[0,2],[1,2]]"#));
    assert_eq!(queue.drain(), None);
    assert_eq!(queue.counters().unreadable, 6);
}

#[test]
fn dropped_messages_are_reported_before_waiting_ones() {
    let (queue, _) = queue();
    let large = format!("[\"a\",\"{}\"]", "x".repeat(4 << 20));
    let sent = CAPACITY / large.len() + 4;
    for _ in 0..sent {
        queue.event(events(&[&large]));
    }
    queue.event(Event::Netsplit {
        seed: crate::proto::Target {
            host: "h".into(),
            port: 1,
        },
    });
    let items = drained(&queue);
    let fit = CAPACITY / (large.len() + OVERHEAD);
    let got = items.iter().filter(|item| item.is_string()).count();
    assert_eq!(got, fit);
    let notices: Vec<_> = items
        .into_iter()
        .filter(serde_json::Value::is_object)
        .collect();
    assert_eq!(
        notices,
        [
            serde_json::json!({"t": "lost", "count": sent - fit, "chunks": []}),
            serde_json::json!({"t": "netsplit", "address": "h", "port": 1}),
        ]
    );
    assert_eq!(queue.counters().waiting_bytes, 0);
}

#[test]
fn log_lines_are_bounded() {
    let (queue, _) = queue();
    for _ in 0..MAX_LOGS + 5 {
        queue.log("info", "again");
    }
    assert_eq!(drained(&queue).len(), MAX_LOGS);
    assert_eq!(queue.counters().log_lines_lost, 5);
    queue.log("info", "again");
    assert_eq!(drained(&queue).len(), 1);
}

#[test]
fn nothing_is_kept_once_javascript_is_gone() {
    let queue = Queue::new(|| false);
    queue.event(events(&[r#"["a"]"#]));
    queue.event(events(&[r#"["a"]"#]));
    assert_eq!(queue.counters().waiting_bytes, 0);
    assert_eq!(queue.drain(), None);
}

#[test]
fn rewound_messages_are_not_counted_twice() {
    let (queue, _) = queue();
    queue.set_filter(0, names(&["a"]));
    queue.event(events(&[
        r#"["a",1]"#,
        r#"["b",2]"#,
        r#"["a",3]"#,
        r#"["a",4,5]"#,
        r#"["b",6]"#,
    ]));
    let counted = || {
        let counters = queue.counters();
        (counters.crossed, counters.unheard)
    };
    for consumed in 0..4 {
        queue.drain().unwrap();
        assert_eq!(counted(), (3, 2), "{consumed}");
        queue.rewind(consumed);
        assert_eq!(counted().0, consumed as u64, "{consumed}");
        queue.rewind(0);
        assert_eq!(counted(), (0, 0), "{consumed}");
    }
}

#[test]
fn kinds_that_were_not_used_lately_are_listed_again() {
    let (queue, _) = queue();
    let texts: Vec<String> = (0..20).map(|n| format!("[\"{}\",{n}]", n % 10)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    queue.event(events(&texts[..10]));
    queue.event(events(&texts[8..]));
    let [kinds, runs, values]: [Vec<serde_json::Value>; 3] =
        serde_json::from_str(&queue.drain().unwrap()).unwrap();
    let (mut runs, mut values) = (runs.chunks(2), values.iter());
    let expected = (0..10).chain(8..20);
    for n in expected {
        let &[kind, count] = &runs.next().unwrap() else {
            panic!("a run has two numbers")
        };
        assert_eq!(count, 1);
        let kind = &kinds[3 * kind.as_u64().unwrap() as usize..][..3];
        let name = (n % 10).to_string();
        assert_eq!(kind, [0.into(), name.into(), serde_json::Value::from(1)]);
        assert_eq!(values.next(), Some(&n.into()));
    }
    assert_eq!(runs.next(), None);
    assert!(kinds.len() > 3 * 10);
}
