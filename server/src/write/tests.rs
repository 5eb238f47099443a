//! What is written is stored as it should be; whatever does not fit is refused.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryBuilder, Decimal128Array, DictionaryArray, Int8Array, Int64Array, ListBuilder,
    RecordBatch, StringArray, TimestampMillisecondArray, TimestampSecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int32Type, Int64Type, TimeUnit};
use arrow::ipc::writer::StreamWriter;
use axum::body::Body;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::partitions::Invalid;
use super::*;
use crate::catalog::{
    Arranged, Blob, Catalog, Clustering, ClusteringKind, Column, Landing, NewFile, NewTable, SortColumn, Stream,
    StreamWrite, Table, TableKind, TableProperties,
};

pub(super) struct Fixture {
    _root: tempfile::TempDir,
    pub(super) catalog: Catalog,
}

pub(super) fn fixture() -> Fixture {
    let root = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(root.path()).unwrap();
    Fixture { _root: root, catalog }
}

impl Fixture {
    pub(super) fn table(&self, columns: &[(&str, &str)], keys: &[(&str, &str)], properties: TableProperties) -> Table {
        let column = |(name, ty): &(&str, &str)| {
            let (ty, nullable) = ty.strip_suffix(" not null").map_or((*ty, true), |ty| (ty, false));
            Column::new(*name, ty.parse().unwrap(), nullable)
        };
        let name = "p.default.t".parse().unwrap();
        let table = NewTable {
            name,
            kind: TableKind::Managed,
            columns: columns.iter().map(column).collect(),
            partition_keys: keys.iter().map(column).collect(),
            properties,
        };
        self.catalog.drop_table(&table.name).unwrap();
        self.catalog.create_table(&table).unwrap();
        self.catalog.table(&table.name).unwrap().unwrap()
    }

    pub(super) fn write(&self, target: &Target, batches: &[RecordBatch]) -> Result<Written, WriteError> {
        let mut writer = TableWriter::new(&self.catalog, target, batches[0].schema_ref())?;
        batches.iter().try_for_each(|batch| writer.write(batch))?;
        writer.finish()
    }

    fn refusal(&self, target: &Target, batch: &RecordBatch) -> String {
        let error = self.write(target, std::slice::from_ref(batch)).err().expect("a refusal");
        assert!(!matches!(error, WriteError::Failed(_)), "{error:?}");
        assert_eq!(std::fs::read_dir(self.catalog.data_dir()).unwrap().count(), 0, "nothing stays behind");
        error.to_string()
    }

    pub(super) fn read(&self, file: &NewFile) -> RecordBatch {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(self.catalog.file_path(&file.id)).unwrap());
        let reader = reader.unwrap();
        let schema = reader.schema().clone();
        let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        concat_batches(&schema, &batches).unwrap()
    }
}

pub(super) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

