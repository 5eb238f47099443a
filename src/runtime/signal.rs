//! A descriptor that is readable while something is ready.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsRawFd, RawFd};

use crate::error::{Error, Kind, Result};

/// A pipe with one byte in it while the signal is set, so it never fills up and never blocks.
#[derive(Debug)]
pub(super) struct Signal {
    reader: PipeReader,
    writer: PipeWriter,
    set: bool,
}

impl Signal {
    pub(super) fn new() -> Result<Self> {
        let (reader, writer) = pipe()
            .map_err(|error| Error::new(Kind::ResourceExhausted, format!("no descriptor for readiness: {error}")))?;
        Ok(Signal { reader, writer, set: false })
    }

    /// Sets or clears the signal.
    pub(super) fn set(&mut self, ready: bool) {
        if ready == self.set {
            return;
        }
        let changed = if ready { self.writer.write_all(&[1]) } else { self.reader.read_exact(&mut [0]) };
        match changed {
            Ok(()) => self.set = ready,
            Err(error) => log::error!("the readiness descriptor is broken: {error}"),
        }
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}
