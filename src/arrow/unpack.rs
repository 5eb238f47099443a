//! Bodies that are compressed as a whole, undone as they arrive: a step between the socket and the framer.
//!
//! Whether a body is compressed, and how, is told by its first bytes. An Arrow stream begins like no compressed frame does, and what
//! the official clients believe (what they asked for, or the header of the answer, or neither) differs.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zstd::stream::raw::{Decoder as Zstd, Operation};

use super::corrupt;
use super::packed::Packing;
use crate::error::{Error, Kind, Result};
use crate::memory::Allowance;

/// Bytes that are asked of the network at once.
const INPUT_BYTES: usize = 64 << 10;

/// Turns the bytes of a body into those of a stream.
#[derive(Debug)]
pub struct Unpacker {
    coding: Coding,
    /// Bytes that arrived; the first `used` of them are done with, those behind `filled` are room.
    input: Vec<u8>,
    used: usize,
    filled: usize,
    has_ended: bool,
    /// For the input and the decoder; it goes after them.
    _memory: Option<Allowance>,
}

enum Coding {
    /// The first bytes are not there yet.
    Unknown,
    Plain,
    /// The decoder is to be made.
    Known(Packing),
    Zstd(Zstd<'static>),
    Lz4(Lz4),
    /// The only frame is complete.
    Done,
}

impl std::fmt::Debug for Coding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Coding::Unknown => "Unknown",
            Coding::Plain => "Plain",
            Coding::Known(_) => "Known",
            Coding::Zstd(_) => "Zstd",
            Coding::Lz4(_) => "Lz4",
            Coding::Done => "Done",
        })
    }
}

impl Unpacker {
    /// For a body that may be compressed. Without that chance, every byte of it is one of the stream.
    pub fn new(may_be_packed: bool) -> Self {
        let coding = if may_be_packed { Coding::Unknown } else { Coding::Plain };
        let input = vec![0; if may_be_packed { Packing::HEAD_BYTES } else { 0 }];
        Unpacker { coding, input, used: 0, filled: 0, has_ended: false, _memory: None }
    }

    /// Whether the bytes of the body can go to their destination without passing through here.
    pub fn is_passed(&self) -> bool {
        matches!(self.coding, Coding::Plain) && self.used == self.filled
    }

    /// Where the next bytes of the body belong.
    pub fn room(&mut self) -> &mut [u8] {
        if self.used == self.filled {
            (self.used, self.filled) = (0, 0);
        }
        self.input.get_mut(self.filled..).unwrap_or_default()
    }

    /// Takes note that the first `count` bytes of [`Unpacker::room`] were filled; 0 for the end of the body.
    pub fn advance(&mut self, count: usize) {
        self.filled = (self.filled + count).min(self.input.len());
        self.has_ended = count == 0;
        if matches!(self.coding, Coding::Unknown) && (self.has_ended || self.filled == self.input.len()) {
            let head = self.input.get(..self.filled).unwrap_or_default();
            self.coding = Packing::of(head).map_or(Coding::Plain, Coding::Known);
        }
    }

    /// The memory that [`Unpacker::begin`] needs; 0 unless it is to be called now.
    pub fn needed_bytes(&self) -> u64 {
        match &self.coding {
            Coding::Known(packing) => packing.most_bytes() + INPUT_BYTES as u64 + packing.inbox_bytes(INPUT_BYTES),
            _ => 0,
        }
    }

    /// Makes ready to decompress, in memory that was granted.
    pub fn begin(&mut self, memory: Option<Allowance>) -> Result<()> {
        self.coding = match &self.coding {
            Coding::Known(Packing::Zstd { .. }) => Coding::Zstd(Zstd::new().map_err(no_context)?),
            Coding::Known(Packing::Lz4 { .. }) => Coding::Lz4(Lz4::new()?),
            _ => return Ok(()),
        };
        self._memory = memory;
        let mut input = vec![0; INPUT_BYTES];
        copy(self.input.get(..self.filled).unwrap_or_default(), &mut input);
        self.input = input;
        Ok(())
    }

    /// Writes bytes of the stream to `target`, which must not be empty. `None` if more of the body is needed first, 0 behind its last
    /// byte. A body that ends within its frame broke off; bytes behind its frame are corrupt.
    pub fn unpack(&mut self, target: &mut [u8]) -> Result<Option<usize>> {
        loop {
            let input = self.input.get(self.used..self.filled).unwrap_or_default();
            let step = match &mut self.coding {
                Coding::Unknown | Coding::Known(_) => return Ok(None),
                Coding::Plain => copy(input, target),
                Coding::Zstd(decoder) => {
                    let status = decoder.run_on_buffers(input, target).map_err(|error| undecodable(&error))?;
                    let (taken, written) = (status.bytes_read, status.bytes_written);
                    Step { taken, written, is_last: status.remaining == 0 }
                }
                Coding::Lz4(decoder) => decoder.step(input, target)?,
                Coding::Done if input.is_empty() => Step { taken: 0, written: 0, is_last: true },
                Coding::Done => return Err(corrupt("there are bytes behind the compressed stream")),
            };
            self.used += step.taken;
            if step.is_last {
                self.coding = Coding::Done;
            }
            match step {
                Step { written, .. } if written > 0 => return Ok(Some(written)),
                Step { taken, .. } if taken > 0 => {}
                _ if !self.has_ended => return Ok(None),
                _ if matches!(self.coding, Coding::Plain | Coding::Done) => return Ok(Some(0)),
                _ => return Err(Error::new(Kind::Connection, "the body ended in the middle of its compressed stream")),
            }
        }
    }
}

/// How far one step of a decoder came.
struct Step {
    taken: usize,
    written: usize,
    is_last: bool,
}

