//! How columns are laid out in the tunnel's Arrow form. Batches travel without their schema: both sides derive it from
//! the types, so it must be exactly what official clients derive.

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::ipc::writer::StreamWriter;

use crate::catalog::Column;
use crate::types::{CharText, Delivery, Stage, Timestamps, Type, Units, arrow_type, conform, seconds_type};

/// How timestamps outside lists, maps and structs are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instants {
    /// Nanoseconds, in the tunnel of tables.
    Nanos,
    /// Seconds and nanoseconds, in the tunnel of instances.
    Seconds,
}

/// Texts are as long as they should be already.
const AS_IS: Stage = Stage::Wire(Delivery { timestamps: Timestamps::Clamp, char_text: CharText::Trimmed });

/// Units of the times in records and in Arrow bodies.
pub fn record_units() -> Units {
    Units { datetime: TimeUnit::Millisecond, timestamp: TimeUnit::Nanosecond }
}

/// The layout of these columns.
pub fn arrow_schema<'a>(columns: impl IntoIterator<Item = &'a Column>, instants: Instants) -> SchemaRef {
    let field = |column: &Column| {
        let layout = match column.ty {
            Type::Timestamp | Type::TimestampNtz if instants == Instants::Seconds => seconds_type(),
            _ => layout(&column.ty),
        };
        Field::new(&column.name, layout, column.nullable)
    };
    Arc::new(Schema::new(columns.into_iter().map(field).collect::<Vec<_>>()))
}

/// As everywhere, but day-time intervals as seconds and nanoseconds.
fn layout(ty: &Type) -> DataType {
    match ty {
        Type::IntervalDayTime => seconds_type(),
        Type::Array(item) => DataType::List(Arc::new(Field::new("element", layout(item), true))),
        Type::Map(key, value) => {
            let pair = Fields::from(vec![Field::new("key", layout(key), false), Field::new("value", layout(value), true)]);
            DataType::Map(Arc::new(Field::new("element", DataType::Struct(pair), false)), false)
        }
        Type::Struct(fields) => {
            DataType::Struct(fields.iter().map(|(name, ty)| Field::new(name, layout(ty), true)).collect())
        }
        _ => arrow_type(ty, record_units()),
    }
}

/// A batch of these columns in the layout `schema`.
pub fn to_arrow_layout<'a>(
    batch: &RecordBatch,
    columns: impl IntoIterator<Item = &'a Column>,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let parts = batch.columns().iter().zip(columns).zip(schema.fields());
    let arrays = parts.map(|((array, column), field)| {
        conform(array, &column.ty, field.data_type(), AS_IS).with_context(|| format!("column {}", column.name))
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays.collect::<Result<Vec<_>>>()?, &options)?)
}

/// The message that begins an Arrow stream with this schema.
pub fn schema_message(schema: &Schema) -> Result<Vec<u8>> {
    Ok(StreamWriter::try_new(Vec::new(), schema)?.get_ref().clone())
}
