//! Pruning against a plain evaluator: no block with a matching row is ever skipped.
//!
//! Random rows go through a real Parquet file with short, truncated statistics; random predicates are printed, parsed
//! and bound; every row is evaluated here with its own, row-wise three-valued logic.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use super::{BlockFacts, bind, can_match, of_file, parse};
use crate::catalog::Column;

const BLOCK: usize = 4;

/// A row: one optional value per column, in the order of [`columns`].
#[derive(Clone, Debug)]
struct Row {
    i: Option<i64>,
    m: Option<i128>,
    f: Option<f32>,
    d: Option<f64>,
    s: Option<String>,
    c: Option<String>,
    y: Option<Vec<u8>>,
    b: Option<bool>,
    t: Option<i64>,
}

fn columns() -> Vec<Column> {
    let column = |name: &str, ty: &str| Column { name: name.into(), ty: ty.parse().unwrap(), nullable: true };
    vec![
        column("i", "bigint"),
        column("m", "decimal(30,2)"),
        column("f", "float"),
        column("d", "double"),
        column("s", "string"),
        column("c", "char(6)"),
        column("y", "binary"),
        column("b", "boolean"),
        column("t", "timestamp_ntz"),
    ]
}

/// A predicate tree that this test prints and evaluates by itself.
#[derive(Clone, Debug)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Test { column: usize, op: usize, literal: Row },
    In { column: usize, items: Vec<Row> },
    Null(usize),
}

const OPS: [&str; 6] = ["=", "!=", "<", "<=", ">", ">="];

fn print_value(column: usize, row: &Row) -> String {
    let or_null = |text: Option<String>| text.unwrap_or_else(|| "NULL".into());
    match column {
        0 => or_null(row.i.map(|v| v.to_string())),
        1 => or_null(row.m.map(|v| format!("{}{}.{:02}", if v < 0 { "-" } else { "" }, v.abs() / 100, v.abs() % 100))),
        2 => or_null(row.f.map(|v| print_float(f64::from(v)))),
        3 => or_null(row.d.map(print_float)),
        4 => or_null(row.s.as_ref().map(|v| format!("'{}'", v.replace('\\', "\\\\").replace('\'', "\\'")))),
        5 => or_null(row.c.as_ref().map(|v| format!("'{v}  '"))),
        6 => {
            or_null(row.y.as_ref().map(|v| format!("X'{}'", v.iter().map(|b| format!("{b:02x}")).collect::<String>())))
        }
        7 => or_null(row.b.map(|v| v.to_string())),
        _ => {
            or_null(row.t.map(|v| format!("TIMESTAMP_NTZ'1970-01-01 00:00:{:02}.{:06}'", v / 1_000_000, v % 1_000_000)))
        }
    }
}

fn print_float(v: f64) -> String {
    if v.is_nan() {
        "NaN".into()
    } else if v.is_infinite() {
        if v > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else {
        format!("{v:?}")
    }
}

fn print(node: &Node) -> String {
    let names = columns();
    match node {
        Node::And(items) => items.iter().map(|n| format!("({})", print(n))).collect::<Vec<_>>().join(" and "),
        Node::Or(items) => items.iter().map(|n| format!("({})", print(n))).collect::<Vec<_>>().join(" or "),
        Node::Not(item) => format!("not ({})", print(item)),
        Node::Test { column, op, literal } => {
            format!("`{}` {} {}", names[*column].name, OPS[*op], print_value(*column, literal))
        }
        Node::In { column, items } => {
            let items: Vec<String> = items.iter().map(|row| print_value(*column, row)).collect();
            format!("{} in ({})", names[*column].name, items.join(", "))
        }
        Node::Null(column) => format!("{} is null", names[*column].name),
    }
}

/// SQL comparison of two values of a column: `None` is unknown. NaN is larger than everything and equal to itself,
/// one of the orders an engine may choose.
fn order(column: usize, a: &Row, b: &Row) -> Option<std::cmp::Ordering> {
    let float = |a: f64, b: f64| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(&b).unwrap(),
        (x, y) => x.cmp(&y),
    };
    match column {
        0 => Some(a.i?.cmp(&b.i?)),
        1 => Some(a.m?.cmp(&b.m?)),
        2 => Some(float(f64::from(a.f?), f64::from(b.f?))),
        3 => Some(float(a.d?, b.d?)),
        4 => Some(a.s.as_ref()?.as_bytes().cmp(b.s.as_ref()?.as_bytes())),
        5 => Some(a.c.as_ref()?.trim_end_matches(' ').cmp(b.c.as_ref()?.trim_end_matches(' '))),
        6 => Some(a.y.as_ref()?.cmp(b.y.as_ref()?)),
        7 => Some(a.b?.cmp(&b.b?)),
        _ => Some(a.t?.cmp(&b.t?)),
    }
}

fn is_null(column: usize, row: &Row) -> bool {
    order(column, row, row).is_none()
}