pub(super) fn ints(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

pub(super) fn texts<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

pub(super) fn clustered(kind: ClusteringKind, columns: &[&str], sort: &[&str], buckets: u32) -> TableProperties {
    let clustering = Clustering {
        kind,
        columns: columns.iter().map(|c| c.to_string()).collect(),
        sort: sort.iter().map(|c| SortColumn { column: c.to_string(), ascending: true }).collect(),
        buckets,
    };
    TableProperties { clustering: Some(clustering), ..TableProperties::default() }
}

#[test]
fn the_blocks_of_a_commit_become_one_sorted_file_per_bucket() {
    let at = fixture();
    let table = at.table(
        &[("k", "bigint"), ("v", "string")],
        &[("p", "int")],
        clustered(ClusteringKind::Hash, &["k"], &["v", "k"], 3),
    );
    let target = Target::table(table.clone());
    // More blocks than are merged at once; keys in any order, some NULL, many equal.
    let mut written: Option<crate::store::PendingFiles> = None;
    for block in 0..40i64 {
        let keys = (0..30).map(|i| (i % 7 != 0).then_some((i * 31 + block * 17) % 50));
        let values: Vec<String> = (0..30).map(|i| format!("v{}", (i * 13 + block) % 20)).collect();
        let rows = batch(vec![
            ("k", ints(keys)),
            ("v", texts(values.iter().map(|value| Some(value.as_str())))),
            ("p", ints((0..30).map(|i| Some(i % 2)))),
        ]);
        let files = at.write(&target, &[rows]).unwrap().files;
        match &mut written {
            Some(written) => written.append(files),
            None => written = Some(files),
        }
    }
    commit_rows(&at.catalog, &target.destination(false), &table, written.unwrap()).unwrap();
    let files = at.catalog.files(table.id).unwrap();
    assert!(files.len() <= 6, "two partitions of three buckets, not {} files", files.len());
    assert_eq!(std::fs::read_dir(at.catalog.data_dir()).unwrap().count(), files.len());
    let mut total = 0;
    for file in files {
        let file =
            NewFile { id: file.id, partition: Vec::new(), bucket: file.bucket, rows: file.rows, bytes: file.bytes };
        let stored = at.read(&file);
        let (keys, values) = (stored.column(0).as_primitive::<Int64Type>(), stored.column(1).as_string::<i32>());
        let rows: Vec<(&str, Option<i64>)> = values.iter().map(Option::unwrap).zip(keys).collect();
        assert!(rows.is_sorted());
        let buckets = hash::buckets(&[stored.column(0)], stored.num_rows(), 3).unwrap();
        assert!(buckets.iter().all(|bucket| Some(*bucket) == file.bucket));
        total += rows.len();
    }
    assert_eq!(total, 40 * 30);
}

#[test]
fn merged_files_refer_to_the_blobs_of_their_rows() {
    let at = fixture();
    let table =
        at.table(&[("k", "bigint"), ("b", "array<blob>")], &[], clustered(ClusteringKind::Hash, &["k"], &["k"], 1));
    let target = Target::table(table.clone());
    let mut written: Option<crate::store::PendingFiles> = None;
    for block in 0..20 {
        let id = format!("{block:032x}");
        let blob = Blob {
            id: id.clone(),
            session: "s".into(),
            project: "p".into(),
            key: None,
            bytes: 1,
            content_type: None,
            file_name: None,
        };
        at.catalog.insert_blobs(&[blob]).unwrap();
        let mut cells = ListBuilder::new(BinaryBuilder::new());
        cells.append_value([Some(crate::blob::reference(&id))]);
        let rows = batch(vec![("k", ints([Some(block)])), ("b", Arc::new(cells.finish()))]);
        let files = at.write(&target, &[rows]).unwrap().files;
        match &mut written {
            Some(written) => written.append(files),
            None => written = Some(files),
        }
    }
    commit_rows(&at.catalog, &target.destination(false), &table, written.unwrap()).unwrap();
    let [file] = at.catalog.files(table.id).unwrap().try_into().unwrap();
    let catalogue = rusqlite::Connection::open(at.catalog.root().join("catalog.sqlite")).unwrap();
    let sql = "select count(distinct blob_id) from blob_refs where file_id = ?1";
    let count: i64 = catalogue.query_row(sql, [file.id], |row| row.get(0)).unwrap();
    assert_eq!(count, 20, "the garbage collector keeps the blobs of visible rows only");
}

#[test]
fn a_table_that_gets_another_name_meanwhile_gets_its_rows() {
    let at = fixture();
    let table = at.table(&[("k", "bigint")], &[], clustered(ClusteringKind::Range, &["k"], &[], 2));
    let target = Target::table(table.clone());
    let written = at.write(&target, &[batch(vec![("k", ints((0..10).map(Some)))])]).unwrap();
    let catalogue = rusqlite::Connection::open(at.catalog.root().join("catalog.sqlite")).unwrap();
    catalogue.execute("update tables set name = 'u'", []).unwrap();
    commit_rows(&at.catalog, &target.destination(false), &table, written.files).unwrap();
    assert_eq!(at.catalog.files(table.id).unwrap().iter().filter(|file| file.bucket.is_some()).count(), 2);
    at.catalog.drop_table(&"p.default.u".parse().unwrap()).unwrap();
    let late = at.write(&target, &[batch(vec![("k", ints([Some(1)]))])]).unwrap();
    let gone = commit_rows(&at.catalog, &target.destination(false), &table, late.files).unwrap_err();
    assert_eq!(gone.downcast_ref(), Some(&crate::catalog::CommitRefusal::Gone));
}

/// The keys and buckets of the rows of a table whose column 0 is `k`.
fn keys_and_buckets(at: &Fixture, table: &Table) -> Vec<(i64, u32)> {
    let mut found = Vec::new();
    for file in at.catalog.files(table.id).unwrap() {
        let (bucket, partition) = (file.bucket.unwrap(), Vec::new());
        let file = NewFile { id: file.id, partition, bucket: file.bucket, rows: file.rows, bytes: file.bytes };
        found.extend(at.read(&file).column(0).as_primitive::<Int64Type>().values().iter().map(|key| (*key, bucket)));
    }
    found.sort_unstable();
    found
}

#[test]
fn streams_that_write_first_at_the_same_time_agree_on_the_ranges() {
    let at = fixture();
    let table = at.table(&[("k", "bigint")], &[], clustered(ClusteringKind::Range, &["k"], &[], 4));
    let target = Target::table(table.clone());
    let destination = target.destination(false);
    let session = Stream::of_table(table.id);
    for name in ["first", "second"] {
        let stream = Stream {
            session: session.clone(),
            name: name.into(),
            version: 1,
            schema_version: 1,
            table_id: table.id,
            token: None,
            rows: 0,
            bytes: 0,
            closed: false,
        };
        at.catalog.create_stream(&stream, false).unwrap();
    }
    let rows = |keys: std::ops::Range<i64>| batch(vec![("k", ints(keys.map(Some)))]);
    let append = |name: &str, arranged: Arranged<'_>| {
        let landing = Landing::Visible(&destination);
        let write = StreamWrite { session: &session, name, version: 1, rows: 100, exactly: None, landing };
        at.catalog.append(&write, arranged)
    };
    let current = || Ok(at.catalog.table_by_id(table.id)?.unwrap());
    let tries = std::cell::Cell::new(0);
    let slow = at.write(&target, &[rows(0..100)]).unwrap().files;
    commit_with(&at.catalog, &destination, current, slow, |arranged| {
        tries.set(tries.get() + 1);
        if tries.get() == 1 {
            // The other stream is faster: its rows are there when those of this one come with ranges of their own.
            let fast = at.write(&target, &[rows(50..250)]).unwrap().files;
            commit_with(&at.catalog, &destination, current, fast, |arranged| append("second", arranged)).unwrap();
        }
        append("first", arranged)
    })
    .unwrap();
    assert_eq!(tries.get(), 2, "arranged again");
    let found = keys_and_buckets(&at, &table);
    assert_eq!(found.len(), 300);
    assert!(found.windows(2).all(|w| w[0].1 <= w[1].1 && (w[0].0 != w[1].0 || w[0].1 == w[1].1)), "{found:?}");
}

