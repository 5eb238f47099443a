//! The schema of a session, and the check of what the wire brings against it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema};

use super::made::Needs;
use super::seconds;
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

/// Whether a field of a schema of ours is a partition column.
pub fn is_partition_key(field: &Field) -> bool {
    field.metadata().contains_key(PARTITION_KEY)
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

/// How the columns of a stream become those of a schema.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// For each column of the stream in order.
    pub(super) columns: Vec<LaidOut>,
}

/// A column of a stream.
#[derive(Debug, Clone)]
pub(super) struct LaidOut {
    /// Its place in the schema.
    pub(super) place: usize,
    /// The type of the schema, but with seconds and nanoseconds wherever the stream has times so.
    pub(super) data_type: DataType,
}

impl Layout {
    /// The layout of a stream that is just as its schema.
    pub(super) fn same(schema: &Schema) -> Self {
        let columns = schema.fields().iter().enumerate();
        Layout {
            columns: columns.map(|(place, field)| LaidOut { place, data_type: field.data_type().clone() }).collect(),
        }
    }

    /// How batches of the schema `wire` can be delivered as `expected`: the same columns with the same types. Names of nested
    /// children, the spelling of UTC, whether a zone is written at all, the order of the columns and the layout of times are free.
    pub(super) fn of(wire: &Schema, expected: &Schema) -> Result<Self> {
        let mismatch = |text: String| Error::new(Kind::SchemaMismatch, text);
        if wire.fields().len() != expected.fields().len() {
            let (got, want) = (wire.fields().len(), expected.fields().len());
            return Err(mismatch(format!("the stream has {got} columns, the session has {want}")));
        }
        let same_name = |got: &Field, want: &Field| got.name().to_lowercase() == want.name().to_lowercase();
        let mut taken = vec![false; expected.fields().len()];
        let mut columns = Vec::with_capacity(taken.len());
        for (index, got) in wire.fields().iter().enumerate() {
            let mut places = std::iter::once(index).chain(0..taken.len());
            let fits = |place: &usize| {
                let want = expected.fields().get(*place);
                want.is_some_and(|want| same_name(got, want)) && taken.get(*place) == Some(&false)
            };
            let found = places.find(fits).and_then(|place| Some((place, expected.fields().get(place)?)));
            let Some((place, want)) = found else {
                return Err(mismatch(format!(
                    "column {index} of the stream is {}, which the session has not",
                    got.name()
                )));
            };
            let data_type = laid_out(got.data_type(), want.data_type()).ok_or_else(|| {
                let (got, want, name) = (got.data_type(), want.data_type(), want.name());
                mismatch(format!("column {name} arrives as {got}, the session has {want}"))
            })?;
            if let Some(taken) = taken.get_mut(place) {
                *taken = true;
            }
            columns.push(LaidOut { place, data_type });
        }
        Ok(Layout { columns })
    }

    /// What its arrays and buffers need to be delivered as `expected`.
    pub(super) fn needs(&self, expected: &Schema) -> Needs {
        let mut needs = Needs::default();
        for LaidOut { place, data_type } in &self.columns {
            let wanted = expected.fields().get(*place).map_or(data_type, |field| field.data_type());
            needs.add(data_type, wanted);
        }
        needs
    }
}

/// The type in which a column is decoded; `None` if it cannot become what is wanted.
fn laid_out(got: &DataType, want: &DataType) -> Option<DataType> {
    let is_utc = |zone: &str| matches!(zone, "UTC" | "utc" | "Etc/UTC" | "+00:00" | "Z");
    let child = |got: &Field, want: &FieldRef| {
        let data_type = laid_out(got.data_type(), want.data_type())?;
        Some(if data_type == *want.data_type() {
            Arc::clone(want)
        } else {
            Arc::new(want.as_ref().clone().with_data_type(data_type))
        })
    };
    match (got, want) {
        (DataType::Timestamp(got, zone), DataType::Timestamp(unit, _)) => {
            (got == unit && zone.as_deref().is_none_or(is_utc)).then(|| want.clone())
        }
        (got, want) if seconds::can_become(got, want) => Some(got.clone()),
        (DataType::List(got), DataType::List(want)) => Some(DataType::List(child(got, want)?)),
        (DataType::Map(got, _), DataType::Map(want, sorted)) => Some(DataType::Map(child(got, want)?, *sorted)),
        (DataType::Struct(got), DataType::Struct(want)) if got.len() == want.len() => {
            let fields = got.iter().zip(want).map(|(got, want)| child(got, want));
            Some(DataType::Struct(fields.collect::<Option<Vec<_>>>()?.into()))
        }
        (got, want) => (got == want).then(|| want.clone()),
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
        let layout = Layout::of(&wire, &want).unwrap();
        assert!(layout.columns.iter().zip(want.fields()).all(|(column, want)| column.data_type == *want.data_type()));
    }

    #[test]
    fn columns_are_found_by_name_and_twins_by_place() {
        let want = schema(&[("a", "bigint"), ("b", "string"), ("a", "bigint")]);
        let wire = schema(&[("B", "string"), ("a", "bigint"), ("a", "bigint")]);
        let places =
            |wire: &Schema| Layout::of(wire, &want).unwrap().columns.iter().map(|c| c.place).collect::<Vec<_>>();
        assert_eq!(places(&wire), [1, 0, 2]);
        assert_eq!(places(&want), [0, 1, 2]);
    }

    #[test]
    fn times_keep_the_layout_of_the_wire_until_they_are_decoded() {
        let want =
            schema(&[("a", "timestamp"), ("b", "array<struct<x:timestamp_ntz,y:bigint>>"), ("c", "interval_day_time")]);
        let parts = vec![Field::new("sec", DataType::Int64, false), Field::new("nano", DataType::Int32, false)];
        let wide = DataType::Struct(parts.into());
        let inner = vec![Field::new("p", wide.clone(), true), Field::new("q", DataType::Int64, true)];
        let list = DataType::List(Arc::new(Field::new("item", DataType::Struct(inner.into()), true)));
        let field = |name: &str, data_type: &DataType| Field::new(name, data_type.clone(), true);
        let wire = Schema::new(vec![field("a", &wide), field("b", &list), field("c", &wide)]);
        let layout = Layout::of(&wire, &want).unwrap();
        let kept: Vec<String> = layout.columns.iter().map(|column| column.data_type.to_string()).collect();
        assert!(kept.iter().all(|text| text.contains("sec")), "{kept:?}");
        let DataType::List(element) = &layout.columns[1].data_type else { panic!("a list") };
        assert_eq!(element.name(), "element", "names are those of the session");
    }

    #[test]
    fn differences_name_the_column() {
        let want = schema(&[("a", "bigint"), ("b", "timestamp")]);
        for (wire, part) in [
            (schema(&[("a", "bigint")]), "1 columns"),
            (schema(&[("x", "bigint"), ("b", "timestamp")]), "column 0 of the stream is x"),
            (schema(&[("a", "bigint"), ("a", "bigint")]), "column 1"),
            (schema(&[("a", "int"), ("b", "timestamp")]), "column a arrives as Int32"),
            (schema(&[("a", "bigint"), ("b", "datetime")]), "column b"),
        ] {
            let error = Layout::of(&wire, &want).unwrap_err();
            assert_eq!(error.kind(), Kind::SchemaMismatch);
            assert!(error.message().contains(part), "{}", error.message());
        }
    }

    #[test]
    fn fields_carry_the_maxcompute_type() {
        assert_eq!(schema(&[("a", "varchar(3)")]).field(0).metadata()[TYPE_KEY], "varchar(3)");
    }
}
