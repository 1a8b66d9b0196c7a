//! What a message costs inside the core: `cargo bench --no-default-features`, and what encryption costs
//! with `--features fuzzing`.

use std::hint::black_box;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use smokesignal::proto::codec::{Decoder, Limits, native};
use smokesignal::proto::legacy::{line, packet};
use smokesignal::proto::{
    Class, Config, Hello, HelloNative, Identity, Input, Message, Moment, Native, NodeId, Origin,
    Output, Payload, Publish, State, Topic,
};

/// About a hundred bytes, as the process benchmarks have it.
const EVENT: &str = r#"["bench",{"n":123456,"at":1700000000000,"text":"the quick brown fox jumps over the lazy dog"}]"#;

fn id(text: &str) -> NodeId {
    NodeId::parse(text).unwrap_or_else(|| unreachable!("a literal that is a node id"))
}

fn run(first: u64, count: usize) -> Publish {
    let body = Bytes::from(vec![EVENT; count].join("\n"));
    let origin = Origin {
        id: id("origin"),
        epoch: 1,
    };
    Publish {
        origin,
        first,
        hops: 1,
        repair: false,
        payload: Payload::events(body),
    }
}

fn decoder() -> Decoder {
    let mut decoder = Decoder::new(Limits::from(&Config::default()), true);
    decoder.connected();
    decoder
}

fn decode_all(mut decoder: Decoder, bytes: &[u8]) -> usize {
    let mut input = BytesMut::from(bytes);
    let mut count = 0;
    while let Ok(Some(message)) = decoder.next(&mut input) {
        black_box(message);
        count += 1;
    }
    count
}

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Elements(100));

    let (_, text) = packet::new_packet("abc-def", EVENT.as_bytes());
    let lines = line::packet(Topic::Broadcast, &text).repeat(100);
    group.bench_function("decode 100 packet lines", |b| {
        b.iter(|| assert_eq!(decode_all(decoder(), &lines), 100));
    });

    let hello = Hello {
        id: id("peer"),
        native: Some(HelloNative {
            version: 1,
            address: "127.0.0.1".to_owned(),
            port: 1,
            epoch: 1,
            intent: smokesignal::proto::Intent::Peer,
            windows: false,
            max_message: None,
            place: Default::default(),
        }),
    };
    let mut frames = line::handshake(&hello).to_vec();
    let frame = native::publish(&run(1, 100), Class::Own);
    frames.extend_from_slice(&frame.head);
    frames.extend_from_slice(&frame.body);
    group.bench_function("decode a frame with a run of 100", |b| {
        b.iter(|| assert_eq!(decode_all(decoder(), &frames), 2));
    });

    group.bench_function("make 100 packet lines", |b| {
        b.iter(|| {
            for _ in 0..100 {
                let data = packet::event_data(EVENT.as_bytes()).unwrap_or_default();
                let (_, text) = packet::new_packet("abc-def", &data);
                black_box(line::packet(Topic::Broadcast, &text));
            }
        });
    });
    group.finish();
}

/// A started node with `peers` native peers, and the link of the first one.
fn node(peers: usize) -> (State, smokesignal::proto::LinkId, Vec<Output>) {
    let config = Config {
        max_peers: usize::MAX,
        ..Config::default()
    };
    let mut state = State::new(config, id("me"), 1);
    let mut out = Vec::new();
    let remote = SocketAddr::from(([127, 0, 0, 1], 9));
    state.handle(Moment(1), Input::Started { port: 1 }, &mut out);
    let mut first = None;
    for n in 0..peers {
        let link = state.next_link();
        first.get_or_insert(link);
        state.handle(Moment(1), Input::Accepted { link, remote }, &mut out);
        let native = HelloNative {
            version: 1,
            address: "127.0.0.1".to_owned(),
            port: 2,
            epoch: 1,
            intent: smokesignal::proto::Intent::Peer,
            windows: false,
            max_message: None,
            place: Default::default(),
        };
        let hello = Hello {
            id: id(&format!("peer{n}")),
            native: Some(native),
        };
        let message = Message::Handshake(hello);
        state.handle(Moment(1), Input::Received { link, message }, &mut out);
    }
    out.clear();
    (
        state,
        first.unwrap_or_else(|| unreachable!("peers > 0")),
        out,
    )
}

