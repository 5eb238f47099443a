//! Rows through the record form and through the Arrow form and back, with every type, and with damage on the way.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, Int64Builder, IntervalDayTimeArray, IntervalYearMonthArray, ListBuilder,
    MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray, TimestampMillisecondArray,
    TimestampNanosecondArray, new_null_array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, IntervalDayTime};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::catalog::Column;
use crate::figures::Figures;
use crate::types::{CharText, Delivery, Stage, Timestamps, conform};

const TYPES: [&str; 23] = [
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "boolean",
    "string",
    "varchar(20)",
    "char(4)",
    "binary",
    "json",
    "date",
    "datetime",
    "timestamp",
    "timestamp_ntz",
    "interval_day_time",
    "interval_year_month",
    "decimal(15,2)",
    "decimal",
    "array<bigint>",
    "map<string,bigint>",
    "struct<a:array<timestamp>,b:interval_day_time>",
];

fn columns() -> Vec<Column> {
    let named = |(number, ty): (usize, &&str)| Column::new(format!("c{number}"), ty.parse().unwrap(), true);
    TYPES.iter().enumerate().map(named).collect()
}

/// What the values of a row are made of.
type Seed = (i64, f64, String, Vec<Option<i64>>);

fn rows() -> impl Strategy<Value = Vec<Vec<Option<Seed>>>> {
    let seed = (any::<i64>(), any::<f64>(), "[a-zäß中]{0,4}", prop::collection::vec(any::<Option<i64>>(), 0..4));
    prop::collection::vec(prop::collection::vec(prop::option::weighted(0.8, seed), TYPES.len()), 0..6)
}

fn day_time(value: i64) -> IntervalDayTime {
    let millis = value % 100_000_000_000;
    IntervalDayTime::new((millis / 86_400_000) as i32, (millis % 86_400_000) as i32)
}

