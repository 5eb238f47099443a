//! Rows into the body of a download.

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::MetadataVersion;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use bytes::Bytes;

use crate::catalog::Column;
use crate::read::{Pieces, Rows};
use crate::tunnel::{Coder, Coding, FrameWriter, Instants, RecordWriter, arrow_schema, to_arrow_layout};

/// A piece is handed on when it has reached this size, so that HTTP chunks are large.
const PIECE_BYTES: usize = 512 << 10;

/// How rows are put into bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Records,
    Arrow(Instants),
}

/// What puts them.
enum Encoder {
    Records(RecordWriter),
    Arrow { schema: SchemaRef, writer: Box<StreamWriter<Vec<u8>>>, frames: FrameWriter },
}

/// Sees every batch.
type Observer = Box<dyn FnMut(&RecordBatch) + Send>;

/// The body of a download, in pieces. Each holds a bounded number of rows.
pub struct RowStream {
    rows: Rows,
    columns: Vec<Column>,
    encoder: Encoder,
    coder: Coder,
    observe: Option<Observer>,
    finished: bool,
}

impl RowStream {
    /// The rows, which have these columns.
    pub fn new(rows: Rows, columns: Vec<Column>, form: Form, coding: Coding) -> Result<RowStream> {
        let encoder = match form {
            Form::Records => {
                Encoder::Records(RecordWriter::new(columns.iter().map(|column| column.ty.clone()).collect()))
            }
            Form::Arrow(instants) => {
                let schema = arrow_schema(&columns, instants);
                let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5)?;
                let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options)?;
                // Both sides know the schema.
                writer.get_mut().clear();
                Encoder::Arrow { schema, writer: Box::new(writer), frames: FrameWriter::default() }
            }
        };
        Ok(RowStream { rows, columns, encoder, coder: Coder::new(coding)?, observe: None, finished: false })
    }

    /// Shows every batch to `observe`.
    pub fn observed_by(mut self, observe: impl FnMut(&RecordBatch) + Send + 'static) -> RowStream {
        self.observe = Some(Box::new(observe));
        self
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let bytes = match &mut self.encoder {
            Encoder::Records(records) => records.write(batch)?,
            Encoder::Arrow { schema, writer, frames } => {
                writer.write(&to_arrow_layout(batch, &self.columns, schema)?)?;
                let mut framed = Vec::with_capacity(writer.get_ref().len() + 64);
                frames.write(writer.get_ref(), &mut framed);
                writer.get_mut().clear();
                framed
            }
        };
        self.coder.write(&bytes)
    }

    fn finish(&mut self) -> Result<()> {
        let bytes = match &mut self.encoder {
            Encoder::Records(records) => records.finish(),
            Encoder::Arrow { frames, .. } => {
                let mut framed = Vec::new();
                frames.finish(&mut framed);
                framed
            }
        };
        self.coder.write(&bytes)?;
        self.coder.finish()?;
        self.finished = true;
        Ok(())
    }
}

impl Pieces for RowStream {
    fn next_piece(&mut self) -> Result<Option<Bytes>> {
        while !self.finished && self.coder.coded().len() < PIECE_BYTES {
            match self.rows.next_batch()? {
                Some(batch) => {
                    if let Some(observe) = &mut self.observe {
                        observe(&batch);
                    }
                    self.write(&batch)?;
                }
                None => self.finish()?,
            }
        }
        let coded = std::mem::take(self.coder.coded());
        Ok((!coded.is_empty()).then(|| Bytes::from(coded)))
    }
}
