//! The bytes that cross beside a chunk's text.

use bytes::{BufMut, Bytes, BytesMut};

/// Larger parts cross in a buffer of their own.
const SMALL: usize = 8 << 10;
/// Small parts share buffers of this size, because making a buffer for JavaScript costs more than
/// copying a kilobyte. A kept part keeps its whole buffer alive: twice the size of Node.js's own
/// pool.
const SHARED: usize = 16 << 10;
/// The alignment of parts in a shared buffer: enough for typed arrays of any type.
const ALIGNMENT: usize = 8;

/// Buffers in the making. JavaScript cuts its received bytes out of them.
#[derive(Default)]
pub(super) struct Parcel {
    buffers: Vec<Bytes>,
    /// The place among the buffers of the one that is being filled, and its content.
    shared: Option<(usize, BytesMut)>,
    len: usize,
}

impl Parcel {
    /// The total number of bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds `bytes`. Returns the index of their buffer, and their offset in it.
    pub(super) fn add(&mut self, bytes: Bytes) -> (usize, usize) {
        self.len += bytes.len();
        if bytes.len() > SMALL {
            self.buffers.push(bytes);
            return (self.buffers.len() - 1, 0);
        }
        if let Some((number, shared)) = &mut self.shared {
            let start = shared.len().next_multiple_of(ALIGNMENT);
            if start + bytes.len() <= SHARED {
                shared.put_bytes(0, start - shared.len());
                shared.put_slice(&bytes);
                return (*number, start);
            }
        }
        self.end_shared();
        let mut shared = BytesMut::with_capacity(SHARED);
        shared.put_slice(&bytes);
        self.shared = Some((self.buffers.len(), shared));
        self.buffers.push(Bytes::new());
        (self.buffers.len() - 1, 0)
    }

    fn end_shared(&mut self) {
        if let Some((number, shared)) = self.shared.take()
            && let Some(buffer) = self.buffers.get_mut(number)
        {
            *buffer = shared.freeze();
        }
    }

    /// The buffers.
    pub(super) fn finish(mut self) -> Vec<Bytes> {
        self.end_shared();
        self.buffers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_share_buffers_and_are_aligned() {
        let sent: Vec<Bytes> = [3, 0, 8, SMALL + 1, 9, 5000, SMALL, 1]
            .iter()
            .zip(1..)
            .map(|(len, byte)| Bytes::from(vec![byte; *len]))
            .collect();
        let mut parcel = Parcel::default();
        let places: Vec<_> = sent.iter().map(|bytes| parcel.add(bytes.clone())).collect();
        assert_eq!(parcel.len(), sent.iter().map(Bytes::len).sum::<usize>());
        let buffers = parcel.finish();
        for (bytes, (number, start)) in sent.iter().zip(&places) {
            assert_eq!(start % ALIGNMENT, 0);
            assert_eq!(buffers[*number].slice(*start..start + bytes.len()), bytes);
        }
        let numbers: Vec<_> = places.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(buffers[1].len(), SMALL + 1);
    }

    #[test]
    fn a_shared_buffer_has_an_end() {
        let mut parcel = Parcel::default();
        let numbers: Vec<_> = (0..5)
            .map(|_| parcel.add(Bytes::from(vec![7; 6000])).0)
            .collect();
        assert_eq!(numbers, [0, 0, 1, 1, 2]);
        assert!(parcel.finish().iter().all(|buffer| buffer.len() <= SHARED));
    }
}
