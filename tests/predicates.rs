//! Random predicates over random rows of every type, against a plain evaluator that looks at one row at a time: what the library
//! selects is exactly what is true, and what it sends to the service keeps at least that.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicUsize};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow_schema::{Field, Schema};
use maxstorage::predicate::{Column, Literal, Op, Predicate, Real, Selection, TypedColumn, push};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

const TYPES: [(&str, &str); 13] = [
    ("i", "bigint"),
    ("n", "tinyint"),
    ("f", "float"),
    ("d", "double"),
    ("m", "decimal(10,2)"),
    ("w", "decimal(38,18)"),
    ("s", "string"),
    ("c", "char(4)"),
    ("y", "binary"),
    ("b", "boolean"),
    ("e", "date"),
    ("u", "datetime"),
    ("z", "timestamp_ntz"),
];

const OPS: [Op; 6] = [Op::Equal, Op::NotEqual, Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual];

/// A cell, or a literal.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    /// `unscaled * 10^-scale`
    Exact(i128, u8),
    Fraction(i128, u8),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Bool(bool),
    /// Nanoseconds.
    Time(i128),
}

const DAY: i128 = 86_400_000_000_000;

const FLOATS: [f64; 12] = [
    0.0,
    -0.0,
    0.1,
    1.5,
    -2.5,
    9007199254740993.0,
    1e300,
    f64::MAX,
    f32::MAX as f64,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

fn value(column: usize) -> BoxedStrategy<Cell> {
    let limit = 10i128.pow(38) - 1;
    let floats = || prop::sample::select(FLOATS.to_vec());
    let texts = prop::sample::select(vec![
        "", "a", "a ", "a  ", "a\u{1}", "it's", "\\", "\\'", "a\\n", "a\nb", "\"", "\0", "😀", "ｚ", "%", "NULL", "ab",
    ]);
    let some = match column {
        0 => prop_oneof![-5i64..5, Just(i64::MIN), Just(i64::MAX), Just(i64::MIN + 1)]
            .prop_map(|v| Cell::Exact(v.into(), 0))
            .boxed(),
        1 => prop_oneof![-5i8..5, Just(i8::MIN), Just(i8::MAX)].prop_map(|v| Cell::Exact(v.into(), 0)).boxed(),
        2 => floats().prop_map(|v| Cell::Float(f64::from(v as f32))).boxed(),
        3 => floats().prop_map(Cell::Float).boxed(),
        4 => prop_oneof![-500i128..500, Just(9_999_999_999i128), Just(-9_999_999_999i128)]
            .prop_map(|v| Cell::Exact(v, 2))
            .boxed(),
        5 => prop_oneof![
            Just(limit),
            Just(-limit),
            Just(10i128.pow(17)),
            Just(10i128.pow(17) + 1),
            Just(5 * 10i128.pow(17)),
            -3i128..3
        ]
        .prop_map(|v| Cell::Exact(v, 18))
        .boxed(),
        6 => texts.prop_map(|v| Cell::Text(v.to_owned())).boxed(),
        7 => prop::sample::select(vec!["", "a", "a   ", "a\u{1}", "ab", "it's", "\\"])
            .prop_map(|v| Cell::Text(v.to_owned()))
            .boxed(),
        8 => prop::collection::vec(prop::sample::select(vec![0u8, 39, 92, 255]), 0..3).prop_map(Cell::Bytes).boxed(),
        9 => any::<bool>().prop_map(Cell::Bool).boxed(),
        10 => prop_oneof![-3i128..3, Just(-719_528i128), Just(2_932_896i128)].prop_map(|v| Cell::Time(v * DAY)).boxed(),
        11 => prop_oneof![-3i128..3, -86_400_003i128..-86_399_997].prop_map(|v| Cell::Time(v * 1_000_000)).boxed(),
        _ => prop_oneof![-3i128..3, -1_000_000_003i128..-999_999_997].prop_map(Cell::Time).boxed(),
    };
    prop_oneof![6 => some, 1 => Just(Cell::Null)].boxed()
}

/// A literal for a column: a value of its type, or of a type that meets it.
fn literal(column: usize) -> BoxedStrategy<Cell> {
    let number = || {
        prop_oneof![
            (-60i128..60, 1u8..3).prop_map(|(v, scale)| Cell::Fraction(v, scale)),
            (-600i128..600, 0u8..4).prop_map(|(v, scale)| Cell::Exact(v, scale)),
            prop::sample::select(vec![0.5, -0.5, 3.0, 1e19, -1e19, 1e39, f64::NAN, f64::NEG_INFINITY])
                .prop_map(Cell::Float),
        ]
    };
    match column {
        0 | 1 | 4 | 5 => prop_oneof![value(column), number()].boxed(),
        // A decimal with a fraction meets floating numbers as its nearest double, a whole number by value.
        2 | 3 => prop_oneof![
            value(column),
            (-60i128..60, 1u8..3).prop_map(|(v, scale)| Cell::Fraction(v, scale)),
            prop_oneof![-3i128..3, Just((1i128 << 53) + 1), Just(1i128 << 100)].prop_map(|v| Cell::Exact(v, 0)),
        ]
        .boxed(),
        10..=12 => prop_oneof![value(column), value(10), value(11), value(12)].boxed(),
        other => value(other),
    }
}

#[derive(Debug, Clone)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Test(usize, usize, Cell),
    In(usize, bool, Vec<Cell>),
    Null(usize, bool),
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = (0..TYPES.len()).prop_flat_map(|column| {
        prop_oneof![
            4 => (0..6usize, literal(column)).prop_map(move |(op, cell)| Node::Test(column, op, cell)),
            2 => (any::<bool>(), prop::collection::vec(literal(column), 0..12)).prop_map(move |(not, cells)| Node::In(column, not, cells)),
            1 => any::<bool>().prop_map(move |not| Node::Null(column, not)),
        ]
    });
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Node::And),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Node::Or),
            inner.prop_map(|inner| Node::Not(Box::new(inner))),
        ]
    })
}

