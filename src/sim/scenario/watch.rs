//! Waiting for a state of the network, and measuring how long it takes.

use std::time::Duration;

use crate::sim::{Graph, Network};

/// How often the network is checked during a wait.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Named figures, in the order of measurement.
pub type Figures = Vec<(&'static str, f64)>;

pub(super) fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// Runs until `done`. Returns the time it took, or `None` if it exceeds `limit`.
pub fn await_that(
    network: &mut Network,
    limit: Duration,
    mut done: impl FnMut(&Network) -> bool,
) -> Option<Duration> {
    let began = network.now();
    loop {
        if done(network) {
            return Some(network.now().since(began));
        }
        if network.now().since(began) >= limit {
            return None;
        }
        network.run_for(LOOK_EVERY);
    }
}

/// Whether all running nodes are connected.
pub fn is_whole(network: &Network) -> bool {
    let lonely = |host| {
        network
            .state(host)
            .is_some_and(|s| s.peers().next().is_none())
    };
    !network.living().into_iter().any(lonely) && Graph::of(network).is_connected()
}
