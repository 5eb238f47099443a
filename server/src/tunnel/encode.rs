//! Rows into records.

use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalDayTimeType, IntervalYearMonthType, TimeUnit, TimestampMillisecondType,
};
use crc32c::crc32c_append;

use super::wire::{END_RECORD, META_CHECKSUM, META_COUNT, Sink, WireType};
use crate::types::Type;

/// Encodes batches as records. A record names its columns by their place, from 1; what is NULL is left out.
pub struct RecordWriter {
    types: Vec<Type>,
    sink: Sink,
    records: i64,
    /// Checksum of the checksums of all records.
    total: u32,
}

impl RecordWriter {
    /// A stream of records with columns of these types.
    pub fn new(types: Vec<Type>) -> RecordWriter {
        RecordWriter { types, sink: Sink::default(), records: 0, total: 0 }
    }

    /// Encodes the rows of a batch whose DATETIME values are milliseconds and whose timestamps are structs of seconds and
    /// nanoseconds ([`crate::types::Timestamps::Struct`]). Returns their bytes.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        for row in 0..batch.num_rows() {
            for ((ty, array), number) in self.types.iter().zip(batch.columns()).zip(1..) {
                if array.is_valid(row) {
                    self.sink.column(number, wire_type(ty));
                    cell(&mut self.sink, ty, array, row).with_context(|| format!("column {number}"))?;
                }
            }
            let crc = self.sink.take_crc();
            self.sink.tag(END_RECORD, WireType::Varint);
            self.sink.varint(u64::from(crc));
            self.total = crc32c_append(self.total, &crc.to_le_bytes());
            self.records += 1;
        }
        Ok(std::mem::take(&mut self.sink.bytes))
    }

    /// The footer: number of records and checksum of all.
    pub fn finish(&mut self) -> Vec<u8> {
        self.sink.tag(META_COUNT, WireType::Varint);
        self.sink.signed(self.records);
        self.sink.tag(META_CHECKSUM, WireType::Varint);
        self.sink.varint(u64::from(self.total));
        std::mem::take(&mut self.sink.bytes)
    }
}

/// The wire type of a column's tag. Values that have more than one part count as delimited, though no length is sent.
fn wire_type(ty: &Type) -> WireType {
    match ty {
        Type::Double => WireType::Fixed64,
        Type::Float => WireType::Fixed32,
        Type::TinyInt
        | Type::SmallInt
        | Type::Int
        | Type::BigInt
        | Type::Boolean
        | Type::Date
        | Type::Datetime
        | Type::IntervalYearMonth => WireType::Varint,
        _ => WireType::Delimited,
    }
}

/// One value that is not NULL.
fn cell(sink: &mut Sink, ty: &Type, array: &ArrayRef, row: usize) -> Result<()> {
    match ty {
        Type::TinyInt => sink.long(array.as_primitive::<Int8Type>().value(row).into()),
        Type::SmallInt => sink.long(array.as_primitive::<Int16Type>().value(row).into()),
        Type::Int => sink.long(array.as_primitive::<Int32Type>().value(row).into()),
        Type::BigInt => sink.long(array.as_primitive::<Int64Type>().value(row)),
        Type::Float => sink.float(array.as_primitive::<Float32Type>().value(row)),
        Type::Double => sink.double(array.as_primitive::<Float64Type>().value(row)),
        Type::Boolean => sink.boolean(array.as_boolean().value(row)),
        Type::String | Type::Varchar(_) | Type::Char(_) | Type::Json => {
            sink.text(array.as_string::<i32>().value(row).as_bytes());
        }
        Type::Binary => sink.text(array.as_binary::<i32>().value(row)),
        Type::Blob => bail!("records carry no blob"),
        Type::Date => sink.long(array.as_primitive::<Date32Type>().value(row).into()),
        Type::Datetime => match array.data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                sink.long(array.as_primitive::<TimestampMillisecondType>().value(row));
            }
            other => bail!("datetime laid out as {other}"),
        },
        Type::Timestamp | Type::TimestampNtz => match array.data_type() {
            DataType::Struct(_) => {
                let parts = array.as_struct();
                sink.long(parts.column(0).as_primitive::<Int64Type>().value(row));
                sink.int(parts.column(1).as_primitive::<Int32Type>().value(row));
            }
            other => bail!("timestamp laid out as {other}"),
        },
        Type::IntervalDayTime => {
            let value = array.as_primitive::<IntervalDayTimeType>().value(row);
            let millis = i64::from(value.days) * 86_400_000 + i64::from(value.milliseconds);
            // Seconds and nanoseconds have the same sign, as in the durations of the official clients.
            sink.long(millis / 1000);
            sink.int((millis % 1000) as i32 * 1_000_000);
        }
        Type::IntervalYearMonth => sink.long(array.as_primitive::<IntervalYearMonthType>().value(row).into()),
        Type::Decimal(..) | Type::PlainDecimal => {
            sink.text(array.as_primitive::<Decimal128Type>().value_as_string(row).as_bytes());
        }
        Type::Array(item) => items(sink, item, &array.as_list::<i32>().value(row))?,
        Type::Map(key, value) => {
            let entries = array.as_map().value(row);
            items(sink, key, entries.column(0))?;
            items(sink, value, entries.column(1))?;
        }
        Type::Struct(fields) => {
            for ((_, ty), column) in fields.iter().zip(array.as_struct().columns()) {
                nullable(sink, ty, column, row)?;
            }
        }
    }
    Ok(())
}

fn items(sink: &mut Sink, ty: &Type, array: &ArrayRef) -> Result<()> {
    sink.count(array.len());
    (0..array.len()).try_for_each(|row| nullable(sink, ty, array, row))
}

fn nullable(sink: &mut Sink, ty: &Type, array: &ArrayRef, row: usize) -> Result<()> {
    sink.null_flag(array.is_null(row));
    if array.is_valid(row) { cell(sink, ty, array, row) } else { Ok(()) }
}
