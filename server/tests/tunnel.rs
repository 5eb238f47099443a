//! The classic tunnel over the wire, by bytes that this test makes and reads itself.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use common::{Answer, Root, Server, numbers};
use crc32c::{crc32c, crc32c_append};
use serde_json::{Value, json};

type Row = (i64, Option<String>);

/// A root with empty tables `t` (id bigint not null, name string) and `p`, the same partitioned by `ds` and `hh` with
/// one partition `ds=0/hh=0`.
fn root() -> Root {
    let root = Root::new();
    let empty = root.parquet("empty.parquet", &numbers(0, 0));
    root.load("local.default.t", &empty, &[]);
    root.load("local.default.p", &empty, &["--partition", "ds=0/hh=0"]);
    root
}

fn table(name: &str, query: &str) -> String {
    format!("/projects/local/tables/{name}?{query}")
}

fn rows(start: i64, count: i64) -> Vec<Row> {
    (start..start + count).map(|id| (id, (id % 7 != 0).then(|| format!("name {id}")))).collect()
}

/// A signed call with bytes and headers.
fn call(server: &Server, method: &str, target: &str, bytes: &[u8], headers: &[(&str, &str)]) -> Answer {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
    let agent: ureq::Agent = config.build().into();
    let url = format!("http://127.0.0.1:{}{target}", server.port);
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in server.sign(method, target, None) {
        request = request.header(name, value);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = match method {
        "PUT" => agent.run(request.body(ureq::SendBody::from_reader(&mut &bytes[..])).unwrap()),
        _ => agent.run(request.body(()).unwrap()),
    };
    let (parts, mut body) = response.unwrap().into_parts();
    let mut bytes = Vec::new();
    let complete = body.as_reader().read_to_end(&mut bytes).is_ok();
    let headers = parts.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_string())).collect();
    Answer { status: parts.status.as_u16(), headers, body: bytes, complete }
}

fn ok(answer: Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// Rows as records with their footer.
fn records(rows: &[Row]) -> Vec<u8> {
    let (mut out, mut total) = (Vec::new(), 0u32);
    for (id, name) in rows {
        let mut crc = crc32c_append(crc32c(&1u32.to_le_bytes()), &id.to_le_bytes());
        varint(&mut out, 1 << 3);
        varint(&mut out, zigzag(*id));
        if let Some(name) = name {
            crc = crc32c_append(crc32c_append(crc, &2u32.to_le_bytes()), name.as_bytes());
            varint(&mut out, 2 << 3 | 2);
            varint(&mut out, name.len() as u64);
            out.extend(name.as_bytes());
        }
        varint(&mut out, 33_553_408 << 3);
        varint(&mut out, u64::from(crc));
        total = crc32c_append(total, &crc.to_le_bytes());
    }
    varint(&mut out, 33_554_430 << 3);
    varint(&mut out, zigzag(rows.len() as i64));
    varint(&mut out, 33_554_431 << 3);
    varint(&mut out, u64::from(total));
    out
}

fn read_varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

/// The values of an answer of records, each of an id and a name in the order of `columns`; all checksums must be right.
fn read_records(answer: &Answer, columns: &str) -> Vec<Row> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.complete);
    let names: Vec<&str> = columns.split(',').collect();
    let (mut bytes, mut rows, mut row) = (answer.body.as_slice(), Vec::new(), (0i64, None));
    let (mut total, mut crc) = (0u32, 0u32);
    loop {
        let field = (read_varint(&mut bytes) >> 3) as u32;
        match field {
            33_553_408 => {
                assert_eq!(read_varint(&mut bytes), u64::from(crc));
                total = crc32c_append(total, &crc.to_le_bytes());
                rows.push(std::mem::take(&mut row));
                crc = 0;
            }
            33_554_430 => {
                assert_eq!(read_varint(&mut bytes), zigzag(rows.len() as i64));
                assert_eq!(read_varint(&mut bytes) >> 3, 33_554_431);
                assert_eq!(read_varint(&mut bytes), u64::from(total));
                assert!(bytes.is_empty());
                return rows;
            }
            column => {
                crc = crc32c_append(crc, &column.to_le_bytes());
                if names[column as usize - 1] == "id" {
                    let raw = read_varint(&mut bytes);
                    row.0 = (raw >> 1) as i64 ^ -((raw & 1) as i64);
                    crc = crc32c_append(crc, &row.0.to_le_bytes());
                } else {
                    let (text, rest) = {
                        let length = read_varint(&mut bytes) as usize;
                        bytes.split_at(length)
                    };
                    crc = crc32c_append(crc, text);
                    row.1 = Some(String::from_utf8(text.to_vec()).unwrap());
                    bytes = rest;
                }
            }
        }
    }
}