#[test]
fn values_that_do_not_fit_are_refused_by_name() {
    let at = fixture();
    let columns = [("a", "varchar(2)"), ("d", "decimal(4,2)"), ("n", "bigint not null"), ("t", "datetime")];
    let table = at.table(&columns, &[], TableProperties::default());
    let target = Target { max_field_bytes: 5, ..Target::table(table) };
    let decimals = |value: i128, precision: u8, scale: i8| -> ArrayRef {
        Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).unwrap())
    };
    let n = || ("n", ints([Some(1)]));
    let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
    for (rows, why) in [
        (batch(vec![n(), ("a", texts([Some("abc")]))]), "column a: value of 3 characters does not fit varchar(2)"),
        (batch(vec![n(), ("a", ints([Some(1)]))]), "column a: cannot turn"),
        (batch(vec![n(), ("d", decimals(1, 5, 2))]), "column d: cannot turn"),
        (batch(vec![n(), ("d", decimals(123_456, 4, 2))]), "column d:"),
        (batch(vec![("n", ints([None]))]), "column n is NOT NULL, but a row has NULL"),
        (batch(vec![("a", texts([None]))]), "column n is NOT NULL and missing"),
        (batch(vec![n(), ("t", seconds)]), "column t: the instant"),
        (batch(vec![n(), ("x", ints([None]))]), "p.default.t has no column x"),
        (batch(vec![n(), ("N", ints([None]))]), "column N appears twice"),
    ] {
        let refusal = at.refusal(&target, &rows);
        assert!(refusal.starts_with(why), "{refusal}");
    }
    let long = Target { max_field_bytes: 1, ..target };
    assert!(at.refusal(&long, &batch(vec![n(), ("a", texts([Some("ä")]))])).contains("longer than the 1 allowed"));
}

