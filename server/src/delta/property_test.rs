//! Merge on read and incremental read against a model that keeps whole rows and replays whole commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::changes::changes_in;
use super::visible::visible_in;
use super::{Bucket, BucketFile, ChangeMode};
use crate::catalog::{Catalog, Column};
use crate::figures::Figures;
use crate::store::Footers;
use crate::types::Type;

/// An operation on a key; the value of an upsert is its own number, so that rows can be told apart.
#[derive(Clone, Copy, Debug)]
struct Operation {
    key: i64,
    deletes: bool,
}

/// A commit: whether it replaces everything, and the operations of each of its files.
#[derive(Clone, Debug)]
struct Commit {
    overwrites: bool,
    files: Vec<Vec<Operation>>,
}

/// The state of the model: key to number of the operation that made the row.
type State = BTreeMap<i64, i64>;

fn commit() -> impl Strategy<Value = Commit> {
    let operation = (0i64..12, prop::bool::weighted(0.3)).prop_map(|(key, deletes)| Operation { key, deletes });
    let files = prop::collection::vec(prop::collection::vec(operation, 1..9), 0..3);
    (prop::bool::weighted(0.15), files).prop_map(|(overwrites, files)| Commit { overwrites, files })
}

/// The commits as files under a root, and the states of all versions. Version 1 is the empty table.
fn store(catalog: &Catalog, commits: &[Commit]) -> (Vec<BucketFile>, Vec<State>) {
    let mut files: Vec<BucketFile> = Vec::new();
    let mut states = vec![State::new(), State::new()];
    let mut number = 0i64;
    for (version, commit) in (2i64..).zip(commits) {
        let mut state = states.last().unwrap().clone();
        if commit.overwrites {
            state.clear();
            files.iter_mut().for_each(|file| _ = file.dropped_version.get_or_insert(version));
        }
        for operations in &commit.files {
            let id = format!("file{}", files.len());
            let mut values = Vec::new();
            for operation in operations {
                if operation.deletes {
                    state.remove(&operation.key)
                } else {
                    state.insert(operation.key, number)
                };
                values.push(number);
                number += 1;
            }
            let codes = operations.iter().map(|o| if o.deletes { Some(68) } else { (o.key != 3).then_some(85) });
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("a", Arc::new(Int64Array::from_iter_values(operations.iter().map(|o| o.key / 4)))),
                (
                    "b",
                    Arc::new(StringArray::from_iter_values(operations.iter().map(|o| "x".repeat(o.key as usize % 4)))),
                ),
                ("value", Arc::new(Int64Array::from(values))),
                ("__operation", Arc::new(codes.collect::<Int8Array>())),
            ];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let file = std::fs::File::create(catalog.file_path(&id)).unwrap();
            let properties = WriterProperties::builder().set_max_row_group_row_count(Some(3)).build();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            files.push(BucketFile { id, rows: operations.len() as u64, version, dropped_version: None });
        }
        states.push(state);
    }
    (files, states)
}

/// What the model says changed in `(start, end]`: version, code, number of the row.
fn expected(states: &[State], start: usize, end: usize, mode: ChangeMode) -> Vec<(i64, i8, i64)> {
    let mut rows = Vec::new();
    for version in start + 1..=end {
        let (before, after) = (&states[version - 1], &states[version]);
        let keys: std::collections::BTreeSet<&i64> = before.keys().chain(after.keys()).collect();
        for key in keys {
            let at = version as i64;
            match (mode, before.get(key), after.get(key)) {
                (_, old, new) if old == new => {}
                (_, None, Some(new)) => rows.push((at, 2, *new)),
                (ChangeMode::Cdc, Some(old), None) => rows.push((at, 4, *old)),
                (ChangeMode::Cdc, Some(old), Some(new)) => rows.extend([(at, 16, *old), (at, 32, *new)]),
                (ChangeMode::Append, Some(_), Some(new)) => rows.push((at, 8, *new)),
                _ => {}
            }
        }
    }
    if mode == ChangeMode::Append {
        let visible: Vec<&i64> = states[end].values().collect();
        rows.retain(|row| visible.contains(&&row.2));
    }
    rows.sort_unstable();
    rows
}

