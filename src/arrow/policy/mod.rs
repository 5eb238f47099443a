//! Policies of types: how values are delivered that Arrow, or the engine, has another idea of.
//!
//! There are two kinds. Policies of *values* keep the type of a column and change what is in it, before filters see it: the padding of
//! CHAR, keys that a MAP has twice. Policies of *form* change the type, and come last: decimals, strings as views, 64-bit offsets, dictionaries, the
//! zone of times. A batch that no policy is about passes without a look at its values.

mod chars;
mod chosen;
mod decimals;
mod dictionaries;
mod maps;
mod offsets;
mod steps;
mod views;
mod zones;

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::schema::type_text;
use super::types::{MaxType, Units};
use crate::error::{Error, Kind, Result};
use crate::options;
use steps::{Stage, Step};
pub use zones::TimeZone;

/// What happens to a value that has no equal in the type it is delivered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// Reading fails.
    #[default]
    Error,
    /// It becomes NULL.
    Null,
    /// It becomes the nearest value there is.
    Clamp,
}

/// The type that decimals are delivered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecimalForm {
    /// With the precision and scale of the column.
    #[default]
    Declared,
    /// All with 38 digits, 18 of them behind the point.
    Wide,
    /// As text, every digit of the scale written.
    Text,
}

/// How CHAR is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// As it arrives.
    #[default]
    Keep,
    /// Without blanks at the end.
    Strip,
    /// With blanks up to the length of the column.
    Pad,
}

/// What happens to a key that a MAP has more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// All its entries stay.
    #[default]
    Keep,
    /// The value of the last entry stays, in the place of the first, as in SQL.
    Last,
    /// Reading fails.
    Error,
}

/// The policies of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policies {
    /// Times in a layout of seconds and nanoseconds that a count of the unit cannot tell.
    pub timestamp_overflow: Overflow,
    /// Decimals.
    pub decimal: DecimalForm,
    /// CHAR.
    pub char_padding: Padding,
    /// Keys of MAP.
    pub map_duplicate_keys: Duplicates,
    /// Whether strings and binary values are delivered as views.
    pub string_view: bool,
    /// Whether strings, binary values and lists are delivered with 64-bit offsets; not if they are views.
    pub large_offsets: bool,
    /// Columns of strings that are delivered as dictionaries; `*` for all of them. Older libraries do not know it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dictionary: Vec<String>,
    /// The zone that the types of instants name. Older libraries do not know it.
    #[serde(skip_serializing_if = "TimeZone::is_utc")]
    pub time_zone: TimeZone,
}

/// How many values were touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touched {
    /// Decimals that were brought into another form.
    pub decimals: u64,
    /// CHAR values that got or lost blanks.
    pub chars: u64,
    /// Entries of maps that were left out.
    pub map_entries: u64,
    /// Strings and binary values that are delivered as views.
    pub views: u64,
    /// Strings, binary values and lists that are delivered with 64-bit offsets.
    pub offsets: u64,
    /// Strings that are delivered as keys of a dictionary.
    pub encoded: u64,
    /// Values of these dictionaries.
    pub dictionary_values: u64,
}

/// The policies of one kind, made ready for the batches of a schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Treatment {
    schema: SchemaRef,
    /// One for each column; `None` if no column is touched.
    steps: Option<Vec<Step>>,
}

impl Policies {
    /// Whether they are all at their defaults.
    pub fn are_default(&self) -> bool {
        *self == Policies::default()
    }

    /// Checks that the columns that shall be dictionaries are columns of strings of `schema`, which is what a session delivers before their form
    /// changes.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        let key = options::TYPES_DICTIONARY.name;
        for name in self.dictionary.iter().filter(|name| *name != dictionaries::EVERY) {
            let named = schema.fields().iter().find(|field| is_named(field, name));
            let Some(field) = named else {
                let message = format!("{key}: column {name} is not read");
                return Err(Error::new(Kind::InvalidOption, message));
            };
            if *field.data_type() != DataType::Utf8 {
                let message = format!(
                    "{key}: column {name} is {}, but dictionaries are made of STRING, VARCHAR, CHAR and JSON",
                    type_text(field)
                );
                return Err(Error::new(Kind::InvalidOption, message));
            }
        }
        Ok(())
    }

    /// Whether a column becomes a dictionary.
    fn encodes(&self, field: &Field) -> bool {
        *field.data_type() == DataType::Utf8
            && self.dictionary.iter().any(|name| name == dictionaries::EVERY || is_named(field, name))
    }

    /// The policies of values for batches of `schema`, which is one of ours. The schema stays.
    pub fn of_values(&self, schema: &SchemaRef) -> Result<Treatment> {
        Treatment::new(self, schema, Stage::Values)
    }

    /// The policies of form for batches of `schema`, which is one of ours.
    pub fn of_form(&self, schema: &SchemaRef) -> Result<Treatment> {
        Treatment::new(self, schema, Stage::Form)
    }
}

/// Names of columns are the same in any case.
fn is_named(field: &Field, name: &str) -> bool {
    field.name().to_lowercase() == name.to_lowercase()
}

impl Treatment {
    fn new(policies: &Policies, schema: &SchemaRef, stage: Stage) -> Result<Self> {
        if policies.are_default() {
            return Ok(Treatment { schema: Arc::clone(schema), steps: None });
        }
        let mut fields = Vec::with_capacity(schema.fields().len());
        let mut steps = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            // The units are in the Arrow type already.
            let declared = MaxType::parse(type_text(field), Units::default())?;
            let made = steps::plan(policies, stage, &declared, field.data_type());
            let (mut data_type, mut step) = made.map_err(|error| error.context(format!("column {}", field.name())))?;
            if stage == Stage::Form && policies.encodes(field) {
                data_type = DataType::Dictionary(Box::new(DataType::Int32), Box::new(data_type));
                step = Step::Dictionary(Box::new(step));
            }
            fields.push(Arc::new(field.as_ref().clone().with_data_type(data_type)));
            steps.push(step);
        }
        if steps.iter().all(|step| *step == Step::Keep) {
            return Ok(Treatment { schema: Arc::clone(schema), steps: None });
        }
        let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
        Ok(Treatment { schema: Arc::new(schema), steps: Some(steps) })
    }

    /// The schema of the batches after it.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether it does nothing.
    pub fn is_idle(&self) -> bool {
        self.steps.is_none()
    }

    /// Bytes that the buffers take at most which [`Treatment::apply`] makes of a batch.
    pub fn most_bytes(&self, batch: &RecordBatch) -> u64 {
        let steps = self.steps.iter().flatten().zip(batch.columns());
        steps.map(|(step, column)| step.most_bytes(column) as u64).sum()
    }

    /// Treats a batch and counts what it touches.
    pub fn apply(&self, batch: RecordBatch, touched: &mut Touched) -> Result<RecordBatch> {
        let Some(steps) = &self.steps else { return Ok(batch) };
        let columns = batch.columns().iter().zip(steps).zip(self.schema.fields());
        let treated = columns.map(|((column, step), field)| {
            step.apply(column, None, touched).map_err(|error| error.context(format!("column {}", field.name())))
        });
        let columns = treated.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::new(Kind::Internal, format!("a batch does not fit its schema: {error}")))
    }
}

#[cfg(test)]
mod tests;
