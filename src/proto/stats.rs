//! Counters.

/// The counters of a node since its creation: totals, unless a field says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// This node's own broadcasts.
    pub sent: u64,
    /// Broadcasts of other nodes, handed to the application.
    pub delivered: u64,
    /// Copies of other nodes' broadcasts sent to a peer, in messages.
    pub forwarded: u64,
    /// Duplicate broadcasts received, in messages.
    pub duplicates: u64,
    /// Broadcasts received ahead of a gap and held back, in messages.
    pub held: u64,
    /// Gaps that a graft closed.
    pub repaired: u64,
    /// Broadcasts that were skipped because no peer held them any more.
    pub skipped: u64,
    /// Receivers that this node stopped waiting for because they consumed nothing.
    pub slow_receivers: u64,
    /// Broadcasts above a peer's message limit, counted once per peer.
    pub oversized: u64,
    /// Grafts sent.
    pub grafts: u64,
    /// Prunes sent.
    pub prunes: u64,
    /// Direct messages sent to a peer.
    pub direct_sent: u64,
    /// Direct messages received from a peer.
    pub direct_received: u64,
    /// Messages withheld from a legacy peer because they would crash it.
    pub withheld: u64,
    /// Messages rejected: wrong hash, wrong shape, not JSON.
    pub rejected: u64,
    /// Dials.
    pub dials: u64,
    /// Dials and pongs for other nodes that a limit refused.
    pub dials_refused: u64,
    /// Shuffles, forward joins and beacons of peers that a limit refused to forward.
    pub relays_refused: u64,
    /// Connections whose handshake timed out.
    pub handshake_timeouts: u64,
    /// How often a link was muted for misbehaviour.
    pub muted: u64,
    /// Packets ignored because their link was muted.
    pub ignored_of_muted: u64,
    /// Links closed for misbehaviour.
    pub misbehaved: u64,
    /// Members of the network except this node, now.
    pub members: u64,
    /// Records kept now: those of members, and for a while those of unreachable nodes.
    pub records: u64,
    /// Records of other nodes that a limit refused.
    pub records_refused: u64,
    /// Records without a valid signature of their node.
    pub records_forged: u64,
    /// Messages between other members that this node forwarded.
    pub routed: u64,
    /// Messages sent to members.
    pub routed_sent: u64,
    /// Messages received from members.
    pub routed_received: u64,
    /// Messages of members that were lost on their way or could not be forwarded.
    pub routed_lost: u64,
    /// Messages to members that were dropped on their way, as far as this node was told.
    pub undelivered: u64,
    /// Letters to this node, and notes on them, that were not of the member that they named.
    pub routed_forged: u64,
    /// Shortcuts now.
    pub shortcuts: u64,
    /// Shortcuts that this node refused to other nodes.
    pub shortcuts_refused: u64,
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
            shortcuts: self.shortcuts + other.shortcuts,
            shortcuts_refused: self.shortcuts_refused + other.shortcuts_refused,
        }
    }
}
