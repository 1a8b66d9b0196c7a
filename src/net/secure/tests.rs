//! Handshakes and messages over a pipe.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::cipher::Suite;
use super::*;

async fn keys(secret: u8, private: u8) -> Keys {
    keys_at(secret, private, 100.0).await
}

async fn keys_at(secret: u8, private: u8, handshakes_per_second: f64) -> Keys {
    keys_of(&[secret], private, handshakes_per_second).await
}

async fn keys_of(secrets: &[u8], private: u8, handshakes_per_second: f64) -> Keys {
    let secrets = secrets.iter().map(|secret| Secret::Key([*secret; 32]));
    let credentials = Credentials {
        secrets: secrets.collect(),
        identity: Identity::from_private([private; 32]).unwrap(),
    };
    Keys::derive(credentials, handshakes_per_second)
        .await
        .unwrap()
}

fn id(private: u8) -> String {
    Identity::from_private([private; 32])
        .unwrap()
        .id()
        .to_string()
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().unwrap().block_on(test)
}

async fn pair() -> (Session, Session) {
    pair_with([false, false]).await
}

/// Two ends, and whether each has AES.
async fn pair_with(have_aes: [bool; 2]) -> (Session, Session) {
    let (mut near, mut far) = duplex(4096);
    let (mut dialer, mut accepter) = (keys(1, 2).await, keys(1, 3).await);
    [dialer.has_aes, accepter.has_aes] = have_aes;
    let both = tokio::join!(dial(&mut near, &dialer, 0), accept(&mut far, &accepter));
    (both.0.unwrap(), both.1.unwrap())
}

fn send(sealer: &mut Sealer, opener: &mut Opener, parts: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let mut batch: VecDeque<Bytes> = parts
        .iter()
        .map(|part| Bytes::copy_from_slice(part))
        .collect();
    let bytes = sealer.seal(&mut batch).unwrap();
    assert_eq!(bytes, parts.iter().map(|part| part.len()).sum::<usize>());
    let mut sealed = BytesMut::from(sealer.bytes());
    let mut plain = BytesMut::new();
    opener.open(&mut sealed, &mut plain)?;
    assert_eq!(sealed.len(), 0);
    Ok(plain.to_vec())
}

#[test]
fn each_side_learns_the_id_of_the_other_and_can_send() {
    run(async {
        let (mut near, mut far) = pair().await;
        assert_eq!(
            (near.remote.to_string(), far.remote.to_string()),
            (id(3), id(2))
        );
        let there = send(&mut near.sealer, &mut far.opener, &[b"hel", b"", b"lo"]);
        let back = send(&mut far.sealer, &mut near.opener, &[b"hi"]);
        assert_eq!(
            (there.unwrap(), back.unwrap()),
            (b"hello".to_vec(), b"hi".to_vec())
        );
    });
}

#[test]
fn messages_larger_than_a_noise_message_are_split_and_joined() {
    run(async {
        let (mut near, mut far) = pair().await;
        let large: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let came = send(&mut near.sealer, &mut far.opener, &[b"<", &large, b">"]).unwrap();
        assert_eq!(came, [b"<", &large[..], b">"].concat());
        // In pieces, as read from a socket.
        let mut batch = VecDeque::from([Bytes::from(large.clone())]);
        near.sealer.seal(&mut batch).unwrap();
        let (mut sealed, mut plain) = (BytesMut::new(), BytesMut::new());
        for piece in near.sealer.bytes().chunks(1000) {
            sealed.extend_from_slice(piece);
            far.opener.open(&mut sealed, &mut plain).unwrap();
        }
        assert_eq!(plain, large);
    });
}

#[test]
fn two_ends_with_aes_use_it_and_others_do_not() {
    for have_aes in [[true, true], [true, false], [false, true], [false, false]] {
        run(async {
            let (mut near, mut far) = pair_with(have_aes).await;
            let mut suites = Vec::new();
            for n in 0..3_u8 {
                let there = send(&mut near.sealer, &mut far.opener, &[&[n]]);
                let back = send(&mut far.sealer, &mut near.opener, &[&[n]]);
                assert_eq!((there, back), (Ok(vec![n]), Ok(vec![n])));
                assert_eq!(near.sealer.cipher.suite(), far.opener.cipher.suite());
                assert_eq!(far.sealer.cipher.suite(), near.opener.cipher.suite());
                suites.push([near.sealer.cipher.suite(), far.sealer.cipher.suite()]);
            }
            // The second end to send has heard the first one's offer.
            let all = [Suite::ChaCha; 2];
            let expected = match have_aes {
                [true, true] => [
                    [Suite::ChaCha, Suite::Aes],
                    [Suite::Aes; 2],
                    [Suite::Aes; 2],
                ],
                _ => [all; 3],
            };
            assert_eq!(suites, expected, "{have_aes:?}");
        });
    }
}

