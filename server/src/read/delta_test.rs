//! Sessions over primary-key tables, from the writer to the batches of the answer, against a model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int8Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use super::Rows;
use crate::catalog::{Catalog, Column, NewTable, Table};
use crate::error::ApiError;
use crate::plan::{CreateRequest, FilterMode, Limits, Plan, Planner, Reading, RowRange};
use crate::store::Footers;
use crate::types::Type;
use crate::write::{TableWriter, Target};

/// Key and partition to value. A value is `None` for NULL.
type State = BTreeMap<(String, i64), Option<i64>>;

/// A write: partition, key, value; no value at all is a delete.
type Operation = (String, i64, Option<Option<i64>>);

struct Fixture {
    _root: tempfile::TempDir,
    catalog: Arc<Catalog>,
    footers: Arc<Footers>,
    reading: Reading,
    strict: bool,
}

impl Fixture {
    fn new(extra: &[(&str, &str)]) -> Fixture {
        let root = tempfile::tempdir().unwrap();
        let catalog = Arc::new(Catalog::open(root.path()).unwrap());
        let columns = [
            Column::new("id", Type::BigInt, false),
            Column::new("v", Type::BigInt, true),
            Column::new("pad", Type::String, false),
        ];
        let keys = [Column::new("pt", Type::String, true)];
        let mut table = NewTable::plain(&"p.default.t".parse().unwrap(), &columns, &keys);
        table.properties.primary_key = vec!["ID".into()];
        table.properties.transactional = true;
        for (key, value) in [("write.bucket.num", "3"), ("acid.cdc.mode.enable", "true")].iter().chain(extra) {
            table.properties.extra.insert((*key).into(), (*value).into());
        }
        catalog.create_table(&table).unwrap();
        let footers = Arc::new(Footers::new(catalog.keyring()));
        Fixture { _root: root, catalog, footers, reading: Reading::default(), strict: false }
    }

    fn table(&self) -> Table {
        self.catalog.table(&"p.default.t".parse().unwrap()).unwrap().unwrap()
    }

    fn write(&self, spec: &str, overwrite: bool, operations: &[Operation]) {
        let target = Target { block_rows: 2, ..Target::partition(self.table(), spec).unwrap() };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(operations.iter().map(|o| Some(o.1)).collect::<Int64Array>())),
            ("v", Arc::new(operations.iter().map(|o| o.2.flatten()).collect::<Int64Array>())),
            ("pad", Arc::new(operations.iter().map(|o| o.2.map(|_| "x")).collect::<StringArray>())),
            ("__operation", Arc::new(operations.iter().map(|o| o.2.is_none().then_some(68)).collect::<Int8Array>())),
            ("pt", Arc::new(operations.iter().map(|o| Some(o.0.as_str())).collect::<StringArray>())),
        ];
        let all = if spec.is_empty() { columns.len() } else { columns.len() - 1 };
        let columns = columns.into_iter().take(all).map(|(name, array)| (name, array, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut writer = TableWriter::new(&self.catalog, &target, batch.schema_ref()).unwrap();
        writer.write(&batch).unwrap();
        let files = writer.finish().unwrap().files;
        files
            .hand_over(&self.catalog, |files| self.catalog.commit_rows(&target.destination(overwrite), files))
            .unwrap();
    }

    fn plan(&self, request: Value) -> Result<Arc<Plan>, ApiError> {
        let limits =
            Limits { min_split_bytes: 1, strict_batches: false, strict_delta: self.strict, reading: self.reading };
        let planner = Planner { catalog: &self.catalog, footers: &self.footers, limits };
        let snapshot = self.catalog.snapshot(&self.table().name).unwrap().unwrap();
        let plan = planner.plan(snapshot, &CreateRequest::parse(request.to_string().as_bytes()).unwrap())?;
        // What a session stores must be enough.
        Ok(Arc::new(Plan::from_json(&serde_json::to_string(&plan).unwrap()).unwrap()))
    }

    fn rows(&self, plan: &Arc<Plan>, range: RowRange) -> RecordBatch {
        let count = range.rows as usize;
        let mut rows = Rows::new(self.catalog.clone(), self.footers.clone(), plan.clone(), range, 3);
        let mut batches = Vec::new();
        while let Some(batch) = rows.next_batch().unwrap() {
            batches.push(batch);
        }
        let batch = concat_batches(&rows.schema(), &batches).unwrap();
        assert_eq!(batch.num_rows(), count);
        batch
    }

    fn all(&self, plan: &Arc<Plan>) -> RecordBatch {
        let parts: Vec<RecordBatch> =
            (0..plan.splits.len()).map(|split| self.rows(plan, plan.split(split).unwrap())).collect();
        let parts =
            if parts.is_empty() { vec![self.rows(plan, plan.rows(0, plan.row_count()).unwrap())] } else { parts };
        concat_batches(&parts[0].schema(), &parts).unwrap()
    }
}

