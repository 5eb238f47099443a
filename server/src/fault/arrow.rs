//! Edits of Arrow IPC streams, message by message, so that what follows the edit is untouched.

use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch};
use ::arrow::buffer::Buffer;
use ::arrow::datatypes::{DataType, Field, Schema};
use ::arrow::error::ArrowError;
use ::arrow::ipc::convert::try_fb_to_schema;
use ::arrow::ipc::reader::read_record_batch;
use ::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use ::arrow::ipc::{self, MetadataVersion, root_as_message};
use bytes::{Bytes, BytesMut};

use super::effect::SchemaChange;

/// Messages larger than this are no messages but a body of another kind.
const MAX_MESSAGE_BYTES: usize = 512 << 20;
const PREFIX: usize = 8;

/// What an edit makes of one message.
pub enum Edit {
    Keep,
    Replace(Vec<u8>),
    /// There is nothing to edit from here on.
    GiveUp,
}

/// One whole message.
pub struct Message<'a> {
    /// The flatbuffer.
    pub metadata: &'a [u8],
    pub body: &'a [u8],
}

type Change = Box<dyn FnMut(Message<'_>) -> Edit + Send>;

/// Collects messages, shows them to a change until that has replaced one, and lets all else through.
pub struct Editor {
    change: Change,
    pending: BytesMut,
    done: bool,
    changed: bool,
}

impl Editor {
    pub fn new(change: impl FnMut(Message<'_>) -> Edit + Send + 'static) -> Editor {
        Editor { change: Box::new(change), pending: BytesMut::new(), done: false, changed: false }
    }

    pub fn is_done(&self) -> bool {
        self.done
    }

    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// Takes bytes in and gives out what is decided.
    pub fn push(&mut self, bytes: &[u8]) -> Bytes {
        self.pending.extend_from_slice(bytes);
        let mut out = BytesMut::new();
        while !self.done {
            let length = match message_length(&self.pending) {
                Ok(Some((_, length))) if length <= self.pending.len() => length,
                Ok(_) => break,
                Err(NoArrow) => {
                    self.done = true;
                    break;
                }
            };
            let bytes = self.pending.split_to(length).freeze();
            match take_apart(&bytes).map(|message| (self.change)(message)) {
                Some(Edit::Keep) => out.extend_from_slice(&bytes),
                Some(Edit::Replace(new)) => {
                    out.extend_from_slice(&new);
                    (self.done, self.changed) = (true, true);
                }
                Some(Edit::GiveUp) | None => {
                    out.extend_from_slice(&bytes);
                    self.done = true;
                }
            }
        }
        if self.done {
            out.extend_from_slice(&self.rest());
        }
        out.freeze()
    }

    /// What was taken in and not given out.
    pub fn rest(&mut self) -> Bytes {
        self.pending.split().freeze()
    }
}

struct NoArrow;

/// Lengths of the metadata and of the whole message at the head of `bytes`; `None` while that cannot be told.
fn message_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, NoArrow> {
    let mark = bytes.get(..4).map(|mark| mark == [0xff; 4]);
    if mark == Some(false) || !bytes.iter().take(4).all(|byte| *byte == 0xff) {
        return Err(NoArrow);
    }
    let Some(size) = bytes.get(4..PREFIX).and_then(|size| size.try_into().ok()).map(i32::from_le_bytes) else {
        return Ok(None);
    };
    let metadata = usize::try_from(size).map_err(|_| NoArrow)?;
    if metadata == 0 || metadata > MAX_MESSAGE_BYTES {
        return Err(NoArrow);
    }
    let Some(flatbuffer) = bytes.get(PREFIX..PREFIX + metadata) else { return Ok(None) };
    let message = root_as_message(flatbuffer).map_err(|_| NoArrow)?;
    let body = usize::try_from(message.bodyLength()).ok().filter(|body| *body <= MAX_MESSAGE_BYTES).ok_or(NoArrow)?;
    Ok(Some((metadata, PREFIX + metadata + body)))
}

fn take_apart(bytes: &[u8]) -> Option<Message<'_>> {
    let (metadata, length) = message_length(bytes).ok()??;
    let begin = PREFIX + metadata;
    Some(Message { metadata: bytes.get(PREFIX..begin)?, body: bytes.get(begin..length)? })
}

/// A schema message that differs in one thing.
pub fn falsify_schema(message: Message<'_>, change: SchemaChange) -> Edit {
    let Some(schema) = schema_of(&message) else { return Edit::GiveUp };
    let mut fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    match (change, fields.first_mut()) {
        (SchemaChange::Type, Some(first)) => {
            let other = if *first.data_type() == DataType::Int8 { DataType::Int16 } else { DataType::Int8 };
            *first = first.clone().with_data_type(other);
        }
        (SchemaChange::Name, Some(first)) => *first = first.clone().with_name(format!("{}_", first.name())),
        (SchemaChange::Count, _) | (_, None) => fields.push(Field::new("one_more", DataType::Int64, true)),
    }
    match encode(&Schema::new_with_metadata(fields, schema.metadata().clone()), None, None) {
        Ok((schema, _)) => Edit::Replace(schema),
        Err(_) => Edit::GiveUp,
    }
}

fn schema_of(message: &Message<'_>) -> Option<Schema> {
    try_fb_to_schema(root_as_message(message.metadata).ok()?.header_as_schema()?).ok()
}

/// Puts a byte that UTF-8 does not have into the first text of the first batch that has one.
pub fn spoil_text() -> impl FnMut(Message<'_>) -> Edit + Send {
    let mut schema: Option<Arc<Schema>> = None;
    move |message| {
        if let Some(found) = schema_of(&message) {
            schema = Some(Arc::new(found));
            return Edit::Keep;
        }
        let Some(schema) = &schema else { return Edit::GiveUp };
        match spoiled(&message, schema) {
            Ok(Some(bytes)) => Edit::Replace(bytes),
            Ok(None) => Edit::Keep,
            Err(_) => Edit::GiveUp,
        }
    }
}

/// The same batch with a broken text, if it has a text.
fn spoiled(message: &Message<'_>, schema: &Arc<Schema>) -> Result<Option<Vec<u8>>, ArrowError> {
    let broken = |why: &dyn std::fmt::Display| ArrowError::IpcError(why.to_string());
    let parsed = root_as_message(message.metadata).map_err(|why| broken(&why))?;
    let Some(header) = parsed.header_as_record_batch() else { return Ok(None) };
    let compression = header.compression().map(|compression| compression.codec());
    let body = Buffer::from(message.body);
    let batch = read_record_batch(&body, header, schema.clone(), &Default::default(), None, &MetadataVersion::V5)?;
    // Text and bytes look the same on the wire, so the column is written as bytes under the old schema.
    let mut columns = batch.columns().to_vec();
    let Some((i, column)) = columns.iter_mut().enumerate().find_map(|(i, column)| Some((i, break_first(column)?)))
    else {
        return Ok(None);
    };
    columns[i] = column;
    let bytes_of = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Binary)),
        _ => field.clone(),
    };
    let fields: Vec<Arc<Field>> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(n, field)| if n == i { bytes_of(field) } else { field.clone() })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns)?;
    encode(&schema, Some(&batch), compression).map(|(_, batch)| Some(batch))
}

/// The column as bytes, the first text with a broken byte; `None` if it is no text column or all its texts are empty.
fn break_first(column: &mut ArrayRef) -> Option<ArrayRef> {
    let texts = column.as_string_opt::<i32>()?;
    let row = (0..texts.len()).find(|row| texts.is_valid(*row) && !texts.value(*row).is_empty())?;
    let at = usize::try_from(*texts.value_offsets().get(row)?).ok()?;
    let mut values = texts.value_data().to_vec();
    *values.get_mut(at)? = 0xff;
    Some(Arc::new(BinaryArray::new(texts.offsets().clone(), Buffer::from(values), texts.nulls().cloned())))
}

/// The messages of a schema and of a batch.
fn encode(
    schema: &Schema,
    batch: Option<&RecordBatch>,
    compression: Option<ipc::CompressionType>,
) -> Result<(Vec<u8>, Vec<u8>), ArrowError> {
    let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5)?.try_with_compression(compression)?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), schema, options)?;
    let head = std::mem::take(writer.get_mut());
    if let Some(batch) = batch {
        writer.write(batch)?;
    }
    Ok((head, std::mem::take(writer.get_mut())))
}
