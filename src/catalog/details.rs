//! What is known about one table: its columns as a schema, everything else as a row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, ListBuilder, StringBuilder, StructBuilder};
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Fields, Schema};

use super::tables::kind;
use super::{times, unfit};
use crate::arrow::{PARTITION_KEY, TYPE_KEY, Units, data_type};
use crate::error::Result;
use crate::proto::TableName;
use crate::proto::metadata::{ColumnEntry, TableDocument};

/// Field metadata key of a column's comment.
const COMMENT_KEY: &str = "maxcompute.comment";
/// Field metadata key that marks a column of the primary key.
const PRIMARY_KEY: &str = "maxcompute.primary_key";
/// Field metadata key that marks a column that the rows are clustered by.
const CLUSTER_KEY: &str = "maxcompute.cluster_key";
/// Field metadata key that marks a column that cannot be read through the Storage API.
const UNSUPPORTED_KEY: &str = "maxcompute.unsupported";

/// The columns of a table, partition keys last.
pub(super) fn schema(document: &TableDocument) -> Result<Schema> {
    let marks = [(PRIMARY_KEY, document.names("PrimaryKey")), (CLUSTER_KEY, document.names("ClusterCols"))];
    let field = |column: &ColumnEntry, is_partition: bool| {
        let mut metadata = HashMap::from([(TYPE_KEY.to_owned(), column.type_text.clone())]);
        let mut mark = |key: &str| metadata.insert(key.to_owned(), "true".to_owned());
        if is_partition {
            mark(PARTITION_KEY);
        }
        for (key, names) in &marks {
            if names.iter().any(|name| name.eq_ignore_ascii_case(&column.name)) {
                mark(key);
            }
        }
        // A table is worth looking at also if one of its columns cannot be read. JSON is read from results only.
        let known = data_type(&column.type_text, Units::default());
        if known.is_err() || column.type_text.eq_ignore_ascii_case("json") {
            mark(UNSUPPORTED_KEY);
        }
        let data_type = known.unwrap_or(DataType::Null);
        if !column.comment.is_empty() {
            metadata.insert(COMMENT_KEY.to_owned(), column.comment.clone());
        }
        // Arrow's null type has nothing but NULLs.
        let nullable = column.nullable || data_type == DataType::Null;
        Field::new(&column.name, data_type, nullable).with_metadata(metadata)
    };
    let (columns, keys) = (document.data_columns()?, document.partition_keys()?);
    let fields = columns.iter().map(|column| field(column, false)).chain(keys.iter().map(|key| field(key, true)));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// Everything else, in one row.
pub(super) fn batch(name: &TableName, document: &TableDocument) -> Result<RecordBatch> {
    let text =
        |value: &str| -> ArrayRef { Arc::new(StringArray::from_iter([Some(value).filter(|text| !text.is_empty())])) };
    let number = |key: &str| -> ArrayRef { Arc::new(Int64Array::from(vec![document.number(key)])) };
    let flag = |value: bool| -> ArrayRef { Arc::new(BooleanArray::from(vec![value])) };
    let version = document.number("cdc_latest_version");
    let keys: Vec<String> = document.partition_keys()?.into_iter().map(|key| key.name).collect();
    let columns = [
        ("project", text(&name.project), false),
        ("schema", text(&name.schema), false),
        ("table", text(&name.table), false),
        ("kind", text(&kind_of(document)), true),
        ("id", text(&document.id), true),
        ("owner", text(document.text("owner")), true),
        ("comment", text(document.text("comment")), true),
        ("size_bytes", number("size"), true),
        ("physical_bytes", number("PhysicalSize"), true),
        ("files", number("FileNum"), true),
        ("rows", number("recordNum"), true),
        ("partition_keys", names(&keys), false),
        ("cluster_kind", text(document.text("ClusterType")), true),
        ("buckets", number("BucketNum"), true),
        ("cluster_columns", names(&document.names("ClusterCols")), false),
        ("sort_columns", sorted(&document.sort_columns()), false),
        ("primary_key", names(&document.names("PrimaryKey")), false),
        ("is_transactional", flag(document.flag("Transactional")), false),
        ("lifecycle_days", number("lifecycle"), true),
        ("created_at", times::array([document.created()].into_iter()), true),
        ("modified_at", times::array([document.modified()].into_iter()), true),
        ("version", Arc::new(Int64Array::from(vec![version])), true),
        ("schema_version", number("schema_version"), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(unfit)
}

fn kind_of(document: &TableDocument) -> String {
    let is_delta = document.flag("Transactional") && !document.names("PrimaryKey").is_empty();
    let told = kind(&document.kind).unwrap_or_default();
    let flagged = [
        ("isVirtualView", "view"),
        ("isMaterializedView", "materialized_view"),
        ("isObjectTable", "object_table"),
        ("isExternal", "external_table"),
    ];
    match flagged.iter().find(|(key, _)| document.flag(key)) {
        Some((_, word)) => (*word).to_owned(),
        None if is_delta && matches!(told.as_str(), "" | "table") => "delta_table".to_owned(),
        None if told.is_empty() => "table".to_owned(),
        None => told,
    }
}

fn names(values: &[String]) -> ArrayRef {
    let mut list = ListBuilder::new(StringBuilder::new());
    values.iter().for_each(|value| list.values().append_value(value));
    list.append(true);
    Arc::new(list.finish())
}

fn sorted(columns: &[(String, bool)]) -> ArrayRef {
    let fields = Fields::from(vec![
        Field::new("column", DataType::Utf8, false),
        Field::new("ascending", DataType::Boolean, false),
    ]);
    let mut list = ListBuilder::new(StructBuilder::from_fields(fields, columns.len()));
    for (column, ascending) in columns {
        if let Some(name) = list.values().field_builder::<StringBuilder>(0) {
            name.append_value(column);
        }
        if let Some(order) = list.values().field_builder::<BooleanBuilder>(1) {
            order.append_value(*ascending);
        }
        list.values().append(true);
    }
    list.append(true);
    Arc::new(list.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    fn document(json: &str, kind: &str) -> TableDocument {
        let json = json.replace("\n", "");
        TableDocument::parse(
            format!("<Table><Name>t</Name><Type>{kind}</Type><Schema><![CDATA[{json}]]></Schema></Table>").as_bytes(),
        )
        .unwrap()
    }

    fn name() -> TableName {
        TableName { project: "p".into(), schema: "s".into(), table: "t".into() }
    }

    const DELTA: &str = r#"{"columns":[{"name":"id","type":"bigint","comment":"the key","isNullable":false},
        {"name":"j","type":"json"},{"name":"v","type":"vector(3)","isNullable":false}],"partitionKeys":[{"name":"dt","type":"string"}],
        "lifecycle":-1,"size":10,"Reserved":"{\"Transactional\":\"true\",\"PrimaryKey\":[\"ID\"],\"ClusterType\":\"hash\",\"BucketNum\":16,
        \"ClusterCols\":[\"id\"],\"SortCols\":[{\"col\":\"id\",\"order\":\"asc\"}],\"cdc_latest_version\":\"7\"}"}"#;

    #[test]
    fn columns_carry_their_facts() {
        let schema = schema(&document(DELTA, "MANAGED_TABLE")).unwrap();
        let of = |index: usize, key: &str| schema.field(index).metadata().get(key).map(String::as_str);
        let (yes, id) = (Some("true"), schema.field(0));
        assert_eq!((id.data_type(), id.is_nullable(), of(0, COMMENT_KEY)), (&DataType::Int64, false, Some("the key")));
        assert_eq!(
            (of(0, PRIMARY_KEY), of(0, CLUSTER_KEY), of(0, PARTITION_KEY), of(0, UNSUPPORTED_KEY)),
            (yes, yes, None, None)
        );
        assert_eq!(
            (schema.field(1).data_type(), of(1, UNSUPPORTED_KEY), of(1, TYPE_KEY)),
            (&DataType::Utf8, yes, Some("json"))
        );
        assert_eq!((schema.field(2).data_type(), of(2, UNSUPPORTED_KEY)), (&DataType::Null, yes));
        assert_eq!((schema.field(3).name().as_str(), of(3, PARTITION_KEY), of(3, COMMENT_KEY)), ("dt", yes, None));
    }

    #[test]
    fn a_row_of_details() {
        let row = batch(&name(), &document(DELTA, "MANAGED_TABLE")).unwrap();
        let column = |name: &str| row.column_by_name(name).unwrap();
        assert_eq!(column("kind").as_string::<i32>().value(0), "delta_table");
        assert_eq!(column("buckets").as_primitive::<Int64Type>().value(0), 16);
        assert_eq!(column("version").as_primitive::<Int64Type>().value(0), 7);
        assert!(column("lifecycle_days").is_null(0) && column("rows").is_null(0) && column("created_at").is_null(0));
        let sorted = column("sort_columns").as_list::<i32>().value(0);
        assert_eq!(sorted.as_struct().column(0).as_string::<i32>().value(0), "id");
        assert!(sorted.as_struct().column(1).as_boolean().value(0));
    }

    #[test]
    fn kinds_of_tables() {
        for (json, word, expected) in [
            (r#"{"columns":[]}"#, "MANAGED_TABLE", "table"),
            (r#"{"columns":[]}"#, "", "table"),
            (r#"{"columns":[],"isVirtualView":true}"#, "VIRTUAL_VIEW", "view"),
            (r#"{"columns":[],"isExternal":true}"#, "", "external_table"),
            (r#"{"columns":[]}"#, "OBJECT_TABLE", "object_table"),
            (r#"{"columns":[]}"#, "NEW_KIND", "new_kind"),
        ] {
            let row = batch(&name(), &document(json, word)).unwrap();
            assert_eq!(row.column_by_name("kind").unwrap().as_string::<i32>().value(0), expected, "{json} {word}");
        }
    }
}