// ------------------------------------------------------------------------------------------------------- the plain evaluator

fn decimal_text(unscaled: i128, scale: u8) -> String {
    format!("{unscaled}e-{scale}")
}

fn floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn exacts(a: i128, s: u8, b: i128, t: u8) -> Ordering {
    // Whole parts first: only their rest needs a common scale.
    let (p, q) = (10i128.pow(s.into()), 10i128.pow(t.into()));
    let whole = a.div_euclid(p).cmp(&b.div_euclid(q));
    whole.then_with(|| (a.rem_euclid(p) * (10i128.pow(18) / p)).cmp(&(b.rem_euclid(q) * (10i128.pow(18) / q))))
}

fn exact_and_float(a: i128, s: u8, b: f64) -> Ordering {
    if b.fract() == 0.0 && b.abs() < 1e38 {
        return exacts(a, s, b as i128, 0);
    }
    floats(decimal_text(a, s).parse().unwrap(), b)
}

/// `None` is unknown.
fn order(column: usize, a: &Cell, b: &Cell) -> Option<Ordering> {
    Some(match (a, b) {
        (Cell::Null, _) | (_, Cell::Null) => return None,
        (Cell::Exact(a, s), Cell::Exact(b, t) | Cell::Fraction(b, t)) => exacts(*a, *s, *b, *t),
        (Cell::Exact(a, s), Cell::Float(b)) => exact_and_float(*a, *s, *b),
        (Cell::Float(a), Cell::Exact(b, t)) => exact_and_float(*b, *t, *a).reverse(),
        (Cell::Float(a), Cell::Fraction(b, t)) => floats(*a, decimal_text(*b, *t).parse().unwrap()),
        (Cell::Float(a), Cell::Float(b)) => floats(*a, *b),
        (Cell::Text(a), Cell::Text(b)) if column == 7 => {
            let pad = |text: &str| format!("{text:<8}").into_bytes();
            pad(a).cmp(&pad(b))
        }
        (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Cell::Bytes(a), Cell::Bytes(b)) => a.cmp(b),
        (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
        (Cell::Time(a), Cell::Time(b)) => a.cmp(b),
        other => panic!("{other:?}"),
    })
}

fn truth(node: &Node, row: &[Cell]) -> Option<bool> {
    let not = |truth: Option<bool>| truth.map(|truth| !truth);
    let any = |truths: Vec<Option<bool>>| match truths.contains(&Some(true)) {
        true => Some(true),
        false => truths.iter().all(Option::is_some).then_some(false),
    };
    match node {
        Node::Or(parts) => any(parts.iter().map(|part| truth(part, row)).collect()),
        Node::And(parts) => not(any(parts.iter().map(|part| not(truth(part, row))).collect())),
        Node::Not(part) => not(truth(part, row)),
        Node::Test(column, op, cell) => order(*column, &row[*column], cell).map(|order| match op {
            0 => order.is_eq(),
            1 => order.is_ne(),
            2 => order.is_lt(),
            3 => order.is_le(),
            4 => order.is_gt(),
            _ => order.is_ge(),
        }),
        Node::In(column, negated, cells) => {
            let equal = |cell| order(*column, &row[*column], cell).map(Ordering::is_eq);
            let found = any(cells.iter().map(equal).collect());
            if *negated { not(found) } else { found }
        }
        Node::Null(column, negated) => Some((row[*column] == Cell::Null) != *negated),
    }
}

// ------------------------------------------------------------------------------------------------- what the library is given

fn to_literal(column: usize, cell: &Cell) -> Literal {
    match cell.clone() {
        Cell::Null => Literal::Null,
        Cell::Exact(unscaled, scale) => Literal::Decimal { unscaled, scale },
        Cell::Fraction(unscaled, scale) => Literal::Fraction { unscaled, scale },
        Cell::Float(value) => Literal::Double(Real::new(value)),
        Cell::Text(text) => Literal::Text(text),
        Cell::Bytes(bytes) => Literal::Binary(bytes),
        Cell::Bool(value) => Literal::Bool(value),
        Cell::Time(nanos) if nanos % DAY == 0 => Literal::Date((nanos / DAY) as i64),
        Cell::Time(nanos) if column == 12 => Literal::Clock(nanos),
        Cell::Time(nanos) => Literal::Instant(nanos),
    }
}

fn predicate(node: &Node) -> Predicate {
    let column = |column: &usize| Column::new(TYPES[*column].0, Vec::new());
    match node {
        Node::And(parts) => Predicate::and(parts.iter().map(predicate).collect()).unwrap(),
        Node::Or(parts) => Predicate::or(parts.iter().map(predicate).collect()).unwrap(),
        Node::Not(part) => predicate(part).negated().unwrap(),
        Node::Test(at, op, cell) => Predicate::compare(column(at), OPS[*op], to_literal(*at, cell)),
        Node::In(at, negated, cells) => {
            Predicate::in_set(column(at), *negated, cells.iter().map(|cell| to_literal(*at, cell)).collect())
        }
        Node::Null(at, negated) => Predicate::is_null(column(at), *negated),
    }
}

fn batch(rows: &[Vec<Cell>]) -> RecordBatch {
    let whole = |column: usize, unit: i128| {
        rows.iter().map(move |row| match &row[column] {
            Cell::Exact(value, _) => Some(*value),
            Cell::Time(nanos) => Some(nanos.div_euclid(unit)),
            _ => None,
        })
    };
    let float = |column: usize| {
        rows.iter().map(move |row| if let Cell::Float(value) = &row[column] { Some(*value) } else { None })
    };
    let text = |column: usize| -> ArrayRef {
        let texts = rows.iter().map(|row| if let Cell::Text(text) = &row[column] { Some(text.as_str()) } else { None });
        Arc::new(texts.collect::<StringArray>())
    };
    let decimal = |column: usize, precision: u8, scale: i8| -> ArrayRef {
        let array: Decimal128Array = whole(column, 1).collect();
        Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
    };
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(whole(0, 1).map(|v| v.map(|v| v as i64)).collect::<Int64Array>()),
        Arc::new(whole(1, 1).map(|v| v.map(|v| v as i8)).collect::<Int8Array>()),
        Arc::new(float(2).map(|v| v.map(|v| v as f32)).collect::<Float32Array>()),
        Arc::new(float(3).collect::<Float64Array>()),
        decimal(4, 10, 2),
        decimal(5, 38, 18),
        text(6),
        text(7),
        Arc::new(
            rows.iter()
                .map(|row| if let Cell::Bytes(v) = &row[8] { Some(v.as_slice()) } else { None })
                .collect::<BinaryArray>(),
        ),
        Arc::new(
            rows.iter().map(|row| if let Cell::Bool(v) = &row[9] { Some(*v) } else { None }).collect::<BooleanArray>(),
        ),
        Arc::new(whole(10, DAY).map(|v| v.map(|v| v as i32)).collect::<Date32Array>()),
        Arc::new(
            whole(11, 1_000_000)
                .map(|v| v.map(|v| v as i64))
                .collect::<TimestampMillisecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(whole(12, 1).map(|v| v.map(|v| v as i64)).collect::<TimestampNanosecondArray>()),
        // Which row it was.
        Arc::new((0..rows.len() as i64).map(Some).collect::<Int64Array>()),
    ];
    let names = TYPES.iter().copied().chain([("row", "bigint")]);
    let fields: Vec<Field> = names
        .zip(&arrays)
        .map(|((name, text), array)| {
            let metadata = HashMap::from([("maxcompute.type".to_owned(), text.to_owned())]);
            Field::new(name, arrow_array::Array::data_type(array).clone(), true).with_metadata(metadata)
        })
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn selected(predicate: &Predicate, batch: &RecordBatch) -> Vec<i64> {
    let found = Selection::new(predicate, batch.schema_ref()).unwrap().apply(batch).unwrap();
    found.column(TYPES.len()).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
}

fn table() -> Vec<TypedColumn> {
    let column =
        |(name, text): &(&str, &str)| TypedColumn { name: (*name).into(), type_text: (*text).into(), delivered: None };
    TYPES.iter().map(column).collect()
}

fn rows() -> impl Strategy<Value = Vec<Vec<Cell>>> {
    let row: Vec<_> = (0..TYPES.len()).map(value).collect();
    (prop::collection::vec(row, 1..80), any::<bool>()).prop_map(|(mut rows, with_nan)| {
        for cell in rows.iter_mut().flatten() {
            if !with_nan && matches!(cell, Cell::Float(value) if value.is_nan()) {
                *cell = Cell::Null;
            }
        }
        rows
    })
}

/// Every operator on every pair of floating numbers: chance meets two NaN seldom.
#[test]
fn every_operator_orders_floating_numbers() {
    let single = |value: f64| f64::from(value as f32);
    let row = |value: f64| {
        let cell = |column: usize| match column {
            2 => Cell::Float(single(value)),
            3 => Cell::Float(value),
            _ => Cell::Null,
        };
        (0..TYPES.len()).map(cell).collect::<Vec<Cell>>()
    };
    let mut rows: Vec<Vec<Cell>> = FLOATS.into_iter().map(row).collect();
    rows.push(vec![Cell::Null; TYPES.len()]);
    let batch = batch(&rows);
    for column in [2, 3] {
        for value in FLOATS {
            let value = Cell::Float(if column == 2 { single(value) } else { value });
            let tests = (0..OPS.len()).map(|op| Node::Test(column, op, value.clone()));
            let sets = [false, true].map(|not| Node::In(column, not, vec![value.clone(), Cell::Float(1.5)]));
            for node in tests.chain(sets).flat_map(|node| [node.clone(), Node::Not(Box::new(node))]) {
                let matching = rows.iter().enumerate().filter(|(_, row)| truth(&node, row) == Some(true));
                let expected: Vec<i64> = matching.map(|(row, _)| row as i64).collect();
                assert_eq!(selected(&predicate(&node), &batch), expected, "{node:?}");
            }
        }
    }
}

/// Predicates of which all was sent.
static WHOLE: AtomicUsize = AtomicUsize::new(0);

#[test]
fn no_row_is_missing_and_none_is_too_many() {
    compare();
    let whole = WHOLE.load(atomic::Ordering::Relaxed);
    assert!(whole > 50, "{whole} predicates were sent as a whole and compared to the row");
}

proptest! {
    #![proptest_config(Config { cases: 600, rng_seed: RngSeed::Fixed(4), failure_persistence: None, ..Config::default() })]
    fn compare(node in node(), rows in rows()) {
        let (predicate, batch) = (predicate(&node), batch(&rows));
        let matching = rows.iter().enumerate().filter(|(_, row)| truth(&node, row) == Some(true));
        let expected: Vec<i64> = matching.map(|(row, _)| row as i64).collect();
        prop_assert_eq!(&selected(&predicate, &batch), &expected, "{}", predicate);

        // What another process gets as text is the same.
        let read = Predicate::parse(&predicate.to_string()).unwrap();
        prop_assert_eq!(&read, &predicate);

        // A service that filters by what is sent, to the row, loses none. It also keeps none too many, where all could be written: the
        // grammar has no NaN and no infinity.
        let sent = push(&predicate, &table()).unwrap();
        if !sent.text.is_empty() {
            let kept = selected(&Predicate::parse(&sent.text).unwrap(), &batch);
            prop_assert!(expected.iter().all(|row| kept.contains(row)), "{} was sent as {}", predicate, sent.text);
            let is_whole = sent.conjuncts.iter().all(|conjunct| !conjunct.reason.contains("pushed"));
            let shown = format!("{node:?}");
            let is_nan = |cell: &Cell| matches!(cell, Cell::Float(value) if value.is_nan());
            if is_whole && !rows.iter().flatten().any(is_nan) && !["NaN", "inf"].iter().any(|word| shown.contains(word)) {
                prop_assert_eq!(&kept, &expected, "{} was sent as {}", predicate, sent.text);
                WHOLE.fetch_add(1, atomic::Ordering::Relaxed);
            }
        }
    }
}
