//! Every type, from a Parquet file to the wire.

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::*;
use common::Root;
use serde_json::json;

const UTC: &str = "UTC";

/// A source column with its type override, and the wire column expected for it.
struct Case {
    name: &'static str,
    source: ArrayRef,
    declared: Option<&'static str>,
    text: &'static str,
    wire: ArrayRef,
}

fn same(name: &'static str, text: &'static str, array: ArrayRef) -> Case {
    Case { name, source: array.clone(), declared: None, text, wire: array }
}

fn cast(name: &'static str, text: &'static str, source: ArrayRef, declared: bool, wire: ArrayRef) -> Case {
    Case { name, source, declared: declared.then_some(text), text, wire }
}

fn list(child: &str, values: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new(child, values.data_type().clone(), true));
    Arc::new(ListArray::new(
        field,
        OffsetBuffer::new(vec![0, 2, 2, 3].into()),
        values,
        Some(vec![true, false, true].into()),
    ))
}

fn map(entries: &str, names: (&str, &str)) -> ArrayRef {
    let fields =
        Fields::from(vec![Field::new(names.0, DataType::Utf8, false), Field::new(names.1, DataType::Int64, true)]);
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "a", "b"]));
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None]));
    let pairs = StructArray::new(fields.clone(), vec![keys, values], None);
    let field = Arc::new(Field::new(entries, DataType::Struct(fields), false));
    let offsets = OffsetBuffer::new(vec![0, 2, 2, 3].into());
    Arc::new(MapArray::new(field, offsets, pairs, Some(vec![true, false, true].into()), false))
}

fn structure() -> ArrayRef {
    let fields = Fields::from(vec![
        Field::new("x", DataType::Int32, true),
        Field::new("when", DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())), true),
    ]);
    let x: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let when: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(-1), Some(5), None]).with_timezone(UTC));
    Arc::new(StructArray::new(fields, vec![x, when], Some(vec![true, true, false].into())))
}

fn cases() -> Vec<Case> {
    let strings: ArrayRef = Arc::new(StringArray::from(vec![Some("ä"), None, Some("")]));
    let millis: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None, Some(1_700_000_000_123)]));
    let millis_utc: ArrayRef =
        Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None, Some(1_700_000_000_123)]).with_timezone(UTC));
    let micros = vec![Some(-1), None, Some(1_700_000_000_123_456)];
    let nanos = vec![Some(-1_000), None, Some(1_700_000_000_123_456_000)];
    let day_time = vec![Some(IntervalDayTime::new(-1, -1)), None, Some(IntervalDayTime::new(2, 5))];
    let decimal = |p, s| -> ArrayRef {
        let values = Decimal128Array::from(vec![Some(-12345), None, Some(1)]);
        Arc::new(values.with_precision_and_scale(p, s).unwrap())
    };
    vec![
        same("c_tinyint", "tinyint", Arc::new(Int8Array::from(vec![Some(-128), None, Some(127)]))),
        same("c_smallint", "smallint", Arc::new(Int16Array::from(vec![Some(-1), None, Some(2)]))),
        same("c_int", "int", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(2)]))),
        same("c_bigint", "bigint", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
        same("c_float", "float", Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(f32::INFINITY)]))),
        same("c_double", "double", Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-1e300)]))),
        same("c_boolean", "boolean", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        same("c_string", "string", strings.clone()),
        cast(
            "c_large",
            "string",
            Arc::new(LargeStringArray::from(vec![Some("ä"), None, Some("")])),
            false,
            strings.clone(),
        ),
        cast(
            "c_view",
            "string",
            Arc::new(StringViewArray::from(vec![Some("ä"), None, Some("")])),
            false,
            strings.clone(),
        ),
        cast("c_varchar", "varchar(20)", strings.clone(), true, strings.clone()),
        cast("c_char", "char(3)", strings, true, Arc::new(StringArray::from(vec![Some("ä  "), None, Some("   ")]))),
        same("c_binary", "binary", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None, Some(b"")]))),
        same("c_decimal", "decimal(10,2)", decimal(10, 2)),
        same("c_wide", "decimal(38,18)", decimal(38, 18)),
        cast("c_plain", "decimal", decimal(38, 18), true, decimal(38, 18)),
        same("c_date", "date", Arc::new(Date32Array::from(vec![Some(-719_528), None, Some(20_000)]))),
        same("c_datetime", "datetime", millis_utc.clone()),
        cast("c_datetime_ntz", "datetime", millis, false, millis_utc.clone()),
        cast(
            "c_timestamp",
            "timestamp",
            Arc::new(TimestampMicrosecondArray::from(micros.clone()).with_timezone("+00:00")),
            false,
            Arc::new(TimestampNanosecondArray::from(nanos.clone()).with_timezone(UTC)),
        ),
        cast(
            "c_ntz",
            "timestamp_ntz",
            Arc::new(TimestampMicrosecondArray::from(micros)),
            false,
            Arc::new(TimestampNanosecondArray::from(nanos)),
        ),
        same("c_idt", "interval_day_time", Arc::new(IntervalDayTimeArray::from(day_time.clone()))),
        cast(
            "c_idt_ms",
            "interval_day_time",
            Arc::new(Int64Array::from(vec![Some(-86_400_001), None, Some(172_800_005)])),
            true,
            Arc::new(IntervalDayTimeArray::from(day_time)),
        ),
        same("c_iym", "interval_year_month", Arc::new(IntervalYearMonthArray::from(vec![Some(-14), None, Some(3)]))),
        cast(
            "c_iym_int",
            "interval_year_month",
            Arc::new(Int32Array::from(vec![Some(-14), None, Some(3)])),
            true,
            Arc::new(IntervalYearMonthArray::from(vec![Some(-14), None, Some(3)])),
        ),
        cast(
            "c_array",
            "array<int>",
            list("item", Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
            false,
            list("element", Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
        ),
        cast(
            "c_map",
            "map<string,bigint>",
            map("key_value", ("keys", "values")),
            false,
            map("element", ("key", "value")),
        ),
        same("c_struct", "struct<x:int,when:timestamp>", structure()),
        cast(
            "c_nested",
            "array<struct<x:int,when:timestamp>>",
            list("l", structure()),
            false,
            list("element", structure()),
        ),
    ]
}

