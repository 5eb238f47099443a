//! Policies of types against a peer: what is delivered, what filters see, what workers get, and what is not delivered in silence.

mod support;

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, Decimal128Array, DictionaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields, Schema};
use maxstorage::error::Kind;
use maxstorage::options::Options;
use maxstorage::predicate::Predicate;
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Peer, ipc};

/// Name and type of each column, in the order of the stream.
const COLUMNS: [(&str, &str); 6] = [
    ("n", "bigint"),
    ("c", "char(4)"),
    ("d", "decimal(38,2)"),
    ("m", "map<string,bigint>"),
    ("t", "timestamp"),
    ("s", "array<string>"),
];
/// Fits no nanoseconds.
const FAR: i64 = 253_402_300_799;
/// Has more digits before the point than decimal(38,18).
const HUGE: i128 = 10i128.pow(30);

/// Rows `n`, `n + 1`, `n + 2`: an ordinary one, one that the policies are about, and one that is NULL but for its number. Times come as
/// seconds and nanoseconds.
fn batch(n: i64, decimal: i128) -> RecordBatch {
    let times = vec![Field::new("sec", DataType::Int64, false), Field::new("nano", DataType::Int32, false)];
    let parts: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![1, FAR, FAR])), Arc::new(Int32Array::from(vec![5, 0, 0]))];
    let times = StructArray::new(Fields::from(times), parts, Some(vec![true, true, false].into()));
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut map = MapBuilder::new(Some(names), StringBuilder::new(), Int64Builder::new());
    for pairs in [Some(vec![]), Some(vec![("a", 1), ("b", 2), ("a", 3)]), None] {
        for (key, value) in pairs.iter().flatten() {
            map.keys().append_value(key);
            map.values().append_value(*value);
        }
        map.append(pairs.is_some()).unwrap();
    }
    let strings = StringArray::from(vec![Some("longer than twelve bytes"), None, Some("y")]);
    let item = Arc::new(Field::new("element", DataType::Utf8, true));
    let nulls = Some(vec![true, true, false].into());
    let lists = ListArray::new(item, OffsetBuffer::from_lengths([2, 1, 0]), Arc::new(strings), nulls);
    let decimals = Decimal128Array::from(vec![Some(150), Some(decimal), None]).with_precision_and_scale(38, 2).unwrap();
    let columns: [ArrayRef; 6] = [
        Arc::new(Int64Array::from_iter_values(n..n + 3)),
        Arc::new(StringArray::from(vec![Some("ab  "), Some("abcd"), None])),
        Arc::new(decimals),
        Arc::new(map.finish()),
        Arc::new(times),
        Arc::new(lists),
    ];
    let fields = COLUMNS.iter().zip(&columns);
    let fields: Vec<Field> =
        fields.map(|((name, _), column)| Field::new(*name, column.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.to_vec()).unwrap()
}