#[test]
fn ends_agree_on_aes_while_both_send_and_renew_their_keys() {
    run(async {
        let (mut near, mut far) = pair_with([true, true]).await;
        // What the ends have sent, and the other has not read yet.
        let mut wires = [BytesMut::new(), BytesMut::new()];
        let mut came = [BytesMut::new(), BytesMut::new()];
        for sealer in [&mut near.sealer, &mut far.sealer] {
            sealer.rekey_messages = 3;
        }
        for n in 0..40_u8 {
            for (sealer, wire) in [&mut near.sealer, &mut far.sealer]
                .into_iter()
                .zip(&mut wires)
            {
                let mut batch = VecDeque::from([Bytes::copy_from_slice(&[n])]);
                sealer.seal(&mut batch).unwrap();
                wire.extend_from_slice(sealer.bytes());
            }
            // The first five messages cross on the way.
            if n < 5 {
                continue;
            }
            let openers = [&mut far.opener, &mut near.opener].into_iter();
            for ((opener, wire), came) in openers.zip(&mut wires).zip(&mut came) {
                opener.open(wire, came).unwrap();
            }
        }
        assert_eq!(near.sealer.seal(&mut VecDeque::from([Bytes::new()])), Ok(0));
        assert_eq!(
            near.sealer.bytes(),
            b"",
            "no message announces a key without need"
        );
        let all: Vec<u8> = (0..40).collect();
        assert_eq!(came, [&all[..], &all]);
        let suites = [near.sealer.cipher.suite(), far.sealer.cipher.suite()];
        assert_eq!(suites, [Suite::Aes; 2]);
    });
}

#[test]
fn keys_are_renewed_by_count_in_each_direction_and_the_link_goes_on() {
    run(async {
        let (mut near, mut far) = pair().await;
        near.sealer.rekey_messages = 3;
        for n in 0..10_u8 {
            let came = send(&mut near.sealer, &mut far.opener, &[&[n]]);
            assert_eq!(came, Ok(vec![n]));
        }
        let back = send(&mut far.sealer, &mut near.opener, &[b"still here"]);
        assert_eq!(back, Ok(b"still here".to_vec()));
        assert_eq!((far.opener.rekeys, near.opener.rekeys), (3, 0));
    });
}

#[test]
fn keys_are_renewed_after_an_hour() {
    run(async {
        let (mut near, mut far) = pair().await;
        tokio::time::pause();
        for (minutes, rekeys) in [(59, 0), (1, 1), (1, 1), (59, 2)] {
            tokio::time::advance(std::time::Duration::from_secs(minutes * 60)).await;
            send(&mut near.sealer, &mut far.opener, &[b"x"]).unwrap();
            assert_eq!(far.opener.rekeys, rekeys);
        }
    });
}

#[test]
fn a_message_that_is_changed_repeated_dropped_or_cut_is_corrupted() {
    run(async {
        for what in ["changed", "repeated", "left out", "length", "short"] {
            let (mut near, mut far) = pair().await;
            near.sealer
                .seal(&mut VecDeque::from([Bytes::from("one")]))
                .unwrap();
            let one = near.sealer.bytes().to_vec();
            near.sealer
                .seal(&mut VecDeque::from([Bytes::from("two")]))
                .unwrap();
            let two = near.sealer.bytes().to_vec();
            let mut bytes = match what {
                "changed" => one.clone(),
                "repeated" => [&one[..], &one].concat(),
                "left out" => two,
                "length" => [&[0, one.len() as u8 - 3], &one[2..], &one].concat(),
                _ => vec![0, 15],
            };
            if what == "changed" {
                bytes[5] ^= 1;
            }
            let (mut sealed, mut plain) = (BytesMut::from(&bytes[..]), BytesMut::new());
            let outcome = far.opener.open(&mut sealed, &mut plain);
            assert_eq!(outcome, Err(Refusal::Corrupted), "{what}");
            let came: &[u8] = match what {
                "repeated" => b"one",
                _ => b"",
            };
            assert_eq!(plain, came, "{what}");
        }
    });
}

#[test]
fn another_secret_is_refused_at_the_first_message_and_gets_no_answer() {
    run(async {
        let (mut near, mut far) = duplex(4096);
        let (dialer, accepter) = (keys(1, 2).await, keys(9, 3).await);
        let accepting = async {
            let outcome = accept(&mut far, &accepter).await;
            drop(far);
            outcome
        };
        let (dialed, accepted) = tokio::join!(dial(&mut near, &dialer, 0), accepting);
        assert_eq!(accepted.unwrap_err(), Refusal::Secret.into());
        assert_eq!(dialed.unwrap_err(), Refusal::Unanswered.into());
        let mut heard = Vec::new();
        near.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"");
    });
}

