//! The ids of packets.
//!
//! A packet from a legacy node keeps its id and its text everywhere. For legacy peers, every
//! translator derives the same id for a native broadcast: `<origin>-n<epoch><seq>-<md5>`, epoch and
//! sequence number in base 36, 13 digits each. A packet with such an id from the legacy side is
//! that same broadcast.

#[cfg(test)]
mod tests;

use crate::proto::{NodeId, Origin};

/// Digits of a `u64` in base 36.
const DIGITS: usize = 13;

/// Whether the node with that id made a packet.
pub(super) fn is_made_by(packet: &str, id: &NodeId) -> bool {
    let rest = packet.strip_prefix(id.as_str());
    rest.is_some_and(|rest| rest.starts_with('-'))
}

/// The beginning of the id of a native broadcast.
pub(super) fn packet_prefix(origin: &Origin, seq: u64) -> String {
    let digits = DIGITS;
    format!(
        "{}-n{:0>digits$}{:0>digits$}",
        origin.id.code(),
        base36(origin.epoch),
        base36(seq)
    )
}

/// The broadcast of a packet id, if a native node made it.
pub(super) fn native_born(id: &str) -> Option<(Origin, u64)> {
    let (node, rest) = id.split_once('-')?;
    let digits = rest.split('-').next()?.strip_prefix('n')?;
    if digits.len() != 2 * DIGITS || !digits.is_ascii() {
        return None;
    }
    let (epoch, seq) = digits.split_at(DIGITS);
    let epoch = u64::from_str_radix(epoch, 36).ok()?;
    let seq = u64::from_str_radix(seq, 36)
        .ok()
        .filter(|seq| *seq > 0 && *seq < u64::MAX)?;
    Some((
        Origin {
            id: NodeId::from_code(node)?,
            epoch,
        },
        seq,
    ))
}

/// A number in base 36.
pub(in crate::proto) fn base36(mut number: u64) -> String {
    let mut digits = Vec::with_capacity(DIGITS);
    loop {
        let digit = (number % 36) as u32;
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}
