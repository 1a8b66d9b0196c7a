//! Ids and origins as all frames carry them.
//!
//! An *id* is `u8` length and the code of a [`NodeId`]; an *origin* is an id, then `u64` epoch.

use bytes::{Buf, BufMut};

use super::{NodeId, Origin};

/// Appends an id.
pub(super) fn put_id(out: &mut impl BufMut, id: &NodeId) {
    // A code has at most 64 bytes.
    out.put_u8(id.code().len() as u8);
    out.put_slice(id.code().as_bytes());
}

/// Takes an id from the front of `body`, whose bytes must be contiguous.
pub(super) fn take_id(body: &mut impl Buf) -> Option<NodeId> {
    let length = usize::from(body.try_get_u8().ok()?);
    let code = std::str::from_utf8(body.chunk().get(..length)?).ok()?;
    let id = NodeId::from_code(code)?;
    body.advance(length);
    Some(id)
}

/// Takes the code of an id from the front of `body`, without a copy.
pub(super) fn take_code<'a>(body: &mut &'a [u8]) -> Option<&'a str> {
    let (length, rest) = body.split_first()?;
    let (code, rest) = rest.split_at_checked(usize::from(*length))?;
    let code = std::str::from_utf8(code).ok()?;
    *body = rest;
    NodeId::is_code(code).then_some(code)
}

/// Appends an origin.
pub(super) fn put_origin(out: &mut impl BufMut, origin: &Origin) {
    put_id(out, &origin.id);
    out.put_u64(origin.epoch);
}

/// Takes an origin from the front of `body`, whose bytes must be contiguous.
pub(super) fn take_origin(body: &mut impl Buf) -> Option<Origin> {
    let id = take_id(body)?;
    let epoch = body.try_get_u64().ok()?;
    Some(Origin { id, epoch })
}
