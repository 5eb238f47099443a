//! Pruning and exact filtering against a plain evaluator: no block with a matching row is ever skipped, and exactly the
//! matching rows are picked.
//!
//! Random rows go through a real Parquet file with short, truncated statistics; random predicates are printed, parsed
//! and bound; every row is evaluated here with its own, row-wise three-valued logic.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{BlockFacts, Facts, Rules, Value as Fact, bind, can_match, matches, of_file, parse};
use crate::catalog::Column;
use crate::figures::Figures;
use crate::types::Zone;

const RULES: Rules = Rules { fallback: false, zone: Zone::UTC };

const BLOCK: usize = 4;
/// Number of columns; the last is a partition column, which no file holds.
const COLUMNS: usize = 15;
const PARTITION: usize = 14;

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
    n: Option<i8>,
    e: Option<i32>,
    u: Option<i64>,
    v: Option<i64>,
    w: Option<i128>,
    p: i64,
}

fn columns() -> Vec<Column> {
    let column = |name: &str, ty: &str| Column::new(name, ty.parse().unwrap(), true);
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
        column("n", "tinyint"),
        column("e", "date"),
        column("u", "datetime"),
        column("v", "timestamp"),
        column("w", "decimal(38,18)"),
        column("p", "int"),
    ]
}

/// A predicate tree that this test prints and evaluates by itself.
#[derive(Clone, Debug)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Test { column: usize, op: usize, literal: Box<Row>, flipped: bool },
    Between { column: usize, low: Box<Row>, high: Box<Row> },
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
        8 => {
            or_null(row.t.map(|v| format!("TIMESTAMP_NTZ'1970-01-01 00:00:{:02}.{:06}'", v / 1_000_000, v % 1_000_000)))
        }
        9 => or_null(row.n.map(|v| v.to_string())),
        10 => or_null(row.e.map(|v| format!("DATE'1970-01-{:02}'", v + 1))),
        11 => or_null(row.u.map(|v| format!("DATETIME'1970-01-01 00:00:{:02}.{:03}'", v / 1000, v % 1000))),
        12 => or_null(row.v.map(|v| format!("TIMESTAMP'1970-01-01 00:00:00.{v:09}'"))),
        13 => or_null(row.w.map(wide)),
        _ => row.p.to_string(),
    }
}

/// The text of a decimal of scale 18.
fn wide(v: i128) -> String {
    let one = 10i128.pow(18);
    format!("{}{}.{:018}", if v < 0 { "-" } else { "" }, v.abs() / one, v.abs() % one)
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
        Node::Test { column, op, literal, flipped: false } => {
            format!("`{}` {} {}", names[*column].name, OPS[*op], print_value(*column, literal))
        }
        Node::Test { column, op, literal, flipped: true } => {
            format!("{} {} `{}`", print_value(*column, literal), OPS[*op], names[*column].name)
        }
        Node::Between { column, low, high } => {
            let (low, high) = (print_value(*column, low), print_value(*column, high));
            format!("{} between {low} and {high}", names[*column].name)
        }
        Node::In { column, items } => {
            let items: Vec<String> = items.iter().map(|row| print_value(*column, row)).collect();
            format!("{} in ({})", names[*column].name, items.join(", "))
        }
        Node::Null(column) => format!("{} is null", names[*column].name),
    }
}

/// What engines make of a fraction without suffix.
#[derive(Clone, Copy)]
enum Engine {
    Exact,
    Double,
}