fn upload(server: &Server, name: &str, query: &str) -> String {
    let session = ok(call(server, "POST", &table(name, &format!("uploads=1{query}")), &[], &[]));
    assert_eq!(session["Status"], "normal");
    assert_eq!(session["UploadedBlockList"], json!([]));
    assert_eq!(session["Schema"]["columns"][0]["type"], "bigint");
    session["UploadID"].as_str().unwrap().to_string()
}

fn block(server: &Server, name: &str, id: &str, number: i64, bytes: &[u8]) -> Answer {
    call(server, "PUT", &table(name, &format!("uploadid={id}&blockid={number}")), bytes, &[])
}

fn blocks(server: &Server, name: &str, id: &str) -> Value {
    ok(call(server, "GET", &table(name, &format!("uploadid={id}")), &[], &[]))["UploadedBlockList"].clone()
}

fn commit(server: &Server, name: &str, id: &str) -> Answer {
    call(server, "POST", &table(name, &format!("uploadid={id}")), &[], &[])
}

/// A new download session; its id and its count.
fn download(server: &Server, name: &str, query: &str) -> (String, i64) {
    let session = ok(call(server, "POST", &table(name, &format!("downloads{query}")), &[], &[]));
    assert_eq!(session["Status"], "normal");
    (session["DownloadID"].as_str().unwrap().to_string(), session["RecordCount"].as_i64().unwrap())
}

fn data(name: &str, id: &str, start: i64, count: i64, more: &str) -> String {
    table(name, &format!("data&downloadid={id}&rowrange=({start},{count}){more}"))
}

/// All rows, sorted.
fn all(server: &Server, name: &str, query: &str) -> Vec<Row> {
    let (id, count) = download(server, name, query);
    let mut rows = read_records(&call(server, "GET", &data(name, &id, 0, count, ""), &[], &[]), "id,name");
    rows.sort();
    rows
}

#[test]
fn records_go_up_in_blocks_and_come_down() {
    let root = root();
    let server = root.serve(&[]);
    let id = upload(&server, "t", "");
    ok(block(&server, "t", &id, 10, &records(&rows(100, 30))));
    ok(block(&server, "t", &id, 2, &records(&rows(900, 5))));
    // A block that is sent again replaces what it was.
    ok(block(&server, "t", &id, 2, &records(&rows(0, 100))));
    assert_eq!(blocks(&server, "t", &id), json!([{"BlockID": 2}, {"BlockID": 10}]));
    assert_eq!(all(&server, "t", ""), []);
    assert_eq!(ok(commit(&server, "t", &id))["Status"], "closed");
    assert_eq!(ok(commit(&server, "t", &id))["Status"], "closed");
    assert_eq!(all(&server, "t", ""), rows(0, 130));
    assert_eq!(block(&server, "t", &id, 3, &records(&rows(0, 1))).error(), (409, "StatusConflict".into()));

    // The session stays what it was when rows are added.
    let (session, count) = download(&server, "t", "&asyncmode=true");
    let more = upload(&server, "t", "&overwrite=true");
    ok(block(&server, "t", &more, 0, &records(&rows(500, 3))));
    ok(commit(&server, "t", &more));
    assert_eq!(all(&server, "t", ""), rows(500, 3));
    let again = ok(call(&server, "GET", &table("t", &format!("downloadid={session}")), &[], &[]));
    assert_eq!((again["RecordCount"].as_i64(), count), (Some(130), 130));
    // Blocks follow each other by number.
    let part = call(&server, "GET", &data("t", &session, 95, 10, ""), &[], &[]);
    assert_eq!(read_records(&part, "id,name"), rows(95, 10));
    let part = call(&server, "GET", &data("t", &session, 1, 2, "&columns=name,id"), &[], &[]);
    assert_eq!(read_records(&part, "name,id"), rows(1, 2));
    let part = call(&server, "GET", &data("t", &session, 1, 2, "&columns=ID"), &[], &[]);
    assert_eq!(read_records(&part, "id"), [(1, None), (2, None)]);
    assert_eq!(read_records(&call(&server, "GET", &data("t", &session, 130, 0, ""), &[], &[]), "id,name"), []);
}

