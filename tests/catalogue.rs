//! The catalogue against a peer whose every answer the test decides: pages, laziness, odd answers, and each step of the diagnosis.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int8Type, Int64Type};
use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use maxstorage::catalog::{self, Listing};
use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::options::Options;
use maxstorage::predicate::Predicate;
use support::{Exchange, Peer, ipc};

fn xml(exchange: &mut Exchange, body: &str) {
    exchange.answer("200 OK", "x-odps-request-id: REQ-1\r\nContent-Type: application/xml\r\n", body.as_bytes());
}

fn unknown(exchange: &mut Exchange) {
    let body =
        "<Error><Code>NoSuchObject</Code><Message>ODPS-0130131:not found</Message><RequestId>REQ-4</RequestId></Error>";
    exchange.answer("404 Not Found", "", body.as_bytes());
}

fn rows(listing: &mut Listing) -> Vec<RecordBatch> {
    std::iter::from_fn(|| listing.next_batch().unwrap()).collect()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap_or("NULL").to_owned()).collect()
}

/// Three pages of tables; the second has none that ends with `_a`.
fn pages() -> Peer {
    Peer::start(|exchange, _| {
        let page = |next: &str, names: &[&str]| {
            let items: String = names
                .iter()
                .map(|name| format!("<Table><Name>{name}</Name><Type>MANAGED_TABLE</Type></Table>"))
                .collect();
            format!("<Tables><Marker>{next}</Marker><MaxItems>2</MaxItems>{items}</Tables>")
        };
        match exchange.path() {
            path if path.contains("marker=m3") => xml(exchange, &page("", &["t5_a"])),
            path if path.contains("marker=m2") => xml(exchange, &page("m3", &["t3_b", "t4_b"])),
            path if path.starts_with("/api/projects/p/tables?") => xml(exchange, &page("m2", &["t1_a", "t2_a"])),
            _ => unknown(exchange),
        }
    })
}

#[test]
fn pages_are_asked_for_when_they_are_wanted() {
    let peer = pages();
    let mut tables = catalog::tables(&peer.client(), None, None, Some("T*_A")).unwrap();
    assert_eq!(peer.heads().len(), 1);
    assert!(peer.heads()[0].contains("&name=t&"), "{}", peer.heads()[0]);
    let first = tables.next_batch().unwrap().unwrap();
    assert_eq!((texts(&first, "table"), peer.heads().len()), (vec!["t1_a".to_owned(), "t2_a".into()], 1));
    assert_eq!(texts(&first, "kind"), ["table", "table"]);
    assert_eq!(texts(&tables.next_batch().unwrap().unwrap(), "table"), ["t5_a"]);
    assert!(tables.next_batch().unwrap().is_none() && tables.next_batch().unwrap().is_none());
    assert_eq!(peer.heads().len(), 3);
    // Who stops early asks for no more.
    drop(catalog::tables(&peer.client(), None, None, None).unwrap());
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(peer.heads().len(), 4);
}

#[test]
fn a_page_that_fails_ends_the_stream_with_a_failure_that_stays() {
    let peer = Peer::start(|exchange, number| match number {
        0 => xml(exchange, "<Tables><Marker>m</Marker><Table><Name>t</Name></Table></Tables>"),
        _ => unknown(exchange),
    });
    let mut tables = catalog::tables(&peer.client(), Some("q"), Some("s"), None).unwrap();
    assert!(peer.heads()[0].contains("/projects/q/tables?") && peer.heads()[0].contains("curr_schema=s"));
    tables.next_batch().unwrap().unwrap();
    for _ in 0..2 {
        let error = tables.next_batch().unwrap_err();
        assert_eq!((error.kind(), error.server().request_id.as_str()), (Kind::NotFound, "REQ-4"));
    }
    assert_eq!(peer.heads().len(), 2);
    assert_eq!(catalog::tables(&peer.client(), Some("a/b"), None, None).unwrap_err().kind(), Kind::InvalidOption);
}

