//! Parts of the network: whether two nodes are in the same one.
//!
//! All nodes of a part hear the beacons of the same few seeds, those with the smallest ids.
//! Handshakes carry marks of these seeds. Two nodes without a common mark are in different parts.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::proto::codec::hello::MAX_MARKS;
use crate::proto::state::State;
use crate::proto::{Hello, Moment, Origin};

/// Wait after the first peer before a node without a common mark counts as in another part. The
/// beacons of this node's own part may take that long to arrive.
const HEARS_AFTER: Duration = Duration::from_millis(1500);
/// The same for a node that has heard no beacon.
const HEARS_NONE_AFTER: Duration = Duration::from_secs(2);
/// A part without a seed gets a substitute after one to two times this.
const SUBSTITUTE_AFTER: Duration = Duration::from_millis(1500);

/// The part that another node is in, by its marks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proto::state) enum Part {
    /// The same part.
    Same,
    /// Another part.
    Other,
    /// It is too early to tell.
    Unknown,
    /// An older node, which sends no marks.
    Unsaid,
}

impl State {
    /// The marks of the seeds that this node hears.
    pub(in crate::proto::state) fn marks(&self) -> Vec<u64> {
        let own = self.beacons.sends().then(|| self.publish.origin());
        // Without a parent in its tree, a seed may be in another part by now.
        let heard = self.beacons.heard.values();
        let heard = heard.filter(|heard| heard.parent.is_some());
        let heard = heard.map(|heard| &heard.origin);
        let mut origins: Vec<&Origin> = heard.chain(own).collect();
        origins.sort_unstable();
        origins.truncate(MAX_MARKS);
        origins.into_iter().map(mark).collect()
    }

    /// The part that the sender of `hello` is in.
    pub(in crate::proto::state) fn part_of(&self, hello: &Hello) -> Part {
        let Some(native) = &hello.native else {
            return Part::Unsaid;
        };
        let place = &native.place;
        let link = self.peer_link(&hello.id);
        if link.is_some_and(|link| self.is_native(link)) {
            return Part::Same;
        }
        if place.max_peers.is_none() {
            return Part::Unsaid;
        }
        let mine = self.marks();
        if mine.iter().any(|mark| place.part.contains(mark)) {
            return Part::Same;
        }
        let is_in_for = |time| {
            let since = self.beacons.in_since;
            since.is_some_and(|since: Moment| self.now.since(since) >= time)
        };
        let is_alone = place.peers == 0;
        let is_asking = mine.is_empty() && self.hears_lately();
        let is_early = match mine.is_empty() {
            true => !is_in_for(HEARS_NONE_AFTER),
            false => !is_in_for(HEARS_AFTER),
        };
        if is_early || is_asking || place.part.is_empty() && !is_alone {
            return Part::Unknown;
        }
        Part::Other
    }

    /// Starts or stops substitute beacons: a part without a seed needs a node that sends them. Of
    /// several substitutes, the one with the smallest id goes on.
    pub(super) fn substitute_seeds(&mut self) {
        let beacons = &mut self.beacons;
        let is_mute = beacons.heard.is_empty() && !beacons.is_seed && !self.peers.is_empty();
        if !is_mute {
            beacons.mute_until = None;
            let first = beacons.heard.first_key_value();
            beacons.is_substitute &= first.is_none_or(|(id, _)| self.me < *id);
            return;
        }
        let wait = SUBSTITUTE_AFTER.mul_f64(1.0 + self.rng.f64());
        let until = beacons.mute_until.get_or_insert(self.now.after(wait));
        if self.now >= *until {
            beacons.is_substitute = true;
        }
    }
}

/// A mark: the FNV-1a hash of a seed's id and epoch.
fn mark(origin: &Origin) -> u64 {
    let id = origin.id.code().bytes();
    let bytes = id.chain(origin.epoch.to_be_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
