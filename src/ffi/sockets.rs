//! The socket option that Rust's libraries do not know.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::transport;

/// From now on a socket wakes its task when the part of a body that is waited for is there, not for every packet of it. Every open of a
/// client through the C interface says so.
pub fn wake_sockets_late() {
    transport::wake_sockets_with(set_low_water);
}

fn set_low_water(socket: BorrowedFd<'_>, bytes: usize) -> bool {
    let Ok(bytes) = libc::c_int::try_from(bytes) else { return false };
    // SAFETY: the descriptor is open as long as it is borrowed, and the kernel copies a number of the size that it is told.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    done == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::time::Duration;

    /// Whether `socket` becomes readable soon.
    fn is_readable(socket: &TcpStream) -> bool {
        let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one live structure, as is said.
        unsafe { libc::poll(&raw mut poll, 1, 100) == 1 }
    }

    #[test]
    fn a_socket_is_readable_when_enough_is_there_or_nothing_more_comes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut peer = listener.accept().unwrap().0;
        assert!(set_low_water(socket.as_fd(), 1000));
        peer.write_all(&[7; 999]).unwrap();
        assert!(!is_readable(&socket));
        peer.write_all(&[7]).unwrap();
        assert!(is_readable(&socket));
        assert!(set_low_water(socket.as_fd(), 2000) && !is_readable(&socket));
        assert!(set_low_water(socket.as_fd(), 1) && is_readable(&socket), "what came for less is told at once");
        assert!(set_low_water(socket.as_fd(), 2000) && !is_readable(&socket));
        drop(peer);
        std::thread::sleep(Duration::from_millis(1));
        assert!(is_readable(&socket), "the end of the stream wakes in any case");
    }
}