#[test]
fn schemas_of_all_projects_and_of_one() {
    let peer = Peer::start(|exchange, _| match exchange.path() {
        path if path.contains("/schemas") && path.contains("/p2/") => {
            let body = "<Error><Code>MethodNotAllowed</Code><Message>no</Message></Error>";
            exchange.answer("405 Method Not Allowed", "", body.as_bytes());
        }
        path if path.contains("/p3/") || path.contains("/p5/") => {
            let body = "<Error><Code>NoPermission</Code><Message>no</Message></Error>";
            exchange.answer("403 Forbidden", "", body.as_bytes());
        }
        path if path.contains("/schemas") => xml(
            exchange,
            "<Schemas><Marker/><Schema><Name>default</Name><Owner>o</Owner></Schema><Schema><Name>s1</Name></Schema></Schemas>",
        ),
        path if path.contains("marker=m2") => xml(
            exchange,
            "<Projects><Marker/><Project><Name>p4</Name></Project><Project><Name>p5</Name></Project></Projects>",
        ),
        _ => xml(
            exchange,
            "<Projects><Marker>m2</Marker><Project><Name>p1</Name></Project><Project><Name>p2</Name><Owner>o2</Owner></Project><Project><Name>p3</Name></Project></Projects>",
        ),
    });
    let all = rows(&mut catalog::schemas(&peer.client(), None).unwrap());
    let seen: Vec<_> =
        all.iter().flat_map(|batch| texts(batch, "project").into_iter().zip(texts(batch, "schema"))).collect();
    let expected = [("p1", "default"), ("p1", "s1"), ("p2", "default"), ("p4", "default"), ("p4", "s1")];
    assert_eq!(
        seen,
        expected.map(|(project, schema)| (project.to_owned(), schema.to_owned())),
        "p3 and p5 are closed to us"
    );
    assert_eq!(texts(&all[1], "owner"), ["o2"]);
    assert_eq!(rows(&mut catalog::schemas(&peer.client(), Some("p9")).unwrap()).len(), 1);
    assert_eq!(catalog::schemas(&peer.client(), Some("p3")).unwrap_err().kind(), Kind::PermissionDenied);
}

fn document(columns: &str, keys: &str) -> String {
    format!(
        r#"<Table><Name>t</Name><Project>p</Project><Type>MANAGED_TABLE</Type>
           <Schema>{{"columns":[{columns}],"partitionKeys":[{keys}],"recordNum":3}}</Schema></Table>"#
    )
}

const KEYS: &str = r#"{"name":"day","type":"date"},{"name":"hour","type":"tinyint"}"#;

