//! Whatever type a column has, nested however deep, its values come back as they were written.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, IntervalDayTimeArray, IntervalYearMonthArray, ListArray, MapArray, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, IntervalDayTime, Schema, TimeUnit};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::Rows;
use crate::catalog::{Catalog, Column, NewTable};
use crate::plan::{CreateRequest, JsonColumns, Limits, Planner, Reading};
use crate::store::Footers;
use crate::types::{Type, Units, arrow_type};
use crate::write::{TableWriter, Target};

const UNITS: Units = Units { datetime: TimeUnit::Millisecond, timestamp: TimeUnit::Microsecond };

fn ty() -> impl Strategy<Value = Type> {
    let leaf = prop::sample::select(vec![
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "float",
        "double",
        "boolean",
        "string",
        "varchar(5)",
        "char(3)",
        "binary",
        "json",
        "date",
        "datetime",
        "timestamp",
        "timestamp_ntz",
        "interval_day_time",
        "interval_year_month",
        "decimal(10,3)",
        "decimal",
    ]);
    let leaf = leaf.prop_map(|text| text.parse::<Type>().unwrap());
    leaf.prop_recursive(5, 24, 3, |inner| {
        let fields = prop::collection::vec(inner.clone(), 1..4);
        let named = |types: Vec<Type>| types.into_iter().enumerate().map(|(i, ty)| (format!("f{i}"), ty)).collect();
        prop_oneof![
            inner.clone().prop_map(|item| Type::Array(Box::new(item))),
            (inner.clone(), inner).prop_map(|(key, value)| Type::Map(Box::new(key), Box::new(value))),
            fields.prop_map(move |types| Type::Struct(named(types))),
        ]
    })
}

/// Numbers that the seed decides.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 20
    }

    fn nulls(&mut self, rows: usize, nullable: bool) -> NullBuffer {
        NullBuffer::from((0..rows).map(|_| !nullable || !self.roll().is_multiple_of(4)).collect::<Vec<bool>>())
    }
}