/// A column of that type, laid out as rows that were sent.
fn column(ty: &str, layout: &DataType, seeds: &[Option<Seed>]) -> ArrayRef {
    let numbers = || seeds.iter().map(|seed| seed.as_ref().map(|seed| seed.0));
    let texts = || seeds.iter().map(|seed| seed.as_ref().map(|seed| seed.2.clone()));
    let ends = |value: i64| if value % 5 == 0 { value.signum() * (10i64.pow(15) - 1) } else { value % 10i64.pow(15) };
    match ty {
        "tinyint" => Arc::new(numbers().map(|v| v.map(|v| v as i8)).collect::<Int8Array>()),
        "smallint" => Arc::new(numbers().map(|v| v.map(|v| v as i16)).collect::<Int16Array>()),
        "int" => Arc::new(numbers().map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        "bigint" => Arc::new(numbers().collect::<Int64Array>()),
        "float" => Arc::new(seeds.iter().map(|s| s.as_ref().map(|s| s.1 as f32)).collect::<Float32Array>()),
        "double" => Arc::new(seeds.iter().map(|s| s.as_ref().map(|s| s.1)).collect::<Float64Array>()),
        "boolean" => Arc::new(numbers().map(|v| v.map(|v| v > 0)).collect::<BooleanArray>()),
        "binary" => {
            let bytes: Vec<Option<[u8; 8]>> = numbers().map(|v| v.map(i64::to_le_bytes)).collect();
            Arc::new(bytes.iter().map(|v| v.as_ref().map(|v| v.as_slice())).collect::<BinaryArray>())
        }
        "date" => Arc::new(numbers().map(|v| v.map(|v| v as i32)).collect::<Date32Array>()),
        "datetime" => Arc::new(numbers().collect::<TimestampMillisecondArray>().with_timezone("UTC")),
        "timestamp" => Arc::new(numbers().collect::<TimestampNanosecondArray>().with_timezone("UTC")),
        "timestamp_ntz" => Arc::new(numbers().collect::<TimestampNanosecondArray>()),
        "interval_day_time" => Arc::new(numbers().map(|v| v.map(day_time)).collect::<IntervalDayTimeArray>()),
        "interval_year_month" => Arc::new(numbers().map(|v| v.map(|v| v as i32)).collect::<IntervalYearMonthArray>()),
        "decimal(15,2)" => {
            let values = numbers().map(|v| v.map(|v| i128::from(ends(v)))).collect::<Decimal128Array>();
            Arc::new(values.with_precision_and_scale(15, 2).unwrap())
        }
        "decimal" => {
            let values =
                numbers().map(|v| v.map(|v| i128::from(v) * i128::from(i32::MAX))).collect::<Decimal128Array>();
            Arc::new(values.with_precision_and_scale(38, 18).unwrap())
        }
        "array<bigint>" => {
            let DataType::List(field) = layout else { panic!() };
            let mut lists = ListBuilder::new(Int64Builder::new()).with_field(field.clone());
            seeds.iter().for_each(|seed| lists.append_option(seed.as_ref().map(|seed| seed.3.clone())));
            Arc::new(lists.finish())
        }
        "map<string,bigint>" => {
            let DataType::Map(entries, _) = layout else { panic!() };
            let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
            for seed in seeds {
                for (number, value) in seed.iter().flat_map(|seed| seed.3.iter().enumerate()) {
                    maps.keys().append_value(format!("k{number}"));
                    maps.values().append_option(*value);
                }
                maps.append(seed.is_some()).unwrap();
            }
            let (_, offsets, pairs, nulls, sorted) = maps.finish().into_parts();
            let DataType::Struct(fields) = entries.data_type() else { panic!() };
            let pairs = StructArray::new(fields.clone(), pairs.columns().to_vec(), None);
            Arc::new(arrow::array::MapArray::new(entries.clone(), offsets, pairs, nulls, sorted))
        }
        "struct<a:array<timestamp>,b:interval_day_time>" => {
            let DataType::Struct(fields) = layout else { panic!() };
            let DataType::List(field) = fields[0].data_type() else { panic!() };
            let builder = TimestampNanosecondArray::builder(0).with_data_type(field.data_type().clone());
            let mut lists = ListBuilder::new(builder).with_field(field.clone());
            for seed in seeds {
                lists.append_option(seed.as_ref().filter(|seed| seed.0 % 2 == 0).map(|seed| seed.3.clone()));
            }
            let intervals = numbers().map(|v| v.filter(|v| v % 3 > 0).map(day_time)).collect::<IntervalDayTimeArray>();
            let nulls = seeds.iter().map(Option::is_some).collect::<Vec<bool>>().into();
            Arc::new(StructArray::new(fields.clone(), vec![Arc::new(lists.finish()), Arc::new(intervals)], Some(nulls)))
        }
        _ => Arc::new(texts().collect::<StringArray>()),
    }
}

fn batch(rows: &[Vec<Option<Seed>>]) -> RecordBatch {
    let schema = record_schema(&columns());
    let array = |(number, field): (usize, &Arc<Field>)| {
        let seeds: Vec<Option<Seed>> = rows.iter().map(|row| row[number].clone()).collect();
        match seeds.is_empty() {
            true => new_null_array(field.data_type(), 0),
            false => column(TYPES[number], field.data_type(), &seeds),
        }
    };
    let arrays = schema.fields().iter().enumerate().map(array).collect();
    RecordBatch::try_new(schema.clone(), arrays).unwrap()
}

/// The batch as a session delivers it for records.
fn delivered(batch: &RecordBatch) -> RecordBatch {
    let delivery = Delivery { timestamps: Timestamps::Struct, ..Delivery::default() };
    let trimmed = Delivery { char_text: CharText::Trimmed, ..delivery };
    let parts = batch.columns().iter().zip(columns()).map(|(array, column)| {
        let target = delivery.layout(&column.ty, array.data_type().clone());
        let array = conform(array, &column.ty, &target, Stage::Wire(trimmed)).unwrap();
        (column.name, array, true)
    });
    RecordBatch::try_from_iter_with_nullable(parts.collect::<Vec<_>>()).unwrap()
}

fn encoded(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = RecordWriter::new(columns().into_iter().map(|column| column.ty).collect());
    let mut bytes = writer.write(&delivered(batch)).unwrap();
    bytes.extend(writer.finish());
    bytes
}

fn decoded(bytes: Vec<u8>) -> Result<RecordBatch, StreamError> {
    let schema = record_schema(&columns());
    let mut reader = RecordReader::new(Box::new(Cursor::new(bytes)), &columns(), schema.clone())?;
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        batches.push(batch);
    }
    Ok(concat_batches(&schema, &batches).unwrap())
}

const SEED: u64 = 11;

static RECORDS: Figures<3> =
    Figures::new("records of the tunnel carry every value", ["cases", "rows", "values that are not NULL"]);
static DAMAGED: Figures<3> = Figures::new(
    "damage to records of the tunnel is noticed or harmless",
    ["cases", "bytes of which one bit or the end was changed", "cases that were noticed"],
);
static ARROW: Figures<3> =
    Figures::new("Arrow bodies of the tunnel carry every value", ["cases", "rows", "values that are not NULL"]);

#[test]
fn records_carry_every_value() {
    records();
    RECORDS.print(SEED);
}

#[test]
fn damage_is_noticed_or_harmless() {
    damaged();
    DAMAGED.print(SEED);
}

#[test]
fn arrow_bodies_carry_every_value() {
    arrow_bodies();
    ARROW.print(SEED);
}

