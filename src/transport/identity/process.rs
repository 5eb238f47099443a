//! A program that prints credentials.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use zeroize::Zeroizing;

use crate::auth;
use crate::error::{Error, Kind, Result};
use crate::options::Grant;

/// Longest output that is read.
const MAX_OUTPUT_BYTES: usize = 64 << 10;

/// Runs a program without a shell and reads what it prints. It is killed if nobody waits for it any more. What it writes to stderr is
/// dropped, because it may hold anything.
pub(super) async fn grant(words: &[String]) -> Result<Grant> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Error::new(Kind::InvalidOption, "credentials.process names no program"));
    };
    let broke = |error: std::io::Error| {
        Error::new(Kind::Unauthenticated, format!("the program {program} cannot be run: {error}"))
    };
    // Tokio's own way to run programs would handle signals of the host.
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(broke)?;
    let mut running = Running(child);
    let Some(output) = running.0.stdout.take() else {
        return Err(Error::new(Kind::Internal, "the program has no output"));
    };
    let output = read(OwnedFd::from(output)).await.map_err(broke)?;
    let status = running.ended().await.map_err(broke)?;
    if let Some(status) = status.filter(|status| !status.success()) {
        return Err(Error::new(Kind::Unauthenticated, format!("the program {program} failed: {status}")));
    }
    auth::read_answer(&output, &format!("the output of {program}"))
}

async fn read(pipe: OwnedFd) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let pipe = Receiver::from_owned_fd(pipe)?;
    let mut output = Zeroizing::new(vec![0; MAX_OUTPUT_BYTES]);
    let mut length = 0;
    loop {
        pipe.readable().await?;
        match pipe.try_read(output.get_mut(length..).unwrap_or_default()) {
            Ok(0) if length == MAX_OUTPUT_BYTES => return Err(std::io::Error::other("its output is too long")),
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    output.truncate(length);
    Ok(output)
}

/// A program that runs; killed when it is dropped.
struct Running(Child);

impl Running {
    /// Waits for the end, which comes right after that of the output. A host that waits for all its children may have taken the
    /// status away: then the output alone counts.
    async fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Ok(Some(status)),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
                Err(error) => return Err(error),
                Ok(None) => {}
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // It is ours and runs; after the kill it ends at once.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
