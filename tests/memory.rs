//! Memory: budgets hold whatever the engine does, a host that refuses is obeyed, nothing waits for ever, and everything is given back.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow_array::{Array, ArrayRef, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_ipc::CompressionType;
use arrow_schema::{DataType, Field, Fields, Schema};
use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::memory::{Hooks, Host};
use maxstorage::options::Options;
use maxstorage::predicate::Predicate;
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Exchange, Peer, ipc, packed};

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;
/// Rows of a batch, and batches of a split.
const ROWS: i64 = 1000;
const BATCHES: i64 = 20;
/// What such a batch takes at most: 8 bytes per row, and what a slab is larger.
const FRAME: u64 = 9 << 10;

fn batch(values: std::ops::Range<i64>) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(values.collect::<Int64Array>())]).unwrap()
}

fn stream(codec: Option<CompressionType>) -> Vec<u8> {
    let batches: Vec<RecordBatch> = (0..BATCHES).map(|at| batch(at * ROWS..(at + 1) * ROWS)).collect();
    ipc(&batches, codec)
}

fn peer(splits: usize, codec: Option<CompressionType>) -> Peer {
    let stream = stream(codec);
    Peer::table(COLUMN, splits, move |exchange: &mut Exchange, _| {
        exchange.begin();
        exchange.chunk(&stream);
        exchange.end();
    })
}

fn options(peer: &Peer, more: &[(&str, &str)]) -> Options {
    let mut options = peer.options();
    options.set("read_idle_timeout_ms", "60000").unwrap();
    for (key, value) in more {
        options.set(key, value).unwrap();
    }
    options
}

fn figure(client: &Client, name: &str) -> u64 {
    client.metrics().iter().find(|metric| metric.name == name).unwrap().value
}

/// Waits until nothing moves any more.
fn settle(client: &Client) {
    let mut before = (0, 0);
    let start = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(150));
        let now = (figure(client, "memory_current"), figure(client, "memory_waiting"));
        if now == before && now.0 > 0 {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20));
        before = now;
    }
}

/// Waits until memory is given back by the tasks that were told to end.
fn assert_nothing_is_held(client: &Client) {
    let start = Instant::now();
    while figure(client, "memory_current") > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "{} bytes are still held", figure(client, "memory_current"));
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn read_whole(split: &Split) {
    let mut next = 0;
    while let Some(batch) = split.next_batch().unwrap() {
        for value in batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values() {
            assert_eq!(*value, next);
            next += 1;
        }
    }
    assert_eq!(next, ROWS * BATCHES);
}

#[test]
fn a_stalled_engine_and_64_splits_hold_the_budget_and_one_message_each() {
    const SPLITS: u64 = 64;
    const BUDGET: u64 = 200_000;
    for (codec, name) in
        [(None, "none"), (Some(CompressionType::LZ4_FRAME), "lz4"), (Some(CompressionType::ZSTD), "zstd")]
    {
        let peer = peer(SPLITS as usize, codec);
        let more = [("limits.memory_bytes", BUDGET.to_string()), ("read.compression", name.to_owned())];
        let options = options(&peer, &more.each_ref().map(|(key, value)| (*key, value.as_str())));
        let client = Client::open(&options).unwrap();
        let session = Session::open(&client, &options).unwrap();
        let splits: Vec<Split> = (0..SPLITS as i64).map(|at| Split::open(&session, at, &options).unwrap()).collect();
        settle(&client);
        // A compressed message takes its own bytes besides those of its batch.
        let per_request = if codec.is_some() { 2 * FRAME } else { FRAME };
        let ceiling = BUDGET + SPLITS * per_request;
        assert!(figure(&client, "memory_waiting") > 0, "somebody waits");
        assert!(figure(&client, "memory_current") > BUDGET / 2 && figure(&client, "memory_peak") <= ceiling);
        // One engine thread that comes to one split after the other gets every row of each.
        splits.iter().for_each(read_whole);
        assert!(figure(&client, "memory_peak") <= ceiling, "{} of {ceiling}", figure(&client, "memory_peak"));
        drop(splits);
        assert_nothing_is_held(&client);
    }
}