/// A name in headers, and what makes and undoes the coding.
type Coding = (&'static str, fn(&[u8]) -> Vec<u8>, fn(&[u8]) -> Vec<u8>);

#[test]
fn bodies_are_coded_as_asked() {
    let root = root();
    let server = root.serve(&[]);
    let plain = records(&rows(0, 20_000));
    let codings: [Coding; 4] = [
        ("deflate", deflate, inflate),
        ("zstd", |b| zstd::encode_all(b, 3).unwrap(), |b| zstd::decode_all(b).unwrap()),
        ("x-lz4-frame", lz4, unlz4),
        ("x-snappy-framed", snappy, unsnappy),
    ];
    for (number, (name, code, _)) in (0..).zip(codings) {
        let id = upload(&server, "t", "&overwrite=true");
        let target = table("t", &format!("uploadid={id}&blockid={number}"));
        let coded = code(&plain);
        ok(call(&server, "PUT", &target, &coded, &[("content-encoding", name)]));
        let broken = call(&server, "PUT", &target, &coded[..coded.len() / 2], &[("content-encoding", name)]);
        assert_eq!(broken.status, 400, "{name}");
        ok(commit(&server, "t", &id));
        assert_eq!(all(&server, "t", ""), rows(0, 20_000), "{name}");
    }
    let (id, count) = download(&server, "t", "");
    let target = data("t", &id, 0, count, "");
    let whole = call(&server, "GET", &target, &[], &[("accept-encoding", "gzip, deflate, br")]);
    assert_eq!((whole.header("content-encoding"), whole.body == plain), (None, true));
    for (name, _, decode) in codings {
        let mut answer = call(&server, "GET", &target, &[], &[("accept-encoding", name)]);
        assert_eq!(answer.header("content-encoding"), Some(name));
        assert!(answer.body.len() < plain.len());
        answer.body = decode(&answer.body);
        assert!(answer.body == plain, "{name}");
    }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut coder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    coder.write_all(bytes).unwrap();
    coder.finish().unwrap()
}

fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut coder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    coder.write_all(bytes).unwrap();
    coder.finish().unwrap()
}

fn unlz4(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    lz4_flex::frame::FrameDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut coder = snap::write::FrameEncoder::new(Vec::new());
    coder.write_all(bytes).unwrap();
    coder.into_inner().unwrap()
}

fn unsnappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    snap::read::FrameDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

/// The schema message of a batch, and its batch message alone.
fn messages(batch: &RecordBatch) -> (Vec<u8>, Vec<u8>) {
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    let schema = writer.get_ref().clone();
    writer.write(batch).unwrap();
    (schema.clone(), writer.get_ref()[schema.len()..].to_vec())
}

/// Bytes in chunks of `size`.
fn framed(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut out = (size as u32).to_be_bytes().to_vec();
    for chunk in bytes.chunks(size) {
        out.extend(chunk);
        if chunk.len() == size {
            out.extend(crc32c(chunk).to_be_bytes());
        }
    }
    out.extend(crc32c(bytes).to_be_bytes());
    out
}

fn unframed(mut bytes: &[u8]) -> Vec<u8> {
    let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
    bytes = &bytes[4..];
    let mut out = Vec::new();
    while bytes.len() >= size + 4 {
        let (chunk, rest) = bytes.split_at(size);
        assert_eq!(rest[..4], crc32c(chunk).to_be_bytes());
        out.extend(chunk);
        bytes = &rest[4..];
    }
    let (chunk, checksum) = bytes.split_at(bytes.len() - 4);
    out.extend(chunk);
    assert_eq!(checksum, crc32c(&out).to_be_bytes());
    out
}

