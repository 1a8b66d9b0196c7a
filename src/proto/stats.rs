//! Counters.

/// What a node has counted since it was made. All are totals except where a field says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Broadcasts of this node's application.
    pub sent: u64,
    /// Broadcasts of others, given to the application's side.
    pub delivered: u64,
    /// Copies of others' broadcasts sent on to a peer, in messages.
    pub forwarded: u64,
    /// Broadcasts received that were known already, in messages.
    pub duplicates: u64,
    /// Broadcasts received ahead of a gap and held back, in messages.
    pub held: u64,
    /// Gaps that were closed by what a graft brought.
    pub repaired: u64,
    /// Broadcasts that could not be had any more and were skipped.
    pub skipped: u64,
    /// Receivers that consumed nothing for so long that this node's messages no longer wait for them.
    pub slow_receivers: u64,
    /// Broadcasts that were not sent to a peer because it takes none so large, once for each peer.
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
    /// Dials that others asked for and a limit refused, pongs included.
    pub dials_refused: u64,
    /// Shuffles, forward joins and beacons of peers that a limit refused to pass on.
    pub relays_refused: u64,
    /// Connections that did not shake hands in time.
    pub handshake_timeouts: u64,
    /// Times that a misbehaving link's floods were no longer passed on.
    pub muted: u64,
    /// Packets of such links, ignored.
    pub ignored_of_muted: u64,
    /// Links closed for misbehaviour.
    pub misbehaved: u64,
}