fn batch(cases: &[Case]) -> RecordBatch {
    let fields: Vec<Field> = cases
        .iter()
        .map(|case| {
            let metadata = case.declared.map(|text| ("maxcompute.type".to_string(), text.to_string()));
            Field::new(case.name, case.source.data_type().clone(), true)
                .with_metadata(metadata.into_iter().collect::<HashMap<_, _>>())
        })
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), cases.iter().map(|c| c.source.clone()).collect()).unwrap()
}

#[test]
fn every_type_arrives_as_documented() {
    let root = Root::new();
    let cases = cases();
    root.load("local.default.types", &root.parquet("types.parquet", &batch(&cases)), &[]);
    let server = root.serve(&[]);
    let session = server.session("types", "{}");
    let columns = session["DataSchema"]["DataColumns"].as_array().unwrap();
    let read = server.split("types", session["SessionId"].as_str().unwrap(), 0);
    for (i, case) in cases.iter().enumerate() {
        assert_eq!(columns[i]["Type"], case.text, "{}", case.name);
        assert_eq!(read.schema().field(i).data_type(), case.wire.data_type(), "{}", case.name);
        assert_eq!(read.column(i).as_ref(), case.wire.as_ref(), "{}", case.name);
    }
    // Appending the same file again must find the same schema.
    root.load("local.default.types", &root.parquet("types.parquet", &batch(&cases)), &["--if-exists", "append"]);
    assert_eq!(server.count("types", "{}"), 6);
}

#[test]
fn units_floor_and_projection_reaches_nested_columns() {
    let root = Root::new();
    root.load("local.default.types", &root.parquet("types.parquet", &batch(&cases())), &[]);
    let server = root.serve(&[]);
    let request = json!({
        "RequiredDataColumns": ["c_struct", "c_timestamp", "c_datetime"],
        "ArrowOptions": {"TimestampUnit": "milli", "DatetimeUnit": "second"}
    });
    let read = server.read("types", &request.to_string()).remove(0);
    let millis = read.column(1).as_primitive::<TimestampMillisecondType>();
    assert_eq!(millis.value(0), -1);
    assert_eq!(millis.value(2), 1_700_000_000_123);
    assert_eq!(read.column(2).as_primitive::<TimestampSecondType>().value(0), -1);
    let inner = read.column(0).as_struct().column(1).clone();
    assert_eq!(inner.as_primitive::<TimestampMillisecondType>().value(0), -1);
}

#[test]
fn json_and_foreign_types_are_refused() {
    let root = Root::new();
    let text: ArrayRef = Arc::new(StringArray::from(vec!["{}"]));
    let plain = cast("j", "json", text.clone(), true, text.clone());
    let other = same("s", "string", text);
    root.load("local.default.j", &root.parquet("j.parquet", &batch(&[plain, other])), &[]);
    let server = root.serve(&[]);
    let answer = server.post(&common::sessions("j"), "{}");
    assert_eq!(answer.error(), (400, "InvalidArgument".into()));
    assert!(answer.text().contains("column j"), "{}", answer.text());
    assert_eq!(server.count("j", &json!({"RequiredDataColumns": ["s"]}).to_string()), 1);
    let unsigned = same("u", "", Arc::new(UInt32Array::from(vec![1])));
    let output = root.try_load("local.default.u", &root.parquet("u.parquet", &batch(&[unsigned])), &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("column u has Arrow type UInt32"), "{output:?}");
    let long = StringArray::from(vec!["too long"]);
    let long = cast("v", "varchar(3)", Arc::new(long.clone()), true, Arc::new(long));
    let output = root.try_load("local.default.v", &root.parquet("v.parquet", &batch(&[long])), &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("column v"), "{output:?}");
}

#[test]
fn types_that_cannot_be_written_down_are_refused() {
    let root = Root::new();
    let nested = |depth: usize| {
        let mut array: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        for _ in 0..depth {
            let field = Arc::new(Field::new("item", array.data_type().clone(), true));
            array = Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([1]), array, None));
        }
        root.parquet("n.parquet", &RecordBatch::try_from_iter([("n", array)]).unwrap())
    };
    let output = root.try_load("local.default.deep", &nested(33), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nested too deeply"));
    root.load("local.default.fine", &nested(32), &[]);
    let server = root.serve(&[]);
    assert_eq!(server.count("fine", "{}"), 1);
    assert_eq!(server.get("/api/projects/local/tables").status, 200);
}
