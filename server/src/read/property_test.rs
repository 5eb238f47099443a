//! Sessions over clustered tables, from the writer to the batches of the answer: whatever is written is read once, and
//! skipping buckets loses no row that a predicate accepts.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use super::Rows;
use crate::catalog::{Catalog, Clustering, ClusteringKind, Column, NewTable, Table};
use crate::figures::Figures;
use crate::plan::{CreateRequest, Limits, Plan, Planner, Reading};
use crate::store::Footers;
use crate::types::Type;
use crate::write::{TableWriter, Target, commit_rows};

/// Key columns `a` and `b`, and the number of the row.
type Row = (Option<i64>, Option<&'static str>, i64);

struct Fixture {
    _root: tempfile::TempDir,
    catalog: Arc<Catalog>,
    footers: Arc<Footers>,
}

impl Fixture {
    fn new(kind: ClusteringKind, columns: &[&str], buckets: u32) -> Fixture {
        let root = tempfile::tempdir().unwrap();
        let catalog = Arc::new(Catalog::open(root.path()).unwrap());
        let name = "p.default.t".parse().unwrap();
        let all = [
            Column::new("n", Type::BigInt, false),
            Column::new("a", Type::BigInt, true),
            Column::new("b", Type::Varchar(8), true),
        ];
        let mut table = NewTable::plain(&name, &all, &[]);
        let columns = columns.iter().map(|column| column.to_string()).collect();
        table.properties.clustering = Some(Clustering { kind, columns, sort: Vec::new(), buckets });
        catalog.create_table(&table).unwrap();
        let footers = Arc::new(Footers::new(catalog.keyring()));
        Fixture { _root: root, catalog, footers }
    }

    fn table(&self) -> Table {
        self.catalog.table(&"p.default.t".parse().unwrap()).unwrap().unwrap()
    }

    fn write(&self, rows: &[Row]) {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("a", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
            ("b", Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>())),
            ("n", Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int64Array>())),
        ];
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let target = Target { block_rows: 3, ..Target::table(self.table()) };
        let mut writer = TableWriter::new(&self.catalog, &target, batch.schema_ref()).unwrap();
        writer.write(&batch).unwrap();
        let files = writer.finish().unwrap().files;
        commit_rows(&self.catalog, &target.destination(false), &target.table, files).unwrap();
    }

    fn plan(&self, request: Value) -> Arc<Plan> {
        let limits =
            Limits { min_split_bytes: 1, strict_batches: false, strict_delta: false, reading: Reading::default() };
        let planner = Planner { catalog: &self.catalog, footers: &self.footers, limits };
        let snapshot = self.catalog.snapshot(&self.table().name).unwrap().unwrap();
        Arc::new(planner.plan(snapshot, &CreateRequest::parse(request.to_string().as_bytes()).unwrap()).unwrap())
    }

    /// The rows of every split, each sorted by their number.
    fn splits(&self, request: Value) -> Vec<Vec<Row>> {
        let plan = self.plan(request);
        let split = |index: usize| {
            let range = plan.split(index).unwrap();
            let mut rows = Rows::new(self.catalog.clone(), self.footers.clone(), plan.clone(), range, 3);
            let mut found = Vec::new();
            while let Some(batch) = rows.next_batch().unwrap() {
                found.extend(rows_of(&batch));
            }
            found.sort_by_key(|row: &Row| row.2);
            found
        };
        (0..plan.splits.len()).map(split).collect()
    }

    fn all(&self, request: Value) -> Vec<Row> {
        let mut rows: Vec<Row> = self.splits(request).concat();
        rows.sort_by_key(|row| row.2);
        rows
    }
}

const TEXTS: [&str; 4] = ["", "x", "y", "zz"];

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let (a, b) = (batch["a"].as_primitive::<Int64Type>(), batch["b"].as_string::<i32>());
    let text = |i: usize| TEXTS.into_iter().find(|text| b.is_valid(i) && *text == b.value(i));
    let numbers = batch["n"].as_primitive::<Int64Type>();
    (0..batch.num_rows()).map(|i| (a.is_valid(i).then(|| a.value(i)), text(i), numbers.value(i))).collect()
}

/// A predicate of the model.
#[derive(Clone, Debug)]
enum Test {
    A(i64),
    Above(i64),
    B(usize),
    In(i64, i64),
    Null,
    Both(Box<Test>, Box<Test>),
    Either(Box<Test>, Box<Test>),
}

impl Test {
    fn text(&self) -> String {
        match self {
            Test::A(v) => format!("a = {v}"),
            Test::Above(v) => format!("{v} < a"),
            Test::B(i) => format!("b = '{}'", TEXTS[*i]),
            Test::In(v, w) => format!("a in ({v}, {w}, NULL)"),
            Test::Null => "a is null".into(),
            Test::Both(left, right) => format!("({}) and ({})", left.text(), right.text()),
            Test::Either(left, right) => format!("({}) or ({})", left.text(), right.text()),
        }
    }