#[test]
fn an_engine_that_keeps_its_batches_is_not_kept_waiting() {
    let peer = peer(4, None);
    for ordered in ["true", "false"] {
        let more = [("limits.memory_bytes", "20000"), ("scan.ordered", ordered), ("scan.concurrency", "4")];
        let options = options(&peer, &more);
        let client = Client::open(&options).unwrap();
        let scan = Scan::open(&Session::open(&client, &options).unwrap(), &options).unwrap();
        let mut kept = Vec::new();
        while let Some(taken) = scan.next_batch().unwrap() {
            kept.push(taken);
        }
        assert_eq!(kept.len() as i64, 4 * BATCHES);
        assert!(figure(&client, "memory_current") >= 4 * BATCHES as u64 * 8000, "what the engine has counts");
        drop(scan);
        kept.reverse();
        drop(kept);
        assert_nothing_is_held(&client);
    }
}

/// A host that grants up to a limit.
struct Limited {
    limit: AtomicU64,
    held: AtomicU64,
    most: AtomicU64,
    refusals: AtomicU64,
}

impl Limited {
    fn new(limit: u64) -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        Arc::new(Limited { limit: AtomicU64::new(limit), held: zero(), most: zero(), refusals: zero() })
    }
}

struct Asked(Arc<Limited>);