#[test]
fn arrow_goes_up_and_comes_down() {
    let root = root();
    let server = root.serve(&[]);
    let (first, second) = (numbers(0, 9_000), numbers(9_000, 1_000));
    let (schema, _) = messages(&first);
    let body = [messages(&first).1, messages(&second).1].concat();
    let id = upload(&server, "t", "");
    let target = |block: i64| table("t", &format!("uploadid={id}&blockid={block}&arrow"));
    ok(call(&server, "PUT", &target(0), &framed(&body, 65_536), &[]));
    // A writer that wrote nothing sends nothing, or the checksum of nothing.
    ok(call(&server, "PUT", &target(1), &[], &[]));
    ok(call(&server, "PUT", &target(2), &[0; 4], &[]));
    let mut damaged = framed(&body, 1000);
    damaged[500] ^= 1;
    assert_eq!(call(&server, "PUT", &target(3), &damaged, &[]).error(), (400, "CorruptedDataStream".into()));
    let cut = &framed(&body, 1000)[..5_000];
    assert_eq!(call(&server, "PUT", &target(3), cut, &[]).status, 400);
    let other = framed(&[&body[..], b"no message"].concat(), 1000);
    assert_eq!(call(&server, "PUT", &target(3), &other, &[]).error(), (400, "MalformedDataStream".into()));
    assert_eq!(blocks(&server, "t", &id), json!([{"BlockID": 0}, {"BlockID": 1}, {"BlockID": 2}]));
    ok(commit(&server, "t", &id));

    let (id, count) = download(&server, "t", "");
    assert_eq!(count, 10_000);
    // Columns come in the order of the table, whatever the order of the request.
    for columns in ["", "&columns=name,id"] {
        let answer = call(&server, "GET", &data("t", &id, 0, count, &format!("&arrow{columns}")), &[], &[]);
        let stream = [schema.clone(), unframed(&answer.body)].concat();
        let batches: Vec<RecordBatch> =
            StreamReader::try_new(stream.as_slice(), None).unwrap().map(Result::unwrap).collect();
        let rows = concat_batches(first.schema_ref(), &batches).unwrap();
        assert_eq!(rows, concat_batches(first.schema_ref(), [&first, &second]).unwrap());
    }
    let head = call(&server, "GET", "/projects/local/schemas/default/tables/t/preview?limit=3&columns=name", &[], &[]);
    assert_eq!(head.batch().column(0), numbers(0, 3).column(1));
    assert_eq!(call(&server, "GET", "/projects/local/tables/t/preview?limit=-1", &[], &[]).batch().num_rows(), 10_000);
    let nothing = call(&server, "GET", &data("t", &id, 7, 0, "&arrow"), &[], &[]);
    assert!(unframed(&nothing.body).is_empty());
}

#[test]
fn partitions_are_named_in_full() {
    let root = root();
    let server = root.serve(&[]);
    let id = upload(&server, "p", "&partition=ds=0,hh=0");
    ok(block(&server, "p", &id, 0, &records(&rows(0, 10))));
    ok(commit(&server, "p", &id));
    for (query, status, code) in [
        ("", 400, "MissingPartitionSpec"),
        ("&partition=ds=0", 400, "InvalidPartitionSpec"),
        ("&partition=x=0", 400, "InvalidPartitionSpec"),
        ("&partition=ds=1,hh=1", 404, "NoSuchPartition"),
    ] {
        for kind in ["uploads=1", "downloads"] {
            let answer = call(&server, "POST", &table("p", &format!("{kind}{query}")), &[], &[]);
            assert_eq!(answer.error(), (status, code.into()), "{kind}{query}");
        }
    }
    let unpartitioned = call(&server, "POST", &table("t", "downloads&partition=ds=0"), &[], &[]);
    assert_eq!(unpartitioned.error(), (400, "InvalidPartitionSpec".into()));
    // A partition is made on demand, and is there before anything is committed.
    let id = upload(&server, "p", "&partition=ds=1,hh=1&create_partition=true");
    assert_eq!(all(&server, "p", "&partition=ds=1,hh=1"), []);
    ok(block(&server, "p", &id, 0, &records(&rows(50, 5))));
    ok(commit(&server, "p", &id));
    assert_eq!(all(&server, "p", "&partition=ds=1,hh=1"), rows(50, 5));
    // Overwriting a partition leaves the others alone.
    let id = upload(&server, "p", "&partition=ds=1,hh=1&overwrite=true");
    ok(commit(&server, "p", &id));
    assert_eq!(all(&server, "p", "&partition=ds=1,hh=1"), []);
    assert_eq!(all(&server, "p", "&partition=ds=0,hh=0"), rows(0, 10));
    let session = ok(call(&server, "POST", &table("p", "downloads&partition=ds=0,hh=0"), &[], &[]));
    assert_eq!(session["Schema"]["partitionKeys"][1]["name"], "hh");
    let (id, _) = download(&server, "p", "&partition=ds=0,hh=0");
    let answer = call(&server, "GET", &data("p", &id, 0, 1, "&columns=id,hh"), &[], &[]);
    assert_eq!(read_records(&answer, "id,name"), [(0, Some("0".into()))]);
}

