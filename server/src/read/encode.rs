//! Batches into an Arrow IPC stream, cut into pieces that suit the network.

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::ipc::{CompressionType, MetadataVersion};
use bytes::Bytes;

use super::size::batch_size;
use super::source::{Batches, Pieces};

/// A piece is handed on when it has reached this size, so that HTTP chunks are large.
const PIECE_BYTES: usize = 512 << 10;

/// Compression of the buffers inside record batches. The body itself is never encoded (storage-api-v1.md 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    None,
    Lz4,
    Zstd,
}

impl Compression {
    /// What an `Accept-Encoding` value asks for; anything unknown means none. A list means none as well: HTTP clients
    /// that send one mean the encoding of the body.
    pub fn from_header(value: Option<&str>) -> Compression {
        let asks = |name: &str| value.is_some_and(|value| value.trim().eq_ignore_ascii_case(name));
        if asks("ZSTD") {
            Compression::Zstd
        } else if asks("LZ4_FRAME") {
            Compression::Lz4
        } else {
            Compression::None
        }
    }
}

/// How batches are to be cut and compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    pub compression: Compression,
    /// Rows of a batch at most.
    pub batch_rows: usize,
    /// Uncompressed bytes of a batch at most, 0 for no bound. A batch has at least one row whatever its size.
    pub batch_bytes: usize,
}

/// Encodes the rows of a split.
pub struct Encoder {
    rows: Box<dyn Batches>,
    writer: StreamWriter<Vec<u8>>,
    batch_bytes: usize,
    finished: bool,
    observer: Option<Observer>,
}

/// Sees every batch before it is encoded.
type Observer = Box<dyn Fn(&RecordBatch) + Send>;

impl Encoder {
    /// Starts a stream; the schema message is already in the first piece.
    pub fn new(rows: impl Batches + 'static, shape: Shape) -> Result<Encoder> {
        let compression = match shape.compression {
            Compression::None => None,
            Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
            Compression::Zstd => Some(CompressionType::ZSTD),
        };
        let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5)?.try_with_compression(compression)?;
        let schema = rows.schema();
        let writer = StreamWriter::try_new_with_options(Vec::with_capacity(PIECE_BYTES * 2), &schema, options)?;
        Ok(Encoder { rows: Box::new(rows), writer, batch_bytes: shape.batch_bytes, finished: false, observer: None })
    }

    /// Shows every batch to `observer`, for example to count it.
    pub fn observed_by(mut self, observer: impl Fn(&RecordBatch) + Send + 'static) -> Encoder {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Writes a batch, in halves of halves if it is larger than the byte bound.
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.batch_bytes == 0 || batch.num_rows() < 2 || batch_size(batch)? <= self.batch_bytes {
            return Ok(self.writer.write(batch)?);
        }
        let half = batch.num_rows() / 2;
        self.write(&batch.slice(0, half))?;
        self.write(&batch.slice(half, batch.num_rows() - half))
    }
}

impl Pieces for Encoder {
    fn next_piece(&mut self) -> Result<Option<Bytes>> {
        while !self.finished && self.writer.get_ref().len() < PIECE_BYTES {
            match self.rows.next_batch()? {
                Some(batch) => {
                    if let Some(observer) = &self.observer {
                        observer(&batch);
                    }
                    self.write(&batch)?
                }
                None => {
                    self.writer.finish()?;
                    self.finished = true;
                }
            }
        }
        let buffer = self.writer.get_mut();
        if buffer.is_empty() {
            return Ok(None);
        }
        let full = std::mem::replace(buffer, Vec::with_capacity(PIECE_BYTES * 2));
        Ok(Some(Bytes::from(full)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_encoding_is_private() {
        assert_eq!(Compression::from_header(Some("ZSTD")), Compression::Zstd);
        assert_eq!(Compression::from_header(Some(" lz4_frame ")), Compression::Lz4);
        for other in [None, Some(""), Some("identity"), Some("gzip, br"), Some("gzip, deflate, br, zstd")] {
            assert_eq!(Compression::from_header(other), Compression::None);
        }
    }
}