impl Host for Asked {
    fn reserve(&self, bytes: u64) -> bool {
        let after = self.0.held.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if after > self.0.limit.load(Ordering::SeqCst) {
            self.0.held.fetch_sub(bytes, Ordering::SeqCst);
            self.0.refusals.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        self.0.most.fetch_max(after, Ordering::SeqCst);
        true
    }
    fn release(&self, bytes: u64) {
        assert!(self.0.held.fetch_sub(bytes, Ordering::SeqCst) >= bytes, "more was released than reserved");
    }
}

fn hosted(peer: &Peer, host: &Arc<Limited>, more: &[(&str, &str)]) -> (Options, Client) {
    let mut options = options(peer, more);
    options.set_memory_hooks(Some(Hooks::new(Asked(Arc::clone(host)))));
    let client = Client::open(&options).unwrap();
    (options, client)
}

#[test]
fn a_host_that_refuses_is_obeyed_and_gets_everything_back() {
    let peer = peer(8, None);
    let host = Limited::new(10 * FRAME);
    let (options, client) = hosted(&peer, &host, &[]);
    let session = Session::open(&client, &options).unwrap();
    let readers: Vec<_> = (0..8)
        .map(|at| {
            let split = Split::open(&session, at, &options).unwrap();
            std::thread::spawn(move || read_whole(&split))
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    assert!(host.refusals.load(Ordering::SeqCst) > 0 && host.most.load(Ordering::SeqCst) <= 10 * FRAME);
    assert_nothing_is_held(&client);
    assert_eq!(host.held.load(Ordering::SeqCst), 0);
}

#[test]
fn memory_that_the_host_gets_from_elsewhere_ends_the_wait() {
    let peer = peer(1, None);
    let host = Limited::new(2 * FRAME);
    let (options, client) = hosted(&peer, &host, &[]);
    let split = Split::open(&Session::open(&client, &options).unwrap(), 0, &options).unwrap();
    let first = split.next_batch().unwrap();
    let second = split.next_batch().unwrap();
    // The engine keeps both; the host has no more until it gets some.
    split.set_deadline(Some(Instant::now() + Duration::from_millis(200)));
    assert_eq!(split.next_batch().unwrap_err().kind(), Kind::DeadlineExceeded);
    host.limit.store(100 * FRAME, Ordering::SeqCst);
    split.set_deadline(None);
    assert!(split.next_batch().unwrap().is_some());
    drop((first, second));
}

#[test]
fn a_refusal_that_cannot_end_is_an_error() {
    let peer = peer(2, None);
    // Nothing is held, and one batch is too much.
    let host = Limited::new(1000);
    let (options, client) = hosted(&peer, &host, &[]);
    let split = Split::open(&Session::open(&client, &options).unwrap(), 0, &options).unwrap();
    let error = split.next_batch().unwrap_err();
    assert_eq!((error.kind(), error.server().request_id.as_str()), (Kind::ResourceExhausted, "REQ-9"), "{error}");
    assert_eq!(figure(&client, "memory_peak"), 0);
    // Something is held, by a split that nobody reads, so it may come back; but it does not.
    let host = Limited::new(3 * FRAME);
    let (options, client) = hosted(&peer, &host, &[("limits.memory_wait_ms", "300")]);
    let session = Session::open(&client, &options).unwrap();
    let other = Split::open(&session, 0, &options).unwrap();
    settle(&client);
    let start = Instant::now();
    let waiting = Split::open(&session, 1, &options).unwrap();
    assert_eq!(waiting.next_batch().unwrap_err().kind(), Kind::ResourceExhausted);
    assert!(start.elapsed() >= Duration::from_millis(300) && start.elapsed() < Duration::from_secs(10));
    read_whole(&other);
}

/// What was read ahead of the split whose turn it is must not keep that one from being read.
#[test]
fn an_ordered_scan_gives_up_what_it_read_ahead_when_the_host_refuses_more() {
    let stream = stream(None);
    let peer = Peer::table(COLUMN, 6, move |exchange: &mut Exchange, _| {
        if exchange.path().contains("split_index=0") {
            // The others are there first.
            std::thread::sleep(Duration::from_millis(400));
        }
        exchange.begin();
        exchange.chunk(&stream);
        exchange.end();
    });
    let host = Limited::new(4 * FRAME);
    let more = [("scan.ordered", "true"), ("scan.concurrency", "4"), ("limits.memory_wait_ms", "2000")];
    let (options, client) = hosted(&peer, &host, &more);
    let scan = Scan::open(&Session::open(&client, &options).unwrap(), &options).unwrap();
    let (mut split, mut next, mut rows) = (0, 0, 0);
    while let Some((index, batch)) = scan.next_batch().unwrap() {
        if index != split {
            assert_eq!((index, next), (split + 1, ROWS * BATCHES));
            (split, next) = (index, 0);
        }
        for value in batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values() {
            assert_eq!(*value, next);
            next += 1;
            rows += 1;
        }
    }
    assert_eq!(rows, 6 * ROWS * BATCHES);
    assert!(host.refusals.load(Ordering::SeqCst) > 0 && host.most.load(Ordering::SeqCst) <= 4 * FRAME);
}

#[test]
fn batches_may_be_freed_last_on_other_threads() {
    let peer = peer(3, None);
    let host = Limited::new(u64::MAX >> 1);
    let (options, client) = hosted(&peer, &host, &[]);
    let session = Session::open(&client, &options).unwrap();
    let scan = Scan::open(&session, &options).unwrap();
    let batches: Vec<_> = (0..10).map(|_| scan.next_batch().unwrap().unwrap().1).collect();
    drop((client, session));
    drop(scan);
    assert!(host.held.load(Ordering::SeqCst) > 0);
    let threads: Vec<_> = batches.into_iter().map(|batch| std::thread::spawn(move || drop(batch))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let start = Instant::now();
    while host.held.load(Ordering::SeqCst) > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "{} bytes are still held", host.held.load(Ordering::SeqCst));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn prefetch_bytes_hold_the_network_back() {
    let peer = peer(1, None);
    let more = [("read.prefetch_batches", "1024"), ("read.prefetch_bytes", "24000")];
    let options = options(&peer, &more);
    let client = Client::open(&options).unwrap();
    let split = Split::open(&Session::open(&client, &options).unwrap(), 0, &options).unwrap();
    settle(&client);
    // Three batches of 8,000 bytes wait, one cannot be put behind them.
    assert!(figure(&client, "memory_peak") <= 5 * FRAME, "{}", figure(&client, "memory_peak"));
    read_whole(&split);
}

#[test]
fn larger_batches_are_cut_without_copying() {
    let texts = ["x".repeat(500), String::new(), "y".repeat(20), "z".repeat(20)];
    let schema = Schema::new(vec![Field::new("s", DataType::Utf8, true)]);
    let column: StringArray = (0..400).map(|row| Some(texts[row % 4].as_str())).collect();
    let whole = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(column)]).unwrap();
    let bytes = ipc(std::slice::from_ref(&whole), None);
    let peer = Peer::table(r#"{"Name":"s","Type":"string","Nullable":true}"#, 1, move |exchange, _| {
        exchange.begin();
        exchange.chunk(&bytes);
        exchange.end();
    });
    for (rows, most_bytes, batches) in
        [("7", "0", 58), ("400", "1200", 200), ("400", "100", 200), ("1", "0", 400), ("400", "0", 1)]
    {
        let more = [("read.batch_rows", rows), ("read.batch_bytes", most_bytes)];
        let options = options(&peer, &more);
        let split =
            Split::open(&Session::open(&Client::open(&options).unwrap(), &options).unwrap(), 0, &options).unwrap();
        let mut at = 0;
        let mut count = 0;
        while let Some(batch) = split.next_batch().unwrap() {
            assert!(batch.num_rows() <= rows.parse().unwrap());
            let column = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap();
            let size = (0..batch.num_rows()).map(|row| 4 + column.value(row).len()).sum::<usize>();
            let cap: usize = most_bytes.parse().unwrap();
            assert!(cap == 0 || size <= cap || batch.num_rows() == 1, "{size} bytes in {} rows", batch.num_rows());
            assert_eq!(batch.columns(), whole.slice(at, batch.num_rows()).columns());
            at += batch.num_rows();
            count += 1;
        }
        assert_eq!(at, 400);
        assert!(count <= batches, "{count} batches of {rows} rows, {most_bytes} bytes");
        let metrics = split.metrics();
        assert_eq!(metrics.iter().find(|metric| metric.name == "bytes_copied").unwrap().value, 0);
    }
}

#[test]
fn a_session_has_the_sums_of_all_its_reads() {
    let peer = peer(3, None);
    let options = options(&peer, &[]);
    let client = Client::open(&options).unwrap();
    let session = Session::open(&client, &options).unwrap();
    let figure = |name: &str| session.metrics().unwrap().iter().find(|metric| metric.name == name).unwrap().value;
    assert_eq!((figure("reads"), figure("rows"), figure("memory_peak")), (0, 0, 0));
    let split = Split::open(&session, 0, &options).unwrap();
    read_whole(&split);
    let rows = (ROWS * BATCHES) as u64;
    assert_eq!((figure("reads"), figure("reads_open"), figure("rows")), (1, 1, rows));
    drop(split);
    // Of a clone of the handle, in any style, to the end or not.
    let scan = Scan::open(&session.clone(), &options).unwrap();
    let kept: Vec<RecordBatch> = (0..5).map(|_| scan.next_batch().unwrap().unwrap().1).collect();
    assert_eq!((figure("rows"), figure("batches")), (rows + 5 * ROWS as u64, BATCHES as u64 + 5));
    drop(scan);
    let start = Instant::now();
    while figure("reads_open") > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "the tasks of a read that was freed end");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!((figure("reads"), figure("rows")), (2, rows + 5 * ROWS as u64));
    assert!(figure("requests") >= 2 && figure("bytes_wire") > 8 * figure("rows") && figure("planning") > 0);
    // The engine has the last batches, and it is the session's memory, too.
    let held = figure("memory_current");
    assert!(held >= 5 * 8 * ROWS as u64 && held <= figure("memory_peak"), "{held}");
    drop(kept);
    assert_nothing_is_held(&client);
    assert_eq!(figure("memory_current"), 0);
    // A worker has figures of its own.
    let attached = Session::attach(&client, &session.serialize().unwrap()).unwrap();
    assert!(attached.metrics().unwrap().iter().all(|metric| metric.value == 0));
    Split::open(&session, 7, &options).unwrap_err();
    assert_eq!(figure("reads"), 2, "a read that was not opened is none");
}