fn truth(node: &Node, row: &Row) -> Option<bool> {
    match node {
        Node::And(items) => {
            let all: Vec<_> = items.iter().map(|n| truth(n, row)).collect();
            if all.contains(&Some(false)) { Some(false) } else { all.iter().all(Option::is_some).then_some(true) }
        }
        Node::Or(items) => {
            let all: Vec<_> = items.iter().map(|n| truth(n, row)).collect();
            if all.contains(&Some(true)) { Some(true) } else { all.iter().all(Option::is_some).then_some(false) }
        }
        Node::Not(item) => truth(item, row).map(|v| !v),
        Node::Test { column, op, literal } => order(*column, row, literal).map(|o| match OPS[*op] {
            "=" => o.is_eq(),
            "!=" => o.is_ne(),
            "<" => o.is_lt(),
            "<=" => o.is_le(),
            ">" => o.is_gt(),
            _ => o.is_ge(),
        }),
        Node::In { column, items } => {
            let all: Vec<_> = items.iter().map(|i| order(*column, row, i).map(|o| o.is_eq())).collect();
            if all.contains(&Some(true)) { Some(true) } else { all.iter().all(Option::is_some).then_some(false) }
        }
        Node::Null(column) => Some(is_null(*column, row)),
    }
}

fn file(rows: &[Row]) -> ArrowReaderMetadata {
    let micro = DataType::Timestamp(TimeUnit::Microsecond, None);
    let types = [
        DataType::Int64,
        DataType::Decimal128(30, 2),
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::Utf8,
        DataType::Binary,
        DataType::Boolean,
        micro,
    ];
    let fields: Vec<Field> = columns().iter().zip(types).map(|(c, ty)| Field::new(&c.name, ty, true)).collect();
    let decimals: Decimal128Array = rows.iter().map(|r| r.m).collect();
    let trimmed = rows.iter().map(|r| r.c.as_ref().map(|c| c.trim_end_matches(' ').to_string()));
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.i).collect::<Int64Array>()),
        Arc::new(decimals.with_precision_and_scale(30, 2).unwrap()),
        Arc::new(rows.iter().map(|r| r.f).collect::<Float32Array>()),
        Arc::new(rows.iter().map(|r| r.d).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.s.clone()).collect::<StringArray>()),
        Arc::new(trimmed.collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.y.as_deref()).collect::<BinaryArray>()),
        Arc::new(rows.iter().map(|r| r.b).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|r| r.t).collect::<TimestampMicrosecondArray>()),
    ];
    let schema = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(BLOCK))
        .set_statistics_truncate_length(Some(2))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema.clone(), Some(properties)).unwrap();
    writer.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    writer.close().unwrap();
    ArrowReaderMetadata::load(&Bytes::from(bytes), ArrowReaderOptions::new()).unwrap()
}

fn row() -> impl Strategy<Value = Row> {
    let small_float = prop_oneof![
        Just(f32::NAN),
        Just(-0.0),
        Just(0.0),
        Just(f32::INFINITY),
        Just(f32::NEG_INFINITY),
        (-3i8..4).prop_map(|v| f32::from(v) / 10.0)
    ];
    let text = prop_oneof!["[a-c]{0,4}", "[\\x01 ä中]{0,3}", Just("\u{10ffff}\u{10ffff}\u{10ffff}".to_string())];
    let bytes = prop_oneof![prop::collection::vec(any::<u8>(), 0..4), Just(vec![0xff; 4])];
    let number = prop_oneof![-3i64..4, Just(i64::MIN), Just(i64::MAX)];
    (
        prop::option::of(number),
        prop::option::of(-300i128..300),
        prop::option::of(small_float.clone()),
        prop::option::of(small_float.prop_map(f64::from)),
        prop::option::of(text),
        prop::option::of("[ab ]{0,4}"),
        prop::option::of(bytes),
        prop::option::of(any::<bool>()),
        prop::option::of(0i64..5_000_000),
    )
        .prop_map(|(i, m, f, d, s, c, y, b, t)| Row { i, m, f, d, s, c, y, b, t })
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        4 => (0..9usize, 0..6usize, row()).prop_map(|(column, op, literal)| Node::Test { column, op, literal }),
        1 => (0..9usize, prop::collection::vec(row(), 0..3)).prop_map(|(column, items)| Node::In { column, items }),
        1 => (0..9usize).prop_map(Node::Null),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Node::And),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Node::Or),
            inner.prop_map(|n| Node::Not(Box::new(n))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pruning_never_loses_a_row(
        rows in prop::collection::vec(row(), 1..20),
        nodes in prop::collection::vec(node(), 20),
        sorted_by in 0..9usize,
    ) {
        let mut rows = rows;
        rows.sort_by(|a, b| {
            let nulls = is_null(sorted_by, a).cmp(&is_null(sorted_by, b));
            order(sorted_by, a, b).unwrap_or(nulls)
        });
        let footer = file(&rows);
        let columns = columns();
        let names: Vec<&Column> = columns.iter().collect();
        let facts: Vec<Vec<_>> = columns.iter().map(|c| of_file(&footer, c)).collect();
        for node in nodes {
            let text = print(&node);
            let bound = bind(&parse(&text).unwrap().unwrap(), &names, false).unwrap();
            for (block, chunk) in rows.chunks(BLOCK).enumerate() {
                let block_facts: BlockFacts = facts.iter().map(|f| f[block].clone()).collect();
                let wanted = chunk.iter().any(|row| truth(&node, row) == Some(true));
                prop_assert!(!wanted || can_match(&bound, &block_facts), "{text} lost a row of {chunk:?}");
            }
        }
    }
}
