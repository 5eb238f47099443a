//! The answer to a request for rows, from the first byte of its head on: HTTP framing, coding of the body, stream, hand-off.

use std::sync::LazyLock;

use maxstorage::options::Options;
use maxstorage::session::Session;
use maxstorage::split::Split;

use crate::peer::{answer_with, answered, ok};
use crate::reached_the_end;

/// What the session expects of the stream.
const PLAN: &[u8] = br#"{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":1,"RecordCount":-1,"DataSchema":{"DataColumns":[
    {"Name":"c3","Type":"bigint","Nullable":true},{"Name":"c9","Type":"string","Nullable":true}],"PartitionColumns":[]}}"#;

static SESSION: LazyLock<Session> = LazyLock::new(|| {
    let mut scan = Options::new();
    scan.set("table", "t").expect("a legal option");
    answer_with(vec![ok(PLAN)]);
    Session::open(answered(), &scan).expect("a session")
});

pub fn run(data: &[u8]) {
    let session = &*SESSION;
    answer_with(vec![data.to_vec()]);
    let Ok(split) = Split::open(session, 0, &Options::new()) else { return };
    let mut rows = 0;
    loop {
        match split.next_batch() {
            Ok(Some(batch)) => {
                rows += batch.num_rows() as i64;
                for column in batch.columns() {
                    column.to_data().validate_full().expect("what is delivered is sound");
                }
            }
            Ok(None) => {
                assert_eq!(split.rows_delivered(), rows);
                return reached_the_end();
            }
            Err(_) => return,
        }
    }
}
