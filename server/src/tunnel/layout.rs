//! How columns are laid out in the tunnel's Arrow form. Batches travel without their schema: both sides derive it from
//! the types, so it must be exactly what official clients derive.

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StructArray, make_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::ipc::writer::StreamWriter;

use crate::catalog::Column;
use crate::types::{
    CharText, Delivery, PlainLayout, Stage, Timestamps, Type, Units, arrow_type, conform, plain_type, to_plain,
};

/// How timestamps are laid out that are not inside lists, maps or structs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instants {
    /// Nanoseconds, in the tunnel of tables.
    Nanos,
    /// Seconds and nanoseconds, in the tunnel of instances.
    Seconds,
}

/// Units of the times that the tunnel carries.
const UNITS: Units = Units { datetime: TimeUnit::Millisecond, timestamp: TimeUnit::Nanosecond };

/// Texts are as long as they should be already.
const AS_IS: Stage = Stage::Wire(Delivery { timestamps: Timestamps::Clamp, char_text: CharText::Trimmed });

/// The layout of rows that were sent as records.
pub fn record_schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| Field::new(&column.name, arrow_type(&column.ty, UNITS), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// The layout of these columns in Arrow bodies.
pub fn arrow_schema<'a>(columns: impl IntoIterator<Item = &'a Column>, instants: Instants) -> SchemaRef {
    let field = |column: &Column| {
        let wide_timestamps =
            instants == Instants::Seconds && matches!(column.ty, Type::Timestamp | Type::TimestampNtz);
        let layout = PlainLayout { units: UNITS, large_text: false, wide_timestamps: false };
        let layout = if wide_timestamps { seconds() } else { plain_type(&column.ty, layout) };
        Field::new(&column.name, layout, true)
    };
    Arc::new(Schema::new(columns.into_iter().map(field).collect::<Vec<_>>()))
}

fn seconds() -> DataType {
    DataType::Struct(vec![Field::new("sec", DataType::Int64, true), Field::new("nano", DataType::Int32, true)].into())
}

/// Timestamps as seconds and nanoseconds. Both parts have the NULLs as well: clients look at the parts alone.
fn to_seconds(array: &ArrayRef, ty: &Type) -> Result<ArrayRef> {
    let whole = conform(array, ty, &seconds(), AS_IS)?;
    let (fields, parts, nulls) = whole.as_struct().clone().into_parts();
    let with_nulls = |part: ArrayRef| -> Result<ArrayRef> {
        Ok(make_array(part.to_data().into_builder().nulls(nulls.clone()).build()?))
    };
    let parts = parts.into_iter().map(with_nulls).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new(fields, parts, nulls)?))
}

/// A batch of these columns in their layout `schema`.
pub fn to_arrow_layout<'a>(
    batch: &RecordBatch,
    columns: impl IntoIterator<Item = &'a Column>,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let parts = batch.columns().iter().zip(columns).zip(schema.fields());
    let arrays = parts.map(|((array, column), field)| {
        match (array.data_type(), field.data_type()) {
            (DataType::Timestamp(..), DataType::Struct(_)) => to_seconds(array, &column.ty),
            (_, target) => to_plain(array, target).map_err(anyhow::Error::from),
        }
        .with_context(|| format!("column {}", column.name))
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays.collect::<Result<Vec<_>>>()?, &options)?)
}

/// The message that begins an Arrow stream with this schema.
pub fn schema_message(schema: &Schema) -> Result<Vec<u8>> {
    Ok(StreamWriter::try_new(Vec::new(), schema)?.get_ref().clone())
}
