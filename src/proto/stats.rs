//! Counters.

/// The counters of a node since its creation: totals, unless a field says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Broadcasts of this node's application.
    pub sent: u64,
    /// Broadcasts of others, given to the application's side.
    pub delivered: u64,
    /// Copies of others' broadcasts sent on to a peer, in messages.
    pub forwarded: u64,
    /// Duplicate broadcasts received, in messages.
    pub duplicates: u64,
    /// Broadcasts received ahead of a gap and held back, in messages.
    pub held: u64,
    /// Gaps that a graft closed.
    pub repaired: u64,
    /// Broadcasts that no peer had any more and that were skipped.
    pub skipped: u64,
    /// Receivers that this node stopped waiting for because they consumed nothing.
    pub slow_receivers: u64,
    /// Broadcasts too large for a peer, counted once for each peer.
    pub oversized: u64,
    /// Ranges asked of a peer.
    pub grafts: u64,
    /// Prunes sent.
    pub prunes: u64,
    /// Direct messages sent to a peer.
    pub direct_sent: u64,
    /// Direct messages received from a peer.
    pub direct_received: u64,
    /// Messages a legacy peer was spared because they would crash it.
    pub withheld: u64,
    /// Messages refused: wrong hash, wrong shape, not JSON.
    pub rejected: u64,
    /// Dials made.
    pub dials: u64,
    /// Dials and pongs on behalf of others that a limit refused.
    pub dials_refused: u64,
    /// Shuffles, forward joins and beacons of peers that a limit refused to pass on.
    pub relays_refused: u64,
    /// Connections without a handshake in time.
    pub handshake_timeouts: u64,
    /// Times that a misbehaving link was muted.
    pub muted: u64,
    /// Packets of such links, ignored.
    pub ignored_of_muted: u64,
    /// Links closed for misbehaviour.
    pub misbehaved: u64,
    /// Members of the network beside this node, now.
    pub members: u64,
    /// Records that are kept, now: of members, and for a while of nodes that cannot be reached.
    pub records: u64,
    /// Records of others that a limit refused.
    pub records_refused: u64,
    /// Records that were not signed by the node that they are about.
    pub records_forged: u64,
    /// Messages between other members, passed on.
    pub routed: u64,
    /// Messages to members, sent.
    pub routed_sent: u64,
    /// Messages of members, received.
    pub routed_received: u64,
    /// Messages of members that were lost on their way or could not be passed on.
    pub routed_lost: u64,
    /// Messages to members that were dropped on their way, as far as this node was told.
    pub undelivered: u64,
    /// Letters to this node, and notes on them, that were not of the member that they named.
    pub routed_forged: u64,
}

impl Counters {
    /// The sum of both.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            delivered: self.delivered + other.delivered,
            forwarded: self.forwarded + other.forwarded,
            duplicates: self.duplicates + other.duplicates,
            held: self.held + other.held,
            repaired: self.repaired + other.repaired,
            skipped: self.skipped + other.skipped,
            slow_receivers: self.slow_receivers + other.slow_receivers,
            oversized: self.oversized + other.oversized,
            grafts: self.grafts + other.grafts,
            prunes: self.prunes + other.prunes,
            direct_sent: self.direct_sent + other.direct_sent,
            direct_received: self.direct_received + other.direct_received,
            withheld: self.withheld + other.withheld,
            rejected: self.rejected + other.rejected,
            dials: self.dials + other.dials,
            dials_refused: self.dials_refused + other.dials_refused,
            relays_refused: self.relays_refused + other.relays_refused,
            handshake_timeouts: self.handshake_timeouts + other.handshake_timeouts,
            muted: self.muted + other.muted,
            ignored_of_muted: self.ignored_of_muted + other.ignored_of_muted,
            misbehaved: self.misbehaved + other.misbehaved,
            members: self.members + other.members,
            records: self.records + other.records,
            records_refused: self.records_refused + other.records_refused,
            records_forged: self.records_forged + other.records_forged,
            routed: self.routed + other.routed,
            routed_sent: self.routed_sent + other.routed_sent,
            routed_received: self.routed_received + other.routed_received,
            routed_lost: self.routed_lost + other.routed_lost,
            undelivered: self.undelivered + other.undelivered,
            routed_forged: self.routed_forged + other.routed_forged,
        }
    }
}
