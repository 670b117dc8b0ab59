//! Memory for large frames, outside the heap.
//!
//! A drained backlog is a stream of megabytes that live for some milliseconds, of a different size each. On the heap they
//! leave holes behind that small, long-lived values keep open: the process grew to twice what it held. A mapping of its
//! own goes back whole, and until then is filled again, since a fresh megabyte costs more in page faults than reading
//! into it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;

/// A mapping's size. Only pages that are written to cost memory, so this is generous; what a peer announces plays no part.
const MAPPING_BYTES: usize = 8 * 1024 * 1024;
/// Mappings that wait to be filled again.
const MAX_FREE: usize = 2;

/// Where the large frames of one connection come from and go back to.
#[derive(Debug, Default)]
pub(super) struct FramePool {
    free: Arc<Mutex<Vec<MmapMut>>>,
}

impl FramePool {
    /// An empty buffer.
    pub(super) fn take(&self) -> io::Result<FrameBuffer> {
        let free = lock(&self.free).pop();
        let memory = free.map_or_else(|| MmapMut::map_anon(MAPPING_BYTES), Ok)?;
        Ok(FrameBuffer {
            memory: Some(memory),
            len: 0,
            home: self.free.clone(),
        })
    }

    /// Gives back what waits: there is no backlog any more.
    pub(super) fn clear(&self) {
        lock(&self.free).clear();
    }
}

/// A frame being read, and then held by the slices of it. Goes back to its pool with the last of them.
#[derive(Debug)]
pub(super) struct FrameBuffer {
    memory: Option<MmapMut>,
    len: usize,
    home: Arc<Mutex<Vec<MmapMut>>>,
}

impl FrameBuffer {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The space behind what is filled, at most `limit` bytes of it. A buffer that is full grows first.
    pub(super) fn space(&mut self, limit: usize) -> io::Result<&mut [u8]> {
        let memory = self.memory.as_mut().expect("only dropping takes it");
        if self.len == memory.len() {
            let mut larger = MmapMut::map_anon(memory.len() * 2)?;
            larger[..self.len].copy_from_slice(memory);
            *memory = larger;
        }
        let end = memory.len().min(self.len + limit);
        Ok(&mut memory[self.len..end])
    }

    /// `count` more bytes of the space were filled.
    pub(super) fn advance(&mut self, count: usize) {
        self.len += count;
    }
}

impl AsRef<[u8]> for FrameBuffer {
    fn as_ref(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], |memory| &memory[..self.len])
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        let Some(memory) = self.memory.take() else { return };
        let mut free = lock(&self.home);
        // One that has grown was for a single large record.
        if free.len() < MAX_FREE && memory.len() == MAPPING_BYTES {
            free.push(memory);
        }
    }
}

/// A list cannot be left half-changed.
fn lock(free: &Mutex<Vec<MmapMut>>) -> MutexGuard<'_, Vec<MmapMut>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn fill(buffer: &mut FrameBuffer, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let space = buffer.space(rest.len()).expect("memory for a test");
            let count = space.len();
            space.copy_from_slice(&rest[..count]);
            buffer.advance(count);
            rest = &rest[count..];
        }
    }

    #[test]
    fn a_buffer_is_filled_again_only_when_nobody_holds_a_slice_of_it() {
        let pool = FramePool::default();
        let mut first = pool.take().expect("memory");
        fill(&mut first, b"first frame");
        let frame = Bytes::from_owner(first);
        let slice = frame.slice(6..);
        drop(frame);
        assert!(lock(&pool.free).is_empty(), "a slice is still held");
        assert_eq!(slice, b"frame"[..]);
        drop(slice);
        assert_eq!(lock(&pool.free).len(), 1);
        assert_eq!(pool.take().expect("memory").as_ref(), b"", "nothing of it is left");
    }

    #[test]
    fn no_more_than_a_few_wait_and_none_after_a_backlog() {
        let pool = FramePool::default();
        let buffers: Vec<_> = (0..MAX_FREE + 2).map(|_| pool.take().expect("memory")).collect();
        drop(buffers);
        assert_eq!(lock(&pool.free).len(), MAX_FREE);
        pool.clear();
        assert!(lock(&pool.free).is_empty());
    }

    #[test]
    fn a_frame_larger_than_a_mapping_grows_and_is_not_kept() {
        let pool = FramePool::default();
        let mut buffer = pool.take().expect("memory");
        let bytes: Vec<u8> = (0..MAPPING_BYTES + 77).map(|i| (i % 251) as u8).collect();
        fill(&mut buffer, &bytes);
        assert!(buffer.as_ref() == bytes);
        drop(buffer);
        assert!(lock(&pool.free).is_empty());
    }
}
