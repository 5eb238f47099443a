//! Texts of predicates: read, written and read again; bound to columns of every type, pushed, and evaluated.

use std::sync::LazyLock;

use arrow_array::RecordBatch;
use maxstorage::predicate::{Predicate, Selection, TypedColumn, push};

use crate::columns::{TYPES, batch, session_schema};
use crate::reached_the_end;

/// Rows of all types; the columns are c0, c1, ..
static ROWS: LazyLock<RecordBatch> = LazyLock::new(|| batch(&session_schema(TYPES), 40, 1));
static COLUMNS: LazyLock<Vec<TypedColumn>> = LazyLock::new(|| {
    let column = |(number, text): (usize, &&str)| TypedColumn {
        name: format!("c{number}"),
        type_text: (*text).to_owned(),
        delivered: None,
    };
    TYPES.iter().enumerate().map(column).collect()
});

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(predicate) = Predicate::parse(text) else { return };
    let written = predicate.to_string();
    match Predicate::parse(&written) {
        Ok(back) => assert_eq!(back, predicate, "{text:?} is written as {written:?}, which is something else"),
        Err(error) => panic!("{text:?} is written as {written:?}, which is not read: {error}"),
    }
    let selected = Selection::new(&predicate, ROWS.schema_ref()).and_then(|selection| selection.apply(&ROWS));
    if let Ok(pushed) = push(&predicate, &COLUMNS)
        && !pushed.text.is_empty()
    {
        let read = Predicate::parse(&pushed.text);
        assert!(read.is_ok(), "{text:?} is pushed as {:?}, which is not read: {read:?}", pushed.text);
    }
    if selected.is_ok_and(|rows| rows.num_rows() > 0 && rows.num_rows() < ROWS.num_rows()) {
        reached_the_end();
    }
}