fn state(batch: &RecordBatch) -> Vec<((String, i64), Option<i64>)> {
    let ids = batch["id"].as_primitive::<Int64Type>();
    let values = batch["v"].as_primitive::<Int64Type>();
    let partitions = batch["pt"].as_string::<i32>();
    let row = |i: usize| {
        let value = values.is_valid(i).then(|| values.value(i));
        ((partitions.value(i).to_string(), ids.value(i)), value)
    };
    let mut rows: Vec<_> = (0..batch.num_rows()).map(row).collect();
    rows.sort();
    rows
}

fn apply(state: &mut State, spec: &str, overwrite: bool, operations: &[Operation]) {
    if overwrite {
        let named = spec.strip_prefix("pt=").map(str::to_string);
        let hit: BTreeSet<String> = operations.iter().map(|o| o.0.clone()).chain(named).collect();
        state.retain(|(partition, _), _| !hit.contains(partition));
    }
    for (partition, id, value) in operations {
        let key = (partition.clone(), *id);
        match value {
            Some(value) => _ = state.insert(key, *value),
            None => _ = state.remove(&key),
        }
    }
}

/// A commit: into one partition or into all, and whether it replaces what is there.
fn commit() -> impl Strategy<Value = (String, bool, Vec<Operation>)> {
    let operation = (0..2usize, 0i64..9, prop::option::weighted(0.7, prop::option::weighted(0.9, 0i64..20)));
    let operations = prop::collection::vec(operation, 1..14);
    (prop::bool::ANY, prop::bool::weighted(0.2), operations).prop_map(|(one, overwrite, operations)| {
        let spec = if one { "pt=a" } else { "" };
        let partition = |number: usize| if one || number == 0 { "a" } else { "b" }.to_string();
        let operations = operations.into_iter().map(|(number, id, value)| (partition(number), id, value)).collect();
        (spec.to_string(), overwrite, operations)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn sessions_show_what_the_operations_left(commits in prop::collection::vec(commit(), 1..6), bound in 0i64..20) {
        let mut fixture = Fixture::new(&[]);
        let mut model = State::new();
        for (spec, overwrite, operations) in &commits {
            fixture.write(spec, *overwrite, operations);
            apply(&mut model, spec, *overwrite, operations);
        }
        let everything: Vec<_> = model.clone().into_iter().collect();
        let matching: Vec<_> = everything.iter().filter(|row| row.1.is_some_and(|v| v < bound)).cloned().collect();
        for mode in ["Size", "Parallelism", "RowOffset", "Bucket"] {
            for cross in [true, false] {
                let splits = json!({"SplitMode": mode, "SplitNumber": 5, "CrossPartition": cross});
                fixture.reading = Reading::default();
                let plan = fixture.plan(json!({"SplitOptions": splits})).unwrap();
                prop_assert_eq!(state(&fixture.all(&plan)), everything.clone(), "{} {}", mode, cross);
                prop_assert_eq!(plan.row_count() as usize, everything.len());
                prop_assert_eq!(plan.latest_version, 1 + commits.len() as i64);
                // Any range of rows is the same part of the same sequence.
                let whole = fixture.rows(&plan, plan.rows(0, plan.row_count()).unwrap());
                for start in (0..plan.row_count()).step_by(3) {
                    let count = (plan.row_count() - start).min(4);
                    let part = fixture.rows(&plan, plan.rows(start, count).unwrap());
                    prop_assert_eq!(part, whole.slice(start as usize, count as usize));
                }
                let predicate = json!({"SplitOptions": splits, "FilterPredicate": format!("v < {bound}")});
                let found = state(&fixture.all(&fixture.plan(predicate.clone()).unwrap()));
                prop_assert!(matching.iter().all(|row| found.contains(row)), "a matching row is missing");
                prop_assert!(found.iter().all(|row| everything.contains(row)), "an old row came back");
                fixture.reading = Reading { filter: FilterMode::Exact, shuffle: Some(bound as u64), ..Reading::default() };
                prop_assert_eq!(state(&fixture.all(&fixture.plan(predicate.clone()).unwrap())), matching.clone());
                fixture.reading = Reading { filter: FilterMode::Ignore, ..Reading::default() };
                prop_assert_eq!(state(&fixture.all(&fixture.plan(predicate).unwrap())), everything.clone());
            }
        }
        // One split per bucket and partition, and only the buckets that are asked for.
        fixture.reading = Reading::default();
        let request = |cross, ids: &[i64]| {
            json!({"SplitOptions": {"SplitMode": "Bucket", "CrossPartition": cross}, "RequiredBucketIds": ids})
        };
        let apart = fixture.plan(request(false, &[])).unwrap();
        let together = fixture.plan(request(true, &[])).unwrap();
        prop_assert_eq!(apart.bucket_ids.len(), apart.splits.len());
        let mut ids = together.bucket_ids.clone();
        ids.dedup();
        prop_assert_eq!(&ids, &together.bucket_ids, "every bucket is one split");
        prop_assert!(ids.is_sorted() && apart.splits.len() <= 6);
        let mut parts = Vec::new();
        for bucket in 0..3 {
            let plan = fixture.plan(request(true, &[bucket])).unwrap();
            prop_assert!(plan.bucket_ids.iter().all(|id| i64::from(*id) == bucket));
            parts.extend(state(&fixture.all(&plan)));
        }
        parts.sort();
        prop_assert_eq!(parts, everything);
    }

    #[test]
    fn changes_replayed_give_the_state(commits in prop::collection::vec(commit(), 1..6), from in 0usize..6) {
        let mut fixture = Fixture::new(&[]);
        let mut states = vec![State::new(), State::new()];
        for (spec, overwrite, operations) in &commits {
            fixture.write(spec, *overwrite, operations);
            let mut next = states.last().unwrap().clone();
            apply(&mut next, spec, *overwrite, operations);
            states.push(next);
        }
        let latest = states.len() - 1;
        let from = from.min(latest);
        let request = |mode: &str, predicate: &str| {
            json!({"SplitOptions": {"SplitMode": "Bucket", "CrossPartition": false}, "IncrementalRead": true,
                   "IncrementalReadOptions": {"Mode": mode, "From": from}, "FilterPredicate": predicate})
        };
        let plan = fixture.plan(request("cdc", "")).unwrap();
        let mut replayed: BTreeMap<(String, i64), Option<i64>> = states[from].clone();
        for split in 0..plan.splits.len() {
            let batch = fixture.rows(&plan, plan.split(split).unwrap());
            let codes = batch["__meta_op_type"].as_primitive::<arrow::datatypes::Int8Type>().clone();
            prop_assert_eq!(batch.num_columns(), 6);
            prop_assert_eq!(batch["__meta_timestamp"].null_count(), 0);
            for row in 0..batch.num_rows() {
                let (key, value) = state(&batch.slice(row, 1)).remove(0);
                match codes.value(row) {
                    2 => prop_assert_eq!(replayed.insert(key, value), None),
                    4 => prop_assert_eq!(replayed.remove(&key), Some(value)),
                    16 => prop_assert_eq!(replayed.get(&key), Some(&value)),
                    32 => prop_assert!(replayed.insert(key, value).is_some()),
                    other => prop_assert!(false, "code {}", other),
                }
            }
        }
        prop_assert_eq!(&replayed, &states[latest]);
        let append = state(&fixture.all(&fixture.plan(request("append", "")).unwrap()));
        let visible: Vec<_> = states[latest].clone().into_iter().collect();
        prop_assert!(append.iter().all(|row| visible.contains(row)));
        let changed = visible.iter().filter(|(key, value)| states[from].get(key) != Some(value));
        prop_assert!(changed.clone().all(|row| append.contains(row)), "a change is missing");
        fixture.reading = Reading { filter: FilterMode::Exact, ..Reading::default() };
        let some = state(&fixture.all(&fixture.plan(request("append", "v >= 10 or pt = 'b'")).unwrap()));
        let wanted: Vec<_> =
            append.into_iter().filter(|(key, value)| value.is_some_and(|v| v >= 10) || key.0 == "b").collect();
        prop_assert_eq!(some, wanted);
    }
}

#[test]
fn what_goes_with_what() {
    let mut fixture = Fixture::new(&[("acid.cdc.mode.enable", "false"), ("acid.data.retain.hours", "0")]);
    let refused = |fixture: &Fixture, request: Value| {
        let error = fixture.plan(request).map(|_| ()).unwrap_err();
        (error.status, error.code, error.message)
    };
    let incremental = |mode: &str, split: &str, from: i64| {
        json!({"SplitOptions": {"SplitMode": split}, "IncrementalRead": true,
               "IncrementalReadOptions": {"Mode": mode, "From": from}})
    };
    for (request, words) in [
        (incremental("append", "Size", 0), "mode Bucket only"),
        (incremental("append", "RowOffset", 0), "mode Bucket only"),
        (incremental("cdc", "Bucket", 0), "acid.cdc.mode.enable"),
        (incremental("append", "Bucket", 2), "the newest is 1"),
        (json!({"RequiredBucketIds": [3]}), "has 3 buckets, not 3"),
    ] {
        let (status, code, message) = refused(&fixture, request);
        assert_eq!((status, code), (400, "InvalidArgument"));
        assert!(message.contains(words), "{message}");
    }
    let plan = fixture.plan(incremental("append", "Bucket", 0)).unwrap();
    assert_eq!((plan.splits.len(), plan.latest_version), (0, 1), "nothing has been written");
    assert_eq!(plan.incremental_echo().unwrap()["EndVersion"], 1);
    fixture.write("pt=a", false, &[("a".into(), 1, Some(None))]);
    fixture.write("pt=a", false, &[("a".into(), 1, None)]);
    let plan = fixture.plan(incremental("append", "Bucket", 2)).unwrap_err();
    assert!(plan.message.contains("kept for 0 hours"), "{}", plan.message);
    let plan = fixture.plan(incremental("append", "Bucket", 3)).unwrap();
    assert_eq!(plan.splits.len(), 0, "nothing is newer");
    let plan = fixture.plan(incremental("append", "Bucket", 0)).unwrap();
    assert_eq!((plan.splits.len(), plan.row_count()), (1, 0), "a deleted row leaves an empty split");
    assert_eq!(fixture.all(&plan).num_columns(), 6);
    let columns = json!({"RequiredPartitionColumns": ["pt"], "SplitOptions": {"SplitMode": "RowOffset"}});
    fixture.write("pt=b", false, &[("b".into(), 1, Some(None)), ("b".into(), 2, Some(None)), ("b".into(), 2, None)]);
    assert_eq!(fixture.all(&fixture.plan(columns).unwrap()).num_rows(), 1, "rows without columns are merged as well");
    fixture.strict = true;
    assert!(refused(&fixture, json!({})).2.contains("mode RowOffset only"));
}

#[test]
fn columns_are_null_in_files_that_are_older() {
    let mut fixture = Fixture::new(&[]);
    fixture.write("pt=a", false, &[("a".into(), 1, Some(Some(1)))]);
    let wider = r#"[{"name":"id","type":"bigint","nullable":false},{"name":"v","type":"bigint","nullable":true},
        {"name":"pad","type":"string","nullable":false},{"name":"new","type":"array<timestamp>","nullable":true}]"#;
    let database = rusqlite::Connection::open(fixture.catalog.root().join("catalog.sqlite")).unwrap();
    database.execute("update tables set columns = ?1", [wider]).unwrap();
    fixture.write("pt=a", false, &[("a".into(), 2, Some(Some(2)))]);
    let batch = fixture.all(&fixture.plan(json!({})).unwrap());
    assert_eq!((batch.num_rows(), batch["new"].null_count()), (2, 2));
    // Nothing is known about lists of the newer file, so only the older one is pruned.
    for (filter, not_null) in [(FilterMode::Block, 1), (FilterMode::Exact, 0)] {
        fixture.reading = Reading { filter, ..Reading::default() };
        let rows = |predicate: &str| {
            let plan = fixture.plan(json!({"FilterPredicate": predicate})).unwrap();
            fixture.all(&plan).num_rows()
        };
        assert_eq!((rows("new is null"), rows("new is not null")), (2, not_null), "{filter:?}");
    }
}

#[test]
fn what_cannot_be_evaluated_filters_nothing() {
    let mut fixture = Fixture::new(&[]);
    let values = [Some(1), Some(2), Some(3), None];
    let rows: Vec<Operation> = (1..).zip(values).map(|(id, v)| ("a".to_string(), id, Some(v))).collect();
    fixture.write("pt=a", false, &rows);
    fixture.reading = Reading { filter: FilterMode::Exact, ..Reading::default() };
    let count = |predicate: &str, fallback: bool| {
        let request = json!({"FilterPredicate": predicate, "FilterPredicateFallback": fallback});
        fixture.plan(request).map(|plan| plan.row_count()).map_err(|error| error.code)
    };
    assert_eq!(count("v < 3 and pad like 'x'", false), Err("InvalidArgument"));
    assert_eq!(count("v < 3 and pad like 'x'", true), Ok(2));
    assert_eq!(count("v < 3 or pad like 'x'", true), Ok(4));
    assert_eq!(
        count("not (v < 3 or pad like 'x')", true),
        Ok(1),
        "false or unknown for the others, whatever LIKE says"
    );
    assert_eq!(count("not (v < 3 and pad like 'x')", true), Ok(4));
    assert_eq!(count("v < ", true), Err("InvalidArgument"), "broken text is no missing feature");
}

#[test]
fn times_are_read_in_the_zone_of_the_project() {
    let fixture = Fixture::new(&[]);
    fixture.write("pt=a", false, &[("a".into(), 1, Some(None))]);
    let database = rusqlite::Connection::open(fixture.catalog.root().join("catalog.sqlite")).unwrap();
    database.execute("update commits set committed_ms = version * 3600000", []).unwrap();
    let start = |text: &str| {
        let options = json!({"Mode": "append", "StartTimeStamp": text});
        let request = json!({"SplitOptions": {"SplitMode": "Bucket"}, "IncrementalRead": true, "IncrementalReadOptions": options});
        fixture.plan(request).map(|plan| plan.choice.range.as_ref().unwrap().start)
    };
    assert_eq!(start("1970-01-01 08:59:59.999").unwrap(), 0);
    assert_eq!(start("1970-01-01 10:00:00").unwrap(), 2);
    fixture.catalog.set_project_property("p", "odps.sql.timezone", Some("UTC")).unwrap();
    assert_eq!(start("1970-01-01 02:00:00").unwrap(), 2);
    assert_eq!(start("1970-01-01 00:00:00").unwrap(), 0);
    assert_eq!(start("yesterday").unwrap_err().code, "InvalidArgument");
}
