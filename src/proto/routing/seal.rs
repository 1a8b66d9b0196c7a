//! Codes of letters and notes in a closed network: they are of the node that they name as sender.
//!
//! Any two members share a key (see [`Identity`]). With it, the sender makes a code over everything
//! that stays the same on the way: both ends in their present lives, session, number and messages.
//! Nodes between can drop a letter, but neither change nor invent one. A letter that comes again is
//! dropped by its number. Codes, not signatures: they cost a hundredth, and who could show a
//! signature to a third node gains nothing here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::{BufMut as _, BytesMut};

use super::event::Roads;
use super::frame::{Note, Receiver};
use crate::proto::wire::put_origin;
use crate::proto::{Code, Identity, Origin, PairKey, Payload};

const LETTER: u8 = 0;
const NOTE: u8 = 1;

/// The keys that this node shares with others; none of them in an open network.
#[derive(Debug)]
pub(super) struct Seals {
    identity: Option<Identity>,
    /// By handle, of the members that something came from or went to.
    keys: BTreeMap<u32, PairKey>,
}

/// Something has no code, or should have none.
#[derive(Debug)]
pub(super) struct NotSealed;

impl Seals {
    pub(super) fn new(identity: Option<Identity>) -> Self {
        let keys = BTreeMap::new();
        Self { identity, keys }
    }

    /// Forgets the key of a member that has left.
    pub(super) fn forget(&mut self, handle: u32) {
        self.keys.remove(&handle);
    }

    /// How many keys are remembered.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The code of a letter that we send, if there has to be one.
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

    /// Whether a letter is of the member that it names.
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

    /// The code of a note to the member `handle`, if there has to be one.
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

    /// Whether a note is of the member `handle`, whom it names. In an open network anybody may say
    /// it.
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