// ------------------------------------------------------------------------------------------------------ what the library makes

/// A peer with one split of decimals and CHAR, in batches of 1,000 rows.
fn refined(batches: usize) -> Peer {
    let columns =
        r#"{"Name":"m","Type":"decimal(10,2)","Nullable":true},{"Name":"c","Type":"char(20)","Nullable":true}"#;
    let fields = vec![Field::new("m", DataType::Decimal128(10, 2), true), Field::new("c", DataType::Utf8, true)];
    let decimals: Decimal128Array = (0..i128::from(ROWS)).map(|row| (row % 7 != 0).then_some(row)).collect();
    let decimals = decimals.with_precision_and_scale(10, 2).unwrap();
    let texts: StringArray = (0..ROWS).map(|row| Some(format!("row {row}"))).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(decimals), Arc::new(texts)]).unwrap();
    let stream = ipc(&vec![batch; batches], None);
    Peer::table(columns, 1, move |exchange, _| {
        exchange.begin();
        exchange.chunk(&stream);
        exchange.end();
    })
}

/// Bytes of the buffers of batches, each buffer once.
fn distinct_bytes(batches: &[RecordBatch]) -> u64 {
    fn add(data: &arrow_data::ArrayData, found: &mut HashMap<usize, usize>) {
        for buffer in data.buffers().iter().chain(data.nulls().map(|nulls| nulls.buffer())) {
            found.insert(buffer.data_ptr().as_ptr() as usize, buffer.capacity());
        }
        data.child_data().iter().for_each(|child| add(child, found));
    }
    let mut found = HashMap::new();
    batches.iter().flat_map(RecordBatch::columns).for_each(|column| add(&column.to_data(), &mut found));
    found.values().sum::<usize>() as u64
}

