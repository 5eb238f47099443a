//! How many bytes a connection must have before it wakes its task.
//!
//! A body of a megabyte arrives in dozens of parts, and waking a thread for each of them costs more than taking it out of the socket.

use std::os::fd::{AsFd, BorrowedFd};

use once_cell::sync::OnceCell;
use tokio::net::TcpStream;

/// Most bytes that are worth waiting for; the kernel makes room for twice as many.
const MOST_BYTES: usize = 1 << 20;

/// Has a socket become readable when so many bytes have arrived (`SO_RCVLOWAT`), or at its end or failure; false if that cannot be had.
pub type SetWake = fn(BorrowedFd<'_>, usize) -> bool;

static SET: OnceCell<SetWake> = OnceCell::new();

/// Registers how sockets are told; the first registration stays. Without one each part that arrives wakes.
pub fn wake_sockets_with(set: SetWake) {
    SET.get_or_init(|| set);
}

/// What a connection was told.
#[derive(Debug)]
pub(super) struct Wake {
    bytes: usize,
}

impl Default for Wake {
    fn default() -> Self {
        Wake { bytes: 1 }
    }
}

impl Wake {
    /// Has `stream` become readable when it has about `bytes`.
    pub(super) fn set(&mut self, stream: &TcpStream, bytes: usize) {
        let bytes = bytes.clamp(1, MOST_BYTES);
        if bytes != self.bytes && SET.get().is_some_and(|set| set(stream.as_fd(), bytes)) {
            self.bytes = bytes;
        }
    }
}