#[test]
fn partitions_have_typed_values() {
    let peer = Peer::start(|exchange, _| match exchange.path() {
        path if path.contains("partitions") && path.contains("marker=m2") => xml(
            exchange,
            r#"<Partitions><Marker/><Partition><Column Name="day" Value="2025-01-15"/><Column Name="hour" Value="300"/></Partition></Partitions>"#,
        ),
        path if path.contains("partitions") => xml(
            exchange,
            r#"<Partitions><Marker>m2</Marker>
               <Partition><Column Name="day" Value="2025-01-15"/><Column Name="hour" Value="7"/><PartitionSize>10</PartitionSize>
                 <PartitionRecordCount>3</PartitionRecordCount><LastModifiedTime>1736929860</LastModifiedTime></Partition>
               <Partition><Column Name="DAY" Value="__HIVE_DEFAULT_PARTITION__"/><Column Name="hour" Value="-8"/></Partition></Partitions>"#,
        ),
        _ => xml(exchange, &document(r#"{"name":"a","type":"bigint"}"#, KEYS)),
    });
    let mut partitions = catalog::partitions(&peer.client(), "t", None).unwrap();
    let batch = partitions.next_batch().unwrap().unwrap();
    assert_eq!(texts(&batch, "partition"), ["day=2025-01-15/hour=7", "DAY=__HIVE_DEFAULT_PARTITION__/hour=-8"]);
    let values = batch.column_by_name("values").unwrap().as_struct();
    let days = values.column_by_name("day").unwrap().as_primitive::<Date32Type>();
    assert!(days.value(0) == 20_103 && days.is_null(1));
    assert_eq!(values.column_by_name("hour").unwrap().as_primitive::<Int8Type>().values(), &[7, -8]);
    let counts = batch.column_by_name("rows").unwrap().as_primitive::<Int64Type>();
    assert!(counts.value(0) == 3 && counts.is_null(1));
    let error = partitions.next_batch().unwrap_err();
    assert!(error.kind() == Kind::CorruptData && error.message().contains("`300` of partition key hour"), "{error}");
}

#[test]
fn partitions_are_filtered_by_the_service_and_exactly() {
    let peer = Peer::start(|exchange, _| match exchange.path() {
        path if path.contains("partitions") => {
            let item = |day: &str, hour: i8| {
                format!(
                    r#"<Partition><Column Name="day" Value="{day}"/><Column Name="hour" Value="{hour}"/></Partition>"#
                )
            };
            let (first, second) = ("2025-01-15", "__HIVE_DEFAULT_PARTITION__");
            let page = match path.contains("marker=m2") {
                true => format!("<Marker/>{}{}", item(first, 9), item(second, 8)),
                false => format!("<Marker>m2</Marker>{}{}", item(first, 7), item(second, 9)),
            };
            xml(exchange, &format!("<Partitions>{page}</Partitions>"))
        }
        path if path.contains("/texts") => xml(
            exchange,
            &document(r#"{"name":"a","type":"bigint"}"#, r#"{"name":"dt","type":"string"},{"name":"n","type":"int"}"#),
        ),
        _ => xml(exchange, &document(r#"{"name":"a","type":"bigint"}"#, KEYS)),
    });
    let left = |table: &str, filter: &str| {
        let filter = Predicate::parse(filter).unwrap();
        catalog::partitions(&peer.client(), table, Some(&filter)).map(|mut list| {
            rows(&mut list).iter().flat_map(|batch| texts(batch, "partition")).collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(left("t", "hour = 9 and day >= date'2025-01-01'").unwrap(), "day=2025-01-15/hour=9");
    assert_eq!(
        left("t", "day is null").unwrap(),
        "day=__HIVE_DEFAULT_PARTITION__/hour=9 day=__HIVE_DEFAULT_PARTITION__/hour=8"
    );
    assert_eq!(left("t", "not (day = date'2025-01-15')").unwrap(), "", "a comparison with NULL is never true");
    assert_eq!(left("t", "a = 1").unwrap_err().kind(), Kind::NotFound);
    assert!(!peer.heads().iter().any(|head| head.contains("&partition=")), "the first key is no text or number here");
    // The last answer is none of this table's: what was asked for is what counts.
    for (filter, spec) in [
        ("dt = '20250101'", Some("dt%3D%2720250101%27&")),
        ("n = 7 and dt = 'a' and n > 1", Some("dt%3D%27a%27%2Cn%3D%277%27&")),
        ("n = 7", None),
        ("dt = 'a' or n = 7", None),
        ("dt > 'a'", None),
        ("dt = 'it''s'", None),
    ] {
        assert_eq!(left("texts", filter).unwrap_err().kind(), Kind::CorruptData);
        let last = peer.heads().last().unwrap().clone();
        match spec {
            Some(spec) => assert!(last.contains(&format!("&partition={spec}")), "{last}"),
            None => assert!(!last.contains("&partition="), "{last}"),
        }
    }
}

#[test]
fn a_table_without_partitions_says_so() {
    let peer = Peer::start(|exchange, _| xml(exchange, &document(r#"{"name":"a","type":"bigint"}"#, "")));
    assert_eq!(catalog::partitions(&peer.client(), "t", None).unwrap_err().kind(), Kind::InvalidArgument);
}

#[test]
fn facts_that_come_in_two_documents_are_put_together() {
    let peer = Peer::start(|exchange, _| match exchange.path().contains("extended") {
        true => xml(exchange, r#"<Table><Name>t</Name><Schema>{"FileNum":4,"Reserved":"{}"}</Schema></Table>"#),
        false => xml(exchange, &document(r#"{"name":"a","type":"bigint","comment":"c"}"#, "")),
    });
    let row = rows(&mut catalog::table_details(&peer.client(), "t").unwrap()).remove(0);
    let number = |name: &str| row.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(0);
    assert_eq!((number("files"), number("rows"), row.num_rows()), (4, 3, 1));
    let schema = catalog::table_schema(&peer.client(), "t").unwrap();
    assert_eq!(schema.field(0).metadata()["maxcompute.comment"], "c");
}

fn two_rows() -> RecordBatch {
    let ids: Arc<dyn Array> = Arc::new(Int64Array::from(vec![1, 2]));
    RecordBatch::try_from_iter_with_nullable([
        ("a", ids, true),
        ("dt", Arc::new(StringArray::from(vec!["x", "x"])), true),
    ])
    .unwrap()
}

#[test]
fn a_preview_that_breaks_before_its_first_row_is_asked_for_again() {
    let body = ipc(&[two_rows()], None);
    let tries = AtomicUsize::new(0);
    let peer = Peer::start(move |exchange, _| match exchange.path() {
        path if path.contains("Action=TablePreview") => {
            exchange.begin();
            match tries.fetch_add(1, Ordering::SeqCst) {
                0 => {
                    exchange.chunk(&body[..body.len() / 2]);
                    let _ = exchange.stream.shutdown(std::net::Shutdown::Both);
                }
                _ => {
                    exchange.chunk(&body);
                    exchange.end();
                }
            }
        }
        _ => xml(
            exchange,
            &document(
                r#"{"name":"a","type":"bigint"},{"name":"b","type":"string"}"#,
                r#"{"name":"dt","type":"string"}"#,
            ),
        ),
    });
    let mut scan = Options::new();
    scan.add("columns", "A").unwrap();
    scan.add("partition_columns", "dt").unwrap();
    scan.add("partitions", "dt=x").unwrap();
    let batches = rows(&mut catalog::preview(&peer.client(), "t", &scan, 2).unwrap());
    assert_eq!((batches.len(), batches[0].num_rows()), (1, 2));
    assert_eq!(batches[0].schema().field(1).metadata()["maxcompute.partition_key"], "true");
    let asked: Vec<_> = peer.heads().into_iter().filter(|head| head.contains("TablePreview")).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].contains("Limit=2&Partition=dt%3Dx"), "{}", asked[0]);
    scan.add("columns", "none").unwrap();
    assert_eq!(catalog::preview(&peer.client(), "t", &scan, 2).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn a_preview_follows_the_policies_of_types() {
    let body = ipc(&[two_rows()], None);
    let peer = Peer::start(move |exchange, _| match exchange.path().contains("Action=TablePreview") {
        true => exchange.answer("200 OK", "", &body),
        false => xml(exchange, &document(r#"{"name":"a","type":"bigint"}"#, r#"{"name":"dt","type":"char(3)"}"#)),
    });
    let client = peer.client();
    let held = || client.metrics().iter().find(|metric| metric.name == "memory_current").unwrap().value;
    let mut scan = Options::new();
    scan.set("types.large_offsets", "true").unwrap();
    scan.set("types.char_padding", "pad").unwrap();
    let mut preview = catalog::preview(&client, "t", &scan, 2).unwrap();
    assert_eq!(*preview.schema().field(1).data_type(), DataType::LargeUtf8);
    let batches = rows(&mut preview);
    assert_eq!(batches[0].schema(), *preview.schema());
    assert!(batches[0].column(1).as_string::<i64>().iter().eq([Some("x  "); 2]));
    drop(preview);
    // The number in the message, and what was made of the text.
    assert!(held() > 16 + 2 * 3 + 3 * 8, "{}", held());
    drop(batches);
    assert_eq!(held(), 0);
    scan.set("types.string_view", "true").unwrap();
    assert_eq!(catalog::preview(&client, "t", &scan, 2).unwrap_err().kind(), Kind::InvalidOption);
    scan.set("types.string_view", "false").unwrap();
    scan.set("types.dictionary", "dt").unwrap();
    let mut preview = catalog::preview(&client, "t", &scan, 2).unwrap();
    let batches = rows(&mut preview);
    assert_eq!(batches[0].schema(), *preview.schema());
    let keyed = batches[0].column(1).as_any_dictionary();
    assert_eq!((keyed.normalized_keys(), keyed.values().as_string::<i64>().value(0)), (vec![0, 0], "x  "));
    drop((preview, batches));
    assert_eq!(held(), 0);
    scan.set("types.dictionary", "a").unwrap();
    assert_eq!(catalog::preview(&client, "t", &scan, 2).unwrap_err().kind(), Kind::InvalidOption);
}

#[test]
fn a_preview_of_other_columns_is_refused() {
    let body = ipc(&[two_rows()], None);
    let peer = Peer::start(move |exchange, _| match exchange.path().contains("Action=TablePreview") {
        true => exchange.answer("200 OK", "", &body),
        false => xml(exchange, &document(r#"{"name":"a","type":"string"}"#, r#"{"name":"dt","type":"string"}"#)),
    });
    let error = catalog::preview(&peer.client(), "t", &Options::new(), 2).unwrap_err();
    assert_eq!(error.kind(), Kind::SchemaMismatch);
}

/// Status of each step, and the sentence of the first that failed.
fn diagnosis(client: &Client, table: Option<&str>) -> (Vec<(String, String)>, String) {
    let report = rows(&mut catalog::diagnose(client, table).unwrap()).remove(0);
    let steps: Vec<_> = texts(&report, "step").into_iter().zip(texts(&report, "status")).collect();
    let failed = steps.iter().position(|(_, status)| status == "failed");
    let sentence = failed.map(|at| texts(&report, "sentence")[at].clone()).unwrap_or_default();
    (steps, sentence)
}

/// All steps up to `failed` are fine, it fails, and none behind it is tried.
fn assert_fails_at(client: &Client, failed: &str, part: &str) {
    let (steps, sentence) = diagnosis(client, Some("t"));
    let at = steps.iter().position(|(step, _)| step == failed).unwrap();
    for (index, (step, status)) in steps.iter().enumerate() {
        let fine = match index.cmp(&at) {
            std::cmp::Ordering::Less => status == "ok" || status == "skipped",
            std::cmp::Ordering::Equal => status == "failed",
            std::cmp::Ordering::Greater => status == "not tried",
        };
        assert!(fine, "{step} is {status} where {failed} should fail: {steps:?} {sentence}");
    }
    assert!(sentence.contains(part), "{sentence}");
}

const SESSION: &str = r#"{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":1,"DataSchema":{"DataColumns":[{"Name":"a","Type":"bigint"}]}}"#;

/// A service where nothing is wrong, but for what `wrong` answers by itself.
fn sound(wrong: impl Fn(&mut Exchange) -> bool + Send + Sync + 'static) -> Peer {
    Peer::start(move |exchange, _| {
        if wrong(exchange) {
            return;
        }
        let authority =
            exchange.head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
        match exchange.path() {
            path if path.contains("/tunnel?") => exchange.answer("200 OK", "", authority.as_bytes()),
            path if path.contains("/sessions") => exchange.json("201 Created", SESSION),
            path if path.contains("/tables/t") => xml(exchange, &document(r#"{"name":"a","type":"bigint"}"#, "")),
            path if path.starts_with("/api/projects/p?") => xml(exchange, "<Project><Name>p</Name></Project>"),
            path if path.starts_with("/api/projects?") => xml(exchange, "<Projects><Marker/></Projects>"),
            _ => {
                let date = format!("Date: {}\r\n", httpdate(SystemTime::now()));
                exchange.answer("404 Not Found", &date, b"");
            }
        }
    })
}

fn httpdate(time: SystemTime) -> String {
    httpdate::fmt_http_date(time)
}

fn refuse(exchange: &mut Exchange, status: &str, code: &str, message: &str) -> bool {
    exchange.json(status, &format!(r#"{{"Code":"{code}","Message":"{message}"}}"#));
    true
}

fn client(peer: &Peer, more: &[(&str, &str)]) -> Client {
    let mut options = peer.options();
    options.set("data_endpoint", "").unwrap();
    for (key, value) in more {
        options.set(key, value).unwrap();
    }
    Client::open(&options).unwrap()
}

#[test]
fn where_nothing_is_wrong_every_step_is_fine() {
    let peer = sound(|_| false);
    let (steps, _) = diagnosis(&client(&peer, &[("quota", "q")]), Some("t"));
    let status: Vec<&str> = steps.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(status, ["ok", "ok", "skipped", "ok", "ok", "ok", "ok", "ok", "ok", "ok"], "{steps:?}");
    let names: Vec<&str> = steps.iter().map(|(step, _)| step.as_str()).collect();
    assert_eq!(
        names,
        [
            "name_resolution",
            "connect",
            "tls",
            "clock_skew",
            "signature",
            "endpoint_routing",
            "project",
            "quota",
            "table",
            "read_right"
        ]
    );
    let (steps, _) = diagnosis(&client(&peer, &[]), None);
    assert!(steps[7..].iter().all(|(_, status)| status == "skipped"), "{steps:?}");
    let (steps, _) = diagnosis(&client(&peer, &[("project", "")]), None);
    assert!(steps[4].1 == "ok" && steps[5..].iter().all(|(_, status)| status == "skipped"), "{steps:?}");
}

#[test]
fn names_that_do_not_resolve_and_ports_where_nobody_listens() {
    let peer = sound(|_| false);
    let at = |endpoint: &str| client(&peer, &[("endpoint", endpoint)]);
    assert_fails_at(
        &at("http://no-such-host.invalid/api"),
        "name_resolution",
        "no-such-host.invalid:80 cannot be resolved",
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_fails_at(&at(&format!("http://{free}/api")), "connect", "Check the port");
    assert_fails_at(&at(&format!("https://{}/api", peer.address)), "tls", "TLS");
    // Proxies are who is connected to.
    let behind =
        client(&peer, &[("endpoint", "http://no-such-host.invalid/api"), ("proxy", &format!("http://{free}"))]);
    assert_fails_at(&behind, "connect", "proxy");
}

#[test]
fn a_clock_that_is_off() {
    let peer = sound(|exchange| match exchange.path() {
        "/api" => {
            let date = format!("Date: {}\r\n", httpdate(SystemTime::now() + Duration::from_secs(7200)));
            exchange.answer("404 Not Found", &date, b"");
            true
        }
        _ => false,
    });
    assert_fails_at(&client(&peer, &[]), "clock_skew", "Set the clock");
    // Without a date the service still says so.
    let peer = sound(|exchange| match exchange.path() {
        "/api" => {
            exchange.answer("404 Not Found", "", b"");
            true
        }
        _ => refuse(exchange, "400 Bad Request", "RequestTimeTooSkewed", "expired"),
    });
    assert_fails_at(&client(&peer, &[]), "signature", "expired");
}

#[test]
fn who_is_no_service_at_all() {
    let peer = Peer::start(|exchange, _| exchange.stall());
    assert_fails_at(&client(&peer, &[("retry.max_attempts", "1")]), "clock_skew", "not the service");
}

#[test]
fn refusals_are_found_where_they_belong() {
    let peer = sound(|exchange| {
        exchange.path() != "/api" && refuse(exchange, "401 Unauthorized", "SignatureNotMatch", "wrong")
    });
    assert_fails_at(&client(&peer, &[]), "signature", "access_key_secret");

    let peer = sound(|exchange| {
        exchange.path().starts_with("/api/projects/p")
            && refuse(exchange, "404 Not Found", "NoSuchObject", "Project not found")
    });
    assert_fails_at(&client(&peer, &[]), "project", "Check the name of the project");
    let peer = sound(|exchange| {
        exchange.path().starts_with("/api/projects/p") && refuse(exchange, "403 Forbidden", "NoPermission", "no member")
    });
    assert_fails_at(&client(&peer, &[]), "project", "member");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let peer = sound(move |exchange| {
        let is_routing = exchange.path().contains("/tunnel?");
        if is_routing {
            exchange.answer("200 OK", "", free.to_string().as_bytes());
        }
        is_routing
    });
    assert_fails_at(&client(&peer, &[]), "endpoint_routing", "data_endpoint");

    let peer = sound(|exchange| {
        exchange.path().contains("/tunnel?")
            && exchange.path().contains("quotaName=q")
            && refuse(exchange, "404 Not Found", "NoSuchObject", "no quota q")
    });
    assert_fails_at(&client(&peer, &[("quota", "q")]), "quota", "option quota");
    let peer = sound(|exchange| {
        exchange.path().contains("/sessions")
            && refuse(exchange, "403 Forbidden", "NoPermission", "no odps:Usage on quotas/q")
    });
    assert_fails_at(&client(&peer, &[("quota", "q")]), "quota", "odps:Usage");

    let peer = sound(|exchange| {
        exchange.path().contains("/tables/t")
            && !exchange.path().contains("/sessions")
            && refuse(exchange, "404 Not Found", "NoSuchObject", "Table not found")
    });
    assert_fails_at(&client(&peer, &[]), "table", "Check the names");
    let peer = sound(|exchange| {
        exchange.path().contains("/sessions") && refuse(exchange, "403 Forbidden", "NoPermission", "no Select")
    });
    assert_fails_at(&client(&peer, &[]), "read_right", "Select");
    let peer = sound(|exchange| {
        exchange.path().contains("/sessions")
            && refuse(exchange, "405 Method Not Allowed", "MethodNotAllowed", "a view")
    });
    assert_fails_at(&client(&peer, &[]), "read_right", "behind the view");
}
