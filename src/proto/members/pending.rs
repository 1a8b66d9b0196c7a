//! Records to send to a neighbour.

use super::table::Slot;

/// A set of slots, as bits: a flood adds and takes thousands.
#[derive(Debug, Default)]
pub(super) struct Pending {
    words: Vec<u64>,
    /// All words before this one are empty.
    first: usize,
    len: usize,
}

impl Pending {
    pub(super) fn insert(&mut self, slot: Slot) {
        let (word, bit) = place(slot);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.len += usize::from(self.words[word] & bit == 0);
        self.words[word] |= bit;
        self.first = self.first.min(word);
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let (word, bit) = place(slot);
        if let Some(word) = self.words.get_mut(word) {
            self.len -= usize::from(*word & bit != 0);
            *word &= !bit;
        }
    }

    /// Takes the lowest slot.
    pub(super) fn pop_first(&mut self) -> Option<Slot> {
        if self.len == 0 {
            return None;
        }
        let words = self.words.get(self.first..)?;
        self.first += words.iter().position(|word| *word != 0)?;
        let word = &mut self.words[self.first];
        let bit = word.trailing_zeros();
        *word &= *word - 1;
        self.len -= 1;
        Some(self.first as Slot * u64::BITS + bit)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory.
    pub(super) fn footprint(&self) -> usize {
        self.words.len() * size_of::<u64>()
    }
}

/// The word of a slot, and its bit there.
fn place(slot: Slot) -> (usize, u64) {
    ((slot / u64::BITS) as usize, 1 << (slot % u64::BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_out_once_and_in_order() {
        let mut pending = Pending::default();
        for slot in [700, 3, 64, 3, 63, 9] {
            pending.insert(slot);
        }
        pending.remove(9);
        pending.remove(9);
        pending.remove(5000);
        assert_eq!(pending.pop_first(), Some(3));
        pending.insert(2);
        let rest: Vec<Slot> = std::iter::from_fn(|| pending.pop_first()).collect();
        assert_eq!(rest, [2, 63, 64, 700]);
        assert!(pending.is_empty());
        pending.insert(1);
        assert_eq!(pending.pop_first(), Some(1));
    }
}
