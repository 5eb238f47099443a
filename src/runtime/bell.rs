//! A way to have something done that may be taken inside a signal handler: one byte through a socket. A pipe would raise SIGPIPE in the
//! host if nobody listened any more.

use std::net::Shutdown;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream as Socket;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::{Runtime, Task};
use crate::error::{Error, Kind, Result};

/// A socket that a task of the workers listens to. It rings once.
#[derive(Debug)]
pub struct Bell {
    socket: Socket,
    rung: AtomicBool,
    listening: Task,
    pid: u32,
}

impl Bell {
    /// A bell that has `answer` called on a worker. A bell that is dropped before it was rung has nothing done.
    pub fn hang(runtime: &Runtime, answer: impl FnOnce() + Send + 'static) -> Result<Self> {
        runtime.check()?;
        let failed = |error| Error::new(Kind::ResourceExhausted, format!("no descriptors for a bell: {error}"));
        let (socket, listening) = Socket::pair().map_err(failed)?;
        listening.set_nonblocking(true).map_err(failed)?;
        let mut listening = {
            let _workers = runtime.team.idlest().enter();
            UnixStream::from_std(listening).map_err(failed)?
        };
        let listen = async move { Ok(listening.read_u8().await.is_ok()) };
        let listening = runtime.spawn_aside(listen, |rung| {
            if let Ok(true) = rung {
                answer();
            }
        });
        Ok(Bell { socket, listening, rung: AtomicBool::new(false), pid: std::process::id() })
    }

    /// Fails if nobody would hear it: in a process that was forked from the one that listens, and after the threads that did have ended.
    pub fn check(&self) -> Result<()> {
        if self.pid != std::process::id() {
            return Err(Error::new(Kind::Forked, "the object was readied for signals before fork; make a new one"));
        }
        if self.listening.is_finished() && !self.rung.load(Ordering::Relaxed) {
            let message = "the threads that listened for signals have ended; make a new object";
            return Err(Error::new(Kind::WrongState, message));
        }
        Ok(())
    }

    /// Has `send` write a byte to a descriptor, and tell whether it could; not if one was written before, nor in a process that was forked
    /// from the one that listens. Takes no lock and no memory.
    pub fn ring(&self, send: impl FnOnce(RawFd) -> bool) {
        if self.pid == std::process::id() && !self.rung.swap(true, Ordering::Relaxed) && !send(self.socket.as_raw_fd())
        {
            self.rung.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        // Closing is not enough: a child that was forked meanwhile has the descriptor, too. In the child the bell is somebody else's.
        if self.pid == std::process::id() {
            drop(self.socket.shutdown(Shutdown::Write));
        }
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
        let mut sent = Vec::new();
        rung.ring(|socket| {
            sent.push(socket);
            false
        });
        assert!(rung.check().is_ok() && told.recv_timeout(Duration::from_millis(30)).is_err());
        rung.ring(|socket| {
            sent.push(socket);
            (&rung.socket).write_all(&[1]).is_ok()
        });
        rung.ring(|_| panic!("it rings once"));
        assert_eq!(sent, [rung.socket.as_raw_fd(); 2], "what could not be sent is sent again");
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok("rung"));
        assert!(rung.check().is_ok());
        drop(rung);
        drop(tell);
        // Both tasks are over, so nobody is left who could tell.
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