/// SQL comparison of two values of a column: `None` is unknown. NaN is larger than everything and equal to itself,
/// one of the orders an engine may choose.
fn order(column: usize, a: &Row, b: &Row, engine: Engine) -> Option<std::cmp::Ordering> {
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
        5 => Some(format!("{:8}", a.c.as_ref()?).cmp(&format!("{:8}", b.c.as_ref()?))),
        6 => Some(a.y.as_ref()?.cmp(b.y.as_ref()?)),
        7 => Some(a.b?.cmp(&b.b?)),
        8 => Some(a.t?.cmp(&b.t?)),
        9 => Some(a.n?.cmp(&b.n?)),
        10 => Some(a.e?.cmp(&b.e?)),
        11 => Some(a.u?.cmp(&b.u?)),
        12 => Some(a.v?.cmp(&b.v?)),
        13 => Some(match engine {
            Engine::Exact => a.w?.cmp(&b.w?),
            Engine::Double => float(wide(a.w?).parse().unwrap(), wide(b.w?).parse().unwrap()),
        }),
        _ => Some(a.p.cmp(&b.p)),
    }
}

fn is_null(column: usize, row: &Row) -> bool {
    order(column, row, row, Engine::Exact).is_none()
}

fn truth(node: &Node, row: &Row, engine: Engine) -> Option<bool> {
    let order = |column: usize, a: &Row, b: &Row| order(column, a, b, engine);
    let truth = |node: &Node, row: &Row| truth(node, row, engine);
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
        Node::Test { column, op, literal, flipped } => {
            let order = order(*column, row, literal);
            order.map(|o| if *flipped { o.reverse() } else { o }).map(|o| match OPS[*op] {
                "=" => o.is_eq(),
                "!=" => o.is_ne(),
                "<" => o.is_lt(),
                "<=" => o.is_le(),
                ">" => o.is_gt(),
                _ => o.is_ge(),
            })
        }
        Node::Between { column, low, high } => {
            let above = order(*column, row, low).map(|o| o.is_ge());
            let below = order(*column, row, high).map(|o| o.is_le());
            match (above, below) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (above, below) => Some(above? && below?),
            }
        }
        Node::In { column, items } => {
            let all: Vec<_> = items.iter().map(|i| order(*column, row, i).map(|o| o.is_eq())).collect();
            if all.contains(&Some(true)) { Some(true) } else { all.iter().all(Option::is_some).then_some(false) }
        }
        Node::Null(column) => Some(is_null(*column, row)),
    }
}

fn batch(rows: &[Row]) -> RecordBatch {
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
        DataType::Int8,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Decimal128(38, 18),
    ];
    let fields: Vec<Field> = columns().iter().zip(types).map(|(c, ty)| Field::new(&c.name, ty, true)).collect();
    let decimals: Decimal128Array = rows.iter().map(|r| r.m).collect();
    let wide: Decimal128Array = rows.iter().map(|r| r.w).collect();
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
        Arc::new(rows.iter().map(|r| r.n).collect::<Int8Array>()),
        Arc::new(rows.iter().map(|r| r.e).collect::<Date32Array>()),
        Arc::new(rows.iter().map(|r| r.u).collect::<TimestampMillisecondArray>()),
        Arc::new(rows.iter().map(|r| r.v).collect::<TimestampNanosecondArray>()),
        Arc::new(wide.with_precision_and_scale(38, 18).unwrap()),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn file(rows: &[Row]) -> ArrowReaderMetadata {
    let batch = batch(rows);
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(BLOCK))
        .set_statistics_truncate_length(Some(2))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
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
    let tenth = 10i128.pow(17);
    let wide = prop_oneof![-2i128..3, tenth - 2..tenth + 3, -tenth - 2..3 - tenth, Just(10i128.pow(38) - 1)];
    let more = (
        prop::option::of(prop_oneof![-2i8..3, Just(i8::MIN), Just(i8::MAX)]),
        prop::option::of(0i32..28),
        prop::option::of(0i64..5_000),
        prop::option::of(0i64..3_000),
        prop::option::of(wide),
        0i64..3,
    );
    let first = (
        prop::option::of(number),
        prop::option::of(-300i128..300),
        prop::option::of(small_float.clone()),
        prop::option::of(small_float.prop_map(f64::from)),
        prop::option::of(text),
        prop::option::of("[ab\\x01! ]{0,4}"),
        prop::option::of(bytes),
        prop::option::of(any::<bool>()),
        prop::option::of(0i64..5_000_000),
    );
    (first, more).prop_map(|((i, m, f, d, s, c, y, b, t), (n, e, u, v, w, p))| Row {
        i,
        m,
        f,
        d,
        s,
        c,
        y,
        b,
        t,
        n,
        e,
        u,
        v,
        w,
        p,
    })
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        4 => (0..COLUMNS, 0..6usize, row(), any::<bool>())
            .prop_map(|(column, op, literal, flipped)| Node::Test { column, op, literal: Box::new(literal), flipped }),
        1 => (0..COLUMNS, row(), row()).prop_map(|(column, low, high)| Node::Between { column, low: Box::new(low), high: Box::new(high) }),
        1 => (0..COLUMNS, prop::collection::vec(row(), 0..3)).prop_map(|(column, items)| Node::In { column, items }),
        1 => (0..COLUMNS).prop_map(Node::Null),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Node::And),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Node::Or),
            inner.prop_map(|n| Node::Not(Box::new(n))),
        ]
    })
}

