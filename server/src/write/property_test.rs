//! Whatever is written is stored once, in its partition, bucket and order.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::tests::{batch, clustered, fixture, ints, texts};
use super::*;
use crate::catalog::{ClusteringKind, NewFile, TableProperties};
use crate::figures::Figures;

const SEED: u64 = 20_261_124;

static STORED: Figures<3> = Figures::new("every row is stored once where it belongs", ["cases", "rows", "files"]);
static RANGED: Figures<3> =
    Figures::new("buckets of ranges stay disjoint and ordered over commits", ["cases", "commits", "rows"]);

#[test]
fn every_row_is_stored_once_where_it_belongs() {
    stored();
    STORED.print(SEED);
}

#[test]
fn buckets_of_ranges_stay_disjoint_and_ordered_over_commits() {
    ranged();
    RANGED.print(SEED);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12, failure_persistence: None, rng_seed: RngSeed::Fixed(SEED), ..ProptestConfig::default()
    })]

    fn stored(
        rows in prop::collection::vec((prop::option::of(-50i64..50), 0i64..7), 1..400),
        buckets in 0u32..9, cut in 1usize..90, buffer_bytes in 0usize..4000, open_files in 1usize..5,
    ) {
        let at = fixture();
        let properties = match buckets {
            0 => TableProperties::default(),
            n => clustered(ClusteringKind::Hash, &["k"], &["k"], n),
        };
        let table = at.table(&[("k", "bigint"), ("n", "bigint")], &[("part", "int")], properties);
        let target = Target { block_rows: 16, ..Target::table(table) };
        let all = batch(vec![
            ("N", ints((0..rows.len() as i64).map(Some))),
            ("part", ints(rows.iter().map(|row| Some(row.1)))),
            ("K", ints(rows.iter().map(|row| row.0))),
        ]);
        let mut writer = TableWriter::new(&at.catalog, &target, all.schema_ref()).unwrap();
        writer.set_room(buffer_bytes, open_files);
        for start in (0..rows.len()).step_by(cut) {
            writer.write(&all.slice(start, cut.min(rows.len() - start))).unwrap();
        }
        let written = writer.finish().unwrap();
        prop_assert_eq!(written.rows, rows.len() as u64);
        STORED.add([1, rows.len(), written.files.files().len()]);
        let mut found: BTreeMap<i64, (Option<i64>, i64)> = BTreeMap::new();
        for file in written.files.files() {
            let part: i64 = file.partition[0].parse().unwrap();
            let stored = at.read(file);
            prop_assert_eq!(stored.num_rows() as u64, file.rows);
            let (keys, numbers) = (stored.column(0), stored.column(1).as_primitive::<Int64Type>());
            let keys = keys.as_primitive::<Int64Type>();
            let values: Vec<Option<i64>> = keys.iter().collect();
            if buckets > 0 {
                prop_assert!(values.is_sorted());
                let expected = hash::buckets(&[stored.column(0)], stored.num_rows(), buckets).unwrap();
                prop_assert!(expected.iter().all(|bucket| Some(*bucket) == file.bucket));
            } else {
                prop_assert_eq!(file.bucket, None);
            }
            for (i, key) in values.into_iter().enumerate() {
                prop_assert!(found.insert(numbers.value(i), (key, part)).is_none());
            }
        }
        prop_assert_eq!(found.into_values().collect::<Vec<_>>(), rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10, failure_persistence: None, rng_seed: RngSeed::Fixed(SEED), ..ProptestConfig::default()
    })]

    /// Commits to a range-clustered table, each of several blocks; `true` overwrites.
    fn ranged(
        commits in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(prop::collection::vec(prop::option::of(-40i64..40), 0..60), 1..4)),
            1..5),
        buckets in 0u32..6,
    ) {
        let at = fixture();
        let table = at.table(&[("v", "string"), ("k", "bigint")], &[], clustered(ClusteringKind::Range, &["k"], &[], buckets));
        let mut expected: Vec<Option<i64>> = Vec::new();
        RANGED.add([1, commits.len(), 0]);
        for (overwrite, blocks) in commits {
            let target = Target::table(table.clone());
            let mut all: Option<crate::store::PendingFiles> = None;
            if overwrite {
                expected.clear();
            }
            for keys in blocks {
                expected.extend(&keys);
                let rows = batch(vec![("k", ints(keys.iter().copied())), ("v", texts(keys.iter().map(|_| Some("x"))))]);
                let files = at.write(&target, &[rows]).unwrap().files;
                match &mut all {
                    Some(all) => all.append(files),
                    None => all = Some(files),
                }
            }
            commit_rows(&at.catalog, &target.destination(overwrite), &table, all.unwrap()).unwrap();
        }
        expected.sort_unstable();
        RANGED.add([0, 0, expected.len()]);
        let mut found: Vec<(Option<i64>, u32)> = Vec::new();
        for file in at.catalog.files(table.id).unwrap() {
            let file = NewFile { id: file.id, partition: Vec::new(), bucket: file.bucket, rows: file.rows, bytes: file.bytes };
            let keys: Vec<Option<i64>> = at.read(&file).column(1).as_primitive::<Int64Type>().iter().collect();
            prop_assert!(keys.is_sorted());
            found.extend(keys.into_iter().map(|key| (key, file.bucket.unwrap())));
        }
        found.sort_unstable();
        prop_assert!(found.windows(2).all(|w| w[0].1 <= w[1].1 && (w[0].0 != w[1].0 || w[0].1 == w[1].1)));
        prop_assert!(found.iter().all(|(_, bucket)| buckets == 0 || *bucket < buckets));
        prop_assert_eq!(found.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), expected);
        let on_disk = std::fs::read_dir(at.catalog.data_dir()).unwrap().count();
        let named: i64 = rusqlite::Connection::open(at.catalog.root().join("catalog.sqlite")).unwrap()
            .query_row("select count(*) from files", [], |row| row.get(0)).unwrap();
        prop_assert_eq!(on_disk as i64, named, "what was rearranged is gone");
    }
}