#[test]
fn positions_count_and_names_do_not_in_v1() {
    let at = fixture();
    let table = at.table(&[("a", "bigint"), ("t", "timestamp")], &[("p", "string"), ("q", "int")], Default::default());
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![5]));
    let units = Some((TimeUnit::Millisecond, TimeUnit::Millisecond));
    let target = Target { matching: Matching::Position, units, ..Target::partition(table, "q=07").unwrap() };
    let rows = batch(vec![("x", ints([Some(1)])), ("a", times.clone()), ("e", ints([Some(9)]))]);
    let written = at.write(&target, std::slice::from_ref(&rows)).unwrap();
    assert_eq!(written.files.files()[0].partition, ["9", "7"], "a number is a fine text partition");
    drop(written);
    assert!(at.refusal(&target, &rows.project(&[0, 1]).unwrap()).contains("has 2 columns, 3 are expected"));
    let other = Target { units: Some((TimeUnit::Millisecond, TimeUnit::Nanosecond)), ..target };
    assert!(at.refusal(&other, &rows).contains("not of the unit"));
}

#[test]
fn rows_without_partition_follow_the_strategy() {
    let at = fixture();
    let table = at.table(&[("a", "bigint")], &[("p", "tinyint")], TableProperties::default());
    let rows = batch(vec![
        ("a", ints((0..6).map(Some))),
        ("p", texts([Some("1"), None, Some(""), Some("x"), Some("300"), Some("01")])),
    ]);
    let target = |invalid| Target { invalid, ..Target::table(table.clone()) };
    assert!(at.refusal(&target(Invalid::Fail), &rows).contains("partition column p: a row has NULL"));
    assert!(at.refusal(&target(Invalid::Limit(3)), &rows).contains("\"300\" is not a tinyint"));
    for invalid in [Invalid::Drop, Invalid::Limit(4)] {
        let written = at.write(&target(invalid), std::slice::from_ref(&rows)).unwrap();
        assert_eq!((written.rows, written.left_out), (6, 4));
        assert_eq!(written.files.files().len(), 1, "1 and 01 are one partition");
        assert_eq!(at.read(&written.files.files()[0]).num_rows(), 2);
    }
    let many = batch(vec![("a", ints([None; 3])), ("p", ints((0..3).map(Some)))]);
    let few = Target { max_partitions: 2, ..target(Invalid::Fail) };
    assert!(at.refusal(&few, &many).contains("more than 2 partitions"));
    let fixed = Target::partition(table, "p=1").unwrap();
    assert!(at.refusal(&fixed, &many).contains("the target is 1, a row has 0"));
}

