//! Documents that the service answers with, by themselves and as answers to the calls that ask for them.

use maxstorage::catalog::{self, Listing};
use maxstorage::error::Result;
use maxstorage::options::Options;
use maxstorage::proto::answer::{Planning, SessionAnswer};
use maxstorage::proto::failure::Failure;
use maxstorage::proto::metadata::{self, TableDocument};
use maxstorage::proto::{Source, Version};
use maxstorage::session::Session;

use crate::peer::{answer_with, answered, ok};
use crate::reached_the_end;

pub fn run(data: &[u8]) {
    for status in [400, 404, 429, 503] {
        let error = Failure { status, body: data, ..Failure::default() }.into_error();
        assert!(!error.message().is_empty());
    }
    if data.trim_ascii_start().starts_with(b"<") { metadata_document(data) } else { session_document(data) }
}

/// An answer about a session, of a table or of an instance.
fn session_document(data: &[u8]) {
    let instance = Source::Instance { project: "p".to_owned(), id: "i".to_owned() };
    let is_planned = |answer: SessionAnswer| {
        answer.expires_at_ms();
        answer.planning().is_ok_and(|planning| planning == Planning::Done)
    };
    let of_instance = Version::V2.session_answer(&instance, data).is_ok_and(is_planned);
    let of_table = SessionAnswer::parse(data).is_ok_and(is_planned);
    for (is_planned, key, value) in [(of_table, "table", "t"), (of_instance, "instance", "i")] {
        if !is_planned {
            continue;
        }
        let mut scan = Options::new();
        scan.set(key, value).expect("a legal option");
        answer_with(vec![ok(data)]);
        let Ok(session) = Session::open(answered(), &scan) else { continue };
        let token = session.serialize().expect("a session can be written");
        let attached = Session::attach(answered(), &token).expect("what was written can be read");
        assert_eq!((attached.schema(), attached.split_count()), (session.schema(), session.split_count()));
        reached_the_end();
    }
}

/// A document of the service endpoint.
fn metadata_document(data: &[u8]) {
    let listed = [metadata::entries(data).is_ok(), metadata::partitions(data).is_ok()];
    let described = TableDocument::parse(data).is_ok();
    if described {
        whole(|client| catalog::table_details(client, "t"), data);
        answer_with(vec![ok(data); 2]);
        let _ = catalog::table_schema(answered(), "t");
    }
    if listed.contains(&true) {
        whole(|client| catalog::tables(client, None, None, Some("*")), data);
        whole(|client| catalog::schemas(client, None), data);
        // The table first; its partition keys are those that the pages name.
        answer_with(vec![ok(data), ok(data), ok(PARTITIONED)]);
        drain(catalog::partitions(answered(), "t", None));
    }
}

/// A table with two partition keys.
const PARTITIONED: &[u8] =
    br#"<Table><Schema>{"columns":[{"name":"a","type":"bigint"}],"partitionKeys":[{"name":"dt","type":"string"},
    {"name":"r","type":"int"}]}</Schema></Table>"#;

/// A call each of whose requests gets the same answer, a few times.
fn whole(call: impl Fn(&'static maxstorage::client::Client) -> Result<Listing>, data: &[u8]) {
    answer_with(vec![ok(data); 3]);
    drain(call(answered()));
}

fn drain(listing: Result<Listing>) {
    let Ok(mut listing) = listing else { return };
    while let Ok(Some(batch)) = listing.next_batch() {
        assert_eq!(batch.schema_ref(), listing.schema());
        reached_the_end();
    }
}