fn copy(input: &[u8], target: &mut [u8]) -> Step {
    let count = input.len().min(target.len());
    if let (Some(from), Some(to)) = (input.get(..count), target.get_mut(..count)) {
        to.copy_from_slice(from);
    }
    Step { taken: count, written: count, is_last: false }
}

/// The LZ4 decoder pulls its input; what it may pull is put in its way.
struct Lz4 {
    decoder: lz4::Decoder<Inbox>,
    inbox: Inbox,
}

/// Bytes for a decoder that says so when there are none for now.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<(Vec<u8>, usize)>>);

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, (Vec<u8>, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Inbox {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        let mut inbox = self.lock();
        let (bytes, used) = &mut *inbox;
        let step = copy(bytes.get(*used..).unwrap_or_default(), target);
        *used += step.taken;
        if step.taken == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(step.taken) }
    }
}

impl Lz4 {
    fn new() -> Result<Self> {
        let inbox = Inbox::default();
        Ok(Lz4 { decoder: lz4::Decoder::new(inbox.clone()).map_err(no_context)?, inbox })
    }

    fn step(&mut self, input: &[u8], target: &mut [u8]) -> Result<Step> {
        {
            let mut inbox = self.inbox.lock();
            inbox.0.clear();
            inbox.0.extend_from_slice(input);
            inbox.1 = 0;
        }
        let read = self.decoder.read(target);
        let taken = self.inbox.lock().1;
        match read {
            Ok(written) => Ok(Step { taken, written, is_last: written == 0 }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Step { taken, written: 0, is_last: false }),
            Err(error) => Err(undecodable(&error)),
        }
    }
}

fn undecodable(error: &std::io::Error) -> Error {
    corrupt(&format!("the stream cannot be decompressed: {error}"))
}

fn no_context(error: std::io::Error) -> Error {
    Error::new(Kind::ResourceExhausted, format!("no decompression: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn data() -> Vec<u8> {
        // The first bytes are those of every Arrow stream.
        [0xff; 4].into_iter().chain((0..200_000u32).flat_map(|n| (n / 5).to_le_bytes())).collect()
    }

    fn packed() -> [Vec<u8>; 3] {
        let mut lz4 =
            lz4::EncoderBuilder::new().checksum(lz4::ContentChecksum::ChecksumEnabled).build(Vec::new()).unwrap();
        lz4.write_all(&data()).unwrap();
        let (lz4, result) = lz4.finish();
        result.unwrap();
        let mut zstd = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        zstd.include_checksum(true).unwrap();
        zstd.write_all(&data()).unwrap();
        [data(), lz4, zstd.finish().unwrap()]
    }

    /// Passes a body on in pieces, to destinations of another size.
    fn unpack(body: &[u8], piece: usize, room: usize) -> Result<Vec<u8>> {
        let (mut unpacker, mut rest, mut stream) = (Unpacker::new(true), body, Vec::new());
        let mut target = vec![0; room];
        loop {
            match unpacker.unpack(&mut target)? {
                Some(0) => return Ok(stream),
                Some(count) => stream.extend_from_slice(&target[..count]),
                None => {
                    let room = unpacker.room();
                    let count = room.len().min(piece).min(rest.len());
                    room[..count].copy_from_slice(&rest[..count]);
                    rest = &rest[count..];
                    unpacker.advance(count);
                    unpacker.begin(None)?;
                }
            }
        }
    }

    #[test]
    fn bodies_of_every_coding_in_pieces_of_every_size() {
        for body in packed() {
            for (piece, room) in [(1, 1 << 16), (7, 8), (4096, 333), (1 << 20, 1 << 20)] {
                assert!(unpack(&body, piece, room).unwrap() == data(), "{piece} {room}");
            }
        }
    }

    #[test]
    fn a_body_that_breaks_off_is_not_complete() {
        let [_, lz4, zstd] = packed();
        for body in [lz4, zstd] {
            for length in [4, 5, 11, body.len() / 2, body.len() - 5, body.len() - 4, body.len() - 1] {
                assert_eq!(unpack(&body[..length], 4096, 4096).unwrap_err().kind(), Kind::Connection, "{length}");
            }
        }
        assert!(unpack(&[], 1, 1).unwrap().is_empty());
        assert_eq!(unpack(&[1, 2], 1, 1).unwrap(), [1, 2], "the framer says what is wrong with it");
    }

    #[test]
    fn one_frame_is_all_there_is() {
        let [_, lz4, zstd] = packed();
        for mut body in [lz4, zstd] {
            body.push(7);
            assert_eq!(unpack(&body, 4096, 4096).unwrap_err().kind(), Kind::CorruptData);
        }
    }

    #[test]
    fn damage_is_noticed() {
        let [_, lz4, zstd] = packed();
        for body in [lz4, zstd] {
            for at in (4..body.len()).step_by(1 + body.len() / 97) {
                let mut damaged = body.clone();
                damaged[at] ^= 0x55;
                if let Ok(stream) = unpack(&damaged, 4096, 4096) {
                    assert!(stream == data(), "byte {at}");
                }
            }
        }
    }

    #[test]
    fn plain_bodies_need_no_detour() {
        let mut unpacker = Unpacker::new(true);
        assert!(!unpacker.is_passed());
        unpacker.room().copy_from_slice(&[0xff; Packing::HEAD_BYTES]);
        unpacker.advance(Packing::HEAD_BYTES);
        assert!(!unpacker.is_passed() && unpacker.needed_bytes() == 0);
        assert_eq!(unpacker.unpack(&mut [0; 32]).unwrap(), Some(Packing::HEAD_BYTES));
        assert!(unpacker.is_passed() && Unpacker::new(false).is_passed());
    }
}
