//! Frame types, and their bounds.

pub(super) const LENGTH_SIZE: usize = 4;

pub(super) const PUBLISH: u8 = 0x01;
pub(super) const I_HAVE: u8 = 0x02;
pub(super) const GRAFT: u8 = 0x03;
pub(super) const GONE: u8 = 0x04;
pub(super) const PRUNE: u8 = 0x05;
pub(super) const CONSUMED: u8 = 0x06;
pub(super) const STALLED: u8 = 0x07;
pub(super) const OVERSIZED: u8 = 0x08;
pub(super) const HEARTBEAT: u8 = 0x10;
pub(super) const FORWARD_JOIN: u8 = 0x11;
pub(super) const SHUFFLE: u8 = 0x12;
pub(super) const CONTACTS: u8 = 0x13;
pub(super) const GOODBYE: u8 = 0x14;
pub(super) const BEACON: u8 = 0x15;
pub(super) const BEACON_TREE: u8 = 0x16;
pub(super) const DIRECT: u8 = 0x20;
pub(super) const PACKET: u8 = 0x21;
pub(super) const LINE: u8 = 0x22;
pub(super) const DIRECT_CONSUMED: u8 = 0x23;
pub(super) const PEERS: u8 = 0x28;

pub(super) const FLAG_REPAIR: u8 = 1;

/// Contacts in one frame.
pub(super) const MAX_CONTACTS: usize = 32;
/// Messages in one frame; for a legacy peer each becomes a line of its own. An application sends at
/// most 26 214 in one batch: fewer than 2 × 64 Ki characters (lib/outbox.js), at five characters
/// for the smallest event.
pub(super) const MAX_MESSAGES: u32 = 1 << 15;
