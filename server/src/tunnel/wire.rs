//! The primitives of records: protobuf's varints and tags, and a running CRC32C over the values.
//!
//! What enters the checksum is the value in little-endian bytes, not its encoding: a column number or an `int` with 4
//! bytes, a `long` with 8, a boolean with 1, a text with its bytes. Lengths, counts and NULL flags do not enter it.

use std::io::{BufReader, Read};

use crc32c::crc32c_append;

use super::error::StreamError;

/// Field numbers that no column has: the end of a record, the number of records, the checksum of all.
pub const END_RECORD: u32 = 33_553_408;
pub const META_COUNT: u32 = 33_554_430;
pub const META_CHECKSUM: u32 = 33_554_431;

/// Bytes of one record at most, on the wire and decoded together, so that a few compressed bytes cannot fill the memory.
const MAX_RECORD_BYTES: u64 = 64 << 20;

/// Longest text of a record (service-behaviour.md 3.6).
pub const MAX_TEXT_BYTES: u64 = 8 << 20;

/// How the value behind a tag is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Delimited = 2,
    Fixed32 = 5,
}

/// Collects encoded values.
#[derive(Default)]
pub struct Sink {
    pub bytes: Vec<u8>,
    crc: u32,
}

impl Sink {
    /// The checksum of the values since the last call.
    pub fn take_crc(&mut self) -> u32 {
        std::mem::take(&mut self.crc)
    }

    fn check(&mut self, bytes: &[u8]) {
        self.crc = crc32c_append(self.crc, bytes);
    }

    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub fn tag(&mut self, number: u32, wire: WireType) {
        self.varint(u64::from(number) << 3 | wire as u64);
    }

    /// The tag of a column, whose number enters the checksum.
    pub fn column(&mut self, number: u32, wire: WireType) {
        self.check(&number.to_le_bytes());
        self.tag(number, wire);
    }

    pub fn count(&mut self, count: usize) {
        self.varint(count as u64);
    }

    pub fn null_flag(&mut self, is_null: bool) {
        self.bytes.push(u8::from(is_null));
    }

    pub fn boolean(&mut self, value: bool) {
        self.check(&[u8::from(value)]);
        self.bytes.push(u8::from(value));
    }

    pub fn long(&mut self, value: i64) {
        self.check(&value.to_le_bytes());
        self.signed(value);
    }

    pub fn int(&mut self, value: i32) {
        self.check(&value.to_le_bytes());
        self.varint(u64::from((value << 1 ^ value >> 31) as u32));
    }

    /// A signed number outside the checksum.
    pub fn signed(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63) as u64);
    }

    pub fn float(&mut self, value: f32) {
        self.check(&value.to_le_bytes());
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub fn double(&mut self, value: f64) {
        self.check(&value.to_le_bytes());
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub fn text(&mut self, value: &[u8]) {
        self.check(value);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }
}

/// Reads encoded values. Blocking.
pub struct Source {
    input: BufReader<Box<dyn Read + Send>>,
    crc: u32,
    /// Bytes read since the record began, and those that their values take.
    taken: u64,
}

impl Source {
    pub fn new(input: Box<dyn Read + Send>) -> Source {
        Source { input: BufReader::with_capacity(64 << 10, input), crc: 0, taken: 0 }
    }

    /// Begins a record.
    pub fn begin(&mut self) {
        (self.taken, self.crc) = (0, 0);
    }

    /// The checksum of the values since the record began.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Bytes read since the record began, and those that their values take.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    fn check(&mut self, bytes: &[u8]) {
        self.crc = crc32c_append(self.crc, bytes);
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], StreamError> {
        self.spend(N as u64)?;
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|e| StreamError::read(&e, "the footer is missing"))?;
        Ok(bytes)
    }

    /// Counts bytes of the record: those that are read, and those that values take in memory.
    pub fn spend(&mut self, bytes: u64) -> Result<(), StreamError> {
        self.taken = self.taken.saturating_add(bytes);
        match self.taken > MAX_RECORD_BYTES {
            true => Err(StreamError::Malformed(format!("a record is larger than {MAX_RECORD_BYTES} bytes"))),
            false => Ok(()),
        }
    }

    /// Whether the stream is at its end.
    pub fn is_at_end(&mut self) -> Result<bool, StreamError> {
        use std::io::BufRead;
        let waiting = self.input.fill_buf().map_err(|e| StreamError::read(&e, "the footer is missing"))?;
        Ok(waiting.is_empty())
    }

    pub fn varint(&mut self) -> Result<u64, StreamError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.bytes::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(StreamError::Malformed("a number has more than 10 bytes".into()))
    }

    /// A number of 32 bits without sign.
    pub fn unsigned(&mut self) -> Result<u32, StreamError> {
        // Negative numbers of 32 bits may come with the bits above set.
        Ok(self.varint()? as u32)
    }

    /// The field number of a tag. The wire type tells nothing that the column does not.
    pub fn field(&mut self) -> Result<u32, StreamError> {
        Ok(self.unsigned()? >> 3)
    }

    /// Takes the number of a column into the checksum.
    pub fn saw_column(&mut self, number: u32) {
        self.check(&number.to_le_bytes());
    }

    pub fn null_flag(&mut self) -> Result<bool, StreamError> {
        Ok(self.varint()? != 0)
    }

    pub fn boolean(&mut self) -> Result<bool, StreamError> {
        let value = self.varint()? != 0;
        self.check(&[u8::from(value)]);
        Ok(value)
    }

    pub fn long(&mut self) -> Result<i64, StreamError> {
        let value = self.signed()?;
        self.check(&value.to_le_bytes());
        Ok(value)
    }

    pub fn int(&mut self) -> Result<i32, StreamError> {
        let raw = self.unsigned()?;
        let value = (raw >> 1) as i32 ^ -((raw & 1) as i32);
        self.check(&value.to_le_bytes());
        Ok(value)
    }

    /// A signed number outside the checksum.
    pub fn signed(&mut self) -> Result<i64, StreamError> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    pub fn float(&mut self) -> Result<f32, StreamError> {
        let bytes = self.bytes::<4>()?;
        self.check(&bytes);
        Ok(f32::from_le_bytes(bytes))
    }

    pub fn double(&mut self) -> Result<f64, StreamError> {
        let bytes = self.bytes::<8>()?;
        self.check(&bytes);
        Ok(f64::from_le_bytes(bytes))
    }

    pub fn text(&mut self) -> Result<Vec<u8>, StreamError> {
        let length = self.varint()?;
        if length > MAX_TEXT_BYTES {
            let why = format!("a value of {length} bytes is longer than the {MAX_TEXT_BYTES} allowed");
            return Err(StreamError::Malformed(why));
        }
        self.spend(length)?;
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes).map_err(|e| StreamError::read(&e, "the footer is missing"))?;
        self.check(&bytes);
        Ok(bytes)
    }
}