/// Reads a split and keeps its batches: what they take is accounted, of client and host, and not much more.
/// Tells how many bytes were copied.
fn assert_accounted(what: &str, host: &Limited, options: &Options, client: &Client, filter: Option<&str>) -> u64 {
    let split = Split::open(&Session::open(client, options).unwrap(), 0, options).unwrap();
    if let Some(filter) = filter {
        // When batches wait.
        settle(client);
        split.add_filter(&Predicate::parse(filter).unwrap()).unwrap();
    }
    let kept: Vec<RecordBatch> = std::iter::from_fn(|| split.next_batch().unwrap()).collect();
    let copied = split.metrics().iter().find(|metric| metric.name == "bytes_copied").unwrap().value;
    drop(split);
    // The reader's task may be about to end.
    std::thread::sleep(Duration::from_millis(50));
    let (held, needed) = (figure(client, "memory_current"), distinct_bytes(&kept));
    assert!(needed > 50_000 && held >= needed, "{what}: {held} bytes are accounted, {needed} are held");
    assert!(held < needed + needed / 3 + 100_000, "{what}: {held} bytes are accounted, {needed} are held");
    assert_eq!(host.held.load(Ordering::SeqCst), held);
    drop(kept);
    assert_nothing_is_held(client);
    assert_eq!(host.held.load(Ordering::SeqCst), 0);
    copied
}

#[test]
fn what_filters_and_policies_make_is_accounted() {
    for more in [
        &[("filter.exact", "true"), ("filter.text", "m <> 1.00")][..],
        &[("filter.exact", "true"), ("filter.text", "m <> 1.00"), ("read.batch_rows", "100")],
        &[("types.decimal", "text")],
        &[("types.decimal", "wide"), ("types.char_padding", "pad")],
        &[("types.char_padding", "pad"), ("types.string_view", "true"), ("read.batch_rows", "300")],
        &[("types.dictionary", "*")],
        &[
            ("types.dictionary", "c"),
            ("types.large_offsets", "true"),
            ("types.char_padding", "pad"),
            ("read.batch_rows", "300"),
        ],
        &[
            ("filter.exact", "true"),
            ("filter.text", "c < 'row 5'"),
            ("types.decimal", "text"),
            ("types.string_view", "true"),
        ],
    ] {
        let peer = refined(10);
        let host = Limited::new(u64::MAX >> 1);
        let (options, client) = hosted(&peer, &host, more);
        assert_accounted(&format!("{more:?}"), &host, &options, &client, None);
    }
}

#[test]
fn what_filters_that_come_late_leave_is_accounted() {
    for filter in ["m <> 1.00", "c < 'row 5'"] {
        let peer = refined(10);
        let host = Limited::new(u64::MAX >> 1);
        let (options, client) = hosted(&peer, &host, &[("read.prefetch_batches", "100"), ("types.decimal", "text")]);
        assert_accounted(filter, &host, &options, &client, Some(filter));
    }
}

/// A peer of version 2 with one split: `stream` in the coding of whole bodies.
fn whole_bodies(columns: &str, stream: &[u8], codec: Option<CompressionType>) -> Peer {
    let session = format!(
        r#"{{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":1,"RecordCount":-1,
            "DataSchema":{{"DataColumns":[{columns}],"PartitionColumns":[]}}}}"#
    );
    let body = packed(stream, codec);
    Peer::start(move |exchange, _| match exchange.path().contains("Action=TableRead") {
        true => exchange.answer("200 OK", "", &body),
        false => exchange.json("200 OK", &session),
    })
}