    fn accepts(&self, row: &Row) -> bool {
        match self {
            Test::A(v) => row.0 == Some(*v),
            Test::Above(v) => row.0.is_some_and(|a| *v < a),
            Test::B(i) => row.1 == Some(TEXTS[*i]),
            Test::In(v, w) => row.0.is_some_and(|a| a == *v || a == *w),
            Test::Null => row.0.is_none(),
            Test::Both(left, right) => left.accepts(row) && right.accepts(row),
            Test::Either(left, right) => left.accepts(row) || right.accepts(row),
        }
    }
}

fn predicate() -> impl Strategy<Value = Test> {
    let leaf = prop_oneof![
        (-6i64..6).prop_map(Test::A),
        (-6i64..6).prop_map(Test::Above),
        (0usize..4).prop_map(Test::B),
        (-6i64..6, -6i64..6).prop_map(|(v, w)| Test::In(v, w)),
        Just(Test::Null),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        (any::<bool>(), inner.clone(), inner).prop_map(|(and, left, right)| match and {
            true => Test::Both(Box::new(left), Box::new(right)),
            false => Test::Either(Box::new(left), Box::new(right)),
        })
    })
}

const SEED: u64 = 20_261_124;

static FIGURES: Figures<5> = Figures::new(
    "clustered tables are read once in every mode, and skipping buckets loses no row",
    ["cases", "rows", "predicates", "rows read under them", "rows not read"],
);

#[test]
fn clustered_rows_are_read_once_and_pruning_loses_none() {
    clustered();
    FIGURES.print(SEED);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 15, failure_persistence: None, rng_seed: RngSeed::Fixed(SEED), ..ProptestConfig::default()
    })]

    fn clustered(
        ranged in any::<bool>(), two in any::<bool>(), buckets in 1u32..7,
        commits in prop::collection::vec(prop::collection::vec((prop::option::of(-5i64..5), prop::option::of(0usize..4)), 1..25), 1..4),
        predicates in prop::collection::vec(predicate(), 12),
    ) {
        let kind = if ranged { ClusteringKind::Range } else { ClusteringKind::Hash };
        let at = Fixture::new(kind, if two { &["b", "a"] } else { &["a"] }, buckets);
        let mut written: Vec<Row> = Vec::new();
        for commit in commits {
            let first = written.len() as i64;
            written.extend((first..).zip(commit).map(|(n, (a, b))| (a, b.map(|i| TEXTS[i]), n)));
            at.write(&written[first as usize..]);
        }
        for mode in ["Size", "Bucket"] {
            prop_assert_eq!(&at.all(json!({"SplitOptions": {"SplitMode": mode, "SplitNumber": 64}})), &written);
        }
        // Bucket by bucket: each row in one of them, and equal keys together.
        let mut once: Vec<Row> = Vec::new();
        let mut keys: BTreeSet<(Option<i64>, Option<&str>)> = BTreeSet::new();
        for bucket in 0..buckets {
            let rows = at.all(json!({"SplitOptions": {"SplitMode": "Bucket"}, "RequiredBucketIds": [bucket]}));
            let here: BTreeSet<_> = rows.iter().map(|row| (row.0, if two { row.1 } else { None })).collect();
            prop_assert!(keys.is_disjoint(&here));
            keys.extend(here);
            once.extend(rows);
        }
        once.sort_by_key(|row| row.2);
        prop_assert_eq!(&once, &written);
        FIGURES.add([1, written.len(), 0, 0, 0]);
        for test in predicates {
            let text = test.text();
            let read: BTreeSet<i64> = at.all(json!({"FilterPredicate": &text})).iter().map(|row| row.2).collect();
            FIGURES.add([0, 0, 1, read.len(), written.len() - read.len()]);
            let lost = written.iter().find(|row| test.accepts(row) && !read.contains(&row.2));
            prop_assert!(lost.is_none(), "{} loses {:?}", text, lost);
        }
    }
}

#[test]
fn equality_on_all_keys_reads_one_bucket() {
    let at = Fixture::new(ClusteringKind::Hash, &["a", "b"], 100);
    let rows: Vec<Row> = (0..2000).map(|n| (Some(n / 4), Some(TEXTS[n as usize % 4]), n)).collect();
    at.write(&rows);
    let count = |text: &str| at.all(json!({"FilterPredicate": text})).len();
    assert_eq!(count(""), 2000);
    assert!((1..80).contains(&count("a = 17 and b = 'x'")));
    assert!(count("a = 17 and b in ('x', 'y')") < 160);
    assert!(count("a > 10 and b = 'x'") > 1000, "the hash needs all of its columns");
}
