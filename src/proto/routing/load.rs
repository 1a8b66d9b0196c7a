//! How much is sent to one node: a busy pair is worth a shortcut.

use crate::proto::Moment;

/// A pair is busy when this many messages have been sent faster than [`PER_SECOND`]. A hundred
/// requests in flight are. An estimate: a dial with its handshake costs both ends about as much
/// time as the nodes between spend on so many messages.
const BUSY: f64 = 64.0;
/// A pair that sends less than this per second in the long run never becomes busy: its messages
/// cost the nodes between a thousandth of a core at most.
const PER_SECOND: f64 = 16.0;
/// This many bytes count as one more message.
const BYTES: f64 = 4096.0;

/// A bucket that leaks. Its content is counted in messages.
#[derive(Debug)]
pub(super) struct Load {
    level: f64,
    at: Moment,
}

impl Load {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            level: 0.0,
            at: now,
        }
    }

    /// Counts messages. Returns whether the pair is busy, and begins anew if so.
    pub(super) fn adds(&mut self, count: u32, bytes: usize, now: Moment) -> bool {
        let leaked = now.since(self.at).as_secs_f64() * PER_SECOND;
        self.at = now;
        self.level = (self.level - leaked).max(0.0) + f64::from(count) + bytes as f64 / BYTES;
        let is_busy = self.level >= BUSY;
        if is_busy {
            self.level = 0.0;
        }
        is_busy
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_trickle_never_makes_a_pair_busy_and_a_burst_does_once() {
        let mut load = Load::new(Moment(0));
        for second in 0..1000 {
            assert!(
                !load.adds(10, 20_000, Moment(second * 1_000_000)),
                "{second}"
            );
        }
        let now = Moment(2_000_000_000);
        let busy = (0..100).filter(|_| load.adds(1, 100, now)).count();
        assert_eq!(busy, 1);
        assert!(load.adds(1, 1 << 20, now.after(Duration::from_secs(60))));
    }
}
