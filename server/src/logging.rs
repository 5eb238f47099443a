//! Log lines to stderr that never make their writer wait.
//!
//! Whoever holds the other end of stderr may stop reading or go away. A request must be answered all the same, so lines
//! pass through a bounded queue to a thread of their own; when the queue is full they are dropped and counted.

use std::io::{self, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait at most.
const QUEUE_LINES: usize = 1024;
/// How long the end of the process waits for lines that are not written yet.
const LAST_WAIT: Duration = Duration::from_secs(1);

enum Entry {
    Line(Vec<u8>),
    /// Asks for an answer when all lines before it are written.
    Flush(SyncSender<()>),
}

/// The queue of lines. Clones share it.
#[derive(Clone)]
pub struct Log {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

impl Log {
    /// Starts the thread that writes to stderr. It ends with the process.
    pub fn start() -> io::Result<Log> {
        let (queue, lines) = sync_channel(QUEUE_LINES);
        let log = Log { queue, dropped: Arc::default() };
        let dropped = log.dropped.clone();
        std::thread::Builder::new().name("log".into()).spawn(move || drain(&lines, &dropped, &mut stderr()))?;
        Ok(log)
    }

    /// Puts one line into the queue.
    pub fn line(&self, text: impl std::fmt::Display) {
        self.push(Entry::Line(format!("{text}\n").into_bytes()));
    }

    /// Waits until what is in the queue is written, but not for ever.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Entry::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(LAST_WAIT);
        }
    }

    fn push(&self, entry: Entry) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(entry) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes entries until the last sender is gone. Failures are ignored: there is no place to report them.
fn drain(entries: &Receiver<Entry>, dropped: &AtomicU64, out: &mut impl Write) {
    for entry in entries {
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let _ = writeln!(out, "{missing} log lines were dropped: stderr was not read");
        }
        match entry {
            Entry::Line(line) => {
                let _ = out.write_all(&line);
            }
            Entry::Flush(done) => {
                let _ = done.try_send(());
            }
        }
    }
}

/// One event is one write, so it stays one line.
impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.push(Entry::Line(event.to_vec()));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (queue, lines) = sync_channel(2);
        let log = Log { queue, dropped: Arc::default() };
        (0..5).for_each(|i| log.line(i));
        log.flush();
        let dropped = log.dropped.clone();
        drop(log);
        let mut out = Vec::new();
        drain(&lines, &dropped, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "3 log lines were dropped: stderr was not read\n0\n1\n");
    }
}
