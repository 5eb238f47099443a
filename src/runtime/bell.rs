//! A way to have something done that may be taken inside a signal handler: one byte through a socket. A pipe would raise SIGPIPE in the
//! host if nobody listened any more.

use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream as Socket;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::Runtime;
use crate::error::{Error, Kind, Result};

/// A socket that a task of the workers listens to. It rings once.
#[derive(Debug)]
pub struct Bell {
    socket: Socket,
    rung: AtomicBool,
    pid: u32,
}

impl Bell {
    /// A bell that has `answer` called on a worker. A bell that is dropped before it was rung has nothing done.
    pub fn hang(runtime: &Runtime, answer: impl FnOnce() + Send + 'static) -> Result<Self> {
        runtime.check()?;
        let failed = |error| Error::new(Kind::ResourceExhausted, format!("no descriptors for a bell: {error}"));
        let (socket, listening) = Socket::pair().map_err(failed)?;
        listening.set_nonblocking(true).map_err(failed)?;
        let listen = async move { Ok(UnixStream::from_std(listening).map_err(failed)?.read_u8().await.is_ok()) };
        runtime.spawn_aside(listen, |rung| match rung {
            Ok(true) => answer(),
            Ok(false) => {}
            Err(error) => log::error!("{error}"),
        });
        Ok(Bell { socket, rung: AtomicBool::new(false), pid: std::process::id() })
    }

    /// The descriptor that a byte is to be written to; `None` if it was asked for before, and in a process that was forked from the one
    /// that listens. Takes no lock and no memory.
    pub fn ring(&self) -> Option<RawFd> {
        // The order of the two matters: a child must not use up the bell of nobody.
        (self.pid == std::process::id() && !self.rung.swap(true, Ordering::Relaxed)).then(|| self.socket.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::mpsc;
    use std::time::Duration;

    use crate::runtime::Threads;

    #[test]
    fn a_bell_that_rings_is_answered_once_and_one_that_is_taken_down_never() {
        let runtime = Runtime::acquire(&Threads::default()).unwrap();
        let (tell, told) = mpsc::channel();
        let hang = |name| {
            let tell = tell.clone();
            Bell::hang(&runtime, move || tell.send(name).unwrap()).unwrap()
        };
        let (rung, quiet) = (hang("rung"), hang("quiet"));
        drop(quiet);
        assert_eq!(rung.ring(), Some(rung.socket.as_raw_fd()));
        assert_eq!(rung.ring(), None);
        assert!(told.recv_timeout(Duration::from_millis(30)).is_err());
        (&rung.socket).write_all(&[1]).unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok("rung"));
        drop(rung);
        drop(tell);
        // Both tasks are over, so nobody is left who could tell.
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