fn values(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.len() - column.null_count()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(SEED),
        ..ProptestConfig::default()
    })]

    fn records(rows in rows()) {
        let batch = batch(&rows);
        RECORDS.add([1, rows.len(), values(&batch)]);
        prop_assert_eq!(decoded(encoded(&batch)).unwrap(), batch);
    }

    fn damaged(rows in rows(), place in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
        let batch = batch(&rows);
        let mut bytes = encoded(&batch);
        let place = place.index(bytes.len());
        match cut {
            true => bytes.truncate(place.max(1)),
            false => bytes[place] ^= 1u8 << bit,
        }
        let length = bytes.len();
        let read = decoded(bytes);
        DAMAGED.add([1, length, usize::from(read.is_err())]);
        if let Ok(other) = read {
            prop_assert_eq!(other, batch);
        }
    }

    fn arrow_bodies(rows in rows()) {
        let (batch, columns) = (batch(&rows), columns());
        ARROW.add([1, rows.len(), values(&batch)]);
        for instants in [Instants::Nanos, Instants::Seconds] {
            let schema = arrow_schema(&columns, instants);
            let laid_out = to_arrow_layout(&batch, &columns, &schema).unwrap();
            let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
            writer.get_mut().clear();
            writer.write(&laid_out).unwrap();
            let whole = [schema_message(&schema).unwrap(), writer.get_ref().clone()].concat();
            let read = StreamReader::try_new(Cursor::new(whole), None).unwrap().next().unwrap().unwrap();
            prop_assert_eq!(&read, &laid_out);
            if instants == Instants::Nanos {
                // What comes back is stored as it was.
                for ((array, column), stored) in read.columns().iter().zip(&columns).zip(batch.columns()) {
                    let back = conform(array, &column.ty, stored.data_type(), Stage::Store);
                    prop_assert_eq!(&back.map_err(|error| TestCaseError::fail(format!("{column:?} {error}")))?, stored);
                }
            }
        }
    }
}

#[test]
fn a_stream_says_why_it_is_refused() {
    let bytes = encoded(&batch(&[vec![Some((1, 1.0, "x".into(), vec![Some(1)])); TYPES.len()]]));
    assert!(matches!(decoded(bytes[..bytes.len() - 1].to_vec()), Err(StreamError::Incomplete(_))));
    assert!(matches!(decoded([bytes.clone(), vec![0]].concat()), Err(StreamError::Malformed(_))));
    let mut wrong = bytes.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert!(matches!(decoded(wrong), Err(StreamError::Corrupted(_))));
    // Column 200 of a table of 23.
    assert!(matches!(decoded(vec![0xc0, 0x0c, 0]), Err(StreamError::Malformed(_))));
    // A text of 4 GiB in a few bytes.
    assert!(matches!(decoded(vec![0x42, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(StreamError::Malformed(_))));
    assert_eq!(decoded(Vec::new()).unwrap().num_rows(), 0);
}

/// The records of columns `c0`, `c1`, ... of these types, as far as they can be read.
fn read_as(types: &[String], bytes: Vec<u8>) -> Result<Option<RecordBatch>, StreamError> {
    let column = |(at, ty): (usize, &String)| Column::new(format!("c{at}"), ty.parse().unwrap(), true);
    let columns: Vec<Column> = types.iter().enumerate().map(column).collect();
    RecordReader::new(Box::new(Cursor::new(bytes)), &columns, record_schema(&columns))?.next_batch()
}

fn struct_of(fields: usize) -> String {
    let fields: Vec<String> = (0..fields).map(|at| format!("f{at}:bigint")).collect();
    format!("struct<{}>", fields.join(","))
}

#[test]
fn the_limit_of_a_record_counts_what_its_nulls_take_when_decoded() {
    // One byte on the wire, 320 bytes in memory.
    let nulls = |count: u64| {
        let mut sink = super::wire::Sink::default();
        sink.column(1, super::wire::WireType::Delimited);
        sink.varint(count);
        sink.bytes.resize(sink.bytes.len() + count as usize, 1);
        sink.bytes
    };
    let list = format!("array<{}>", struct_of(40));
    let refused = read_as(std::slice::from_ref(&list), nulls(400_000));
    assert!(matches!(&refused, Err(StreamError::Malformed(why)) if why.contains("larger")), "{refused:?}");
    // Lists in lists are NULL themselves, which takes little; so do fewer structs. Both streams are cut.
    assert!(matches!(read_as(&[format!("array<{list}>")], nulls(400_000)), Err(StreamError::Incomplete(_))));
    assert!(matches!(read_as(&[list], nulls(100_000)), Err(StreamError::Incomplete(_))));
}

#[test]
fn a_batch_ends_by_what_its_missing_columns_take_when_decoded() {
    let mut sink = super::wire::Sink::default();
    for _ in 0..4096 {
        sink.tag(super::wire::END_RECORD, super::wire::WireType::Varint);
        sink.varint(0);
    }
    let first = read_as(&vec![struct_of(40); 50], sink.bytes).unwrap().unwrap();
    assert!((100..1000).contains(&first.num_rows()), "{} rows of 16,000 bytes", first.num_rows());
}