#[test]
fn refusals_have_their_codes() {
    let root = root();
    let server = root.serve(&[]);
    let (download, _) = download(&server, "t", "");
    let upload = upload(&server, "t", "");
    let body = records(&rows(0, 3));
    let last = body.len() - 1;
    let mut damaged = body.clone();
    damaged[1] ^= 2;
    let mut miscounted = body.clone();
    miscounted[last] ^= 1;
    let text = b"this is no stream of records".to_vec();
    let null_id = [&[0x12, 1, b'x'][..], &body].concat();
    let block = format!("uploadid={upload}&blockid=");
    let read = format!("data&downloadid={download}&rowrange=");
    let cases: Vec<(&str, String, &[u8], u16, &str)> = vec![
        ("POST", table("none", "downloads"), &[], 404, "NoSuchTable"),
        ("POST", table("none", "uploads"), &[], 404, "NoSuchTable"),
        ("POST", "/projects/none/tables/t?downloads".into(), &[], 404, "NoSuchProject"),
        ("POST", "/projects/local/schemas/none/tables/t?downloads".into(), &[], 404, "NoSuchSchema"),
        ("GET", table("t", "downloadid=none"), &[], 404, "NoSuchDownload"),
        ("GET", table("p", &format!("downloadid={download}")), &[], 404, "NoSuchDownload"),
        ("GET", table("t", "data&downloadid=none&rowrange=(0,1)"), &[], 404, "NoSuchDownload"),
        ("GET", table("t", &format!("{read}(0,1)")), &[], 400, "InvalidRowRange"),
        ("GET", table("t", &format!("{read}0,0")), &[], 400, "InvalidRowRange"),
        ("GET", table("t", &format!("{read}(-1,0)")), &[], 400, "InvalidRowRange"),
        ("GET", table("t", &format!("{read}(0,0)&columns=nope")), &[], 400, "InvalidColumnSpec"),
        ("GET", table("t", &format!("{read}(0,0)&columns=id,ID")), &[], 400, "InvalidColumnSpec"),
        ("GET", table("t", "uploadid=none"), &[], 404, "NoSuchUpload"),
        ("POST", table("t", "uploadid=none"), &[], 404, "NoSuchUpload"),
        ("PUT", table("t", "uploadid=none&blockid=0"), &body, 404, "NoSuchUpload"),
        ("PUT", table("p", &format!("{block}0")), &body, 404, "NoSuchUpload"),
        ("PUT", table("t", &format!("{block}-1")), &body, 400, "InvalidBlockID"),
        ("PUT", table("t", &format!("{block}20000")), &body, 400, "InvalidBlockID"),
        ("PUT", table("t", &format!("uploadid={upload}")), &body, 400, "InvalidArgument"),
        ("PUT", table("t", &format!("{block}0")), &damaged, 400, "CorruptedDataStream"),
        ("PUT", table("t", &format!("{block}0")), &miscounted, 400, "CorruptedDataStream"),
        ("PUT", table("t", &format!("{block}0")), &body[..last], 400, "IncompleteBody"),
        ("PUT", table("t", &format!("{block}0")), &text, 400, "MalformedDataStream"),
        ("PUT", table("t", &format!("{block}0")), &null_id, 400, "CorruptedDataStream"),
        ("POST", table("t", "upserts"), &[], 405, "MethodNotAllowed"),
        ("POST", "/projects/local/tables/t/upserts?slotnum=1".into(), &[], 405, "MethodNotAllowed"),
        ("POST", "/projects/local/tables/t/streams?check_latest_schema=false".into(), &[], 405, "MethodNotAllowed"),
        ("PUT", "/projects/local/tables/t/streams?uploadid=1&slotid=1".into(), &body, 405, "MethodNotAllowed"),
        ("DELETE", table("t", &format!("uploadid={upload}")), &[], 501, "NotImplemented"),
        ("POST", "/projects/local/instances/none?downloads".into(), &[], 404, "NoSuchObject"),
    ];
    for (method, target, body, status, code) in cases {
        assert_eq!(call(&server, method, &target, body, &[]).error(), (status, code.into()), "{method} {target}");
    }
    let unknown = call(&server, "PUT", &table("t", &format!("{block}0")), &body, &[("content-encoding", "br")]);
    assert_eq!(unknown.error(), (400, "InvalidArgument".into()));
    assert_eq!(blocks(&server, "t", &upload), json!([]));
    let sql = "update tables set kind = 'VIRTUAL_VIEW' where name = 't'";
    rusqlite::Connection::open(root.path().join("catalog.sqlite")).unwrap().execute_batch(sql).unwrap();
    for query in ["downloads", "uploads"] {
        let refused = call(&server, "POST", &table("t", query), &[], &[]).error();
        assert_eq!(refused, (405, "MethodNotAllowed".into()), "{query}");
    }
}

