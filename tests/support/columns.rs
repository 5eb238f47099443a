//! Columns of every type, rows of them, and room for their bodies.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use arrow_array::builder::BinaryBuilder;
use arrow_array::types::*;
use arrow_array::*;
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use maxstorage::arrow::{ColumnFacts, Decoder, Encoded, Slab, Slabs, Units, expected};
use maxstorage::error::Result;
use maxstorage::memory::{Account, Ahead, Allowance, Budget};

/// Every type of the mapping table, nested ones included.
pub const TYPES: &[&str] = &[
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "boolean",
    "decimal",
    "decimal(10,2)",
    "string",
    "binary",
    "varchar(10)",
    "char(4)",
    "datetime",
    "timestamp",
    "timestamp_ntz",
    "date",
    "interval_day_time",
    "interval_year_month",
    "array<string>",
    "map<string,bigint>",
    "struct<a:bigint,b:array<struct<x:int,y:string>>>",
];

/// The schema of a session with columns of the given types: c0, c1, ..
pub fn session_schema(types: &[&str]) -> SchemaRef {
    let names: Vec<String> = (0..types.len()).map(|index| format!("c{index}")).collect();
    let facts = names.iter().zip(types).map(|(name, type_text)| ColumnFacts {
        name,
        type_text,
        nullable: true,
        is_partition: false,
    });
    Arc::new(expected(facts, Units { timestamp: TimeUnit::Nanosecond, datetime: TimeUnit::Millisecond }).unwrap())
}

/// An array of `rows` values of any of our types, with NULLs at every level; `seed` varies the values.
pub fn sample(data_type: &DataType, rows: usize, seed: usize) -> ArrayRef {
    let number = |row: usize| (row * 7919 + seed * 31) as i64 - 50;
    let valid = |row: usize| !(row + seed).is_multiple_of(5);
    macro_rules! primitive {
        ($type:ty, $convert:expr) => {{
            let values: PrimitiveArray<$type> =
                (0..rows).map(|row| valid(row).then(|| $convert(number(row)))).collect();
            Arc::new(values.with_data_type(data_type.clone())) as ArrayRef
        }};
    }
    match data_type {
        DataType::Int8 => primitive!(Int8Type, |n| n as i8),
        DataType::Int16 => primitive!(Int16Type, |n| n as i16),
        DataType::Int32 => primitive!(Int32Type, |n| n as i32),
        DataType::Int64 => primitive!(Int64Type, |n: i64| n.wrapping_mul(1 << 40)),
        DataType::Float32 => primitive!(Float32Type, |n| n as f32 / 3.0),
        DataType::Float64 => primitive!(Float64Type, |n| n as f64 / 3.0),
        DataType::Date32 => primitive!(Date32Type, |n| n as i32),
        DataType::Timestamp(TimeUnit::Millisecond, _) => primitive!(TimestampMillisecondType, |n| n),
        DataType::Timestamp(_, _) => primitive!(TimestampNanosecondType, |n: i64| n.wrapping_mul(1 << 50)),
        DataType::Decimal128(..) => primitive!(Decimal128Type, |n| i128::from(n) * 1_000_001),
        DataType::Interval(arrow_schema::IntervalUnit::YearMonth) => primitive!(IntervalYearMonthType, |n| n as i32),
        DataType::Interval(_) => {
            primitive!(IntervalDayTimeType, |n| IntervalDayTimeType::make_value(n as i32, -(n as i32)))
        }
        DataType::Boolean => {
            let values: BooleanArray = (0..rows).map(|row| valid(row).then(|| number(row) % 2 == 0)).collect();
            Arc::new(values)
        }
        DataType::Utf8 => {
            let text = |row: usize| format!("{}-ü-{}", number(row), "𝄞".repeat(row % 3));
            Arc::new((0..rows).map(|row| valid(row).then(|| text(row))).collect::<StringArray>())
        }
        DataType::Binary => {
            let mut builder = BinaryBuilder::new();
            (0..rows).for_each(|row| builder.append_option(valid(row).then(|| number(row).to_le_bytes())));
            Arc::new(builder.finish())
        }
        DataType::List(child) => {
            let lengths: Vec<usize> = (0..rows).map(|row| if valid(row) { row % 4 } else { 0 }).collect();
            let values = sample(child.data_type(), lengths.iter().sum(), seed + 1);
            let nulls = (0..rows).map(valid).collect::<Vec<bool>>().into();
            let offsets = arrow_buffer::OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::new(Arc::clone(child), offsets, values, Some(nulls)))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { panic!("a map has entries") };
            let lengths: Vec<usize> = (0..rows).map(|row| if valid(row) { row % 3 } else { 0 }).collect();
            let total = lengths.iter().sum();
            let keys: StringArray = (0..total).map(|index| Some(format!("k{}", index % 2))).collect();
            let values = sample(fields[1].data_type(), total, seed + 2);
            let pairs = StructArray::new(fields.clone(), vec![Arc::new(keys), values], None);
            let offsets = arrow_buffer::OffsetBuffer::from_lengths(lengths);
            let nulls = (0..rows).map(valid).collect::<Vec<bool>>().into();
            Arc::new(MapArray::new(Arc::clone(entries), offsets, pairs, Some(nulls), false))
        }
        DataType::Struct(fields) => {
            let columns =
                fields.iter().enumerate().map(|(at, field)| sample(field.data_type(), rows, seed + at + 3)).collect();
            let nulls = (0..rows).map(valid).collect::<Vec<bool>>().into();
            Arc::new(StructArray::new(fields.clone(), columns, Some(nulls)))
        }
        other => panic!("no sample for {other}"),
    }
}

/// Rows of a schema of ours.
pub fn batch(schema: &SchemaRef, rows: usize, seed: usize) -> RecordBatch {
    let columns = schema.fields().iter().enumerate().map(|(at, field)| sample(field.data_type(), rows, seed + at));
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
}

/// A slab without limits.
pub fn slab(length: usize) -> Slab {
    let (slabs, ahead) = (Slabs::default(), Ahead::default());
    at_once(slabs.take(length, &ahead))
}

fn at_once<T>(taking: impl Future<Output = Result<T>>) -> T {
    match std::pin::pin!(taking).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(taken) => taken.unwrap(),
        Poll::Pending => panic!("no memory"),
    }
}

/// Decodes a message, with memory for what is made of it. That memory was asked for.
pub fn decode(decoder: &mut Decoder, encoded: &Encoded) -> Result<RecordBatch> {
    let target = match decoder.decompressed_bytes(encoded)? {
        0 => None,
        bytes => Some(slab(bytes)),
    };
    let (copied, most) = (decoder.copied_bytes(), decoder.made_bytes(encoded)?);
    let (account, ahead) = (Account::new(&Budget::new(0, None)), Ahead::default());
    let made = Allowance::new(at_once(account.reserve(most, &ahead)));
    let batch = decoder.decode(encoded, target, Some(&made))?;
    drop(made);
    assert!(decoder.copied_bytes() - copied <= most && account.held() <= most, "{} of {most}", account.held());
    Ok(batch)
}