const SEED: u64 = 20_250_115;

static FIGURES: Figures<6> = Figures::new(
    "pruning loses no row, exact filters pick exactly the matching ones",
    ["cases", "predicates", "blocks", "skipped blocks", "rows", "matching rows"],
);

#[test]
fn pruning_never_loses_a_row() {
    pruned();
    FIGURES.print(SEED);
    let [_, _, blocks, skipped, _, _] = FIGURES.counts();
    assert!(skipped > blocks / 100 && skipped < blocks, "the test tests something");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(SEED),
        ..ProptestConfig::default()
    })]

    fn pruned(
        rows in prop::collection::vec(row(), 1..20),
        nodes in prop::collection::vec(node(), 20),
        sorted_by in 0..COLUMNS,
        partition in 0i64..3,
    ) {
        FIGURES.add([1, 0, 0, 0, 0, 0]);
        let mut rows = rows;
        rows.iter_mut().for_each(|row| row.p = partition);
        rows.sort_by(|a, b| {
            let nulls = is_null(sorted_by, a).cmp(&is_null(sorted_by, b));
            order(sorted_by, a, b, Engine::Exact).unwrap_or(nulls)
        });
        let footer = file(&rows);
        let stored = batch(&rows);
        let columns = columns();
        let names: Vec<&Column> = columns.iter().collect();
        let facts: Vec<Vec<_>> = columns[..PARTITION].iter().map(|c| of_file(&footer, c)).collect();
        for node in nodes {
            let text = print(&node);
            let bound = bind(&parse(&text).unwrap().unwrap(), &names, RULES).unwrap();
            let constants = [(names[PARTITION], &partition.to_string())];
            let found = matches(&bound, &columns[..PARTITION], constants.into_iter(), &stored).unwrap();
            FIGURES.add([0, 1, 0, 0, rows.len(), found.iter().filter(|found| **found).count()]);
            for (row, found) in rows.iter().zip(found) {
                prop_assert_eq!(truth(&node, row, Engine::Exact) == Some(true), found, "{} for {:?}", text, row);
            }
            for (block, chunk) in rows.chunks(BLOCK).enumerate() {
                let mut block_facts: BlockFacts = facts.iter().map(|f| f[block].clone()).collect();
                block_facts.push(Facts::constant(Fact::Exact { unscaled: partition.into(), scale: 0 }));
                FIGURES.add([0, 0, 1, usize::from(!can_match(&bound, &block_facts)), 0, 0]);
                for engine in [Engine::Exact, Engine::Double] {
                    let wanted = chunk.iter().any(|row| truth(&node, row, engine) == Some(true));
                    prop_assert!(!wanted || can_match(&bound, &block_facts), "{text} lost a row of {chunk:?}");
                }
            }
        }
    }
}
