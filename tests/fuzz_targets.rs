//! The fuzz targets on random data: two seconds each, or `FUZZ_SECONDS`. Targets of private code
//! need `--features fuzzing`. `npm run fuzz` runs all of them guided by coverage.
//!
//! A failure prints the seed of its round; `FUZZ_SEED` runs only that round. The first seed is
//! random, or `FUZZ_FROM`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program of tests"
)]

#[path = "../fuzz/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs `target` on the outputs of `make` for successive seeds.
fn fuzz(make: impl Fn(&mut fastrand::Rng) -> Vec<u8>, target: impl Fn(&[u8])) {
    let one = number("FUZZ_SEED");
    let first = one.or_else(|| number("FUZZ_FROM"));
    let first = first.unwrap_or_else(|| fastrand::u64(..));
    let end = Instant::now() + Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(2));
    let mut rounds = 0;
    for seed in (0..).map(|round| first.wrapping_add(round)) {
        let data = make(&mut fastrand::Rng::with_seed(seed));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&data))) {
            println!("FUZZ_SEED={seed}, {} bytes", data.len());
            resume_unwind(panic);
        }
        rounds += 1;
        if one.is_some() || Instant::now() > end {
            break;
        }
    }
    println!("{rounds} rounds from seed {first}");
    assert!(rounds > 0);
}

fn noise(rng: &mut fastrand::Rng, most: usize) -> Vec<u8> {
    let length = rng.usize(..most);
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}

/// A sequence of random pieces, damaged in a few places.
fn damaged(rng: &mut fastrand::Rng, pieces: &[&[u8]]) -> Vec<u8> {
    let mut data = Vec::new();
    for _ in 0..rng.usize(1..8) {
        data.extend_from_slice(rng.choice(pieces).unwrap());
    }
    for _ in 0..rng.usize(..6) {
        let at = rng.usize(..data.len());
        match rng.u8(..4) {
            0 => data[at] = rng.u8(..),
            1 => data[at] ^= 1 << rng.u8(..8),
            2 => drop(data.drain(at..(at + rng.usize(..20)).min(data.len()))),
            _ => {
                let copy = data[at..(at + rng.usize(..60)).min(data.len())].to_vec();
                data.splice(at..at, copy);
            }
        }
        if data.is_empty() {
            data.push(rng.u8(..));
        }
    }
    data
}

fn captured() -> Vec<&'static [u8]> {
    let lines = targets::CAPTURE.split_inclusive('\n');
    lines.map(str::as_bytes).collect()
}

#[test]
fn legacy_lines() {
    let capture = captured();
    fuzz(|rng| damaged(rng, &capture), targets::lines);
}

#[test]
fn native_frames() {
    let frames = targets::some_frames();
    let pieces: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    fuzz(
        |rng| match rng.u8(..4) {
            0 => noise(rng, 600),
            _ => damaged(rng, &pieces),
        },
        targets::frames,
    );
}

#[test]
fn json_texts() {
    let capture = captured();
    fuzz(
        |rng| match rng.u8(..3) {
            0 => {
                let alphabet = b"[]{}\",:\\u0019eE+-. tnfalsr";
                let length = rng.usize(..200);
                let letter = || *rng.choice(alphabet).unwrap();
                std::iter::repeat_with(letter).take(length).collect()
            }
            _ => damaged(rng, &capture),
        },
        targets::json,
    );
}

#[test]
fn the_state_machine() {
    fuzz(|rng| noise(rng, 6000), targets::state);
}

#[cfg(feature = "fuzzing")]
#[test]
fn the_encrypted_transport() {
    // An input that libFuzzer found while the tag of a stranger was still predictable.
    smokesignal::fuzzing::transport(include_bytes!("data/transport-stranger.bin"));
    fuzz(|rng| noise(rng, 400), smokesignal::fuzzing::transport);
}

#[cfg(all(feature = "fuzzing", feature = "node"))]
#[test]
fn batches_for_javascript() {
    let texts = [
        &br#"["a",1]"#[..],
        br#"["a",{"b":[1,"\n"]}]"#,
        br#"["b","\ud800"]"#,
        br#"["a",1,2]"#,
        br#"["a",[0]"#,
        br#"["a",3]]"#,
        b"\n",
        b"\0",
        b"#",
    ];
    fuzz(|rng| damaged(rng, &texts), smokesignal::fuzzing::batch);
}