/// `rows` values of a type in the layout that the wire has for it.
fn values(ty: &Type, layout: &DataType, rows: usize, nullable: bool, dice: &mut Dice) -> ArrayRef {
    let nulls = dice.nulls(rows, nullable);
    let rolled: Vec<Option<i64>> =
        (0..rows).map(|i| nulls.is_valid(i).then(|| dice.roll() as i64 % 1000 - 400)).collect();
    let numbers = rolled.iter().copied();
    let text = |length: usize| rolled.iter().map(move |v| v.map(|v| format!("ä{v:03}")[..length].to_string()));
    match ty {
        Type::TinyInt => Arc::new(numbers.map(|v| v.map(|v| v as i8)).collect::<Int8Array>()),
        Type::SmallInt => Arc::new(numbers.map(|v| v.map(|v| v as i16)).collect::<Int16Array>()),
        Type::Int => Arc::new(numbers.map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        Type::BigInt => Arc::new(numbers.map(|v| v.map(|v| v << 40)).collect::<Int64Array>()),
        Type::Float => Arc::new(numbers.map(|v| v.map(|v| v as f32 / 8.0)).collect::<Float32Array>()),
        Type::Double => Arc::new(numbers.map(|v| v.map(|v| v as f64 / 3.0)).collect::<Float64Array>()),
        Type::Boolean => Arc::new(numbers.map(|v| v.map(|v| v > 0)).collect::<BooleanArray>()),
        // CHAR values are as long as their type, so that padding changes nothing.
        Type::Char(_) => Arc::new(text(4).collect::<StringArray>()),
        Type::String | Type::Varchar(_) | Type::Json => Arc::new(text(5).collect::<StringArray>()),
        Type::Binary | Type::Blob => Arc::new(numbers.map(|v| v.map(|v| v.to_be_bytes())).collect::<BinaryArray>()),
        Type::Date => Arc::new(numbers.map(|v| v.map(|v| v as i32)).collect::<Date32Array>()),
        Type::Datetime => Arc::new(numbers.collect::<TimestampMillisecondArray>().with_timezone("UTC")),
        Type::Timestamp => Arc::new(numbers.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Type::TimestampNtz => Arc::new(numbers.collect::<TimestampMicrosecondArray>()),
        Type::IntervalDayTime => {
            let interval = |v: i64| IntervalDayTime::new(v as i32, (v * 7) as i32);
            Arc::new(numbers.map(|v| v.map(interval)).collect::<IntervalDayTimeArray>())
        }
        Type::IntervalYearMonth => Arc::new(numbers.map(|v| v.map(|v| v as i32)).collect::<IntervalYearMonthArray>()),
        Type::Decimal(..) | Type::PlainDecimal => {
            let (precision, scale) = ty.decimal_shape().unwrap();
            let decimals = numbers.map(|v| v.map(i128::from)).collect::<Decimal128Array>();
            Arc::new(decimals.with_precision_and_scale(precision, scale).unwrap())
        }
        Type::Array(item) => {
            let DataType::List(field) = layout else { panic!("{layout}") };
            let offsets: OffsetBuffer<i32> = OffsetBuffer::from_lengths((0..rows).map(|_| dice.roll() as usize % 3));
            let items = values(item, field.data_type(), offsets[rows] as usize, true, dice);
            Arc::new(ListArray::new(field.clone(), offsets, items, Some(nulls)))
        }
        Type::Map(key, value) => {
            let DataType::Map(entries, _) = layout else { panic!("{layout}") };
            let DataType::Struct(fields) = entries.data_type() else { panic!("{entries}") };
            let offsets: OffsetBuffer<i32> = OffsetBuffer::from_lengths((0..rows).map(|_| dice.roll() as usize % 3));
            let count = offsets[rows] as usize;
            let keys = values(key, fields[0].data_type(), count, false, dice);
            let items = values(value, fields[1].data_type(), count, true, dice);
            let pairs = StructArray::new(fields.clone(), vec![keys, items], None);
            Arc::new(MapArray::new(entries.clone(), offsets, pairs, Some(nulls), false))
        }
        Type::Struct(types) => {
            let DataType::Struct(fields) = layout else { panic!("{layout}") };
            let parts =
                types.iter().zip(fields).map(|((_, ty), field)| values(ty, field.data_type(), rows, true, dice));
            let parts: Vec<ArrayRef> = parts.collect();
            Arc::new(StructArray::new(fields.clone(), parts, Some(nulls)))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(11),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_type_survives(types in prop::collection::vec(ty(), 1..8), rows in 0usize..30, seed in any::<u64>()) {
        let root = tempfile::tempdir().unwrap();
        let catalog = Arc::new(Catalog::open(root.path()).unwrap());
        let footers = Arc::new(Footers::new(catalog.keyring()));
        let name = "p.default.t".parse().unwrap();
        let columns = types.iter().enumerate().map(|(i, ty)| Column::new(format!("c{i}"), ty.clone(), true));
        let columns: Vec<Column> = columns.collect();
        catalog.create_table(&NewTable::plain(&name, &columns, &[])).unwrap();
        let target = Target { block_rows: 7, ..Target::table(catalog.table(&name).unwrap().unwrap()) };
        let fields = columns.iter().map(|c| Field::new(&c.name, arrow_type(&c.ty, UNITS), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut dice = Dice(seed);
        let arrays = types.iter().zip(schema.fields()).map(|(ty, f)| values(ty, f.data_type(), rows, true, &mut dice));
        let written = RecordBatch::try_new(schema.clone(), arrays.collect()).unwrap();
        let mut writer = TableWriter::new(&catalog, &target, &schema).unwrap();
        writer.write(&written).unwrap();
        let files = writer.finish().unwrap().files;
        files.hand_over(&catalog, |files| catalog.commit_rows(&target.destination(false), files)).unwrap();
        let reading = Reading { json: JsonColumns::Utf8, ..Reading::default() };
        let limits = Limits { min_split_bytes: 1, strict_batches: false, strict_delta: false, reading };
        let planner = Planner { catalog: &catalog, footers: &footers, limits };
        let request = CreateRequest::parse(br#"{"ArrowOptions":{"TimestampUnit":"micro"}}"#).unwrap();
        let plan = Arc::new(planner.plan(catalog.snapshot(&name).unwrap().unwrap(), &request).unwrap());
        let all = plan.rows(0, plan.row_count()).unwrap();
        let mut reader = Rows::new(catalog.clone(), footers, plan, all, 5);
        let mut batches = Vec::new();
        while let Some(batch) = reader.next_batch().unwrap() {
            batches.push(batch);
        }
        let read = concat_batches(&reader.schema(), &batches).unwrap();
        prop_assert_eq!(read.num_rows(), rows);
        for (column, (read, written)) in columns.iter().zip(read.columns().iter().zip(written.columns())) {
            prop_assert_eq!(read, written, "{} {}", column.name, column.ty);
        }
    }
}
