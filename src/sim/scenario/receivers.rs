//! Slow receivers, and a producer that obeys backpressure.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::watch::{Figures, seconds};
use crate::proto::{Event, Input, Moment, Payload};
use crate::sim::{HostId, Network};

/// One node in this many is slow.
const SLOW_SHARE: usize = 100;
/// The time of a slow node per message: ten times the producer's.
const SLOW_PACE: Duration = Duration::from_millis(10);
const PRODUCER_PACE: Duration = Duration::from_millis(1);
/// Large messages, so that a window holds few and relays do not copy them.
const MESSAGE: usize = 40 << 10;
const PLAY: Duration = Duration::from_secs(5);
/// How long slow nodes may take to consume one window.
const REST: Duration = Duration::from_secs(10);

pub(super) fn slow_receivers(network: &mut Network) -> Figures {
    let hosts = network.living();
    let producer = hosts[hosts.len() / 2];
    let others = hosts.iter().copied().filter(|host| *host != producer);
    let count = hosts.len().div_ceil(SLOW_SHARE);
    let slow: Vec<HostId> = others
        .step_by(hosts.len() / count.max(1))
        .take(count)
        .collect();
    for host in &slow {
        network.slow_down(*host, Some(SLOW_PACE));
    }
    let sent = produce(network, producer, PLAY);
    let began_rest = network.now();
    let mut most_waiting = 0;
    let longest = |network: &Network| slow.iter().map(|host| network.waiting(*host)).max();
    while longest(network) > Some(0) && network.now().since(began_rest) < REST {
        most_waiting = most_waiting.max(longest(network).unwrap_or(0));
        network.run_for(Duration::from_millis(50));
    }
    let mut got: BTreeMap<HostId, usize> = BTreeMap::new();
    let mut skipped = 0;
    let mut delay = 0.0_f64;
    for happening in network.take_happenings() {
        match happening.event {
            Event::Broadcast { payload, .. } => {
                let nth = got.entry(happening.host).or_default();
                if let Some(at) = sent.get(*nth) {
                    delay = delay.max(seconds(happening.at.since(*at)));
                }
                *nth += payload.count() as usize;
            }
            Event::Skipped { count, .. } => skipped += count,
            _ => {}
        }
    }
    let missing = hosts.iter().filter(|host| **host != producer);
    let missing = missing.map(|host| sent.len() - got.get(host).copied().unwrap_or(0));
    let pace = seconds(PLAY) / seconds(SLOW_PACE);
    for host in slow {
        network.slow_down(host, None);
    }
    vec![
        (
            "slow receivers: messages lost",
            missing.sum::<usize>() as f64,
        ),
        ("slow receivers: messages skipped", skipped as f64),
        (
            "slow receivers: sent, times their pace",
            sent.len() as f64 / pace,
        ),
        ("slow receivers: longest delay, seconds", delay),
        (
            "slow receivers: most that wait for one",
            most_waiting as f64,
        ),
    ]
}

/// Broadcasts for `time` whenever there is room. Returns when each message was sent.
pub(super) fn produce(network: &mut Network, producer: HostId, time: Duration) -> Vec<Moment> {
    let message = Bytes::from(vec![b'x'; MESSAGE]);
    let end = network.now().after(time);
    let mut sent = Vec::new();
    while network.now() < end {
        if !network.is_pressed(producer) {
            sent.push(network.now());
            let payload = Payload::chunk(&message);
            network.input(producer, Input::Broadcast(payload));
        }
        network.run_for(PRODUCER_PACE);
    }
    sent
}