#[test]
fn rows_of_a_primary_key_table_say_what_they_do() {
    let at = fixture();
    let properties = TableProperties { primary_key: vec!["k".into()], transactional: true, ..Default::default() };
    let table = at.table(&[("k", "bigint not null"), ("v", "string not null")], &[], properties);
    let target = Target::table(table);
    let ops = |values: Vec<Option<i8>>| -> ArrayRef { Arc::new(Int8Array::from(values)) };
    let rows = batch(vec![
        ("k", ints([Some(1), Some(1)])),
        ("v", texts([Some("x"), None])),
        (OPERATION, ops(vec![None, Some(OPERATION_DELETE)])),
    ]);
    let written = at.write(&target, &[rows]).unwrap();
    let stored = at.read(&written.files.files()[0]);
    let found = stored.column_by_name(OPERATION).unwrap().as_primitive::<arrow::datatypes::Int8Type>();
    assert_eq!(found.values().as_ref(), [OPERATION_UPSERT, OPERATION_DELETE]);
    drop(written);
    let no_value = batch(vec![("k", ints([Some(1)])), ("v", texts([None]))]);
    assert!(at.refusal(&target, &no_value).contains("column v is NOT NULL"));
    let no_key = batch(vec![("k", ints([None])), ("v", texts([None])), (OPERATION, ops(vec![Some(OPERATION_DELETE)]))]);
    assert!(at.refusal(&target, &no_key).contains("column k is NOT NULL"));
    let odd = batch(vec![("k", ints([Some(1)])), ("v", texts([Some("")])), (OPERATION, ops(vec![Some(1)]))]);
    assert!(at.refusal(&target, &odd).contains("1 is neither 85"));
}

fn stream(batches: &[RecordBatch], compression: Option<arrow::ipc::CompressionType>) -> Vec<u8> {
    let options = arrow::ipc::writer::IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), batches[0].schema_ref(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn in_pieces(bytes: Vec<u8>, size: usize) -> Body {
    let pieces: Vec<std::io::Result<Bytes>> = bytes.chunks(size).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    Body::from_stream(futures::stream::iter(pieces))
}

#[tokio::test]
async fn bodies_are_decoded_piece_by_piece_and_must_be_whole() {
    let at = fixture();
    let table = at.table(&[("a", "bigint")], &[], TableProperties::default());
    let catalog = Arc::new(at.catalog);
    let send = async |body: Body| {
        let (catalog, target) = (catalog.clone(), Target::table(table.clone()));
        receive(body, move |schema| TableWriter::new(&catalog, &target, schema)).await
    };
    let batches = [batch(vec![("a", ints((0..1000).map(Some)))]), batch(vec![("a", ints((0..7).map(Some)))])];
    let codecs = [None, Some(arrow::ipc::CompressionType::LZ4_FRAME), Some(arrow::ipc::CompressionType::ZSTD)];
    for compression in codecs {
        let bytes = stream(&batches, compression);
        let written = send(in_pieces(bytes.clone(), 61)).await.unwrap().unwrap();
        assert_eq!((written.rows, written.files.files().len()), (1007, 1));
        for cut in [bytes.len() - 1, bytes.len() - 8, bytes.len() - 30, 100, 5] {
            let error = send(in_pieces(bytes[..cut].to_vec(), 61)).await.err().unwrap();
            assert_eq!((error.status, error.code), (400, "MalformedDataStream"), "cut at {cut}");
        }
        let more = [bytes, vec![0]].concat();
        assert!(send(in_pieces(more, 61)).await.err().unwrap().message.contains("bytes follow"));
    }
    assert!(send(Body::empty()).await.unwrap().is_none());
    let only_schema = stream(&[batches[0].slice(0, 0)], None);
    assert_eq!(send(in_pieces(only_schema, 8)).await.unwrap().unwrap().rows, 0);
    let wrong = stream(&[batch(vec![("b", ints([]))])], None);
    assert!(send(in_pieces(wrong, 8)).await.is_err(), "a schema that does not fit is refused without rows as well");
    assert_eq!(std::fs::read_dir(catalog.data_dir()).unwrap().count(), 0);
}

#[tokio::test]
async fn damaged_messages_are_refused_before_they_take_memory() {
    let at = fixture();
    let table = at.table(&[("a", "string")], &[], TableProperties::default());
    let catalog = Arc::new(at.catalog);
    let send = async |bytes: Vec<u8>| {
        let (catalog, target) = (catalog.clone(), Target::table(table.clone()));
        receive(Body::from(bytes), move |schema| TableWriter::new(&catalog, &target, schema)).await
    };
    let rows = batch(vec![("a", texts([Some("x"); 2000]))]);
    let good = stream(std::slice::from_ref(&rows), Some(arrow::ipc::CompressionType::ZSTD));
    // The first length prefix of a compressed buffer is found by its value: the offsets of 2001 rows.
    let prefix = (2001i64 * 4).to_le_bytes();
    let place = good.windows(8).rposition(|window| window == prefix).unwrap();
    let mut bomb = good.clone();
    bomb[place..place + 8].copy_from_slice(&(1i64 << 40).to_le_bytes());
    assert!(send(bomb).await.err().unwrap().message.contains("write shorter batches"));
    let mut huge = good.clone();
    huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(send(huge).await.err().unwrap().code, "MaxMessageLengthExceeded");
    assert_eq!(send(b"GET / HTTP/1.1\r\n".to_vec()).await.err().unwrap().code, "MalformedDataStream");
    let invalid = stream(&[rows], None);
    let mut invalid = invalid;
    let text = invalid.windows(16).rposition(|window| window == [b'x'; 16]).unwrap();
    invalid[text] = 0xff;
    assert_eq!(send(invalid).await.err().unwrap().code, "MalformedDataStream", "text that is not UTF-8");
    // No damage may crash the server or pass silently as more rows.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..300 {
        let at = (0..good.len()).new_tree(&mut runner).unwrap().current();
        let mut damaged = good.clone();
        damaged[at] ^= 1 << (at % 8);
        if let Ok(Some(written)) = send(damaged).await {
            assert!(written.rows <= 2000);
        }
    }
}

