//! Signals belong to the host: our threads block all of them but the faults of the thread itself.

use std::os::fd::RawFd;

/// Blocks signals on the calling thread. SIGPIPE is among them, so a write to a closed socket is only an error here,
/// whatever the host has set; it never reaches the process.
pub(super) fn block() {
    // SAFETY: the set is initialised before use, and changing the mask of the own thread has no other effect.
    unsafe {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(set.as_mut_ptr());
        for fault in
            [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGSYS]
        {
            libc::sigdelset(set.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Sends one byte, with what a signal handler may do, and tells whether it is on its way; `errno` stays what it was, and a peer that is gone
/// raises no SIGPIPE.
pub(super) fn send_byte(socket: RawFd) -> bool {
    static BYTE: u8 = 1;
    // SAFETY: the place of `errno` belongs to this thread, and the byte is always there.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        let sent = libc::send(socket, (&raw const BYTE).cast(), 1, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT);
        *errno = before;
        sent == 1
    }
}