#[test]
fn what_decoding_makes_is_accounted() {
    let fields = vec![Field::new("sec", DataType::Int64, false), Field::new("nano", DataType::Int32, false)];
    let parts: [ArrayRef; 2] =
        [Arc::new((0..ROWS).collect::<Int64Array>()), Arc::new(Int32Array::from(vec![1; ROWS as usize]))];
    let times = StructArray::new(Fields::from(fields), parts.to_vec(), None);
    let counts: Int64Array = (0..ROWS).collect();
    let decimals: Decimal128Array = (0..i128::from(ROWS)).map(|row| (row % 7 != 0).then_some(row)).collect();
    let columns: [(&str, ArrayRef); 3] = [("n", Arc::new(counts)), ("d", Arc::new(decimals)), ("t", Arc::new(times))];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    // The counts take 8 bytes more than a multiple of 16.
    let batch = batch.slice(0, ROWS as usize - 1);
    let options = arrow_ipc::writer::IpcWriteOptions::try_new(8, false, arrow_ipc::MetadataVersion::V5).unwrap();
    let mut writer =
        arrow_ipc::writer::StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    (0..10).for_each(|_| writer.write(&batch).unwrap());
    writer.finish().unwrap();
    let columns = r#"{"Name":"n","Type":"bigint","Nullable":true},{"Name":"d","Type":"decimal(38,10)","Nullable":true},
        {"Name":"t","Type":"timestamp","Nullable":true}"#;
    for codec in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let peer = whole_bodies(columns, writer.get_ref(), codec);
        let host = Limited::new(u64::MAX >> 1);
        let (options, client) = hosted(&peer, &host, &[("protocol", "2")]);
        assert!(assert_accounted(&format!("{codec:?}"), &host, &options, &client, None) > 10 * 16 * 900);
    }
}

