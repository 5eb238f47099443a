//! Arrow IPC streams: the way of a batch from the bytes of a body to the engine. The columns of a stream decide by their names what the
//! session expects of it; the length of the input decides the policies, so that they vary and an input stays one.

use std::sync::{Arc, LazyLock};

use arrow_array::{Array, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use maxstorage::arrow::policy::{DecimalForm, Duplicates, Overflow, Padding, Policies, Touched};
use maxstorage::arrow::{Caps, Decoder, Encoded, Frame, Framer, Slabs, Unpacker};
use maxstorage::error::Result;
use maxstorage::predicate::{Predicate, Selection};

use crate::columns::{self, TYPES, session_schema, slab};
use crate::reached_the_end;

/// A larger batch is refused, as the budget of a client does.
const MAX_BYTES: usize = 16 << 20;

pub fn run(data: &[u8]) {
    // What is wrong with a stream is told, and that is all that may happen.
    let _ = read(data);
}

fn read(data: &[u8]) -> Result<()> {
    let overflow = [Overflow::Error, Overflow::Null, Overflow::Clamp][data.len() % 3];
    let mut body = Body { unpacker: Unpacker::new(true), rest: data };
    let mut framer = Framer::new(&Slabs::default());
    let mut decoder = None;
    loop {
        let room = framer.room();
        if room.is_empty() {
            return Ok(());
        }
        let count = body.read(room)?;
        if count == 0 {
            return Ok(());
        }
        match framer.advance(count)? {
            Some(Frame::Schema(wire)) => {
                let Some(schema) = expected(&wire) else { return Ok(()) };
                let mut made = Decoder::new(schema, &Slabs::default()).with_overflow(overflow);
                made.begin(&wire)?;
                decoder = Some(made);
            }
            Some(Frame::Room(length)) if length > MAX_BYTES => return Ok(()),
            Some(Frame::Room(length)) => framer.give(slab(length)),
            Some(Frame::Batch(encoded)) => {
                let decoder = decoder.as_mut().expect("no batch comes before the schema");
                let Some(batch) = decode(decoder, &encoded)? else { return Ok(()) };
                check(&batch);
                deliver(batch, overflow)?;
            }
            Some(Frame::End) | None => {}
        }
    }
}

/// A body that may be compressed as a whole.
struct Body<'a> {
    unpacker: Unpacker,
    rest: &'a [u8],
}

impl Body<'_> {
    fn read(&mut self, target: &mut [u8]) -> Result<usize> {
        loop {
            if let Some(count) = self.unpacker.unpack(target)? {
                return Ok(count);
            }
            let room = self.unpacker.room();
            let (now, later) = self.rest.split_at(room.len().min(self.rest.len()));
            room[..now.len()].copy_from_slice(now);
            self.rest = later;
            let count = now.len();
            self.unpacker.advance(count);
            self.unpacker.begin(None)?;
        }
    }
}

/// The schema of a session over the columns that a stream has; `None` for none of ours.
fn expected(wire: &Schema) -> Option<SchemaRef> {
    static ALL: LazyLock<SchemaRef> = LazyLock::new(|| session_schema(TYPES));
    let is_there = |number: &usize| wire.field_with_name(ALL.field(*number).name()).is_ok();
    let there: Vec<usize> = (0..TYPES.len()).filter(is_there).collect();
    let schema = ALL.project(&there).expect("the columns are its own");
    (!there.is_empty()).then(|| Arc::new(schema))
}

fn decode(decoder: &mut Decoder, encoded: &Encoded) -> Result<Option<RecordBatch>> {
    if decoder.decompressed_bytes(encoded)? > MAX_BYTES {
        return Ok(None);
    }
    columns::decode(decoder, encoded).map(Some)
}

/// Whatever the bytes were: what is delivered is sound.
fn check(batch: &RecordBatch) {
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        assert_eq!(field.data_type(), column.data_type());
        column.to_data().validate_full().unwrap_or_else(|error| panic!("column {} is unsound: {error}", field.name()));
    }
}

/// Filters a batch, treats it by the policies and cuts it.
fn deliver(batch: RecordBatch, overflow: Overflow) -> Result<()> {
    let schema = batch.schema();
    let batch = match schema.fields().first() {
        Some(field) if overflow == Overflow::Null => {
            let filter = Predicate::parse(&format!("{} IS NOT NULL", field.name()))?;
            Selection::new(&filter, &schema)?.apply(&batch)?
        }
        _ => batch,
    };
    let policies = Policies {
        timestamp_overflow: overflow,
        decimal: if overflow == Overflow::Clamp { DecimalForm::Wide } else { DecimalForm::Text },
        char_padding: if overflow == Overflow::Clamp { Padding::Strip } else { Padding::Pad },
        map_duplicate_keys: if overflow == Overflow::Clamp { Duplicates::Error } else { Duplicates::Last },
        string_view: overflow == Overflow::Clamp,
        large_offsets: overflow == Overflow::Null,
        ..Policies::default()
    };
    let mut touched = Touched::default();
    let batch = policies.of_values(&schema)?.apply(batch, &mut touched)?;
    let batch = policies.of_form(&schema)?.apply(batch, &mut touched)?;
    check(&batch);
    let (caps, mut row) = (Caps { rows: 3, bytes: 100 }, 0);
    while row < batch.num_rows().min(1000) {
        let rows = caps.next(&batch, row);
        assert!(rows > 0 && row + rows <= batch.num_rows());
        row += rows;
    }
    if row > 0 {
        reached_the_end();
    }
    Ok(())
}