fn state(c: &mut Criterion) {
    let mut group = c.benchmark_group("state");
    group.throughput(Throughput::Elements(100));
    for peers in [1, 5] {
        group.bench_function(format!("broadcast 100 runs of one, {peers} peers"), |b| {
            let payload = run(1, 1).payload;
            b.iter_batched_ref(
                || node(peers),
                |(state, _, out)| {
                    for _ in 0..100 {
                        state.handle(Moment(2), Input::Broadcast(payload.clone()), out);
                        out.clear();
                    }
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function(format!("relay 100 runs of one, {peers} peers"), |b| {
            let runs: Vec<_> = (1..=100).map(|first| run(first, 1)).collect();
            b.iter_batched_ref(
                || node(peers),
                |(state, link, out)| {
                    for run in &runs {
                        let message = Message::Native(Native::Publish(run.clone()));
                        state.handle(
                            Moment(2),
                            Input::Received {
                                link: *link,
                                message,
                            },
                            out,
                        );
                        out.clear();
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// What an encrypted link's thread does to a batch, without the system calls.
#[cfg(feature = "fuzzing")]
fn secure(c: &mut Criterion) {
    use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
    use smokesignal::fuzzing::Ends;

    let mut group = c.benchmark_group("secure");
    for length in [100, 1 << 10, 16 << 10, 64 << 10, 256 << 10] {
        let batch = Bytes::from(vec![b'x'; length]);
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(format!("seal {length} bytes"), |b| {
            let mut ends = Ends::connect();
            b.iter(|| ends.seal(&batch));
        });
        group.bench_function(format!("seal and open {length} bytes"), |b| {
            let mut ends = Ends::connect();
            b.iter(|| ends.pass(&batch));
        });
        // The ciphers by themselves: links use AES where both machines have it.
        for (name, algorithm) in [
            ("ChaCha20-Poly1305", &CHACHA20_POLY1305),
            ("AES-256-GCM", &AES_256_GCM),
        ] {
            let Ok(key) = UnboundKey::new(algorithm, &[7; 32]).map(LessSafeKey::new) else {
                unreachable!("a key of the right length");
            };
            let mut bytes = batch.to_vec();
            group.bench_function(format!("{name} alone {length} bytes"), |b| {
                b.iter(|| {
                    let nonce = Nonce::assume_unique_for_key([0; 12]);
                    black_box(key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut bytes))
                });
            });
        }
    }
    group.finish();
}

#[cfg(not(feature = "fuzzing"))]
fn secure(_: &mut Criterion) {}

/// What a record and a message between two members cost in a closed network.
fn identity(c: &mut Criterion) {
    let identity =
        |byte| Identity::from_private([byte; 32]).unwrap_or_else(|| unreachable!("a key"));
    let (one, other) = (identity(1), identity(2));
    let record = [b'x'; 200];
    let signature = one.sign(&record);
    let mut group = c.benchmark_group("identity");
    group.bench_function("sign a record", |b| b.iter(|| one.sign(black_box(&record))));
    group.bench_function("check a record", |b| {
        b.iter(|| one.public().has_signed(black_box(&record), &signature));
    });
    group.bench_function("the key of a pair", |b| {
        b.iter(|| one.pair_key(black_box(other.public())));
    });
    let key = one.pair_key(other.public());
    for length in [100, 1 << 10, 64 << 10] {
        let text = vec![b'x'; length];
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(format!("the code of {length} bytes"), |b| {
            b.iter(|| key.as_ref().map(|key| key.code(&[black_box(&text)])));
        });
    }
    group.finish();
}

criterion_group!(benches, codec, state, identity, secure);
criterion_main!(benches);