#[test]
fn what_a_body_is_unpacked_in_is_accounted_and_refused() {
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let peer = whole_bodies(COLUMN, &stream(None), Some(codec));
        let host = Limited::new(20 * FRAME);
        // One batch of 8,000 bytes waits; what is beyond it is for unpacking.
        let more = [("protocol", "2"), ("read.prefetch_batches", "1"), ("limits.memory_wait_ms", "200")];
        let (options, client) = hosted(&peer, &host, &more);
        let session = Session::open(&client, &options).unwrap();
        let split = Split::open(&session, 0, &options).unwrap();
        let error = split.next_batch().unwrap_err();
        assert_eq!(error.kind(), Kind::ResourceExhausted, "{codec:?}: {error}");
        assert_nothing_is_held(&client);
        host.limit.store(64 << 20, Ordering::SeqCst);
        let split = Split::open(&session, 0, &options).unwrap();
        settle(&client);
        let held = figure(&client, "memory_current");
        assert!(held > 20 * FRAME && held < 2 << 20, "{codec:?}: {held}");
        read_whole(&split);
        drop(split);
        assert_nothing_is_held(&client);
        assert_eq!(host.held.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn rows_that_are_made_up_are_accounted_and_refused() {
    let session = r#"{"SessionId":"S1","SessionStatus":"NORMAL","RecordCount":100000,
        "DataSchema":{"DataColumns":[],"PartitionColumns":[{"Name":"ds","Type":"string","Nullable":true}]}}"#;
    let peer = Peer::start(move |exchange, _| exchange.json("201 Created", session));
    let host = Limited::new(u64::MAX >> 1);
    let more = [
        ("split.mode", "row_offset"),
        ("split.rows", "100000"),
        ("partitions", "ds=2024-01-01"),
        ("read.batch_rows", "5000"),
        ("types.string_view", "true"),
        ("limits.memory_wait_ms", "100"),
    ];
    let (options, client) = hosted(&peer, &host, &more);
    assert_accounted("made up", &host, &options, &client, None);
    assert_accounted("made up, filtered", &host, &options, &client, Some("ds >= '2024'"));
    host.limit.store(50_000, Ordering::SeqCst);
    let split = Split::open(&Session::open(&client, &options).unwrap(), 0, &options).unwrap();
    assert_eq!(split.next_batch().unwrap_err().kind(), Kind::ResourceExhausted, "70,000 bytes were refused");
    assert_eq!(host.held.load(Ordering::SeqCst), 0);
}

/// A split of which batches wait, with a filter that takes one row out of the first of them, and a host that gives no more.
fn late(host: &Arc<Limited>, more: &[(&str, &str)]) -> (Peer, Client, Split) {
    let peer = peer(1, None);
    let (options, client) = hosted(&peer, host, more);
    let split = Split::open(&Session::open(&client, &options).unwrap(), 0, &options).unwrap();
    settle(&client);
    host.limit.store(host.held.load(Ordering::SeqCst), Ordering::SeqCst);
    split.add_filter(&Predicate::parse("a <> 7").unwrap()).unwrap();
    (peer, client, split)
}

#[test]
fn a_late_filter_waits_for_a_host_that_refuses() {
    let host = Limited::new(u64::MAX >> 1);
    let (_peer, client, split) = late(&host, &[]);
    assert!(split.try_next_batch().is_pending(), "no memory for the rows that stay");
    split.set_deadline(Some(Instant::now() + Duration::from_millis(200)));
    assert_eq!(split.next_batch().unwrap_err().kind(), Kind::DeadlineExceeded);
    assert!(host.refusals.load(Ordering::SeqCst) > 1, "it is asked again");
    let (told, wait) = std::sync::mpsc::channel();
    split.set_waker(Some(Box::new(move || told.send(()).unwrap_or_default()))).unwrap();
    split.set_deadline(None);
    host.limit.store(u64::MAX >> 1, Ordering::SeqCst);
    wait.recv_timeout(Duration::from_secs(5)).unwrap();
    let mut expected = (0..ROWS * BATCHES).filter(|value| *value != 7);
    while let Some(batch) = split.next_batch().unwrap() {
        for value in batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values() {
            assert_eq!(Some(*value), expected.next());
        }
    }
    assert_eq!((expected.next(), split.rows_delivered()), (None, ROWS * BATCHES));
    drop(split);
    assert_nothing_is_held(&client);
    assert_eq!(host.held.load(Ordering::SeqCst), 0);
}

#[test]
fn a_late_filter_does_not_wait_for_ever() {
    let host = Limited::new(u64::MAX >> 1);
    let (_peer, client, split) = late(&host, &[("limits.memory_wait_ms", "300")]);
    let start = Instant::now();
    for _ in 0..2 {
        assert_eq!(split.next_batch().unwrap_err().kind(), Kind::ResourceExhausted);
    }
    assert!(start.elapsed() >= Duration::from_millis(300) && start.elapsed() < Duration::from_secs(10));
    drop(split);
    assert_nothing_is_held(&client);
    // Who cancels need not wait at all.
    let host = Limited::new(u64::MAX >> 1);
    let (_peer, client, split) = late(&host, &[]);
    assert!(split.try_next_batch().is_pending());
    split.cancel();
    assert_eq!(split.next_batch().unwrap_err().kind(), Kind::Cancelled);
    drop(split);
    assert_nothing_is_held(&client);
    assert_eq!(host.held.load(Ordering::SeqCst), 0);
}

#[test]
fn a_limit_holds_no_late_filter_back() {
    let peer = peer(1, None);
    let options = options(&peer, &[("limits.memory_bytes", "20000")]);
    let client = Client::open(&options).unwrap();
    let split = Split::open(&Session::open(&client, &options).unwrap(), 0, &options).unwrap();
    settle(&client);
    split.add_filter(&Predicate::parse("a <> 7").unwrap()).unwrap();
    let rows: i64 = std::iter::from_fn(|| split.next_batch().unwrap()).map(|batch| batch.num_rows() as i64).sum();
    assert_eq!(rows, ROWS * BATCHES - 1);
    // The limit, one message beyond it, and what the filter leaves of one.
    let peak = figure(&client, "memory_peak");
    assert!(peak <= 20_000 + 3 * FRAME, "{peak}");
    drop(split);
    assert_nothing_is_held(&client);
}

#[test]
fn a_host_is_asked_before_a_filter_copies_rows() {
    // One batch arrives; the rows that stay do not fit beside it, and nothing of the client comes back.
    let peer = refined(1);
    let host = Limited::new(50_000);
    let more = [("filter.exact", "true"), ("filter.text", "m <> 1.00"), ("limits.memory_wait_ms", "200")];
    let (options, client) = hosted(&peer, &host, &more);
    let session = Session::open(&client, &options).unwrap();
    let split = Split::open(&session, 0, &options).unwrap();
    let error = split.next_batch().unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted, "{error}");
    assert!(host.refusals.load(Ordering::SeqCst) > 0 && host.most.load(Ordering::SeqCst) <= 50_000);
    // As soon as they fit, they are there.
    host.limit.store(200_000, Ordering::SeqCst);
    let split = Split::open(&session, 0, &options).unwrap();
    assert_eq!(split.next_batch().unwrap().unwrap().num_rows(), 856);
}