#[test]
fn sessions_survive_a_crash_and_expire() {
    let root = root();
    let server = root.serve(&[]);
    let up = upload(&server, "t", "");
    ok(block(&server, "t", &up, 0, &records(&rows(0, 10))));
    let (down, _) = download(&server, "t", "");
    drop(server); // killed, not stopped
    let server = root.serve(&["--session-lifetime-s", "1"]);
    assert_eq!(all(&server, "t", ""), []);
    assert_eq!(blocks(&server, "t", &up), json!([{"BlockID": 0}]));
    ok(commit(&server, "t", &up));
    assert_eq!(all(&server, "t", ""), rows(0, 10));
    assert_eq!(ok(call(&server, "GET", &table("t", &format!("downloadid={down}")), &[], &[]))["Status"], "normal");
    let (late_up, (late_down, _)) = (upload(&server, "t", ""), download(&server, "t", ""));
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(
        ok(call(&server, "GET", &table("t", &format!("downloadid={late_down}")), &[], &[]))["Status"],
        "expired"
    );
    assert_eq!(ok(call(&server, "GET", &table("t", &format!("uploadid={late_up}")), &[], &[]))["Status"], "expired");
    let read = call(&server, "GET", &data("t", &late_down, 0, 1, ""), &[], &[]);
    assert_eq!(read.error(), (409, "StatusConflict".into()));
    assert_eq!(block(&server, "t", &late_up, 0, &records(&rows(0, 1))).error(), (409, "StatusConflict".into()));
    assert_eq!(commit(&server, "t", &late_up).error(), (409, "StatusConflict".into()));
}

#[test]
fn rights_are_those_of_the_table() {
    let root = root();
    let server = root.serve(&["--profile", "strict"]);
    server.create_user("alice");
    let alice = server.as_key("alice", "secret");
    let no = || (403, "NoPermission".to_string());
    let down = || alice.post(&table("t", "downloads"), "");
    let up = |name: &str, query: &str| alice.post(&table(name, &format!("uploads{query}")), "");
    assert_eq!(down().error(), no());
    server.run("add user RAM$alice; grant Describe on table t to user RAM$alice; grant Select on table t(id) to user RAM$alice");
    assert_eq!(down().error(), no(), "a session opens all columns");
    server.run("grant Select on table t to user RAM$alice");
    assert_eq!(down().status, 200);
    assert_eq!(up("t", "").error(), no());
    server.run("grant Update on table t to user RAM$alice; grant Describe, Update on table p to user RAM$alice");
    assert_eq!(up("t", "").status, 200);
    assert_eq!(up("p", "&partition=ds=0,hh=0").status, 200);
    assert_eq!(up("p", "&partition=ds=9,hh=9&create_partition=true").error(), no());
    server.run("grant Alter on table p to user RAM$alice");
    assert_eq!(up("p", "&partition=ds=9,hh=9&create_partition=true").status, 200);
}