const SEED: u64 = 20_261_124;

static FIGURES: Figures<5> = Figures::new(
    "merging and changes of primary-key tables agree with replaying whole commits",
    ["cases", "operations", "versions", "visible rows", "changes"],
);

#[test]
fn merging_agrees_with_replaying() {
    replayed();
    FIGURES.print(SEED);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(SEED),
        ..ProptestConfig::default()
    })]

    fn replayed(commits in prop::collection::vec(commit(), 0..6), passes in 1u64..4) {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let footers = Footers::new(catalog.keyring());
        let (files, states) = store(&catalog, &commits);
        let keys = [Column::new("A", Type::BigInt, false), Column::new("b", Type::String, false)];
        // The number of the first row of every file, for rows are numbered through all files.
        let mut firsts: Vec<i64> = vec![0];
        files.iter().for_each(|file| firsts.push(firsts.last().unwrap() + file.rows as i64));
        let number_of = |id: &str, row: usize| firsts[id[4..].parse::<usize>().unwrap()] + row as i64;
        let latest = states.len() - 1;
        FIGURES.add([1, *firsts.last().unwrap() as usize, latest, 0, 0]);
        for (end, state) in states.iter().enumerate().skip(1) {
            let now = end as i64;
            let is_part = |f: &&BucketFile| f.version <= now && f.dropped_version.is_none_or(|d| d > now);
            let at: Vec<BucketFile> = files.iter().filter(is_part).cloned().collect();
            let parts = Bucket { catalog: &catalog, footers: &footers, files: &at, keys: &keys };
            let bits = visible_in(&parts, passes).unwrap();
            let found = at.iter().zip(&bits).flat_map(|(file, bits)| bits.set_indices().map(|row| number_of(&file.id, row)));
            let mut found: Vec<i64> = found.collect();
            found.sort_unstable();
            let mut wanted: Vec<i64> = state.values().copied().collect();
            wanted.sort_unstable();
            FIGURES.add([0, 0, 0, found.len(), 0]);
            prop_assert_eq!(found, wanted, "version {}", end);
        }
        for start in 0..=latest {
            for end in [latest, (start + latest) / 2] {
                for mode in [ChangeMode::Cdc, ChangeMode::Append] {
                    let (from, to) = (start as i64, end as i64);
                    let mut seen: Vec<BucketFile> = files.clone();
                    seen.retain(|f| f.version <= to && f.dropped_version.is_none_or(|d| d > from));
                    seen.iter_mut().for_each(|f| f.dropped_version = f.dropped_version.filter(|d| *d <= to));
                    let parts = Bucket { catalog: &catalog, footers: &footers, files: &seen, keys: &keys };
                    let rows = changes_in(&parts, from, mode, passes).unwrap();
                    let found = rows.iter().map(|row| {
                        (row.version, row.operation, number_of(&seen[row.file as usize].id, row.row as usize))
                    });
                    let found: Vec<(i64, i8, i64)> = found.collect();
                    FIGURES.add([0, 0, 0, 0, found.len()]);
                    prop_assert!(found.is_sorted_by_key(|row| row.0), "versions are in order");
                    let befores = found.iter().zip(found.iter().skip(1)).filter(|(row, _)| row.1 == 16);
                    prop_assert!(befores.into_iter().all(|(_, next)| next.1 == 32), "after follows before: {:?}", found);
                    let mut sorted = found.clone();
                    sorted.sort_unstable();
                    prop_assert_eq!(sorted, expected(&states, start, end, mode), "({}, {}] {:?}", start, end, mode);
                }
            }
        }
    }
}
