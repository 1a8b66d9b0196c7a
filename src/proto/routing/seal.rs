//! Codes of letters and notes in a closed network. They prove who the sender is.
//!
//! Any two members share a key (see [`Identity`]). The sender computes a code with it over
//! everything that stays the same on the way: both ends and their epochs, session, number and
//! messages. Nodes between can drop a letter, but cannot change or invent one. The number exposes a
//! repeated letter. Codes are enough, and cost a hundredth of a signature; no third node needs
//! proof.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::{BufMut as _, BytesMut};

use super::event::Roads;
use super::frame::{Note, Receiver};
use crate::proto::wire::put_origin;
use crate::proto::{Code, Identity, Origin, PairKey, Payload};

const LETTER: u8 = 0;
const NOTE: u8 = 1;

/// The keys that this node shares with others. There are none in an open network.
#[derive(Debug)]
pub(super) struct Seals {
    identity: Option<Identity>,
    /// By handle, for the members that have sent or received something.
    keys: BTreeMap<u32, PairKey>,
}

/// A code is missing, or present where none belongs.
#[derive(Debug)]
pub(super) struct NotSealed;

impl Seals {
    pub(super) fn new(identity: Option<Identity>) -> Self {
        let keys = BTreeMap::new();
        Self { identity, keys }
    }

    /// Forgets the key of a member that left.
    pub(super) fn forget(&mut self, handle: u32) {
        self.keys.remove(&handle);
    }

    /// The number of remembered keys.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The code of a letter that we send, if it needs one.
    pub(super) fn of_letter(
        &mut self,
        handle: u32,
        from: &Origin,
        to: &Receiver,
        payload: &Payload,
        roads: &impl Roads,
    ) -> Result<Option<Code>, NotSealed> {
        if self.identity.is_none() {
            return Ok(None);
        }
        let key = self.key(handle, roads).ok_or(NotSealed)?;
        let head = letter_head(from, to, payload);
        Ok(Some(key.code(&[&head, payload.body()])))
    }

    /// Whether a letter comes from the member that it names.
    pub(super) fn is_letter(
        &mut self,
        handle: u32,
        from: &Origin,
        to: &Receiver,
        payload: &Payload,
        roads: &impl Roads,
    ) -> bool {
        match (self.identity.is_some(), &to.code) {
            (false, None) => true,
            (true, Some(code)) => self.key(handle, roads).is_some_and(|key| {
                let head = letter_head(from, to, payload);
                key.is_code(&[&head, payload.body()], code)
            }),
            _ => false,
        }
    }

    /// The code of a note to the member `handle`, if it needs one.
    pub(super) fn of_note(
        &mut self,
        handle: Option<u32>,
        note: &Note,
        roads: &impl Roads,
    ) -> Result<Option<Code>, NotSealed> {
        if self.identity.is_none() {
            return Ok(None);
        }
        let key = handle.and_then(|handle| self.key(handle, roads));
        Ok(Some(key.ok_or(NotSealed)?.code(&[&note_text(note)])))
    }

    /// Whether a note comes from the member `handle` that it names. In an open network, any node
    /// may send it.
    pub(super) fn is_note(&mut self, handle: Option<u32>, note: &Note, roads: &impl Roads) -> bool {
        match (self.identity.is_some(), &note.code) {
            (false, None) => true,
            (true, Some(code)) => handle
                .and_then(|handle| self.key(handle, roads))
                .is_some_and(|key| key.is_code(&[&note_text(note)], code)),
            _ => false,
        }
    }

    fn key(&mut self, handle: u32, roads: &impl Roads) -> Option<&PairKey> {
        let identity = self.identity.as_ref()?;
        Some(match self.keys.entry(handle) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(none) => none.insert(identity.pair_key(&roads.key(handle)?)?),
        })
    }
}

fn letter_head(from: &Origin, to: &Receiver, payload: &Payload) -> BytesMut {
    let mut head = BytesMut::with_capacity(192);
    head.put_u8(LETTER);
    put_origin(&mut head, from);
    put_origin(&mut head, &to.origin);
    head.put_u32(to.session);
    head.put_u64(to.first);
    head.put_u8(payload.kind() as u8);
    head.put_u32(payload.count());
    head
}

fn note_text(note: &Note) -> BytesMut {
    let mut text = BytesMut::with_capacity(256);
    text.put_u8(NOTE);
    note.write(&mut text);
    text
}
