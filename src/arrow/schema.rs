//! The schema of a session, and the check of what the wire brings against it.

use std::collections::HashMap;

use arrow_schema::{DataType, Field, Schema};

use super::types::{Units, data_type};
use crate::error::{Error, Kind, Result};

/// Field metadata key that holds the MaxCompute type text.
pub const TYPE_KEY: &str = "maxcompute.type";
/// Field metadata key that marks a partition column.
pub const PARTITION_KEY: &str = "maxcompute.partition_key";

/// What the plan says about one column.
#[derive(Debug, Clone, Copy)]
pub struct ColumnFacts<'a> {
    /// Name.
    pub name: &'a str,
    /// MaxCompute type text.
    pub type_text: &'a str,
    /// Whether values may be NULL.
    pub nullable: bool,
    /// Whether it is a partition column.
    pub is_partition: bool,
}

/// The MaxCompute type text of a field of a schema of ours; empty for other fields.
pub fn type_text(field: &Field) -> &str {
    field.metadata().get(TYPE_KEY).map_or("", String::as_str)
}

/// The schema that is delivered for the columns of a plan.
pub fn expected<'a>(columns: impl Iterator<Item = ColumnFacts<'a>>, units: Units) -> Result<Schema> {
    let fields = columns.map(|column| {
        let data_type =
            data_type(column.type_text, units).map_err(|error| error.context(format!("column {}", column.name)))?;
        let mut metadata = HashMap::from([(TYPE_KEY.to_owned(), column.type_text.to_owned())]);
        if column.is_partition {
            metadata.insert(PARTITION_KEY.to_owned(), "true".to_owned());
        }
        Ok(Field::new(column.name, data_type, column.nullable).with_metadata(metadata))
    });
    Ok(Schema::new(fields.collect::<Result<Vec<_>>>()?))
}

/// Checks that batches of the schema `wire` can be delivered as `expected` without touching a value: the same columns in
/// the same order, with the same types. Names of nested children, the spelling of UTC, and whether a zone is
/// written at all are free.
pub fn check(wire: &Schema, expected: &Schema) -> Result<()> {
    let mismatch = |text: String| Err(Error::new(Kind::SchemaMismatch, text));
    if wire.fields().len() != expected.fields().len() {
        return mismatch(format!(
            "the stream has {} columns, the session has {}",
            wire.fields().len(),
            expected.fields().len()
        ));
    }
    for (index, (got, want)) in wire.fields().iter().zip(expected.fields()).enumerate() {
        if got.name().to_lowercase() != want.name().to_lowercase() {
            return mismatch(format!("column {index} of the stream is {}, of the session {}", got.name(), want.name()));
        }
        if !same_layout(got.data_type(), want.data_type()) {
            let (got, want, name) = (got.data_type(), want.data_type(), want.name());
            return mismatch(format!("column {name} arrives as {got}, the session has {want}"));
        }
    }
    Ok(())
}

fn same_layout(got: &DataType, want: &DataType) -> bool {
    let is_utc = |zone: &str| matches!(zone, "UTC" | "utc" | "Etc/UTC" | "+00:00" | "Z");
    match (got, want) {
        (DataType::Timestamp(got, zone), DataType::Timestamp(want, _)) => {
            got == want && zone.as_deref().is_none_or(is_utc)
        }
        (DataType::List(got), DataType::List(want)) => same_layout(got.data_type(), want.data_type()),
        (DataType::Map(got, _), DataType::Map(want, _)) => same_layout(got.data_type(), want.data_type()),
        (DataType::Struct(got), DataType::Struct(want)) => {
            got.len() == want.len()
                && got.iter().zip(want).all(|(got, want)| same_layout(got.data_type(), want.data_type()))
        }
        (got, want) => got == want,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::TimeUnit;

    const UNITS: Units = Units { timestamp: TimeUnit::Nanosecond, datetime: TimeUnit::Millisecond };

    fn schema(columns: &[(&str, &str)]) -> Schema {
        let facts = columns.iter().map(|(name, type_text)| ColumnFacts {
            name,
            type_text,
            nullable: true,
            is_partition: false,
        });
        expected(facts, UNITS).unwrap()
    }

    #[test]
    fn free_spellings_are_accepted() {
        let want = schema(&[("A", "timestamp"), ("m", "map<string,array<datetime>>")]);
        let list = Field::new("item", DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into())), false);
        let pair = vec![Field::new("k", DataType::Utf8, false), Field::new("v", DataType::List(list.into()), true)];
        let entries = Field::new("element", DataType::Struct(pair.into()), false);
        let wire = Schema::new(vec![
            Field::new("a", DataType::Timestamp(TimeUnit::Nanosecond, None), false),
            Field::new("M", DataType::Map(entries.into(), false), true),
        ]);
        check(&wire, &want).unwrap();
    }

    #[test]
    fn differences_name_the_column() {
        let want = schema(&[("a", "bigint"), ("b", "timestamp")]);
        for (wire, part) in [
            (schema(&[("a", "bigint")]), "1 columns"),
            (schema(&[("b", "timestamp"), ("a", "bigint")]), "column 0"),
            (schema(&[("a", "int"), ("b", "timestamp")]), "column a arrives as Int32"),
            (schema(&[("a", "bigint"), ("b", "datetime")]), "column b"),
        ] {
            let error = check(&wire, &want).unwrap_err();
            assert_eq!(error.kind(), Kind::SchemaMismatch);
            assert!(error.message().contains(part), "{}", error.message());
        }
    }

    #[test]
    fn fields_carry_the_maxcompute_type() {
        assert_eq!(schema(&[("a", "varchar(3)")]).field(0).metadata()[TYPE_KEY], "varchar(3)");
    }
}