/// A node's answer to the first bytes of a connection.
async fn answer(opening: &[u8], keys: &Keys) -> Vec<u8> {
    let (mut near, mut far) = duplex(4096);
    near.write_all(opening).await.unwrap();
    near.shutdown().await.unwrap();
    accept(&mut far, keys).await.unwrap_err();
    drop(far);
    let mut heard = Vec::new();
    near.read_to_end(&mut heard).await.unwrap();
    heard
}

#[test]
fn a_first_message_is_answered_only_under_its_secret_and_unchanged() {
    // Found by a fuzzer that saw the comparisons of this process.
    let opening = &include_bytes!("../../../tests/data/transport-stranger.bin")[1..];
    run(async {
        let member = keys_at(1, 3, f64::MAX).await;
        assert_eq!(answer(opening, &member).await.len(), 96);
        for secret in [0, 2, 129] {
            let stranger = keys_at(secret, 3, f64::MAX).await;
            assert_eq!(answer(opening, &stranger).await, b"", "secret {secret}");
        }
        for at in 0..opening.len() {
            let mut changed = opening.to_vec();
            changed[at] ^= 1 << (at % 8);
            assert_eq!(answer(&changed, &member).await, b"", "byte {at}");
        }
    });
}

#[test]
fn each_of_two_secrets_is_accepted_and_no_third() {
    run(async {
        let accepter = keys_of(&[1, 2], 3, 100.0).await;
        let mut outcomes = Vec::new();
        for secret in [1, 2, 9] {
            let (mut near, mut far) = duplex(4096);
            let dialer = keys(secret, 4).await;
            let dialing = async {
                let outcome = dial(&mut near, &dialer, 0).await;
                drop(near);
                outcome
            };
            let accepting = async {
                let outcome = accept(&mut far, &accepter).await;
                drop(far);
                outcome
            };
            let (dialed, accepted) = tokio::join!(dialing, accepting);
            assert_eq!(dialed.is_ok(), accepted.is_ok());
            outcomes.push(accepted.map(|session| session.remote.to_string()));
        }
        let refused = Err(Refusal::Secret.into());
        assert_eq!(outcomes, [Ok(id(4)), Ok(id(4)), refused]);
    });
}

#[test]
fn a_node_that_knows_only_the_second_secret_is_offered_it_first_next_time() {
    run(async {
        let keys = keys_of(&[1, 2], 3, 100.0).await;
        let at = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        keys.note(at(1), 1);
        keys.note(at(2), 0);
        assert_eq!(
            [1, 2, 3].map(|port| keys.order(at(port))),
            [[1, 0], [0, 1], [0, 1]]
        );
        keys.note(at(1), 0);
        assert_eq!(keys.order(at(1)), [0, 1]);
    });
}

#[test]
fn plaintext_is_refused_at_its_first_byte() {
    run(async {
        let (mut near, mut far) = duplex(4096);
        near.write_all(b"[").await.unwrap();
        let outcome = accept(&mut far, &keys(1, 2).await).await;
        assert_eq!(outcome.unwrap_err(), Refusal::Plaintext.into());
        near.write_all(&MAGIC[..4]).await.unwrap();
        near.write_all(&[99]).await.unwrap();
        let outcome = accept(&mut far, &keys(1, 2).await).await;
        assert_eq!(outcome.unwrap_err(), Refusal::Plaintext.into());
    });
}

#[test]
fn a_replayed_dial_fails_in_the_handshake_and_its_cost_is_bounded() {
    run(async {
        // A proxy between the two records the bytes.
        let (mut near, mut proxy) = duplex(4096);
        let (mut out, mut far) = duplex(4096);
        let (dialer, accepter) = (keys(1, 2).await, keys_at(1, 3, 0.5).await);
        let recording = async {
            let mut recorded = vec![0; 53];
            proxy.read_exact(&mut recorded).await.unwrap();
            out.write_all(&recorded).await.unwrap();
            let mut answer = [0; 96];
            out.read_exact(&mut answer).await.unwrap();
            proxy.write_all(&answer).await.unwrap();
            let mut third = [0; 64];
            proxy.read_exact(&mut third).await.unwrap();
            out.write_all(&third).await.unwrap();
            recorded.extend_from_slice(&third);
            recorded
        };
        let (dialed, accepted, recorded) = tokio::join!(
            dial(&mut near, &dialer, 0),
            accept(&mut far, &accepter),
            recording
        );
        assert!(dialed.is_ok() && accepted.is_ok());
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(4)).await;
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            let (mut replaying, mut far) = duplex(4096);
            replaying.write_all(&recorded).await.unwrap();
            outcomes.push(accept(&mut far, &accepter).await.unwrap_err());
        }
        let one = [Refusal::Secret, Refusal::Crowded, Refusal::Crowded].map(Failure::from);
        assert_eq!(outcomes, one, "one at once, and one in two seconds");
    });
}