/// A block that is sent in two parts, with a pause as long as one likes.
struct SlowBlock {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl SlowBlock {
    /// `block` is its number and whatever else stands in the query.
    fn begin(server: &Server, id: &str, block: &str, bytes: &[u8]) -> SlowBlock {
        let target = table("t", &format!("uploadid={id}&blockid={block}"));
        let headers: String =
            server.sign("PUT", &target, None).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (first, rest) = bytes.split_at(5);
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let length = bytes.len();
        write!(
            stream,
            "PUT {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        )
        .unwrap();
        stream.write_all(first).unwrap();
        SlowBlock { stream, rest: rest.to_vec() }
    }

    /// Sends the rest; the status of the answer.
    fn end(mut self) -> String {
        self.stream.write_all(&self.rest).unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_string()
    }
}

/// Waits until so many requests run.
fn await_running(server: &Server, count: u64) {
    let end = Instant::now() + Duration::from_secs(60);
    while server.admin("GET", "status", None)["quotas"][0]["used"] != json!(count) {
        assert!(Instant::now() < end, "{count} requests do not run");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn many_slow_uploads_leave_the_others_alone() {
    let root = root();
    let server = root.serve(&["--tunnel-uploads", "150"]);
    let id = upload(&server, "t", "");
    let begin = |number: i64| SlowBlock::begin(&server, &id, &number.to_string(), &records(&rows(number * 10, 10)));
    let slow: Vec<SlowBlock> = (0..150).map(begin).collect();
    await_running(&server, 150);
    let refused = block(&server, "t", &id, 150, &records(&rows(1500, 10)));
    assert_eq!(refused.error(), (429, "SlotExceeded".into()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.text().contains("--tunnel-uploads"), "{}", refused.text());
    let beyond: Vec<SlowBlock> = (150..200).map(begin).collect();
    let start = Instant::now();
    let other = upload(&server, "t", "");
    assert_eq!(blocks(&server, "t", &other), json!([]));
    assert_eq!(all(&server, "t", ""), []);
    assert_eq!(server.count("t", "{}"), 0);
    assert!(start.elapsed() < Duration::from_secs(10), "other requests took {:?}", start.elapsed());
    for refused in beyond {
        assert_eq!(refused.end(), "429");
    }
    for taken in slow {
        assert_eq!(taken.end(), "200");
    }
    // Those that were refused come again.
    for number in 150..200 {
        ok(block(&server, "t", &id, number, &records(&rows(number * 10, 10))));
    }
    ok(commit(&server, "t", &id));
    assert_eq!(all(&server, "t", ""), rows(0, 2000));
}

#[test]
fn an_upload_that_goes_away_gives_its_turn_back() {
    let root = root();
    let server = root.serve(&["--tunnel-uploads", "1"]);
    let id = upload(&server, "t", "");
    // Records, and a chunk of 64 KiB.
    for (query, bytes) in [("0", records(&rows(0, 10))), ("0&arrow", [[0, 1, 0, 0].as_slice(), &[0; 100]].concat())] {
        let taken = SlowBlock::begin(&server, &id, query, &bytes);
        await_running(&server, 1);
        assert_eq!(block(&server, "t", &id, 1, &records(&rows(0, 1))).status, 429, "{query}");
        drop(taken);
        let end = Instant::now() + Duration::from_secs(20);
        while block(&server, "t", &id, 1, &records(&rows(0, 1))).status != 200 {
            assert!(Instant::now() < end, "{query}: the turn of an upload that went away is still taken");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_few_bytes_do_not_become_any_number_of_rows() {
    let root = root();
    let server = root.serve(&["--tunnel-block-bytes", "100000"]);
    let id = upload(&server, "t", "");
    let before = root.data_files().len();
    let body = records(&rows(0, 100_000));
    assert!(body.len() > 400_000, "{}", body.len());
    for (number, coding) in [(0, "zstd"), (1, "identity")] {
        let bytes = if coding == "zstd" { zstd::encode_all(body.as_slice(), 9).unwrap() } else { body.clone() };
        let target = table("t", &format!("uploadid={id}&blockid={number}"));
        let refused = call(&server, "PUT", &target, &bytes, &[("content-encoding", coding)]);
        assert_eq!(refused.error(), (413, "MaxMessageLengthExceeded".into()), "{coding}");
        assert!(refused.text().contains("--tunnel-block-bytes"), "{}", refused.text());
    }
    // The same for Arrow: one chunk that says it has 1 MiB, of zeros.
    let chunk = [1u32 << 20].map(u32::to_be_bytes).concat();
    let bytes = zstd::encode_all([chunk, vec![0; 1 << 20]].concat().as_slice(), 1).unwrap();
    let target = table("t", &format!("uploadid={id}&blockid=2&arrow"));
    let refused = call(&server, "PUT", &target, &bytes, &[("content-encoding", "zstd")]);
    assert_eq!(refused.error(), (413, "MaxMessageLengthExceeded".into()));
    assert_eq!(blocks(&server, "t", &id), json!([]));
    assert_eq!(root.data_files().len(), before, "nothing of a refused block stays");
    ok(block(&server, "t", &id, 0, &records(&rows(0, 1000))));
    ok(commit(&server, "t", &id));
    assert_eq!(all(&server, "t", ""), rows(0, 1000));
}