#[tokio::test]
async fn columns_are_matched_before_a_dictionary_is_decoded() {
    let at = fixture();
    let table = at.table(&[("a", "bigint")], &[], TableProperties::default());
    let catalog = Arc::new(at.catalog);
    let values: DictionaryArray<Int32Type> = ["x".repeat(64).as_str()].into_iter().collect();
    let mut bytes = stream(&[batch(vec![("a", Arc::new(values))])], None);
    let text = bytes.windows(16).position(|window| window == [b'x'; 16]).unwrap();
    bytes[text] = 0xff;
    let open = move |schema: &_| TableWriter::new(&catalog, &Target::table(table), schema);
    let refused = receive(in_pieces(bytes, 61), open).await.err().unwrap();
    assert!(refused.message.starts_with("column a: cannot turn"), "{}", refused.message);
}

#[tokio::test]
async fn buffers_that_name_the_same_bytes_count_each_time() {
    let at = fixture();
    let names: Vec<String> = (0..9).map(|number| format!("c{number}")).collect();
    let columns: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "bigint")).collect();
    let table = at.table(&columns, &[], TableProperties::default());
    let catalog = Arc::new(at.catalog);
    let rows = batch(names.iter().map(|name| (name.as_str(), ints((0..1001).map(Some)))).collect());
    let mut bytes = stream(&[rows], None);
    // Each buffer alone is small enough; they are found by their length.
    let length = (1001i64 * 8).to_le_bytes();
    let places: Vec<usize> = (0..bytes.len() - 8).filter(|at| bytes[*at..at + 8] == length).collect();
    assert_eq!(places.len(), 9);
    places.iter().for_each(|at| bytes[*at..at + 8].copy_from_slice(&(60i64 << 20).to_le_bytes()));
    let open = move |schema: &_| TableWriter::new(&catalog, &Target::table(table), schema);
    let refused = receive(Body::from(bytes), open).await.err().unwrap();
    assert!(refused.message.contains("a batch has 566231040 bytes"), "{}", refused.message);
}
