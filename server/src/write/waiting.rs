//! How many bytes of rows wait in memory for their files: in one writer, and in all of them.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What all writers of the process may hold before each of them must make do with little.
const ALL_BYTES: usize = 512 << 20;

/// What a writer may hold then.
const LITTLE_BYTES: usize = 4 << 20;

/// Bytes that wait in all writers of the process.
static ALL: AtomicUsize = AtomicUsize::new(0);

/// Bytes that wait in one writer.
#[derive(Debug, Default)]
pub struct Waiting {
    bytes: usize,
}

impl Waiting {
    /// More rows wait.
    pub fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        ALL.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Some of the rows are written.
    pub fn remove(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        ALL.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether rows must be written now. `room` is what the writer may hold while the others hold little.
    pub fn is_too_much(&self, room: usize) -> bool {
        let room = if ALL.load(Ordering::Relaxed) > ALL_BYTES { room.min(LITTLE_BYTES) } else { room };
        self.bytes > room
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.remove(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_writers_share_what_there_is() {
        let mut mine = Waiting::default();
        mine.add(LITTLE_BYTES + 1);
        assert!(!mine.is_too_much(64 << 20) && mine.is_too_much(LITTLE_BYTES));
        let mut others = Waiting::default();
        others.add(ALL_BYTES);
        assert!(mine.is_too_much(64 << 20));
        drop(others);
        assert!(!mine.is_too_much(64 << 20));
        mine.remove(usize::MAX);
        assert!(!mine.is_too_much(0));
    }
}