/// A service with one split of the batches.
fn peer(batches: Vec<RecordBatch>) -> Peer {
    let columns = |form: &dyn Fn(&str, &str) -> String| {
        COLUMNS.iter().map(|(name, type_text)| form(name, type_text)).collect::<Vec<_>>().join(",")
    };
    let session = format!(
        r#"{{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":1,"RecordCount":-1,
            "DataSchema":{{"DataColumns":[{}],"PartitionColumns":[]}}}}"#,
        columns(&|name, text| format!(r#"{{"Name":"{name}","Type":"{text}","Nullable":true}}"#))
    );
    let table = format!(
        r#"<Table><Name>t</Name><Schema format="Json">{{"columns":[{}],"partitionKeys":[]}}</Schema></Table>"#,
        columns(&|name, text| format!(r#"{{"name":"{name}","type":"{}"}}"#, text.replace('<', "&lt;")))
    );
    let stream = ipc(&batches, None);
    Peer::start(move |exchange, _| match exchange.path() {
        path if path.contains("/sessions") => exchange.json("201 Created", &session),
        path if path.contains("/data") => exchange.answer("200 OK", "", &stream),
        _ => exchange.answer("200 OK", "", table.as_bytes()),
    })
}

fn open(peer: &Peer, more: &[(&str, &str)]) -> Session {
    let mut options = peer.options();
    for (key, value) in more {
        options.set(key, value).unwrap();
    }
    Session::open(&peer.client(), &options).unwrap()
}

fn split(session: &Session) -> Split {
    Split::open(session, 0, &Options::new()).unwrap()
}

fn metric(split: &Split, name: &str) -> u64 {
    split.metrics().iter().find(|metric| metric.name == name).unwrap().value
}

const ALL: [(&str, &str); 5] = [
    ("types.timestamp_overflow", "null"),
    ("types.decimal", "text"),
    ("types.char_padding", "strip"),
    ("types.map_duplicate_keys", "last"),
    ("types.string_view", "true"),
];
const TOUCHED: [&str; 5] =
    ["times_replaced", "decimals_converted", "chars_changed", "map_entries_dropped", "strings_viewed"];

#[test]
fn policies_reach_every_batch_and_every_worker() {
    let peer = peer(vec![batch(0, -1)]);
    let session = open(&peer, &ALL);
    let explained: serde_json::Value = serde_json::from_str(&session.explain()).unwrap();
    assert_eq!(explained["types"]["timestamp_overflow"], "null");
    assert_eq!(explained["types"]["string_view"], true);
    let types: Vec<DataType> = session.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!((&types[1], &types[2]), (&DataType::Utf8View, &DataType::Utf8));
    assert_eq!(session.schema().field(2).metadata()["maxcompute.type"], "decimal(38,2)");
    let attached = Session::attach(&peer.client(), &session.serialize().unwrap()).unwrap();
    for session in [&session, &attached] {
        let split = split(session);
        let got = split.next_batch().unwrap().unwrap();
        assert_eq!(got.schema(), *session.schema());
        assert_eq!(split.schema(), session.schema());
        let chars: Vec<_> = got.column(1).as_string_view().iter().collect();
        assert_eq!(chars, [Some("ab"), Some("abcd"), None]);
        let decimals: Vec<_> = got.column(2).as_string::<i32>().iter().collect();
        assert_eq!(decimals, [Some("1.50"), Some("-0.01"), None]);
        let maps = got.column(3).as_map();
        assert_eq!(maps.value(1).column(0).as_string_view().iter().collect::<Vec<_>>(), [Some("a"), Some("b")]);
        assert_eq!(maps.value(1).column(1).as_primitive::<Int64Type>().values().as_ref(), [3, 2]);
        assert!(maps.value(0).is_empty() && maps.is_null(2));
        let times: Vec<_> = got.column(4).as_primitive::<TimestampNanosecondType>().iter().collect();
        assert_eq!(times, [Some(1_000_000_005), None, None]);
        let lists = got.column(5).as_list::<i32>();
        assert_eq!(
            lists.value(0).as_string_view().iter().collect::<Vec<_>>(),
            [Some("longer than twelve bytes"), None]
        );
        assert_eq!(TOUCHED.map(|name| metric(&split, name)), [1, 2, 1, 1, 6]);
        assert!(split.next_batch().unwrap().is_none());
    }
}

#[test]
fn large_offsets_reach_every_batch_and_every_worker() {
    let peer = peer(vec![batch(0, -1), batch(3, 225)]);
    let more = [("types.large_offsets", "true"), ("types.timestamp_overflow", "null"), ("types.decimal", "text")];
    let session = open(&peer, &more);
    let explained: serde_json::Value = serde_json::from_str(&session.explain()).unwrap();
    assert_eq!(explained["types"]["large_offsets"], true);
    let attached = Session::attach(&peer.client(), &session.serialize().unwrap()).unwrap();
    for session in [&session, &attached] {
        let types: Vec<DataType> = session.schema().fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!((&types[1], &types[2]), (&DataType::LargeUtf8, &DataType::LargeUtf8));
        assert!(matches!(&types[3], DataType::Map(..)) && matches!(&types[5], DataType::LargeList(_)), "{types:?}");
        let split = split(session);
        let got = split.next_batch().unwrap().unwrap();
        assert_eq!((got.schema(), split.schema()), (Arc::clone(session.schema()), session.schema()));
        assert!(got.column(1).as_string::<i64>().iter().eq([Some("ab  "), Some("abcd"), None]));
        assert!(got.column(2).as_string::<i64>().iter().eq([Some("1.50"), Some("-0.01"), None]));
        assert!(got.column(3).as_map().value(1).column(0).as_string::<i64>().iter().eq(["a", "b", "a"].map(Some)));
        let lists = got.column(5).as_list::<i64>();
        assert!(lists.value(0).as_string::<i64>().iter().eq([Some("longer than twelve bytes"), None]));
        // What waits is filtered by the types of the table.
        split.add_filter(&Predicate::parse("d = 2.25 and c = 'abcd'").unwrap()).unwrap();
        let last = split.next_batch().unwrap().unwrap();
        assert_eq!((numbers(&last), last.column(1).as_string::<i64>().value(0)), (vec![4], "abcd"));
        assert!(split.next_batch().unwrap().is_none());
        // Texts, keys, lists and their texts: 2 + 3 + 2 + 2 of the first batch, 1 + 3 + 1 + 1 of the row that is left of the second.
        assert_eq!((metric(&split, "offsets_widened"), metric(&split, "bytes_copied")), (15, 0));
    }
    let mut options = peer.options();
    options.set("types.large_offsets", "true").unwrap();
    options.set("types.string_view", "true").unwrap();
    assert_eq!(Session::open(&peer.client(), &options).unwrap_err().kind(), Kind::InvalidOption);
}

fn words(column: &ArrayRef) -> Vec<Option<String>> {
    let keyed: &DictionaryArray<Int32Type> = column.as_any().downcast_ref().expect("a dictionary");
    let values = keyed.values().as_string::<i32>();
    keyed.keys().iter().map(|key| key.map(|key| values.value(key as usize).to_owned())).collect()
}

/// Dictionaries, and times that name a zone: both are about the type only.
#[test]
fn dictionaries_and_zones_reach_every_batch_and_every_worker() {
    let peer = peer(vec![batch(0, 225), batch(3, 225), batch(6, 225)]);
    let more = [
        ("types.dictionary", "C"),
        ("types.time_zone", "Asia/Shanghai"),
        ("types.timestamp_overflow", "null"),
        ("types.char_padding", "strip"),
    ];
    let session = open(&peer, &more);
    let explained: serde_json::Value = serde_json::from_str(&session.explain()).unwrap();
    assert_eq!(explained["types"]["dictionary"], serde_json::json!(["C"]));
    assert_eq!(explained["types"]["time_zone"], "Asia/Shanghai");
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let attached = Session::attach(&peer.client(), &session.serialize().unwrap()).unwrap();
    for session in [&session, &attached] {
        let types: Vec<DataType> = session.schema().fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!((&types[1], types[4].to_string().contains("Asia/Shanghai")), (&dictionary, true), "{types:?}");
        assert_eq!(session.schema().field(1).metadata()["maxcompute.type"], "char(4)");
        let split = split(session);
        let got = split.next_batch().unwrap().unwrap();
        assert_eq!((got.schema(), split.schema()), (Arc::clone(session.schema()), session.schema()));
        assert_eq!(words(got.column(1)), [Some("ab".into()), Some("abcd".into()), None]);
        let times: Vec<_> = got.column(4).as_primitive::<TimestampNanosecondType>().iter().collect();
        assert_eq!(times, [Some(1_000_000_005), None, None]);
        // Filters are about the texts and about instants, also in what waits: the dictionary has what is left.
        split.add_filter(&Predicate::parse("c = 'ab' and t < timestamp'1970-01-01 00:00:02'").unwrap()).unwrap();
        let rest = split.next_batch().unwrap().unwrap();
        assert_eq!((numbers(&rest), words(rest.column(1))), (vec![3], vec![Some("ab".into())]));
        let keyed: &DictionaryArray<Int32Type> = rest.column(1).as_any().downcast_ref().unwrap();
        assert_eq!(keyed.values().len(), 1);
        assert_eq!(numbers(&split.next_batch().unwrap().unwrap()), [6]);
        assert!(split.next_batch().unwrap().is_none());
        assert_eq!(["strings_encoded", "dictionary_values"].map(|name| metric(&split, name)), [4, 4]);
        let scan = Scan::open(session, &Options::new()).unwrap();
        let batches: Vec<_> = std::iter::from_fn(|| scan.next_batch().unwrap()).map(|(_, batch)| batch).collect();
        assert!(batches.len() == 3 && batches.iter().all(|batch| batch.schema() == *session.schema()));
        // A read of fewer columns has no use for the rest.
        let mut read = Options::new();
        read.set("columns", "n").unwrap();
        let split = Split::open(session, 0, &read).unwrap();
        assert_eq!(split.next_batch().unwrap().unwrap().num_columns(), 1);
    }
    // A batch is cut first: each part has a dictionary of its own, here with views as its values.
    let small = open(&peer, &[&more[..], &[("types.string_view", "true")]].concat());
    let mut read = Options::new();
    read.set("read.batch_rows", "2").unwrap();
    let split = Split::open(&small, 0, &read).unwrap();
    let lengths: Vec<(usize, usize)> = std::iter::from_fn(|| split.next_batch().unwrap())
        .map(|batch| {
            let keyed = batch.column(1).as_any_dictionary();
            assert_eq!(*keyed.values().data_type(), DataType::Utf8View);
            (keyed.keys().len(), keyed.values().len())
        })
        .collect();
    assert_eq!(lengths, [(2, 2), (1, 0), (2, 2), (1, 0), (2, 2), (1, 0)]);
}

#[test]
fn dictionaries_of_what_is_no_string_and_zones_that_are_none_are_refused() {
    let peer = peer(vec![batch(0, 1)]);
    for (key, value, part) in [
        ("types.dictionary", "n", "column n is bigint"),
        ("types.dictionary", "s", "column s is array<string>"),
        ("types.dictionary", "absent", "column absent is not read"),
        ("types.time_zone", "GMT+8", "types.time_zone"),
    ] {
        let mut options = peer.options();
        options.set(key, value).unwrap();
        let error = Session::open(&peer.client(), &options).unwrap_err();
        assert!(error.kind() == Kind::InvalidOption && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn without_policies_values_arrive_as_they_are() {
    let peer = peer(vec![batch(0, HUGE)]);
    let session = open(&peer, &[("types.timestamp_unit", "second")]);
    let split = split(&session);
    let got = split.next_batch().unwrap().unwrap();
    assert_eq!(got.schema(), *session.schema());
    assert_eq!(got.columns()[..4], batch(0, HUGE).columns()[..4]);
    assert_eq!(TOUCHED.map(|name| metric(&split, name)), [0; 5]);
    assert_eq!(metric(&split, "policies"), 0);
}

fn numbers(batch: &RecordBatch) -> Vec<i64> {
    batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().values().to_vec()
}

/// Filters are about the types of the table, whatever form the engine gets.
#[test]
fn filters_see_values_before_their_form_changes() {
    let peer = peer(vec![batch(0, 225), batch(3, 300), batch(6, 225)]);
    // The values are treated already.
    let exact = [("filter.exact", "true"), ("filter.text", "d = 2.25 and c = 'abcd' and n >= 1")];
    let session = open(&peer, &[&ALL[..], &exact].concat());
    let split = split(&session);
    let first = split.next_batch().unwrap().unwrap();
    assert_eq!((numbers(&first), first.column(1).as_string_view().value(0)), (vec![1], "abcd"));
    // Among what waits, and on the columns that are views and texts now.
    split.add_filter(&Predicate::parse("d < 3 and c = 'abcd' and n > 1").unwrap()).unwrap();
    let last = split.next_batch().unwrap().unwrap();
    assert_eq!((numbers(&last), last.column(2).as_string::<i32>().value(0)), (vec![7], "2.25"));
    assert!(split.next_batch().unwrap().is_none());

    // With a column that only the filter needs (this peer sends the others whatever is asked for), and decimals that are wide.
    let mut options = peer.options();
    for (key, value) in [
        ("filter.exact", "true"),
        ("filter.text", "c = 'abcd'"),
        ("types.decimal", "wide"),
        ("types.timestamp_overflow", "null"),
    ] {
        options.set(key, value).unwrap();
    }
    for column in ["n", "d"] {
        options.add("columns", column).unwrap();
    }
    let session = Session::open(&peer.client(), &options).unwrap();
    assert!(session.schema().field_with_name("c").is_err());
    assert_eq!(*session.schema().field_with_name("d").unwrap().data_type(), DataType::Decimal128(38, 18));
    let scan = Scan::open(&session, &Options::new()).unwrap();
    scan.add_filter(&Predicate::parse("d > 2.99").unwrap()).unwrap();
    let (_, got) = scan.next_batch().unwrap().unwrap();
    assert_eq!(got.schema(), *session.schema());
    assert_eq!(numbers(&got), [4]);
    let decimals = got.column_by_name("d").unwrap().as_primitive::<Decimal128Type>();
    assert_eq!(decimals.value(0), 3 * 10i128.pow(18));
    assert!(scan.next_batch().unwrap().is_none());
}

#[test]
fn a_value_that_no_policy_fits_ends_the_read() {
    let peer = peer(vec![batch(0, 1), batch(3, HUGE), batch(6, 1)]);
    let session = open(&peer, &[("types.decimal", "wide"), ("types.timestamp_overflow", "clamp")]);
    let read = split(&session);
    let first = read.next_batch().unwrap().unwrap();
    assert_eq!(first.column(4).as_primitive::<TimestampNanosecondType>().value(1), i64::MAX);
    for _ in 0..3 {
        let error = read.next_batch().unwrap_err();
        assert_eq!(error.kind(), Kind::ValueOutOfRange);
        assert!(error.message().contains("column d") && error.message().contains("types.decimal"), "{error}");
    }
    assert_eq!(read.rows_delivered(), 3);
    // A filter that takes the row away first, takes the failure away.
    let read = split(&session);
    read.add_filter(&Predicate::parse("d < 100").unwrap()).unwrap();
    let rows: Vec<i64> = std::iter::from_fn(|| read.next_batch().unwrap()).flat_map(|batch| numbers(&batch)).collect();
    assert_eq!(rows, [0, 1, 3, 6, 7]);

    let times = split(&open(&peer, &[]));
    assert_eq!(times.next_batch().unwrap_err().kind(), Kind::ValueOutOfRange);
    let keys = open(&peer, &[("types.map_duplicate_keys", "error"), ("types.timestamp_unit", "milli")]);
    let error = split(&keys).next_batch().unwrap_err();
    assert!(error.kind() == Kind::ValueOutOfRange && error.message().contains("column m"), "{error}");
}

#[test]
fn keys_that_cannot_be_compared_are_refused_before_the_read() {
    let column = r#"{"Name":"m","Type":"map<array<string>,bigint>","Nullable":true}"#;
    let peer = Peer::table(column, 1, |exchange, _| exchange.answer("500 Internal Server Error", "", b""));
    let mut options = peer.options();
    options.set("types.map_duplicate_keys", "last").unwrap();
    let error = Session::open(&peer.client(), &options).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.message().contains("column m"), "{error}");
}

#[test]
fn rows_without_columns_are_counted_as_they_arrive() {
    let peer = peer(vec![batch(0, 1), batch(3, 300)]);
    let session = open(&peer, &ALL);
    let mut read = Options::new();
    read.set("read.row_count_only", "true").unwrap();
    let split = Split::open(&session, 0, &read).unwrap();
    assert!(split.schema().fields().is_empty());
    let counts: Vec<(usize, usize)> = std::iter::from_fn(|| split.next_batch().unwrap())
        .map(|batch| (batch.num_rows(), batch.num_columns()))
        .collect();
    assert_eq!(counts, [(3, 0), (3, 0)]);
    let filter = Predicate::parse("n > 1").unwrap();
    assert_eq!(split.add_filter(&filter).unwrap_err().kind(), Kind::NotFound, "no column is delivered");
    // What the session filters by is evaluated all the same.
    let session = open(&peer, &[("filter.exact", "true"), ("filter.text", "d = 3"), ("types.timestamp_unit", "milli")]);
    let scan = Scan::open(&session, &read).unwrap();
    let (_, rows) = scan.next_batch().unwrap().unwrap();
    assert_eq!((rows.num_rows(), rows.num_columns()), (1, 0));
    assert!(scan.next_batch().unwrap().is_none());
}
