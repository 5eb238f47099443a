//! From the columns that a batch brings to the columns that are stored.

use std::sync::Arc;

use anyhow::Context;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int8Array, RecordBatch, RecordBatchOptions, new_null_array,
};
use arrow::datatypes::{DataType, Field, Int8Type, Schema, SchemaRef, TimeUnit};

use super::cells::check;
use super::error::WriteError;
use super::target::{Matching, OPERATION, OPERATION_DELETE, OPERATION_UPSERT, Target};
use crate::catalog::Column;
use crate::types::{Stage, Type, Units, arrow_type, conform, finest_unit};

/// How the batches of one source become stored rows.
pub struct Intake {
    columns: Vec<(Column, Source)>,
    /// Where the operation of each row is; `None` for tables without primary key.
    operation: Option<Source>,
    /// Partition columns that the rows bring: their number in the table, their place in the batch.
    keys: Vec<(usize, usize)>,
    schema: SchemaRef,
    max_field_bytes: usize,
}

/// Where a column comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// The column at this place in the batch.
    At(usize),
    /// Nowhere: NULL, or for operations "upsert".
    Missing,
}

impl Intake {
    /// Matches the columns of `source` with those of the table, and refuses types that do not fit.
    pub fn new(target: &Target, source: &Schema) -> Result<Intake, WriteError> {
        let refuse = |why: String| Err(WriteError::Rows(why));
        let table = &target.table;
        let is_delta = table.has_primary_key();
        let (sources, keys, operation) = match target.matching {
            Matching::Position => by_position(target, source)?,
            Matching::Name => by_name(target, source)?,
        };
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        for (column, place) in table.columns.iter().zip(sources) {
            let found = match place {
                Source::At(at) => Some(source.field(at).data_type()),
                Source::Missing => None,
            };
            if found.is_none() && !column.nullable {
                return refuse(format!("column {} is NOT NULL and missing", column.name));
            }
            let stored = stored_type(column, found);
            if let Some(found) = found {
                if !units_fit(&column.ty, found, target.units) {
                    return refuse(format!(
                        "column {} has Arrow type {found}, which is not of the unit that the session named",
                        column.name
                    ));
                }
                conform(&arrow::array::new_empty_array(found), &column.ty, &stored, Stage::Store)
                    .map_err(|why| WriteError::Rows(format!("column {}: {why}", column.name)))?;
            }
            // Rows that delete carry their key and nothing else.
            let is_key = table.properties.primary_key.iter().any(|key| key.eq_ignore_ascii_case(&column.name));
            fields.push(Field::new(&column.name, stored, column.nullable || (is_delta && !is_key)));
            columns.push((column.clone(), place));
        }
        if is_delta {
            fields.push(Field::new(OPERATION, DataType::Int8, false));
        }
        let schema = Arc::new(Schema::new(fields));
        let operation = is_delta.then_some(operation);
        Ok(Intake { columns, operation, keys, schema, max_field_bytes: target.max_field_bytes })
    }

    /// The layout of the stored rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The partition columns that a batch brings, by number of the partition column.
    pub fn keys(&self, batch: &RecordBatch) -> Vec<(usize, ArrayRef)> {
        self.keys.iter().map(|(key, at)| (*key, batch.column(*at).clone())).collect()
    }

    /// The rows of a batch as they are stored.
    pub fn convert(&self, batch: &RecordBatch) -> Result<RecordBatch, WriteError> {
        let rows = batch.num_rows();
        let operations = self.operations(batch)?;
        let deletes: Option<BooleanArray> =
            operations.as_ref().map(|ops| ops.values().iter().map(|op| Some(*op == OPERATION_DELETE)).collect());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for ((column, place), field) in self.columns.iter().zip(self.schema.fields()) {
            let array = match place {
                Source::At(at) => {
                    let array = conform(batch.column(*at), &column.ty, field.data_type(), Stage::Store);
                    let array = array.map_err(|why| WriteError::Rows(format!("column {}: {why}", column.name)))?;
                    check(&array, self.max_field_bytes)
                        .map_err(|why| WriteError::Rows(format!("column {}: {why}", column.name)))?;
                    array
                }
                Source::Missing => new_null_array(field.data_type(), rows),
            };
            if !column.nullable && has_null(&array, deletes.as_ref().filter(|_| field.is_nullable())) {
                return Err(WriteError::Rows(format!("column {} is NOT NULL, but a row has NULL", column.name)));
            }
            arrays.push(array);
        }
        if let Some(operations) = operations {
            arrays.push(Arc::new(operations));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options);
        Ok(batch.context("converted rows do not fit the layout of the table")?)
    }

    /// The stored columns that refer to blobs.
    pub fn blobs(&self) -> impl Iterator<Item = (usize, &Type)> {
        let columns = self.columns.iter().enumerate().map(|(at, (column, _))| (at, &column.ty));
        columns.filter(|(_, ty)| ty.contains_blob())
    }

    /// The operation of each row of a primary-key table.
    fn operations(&self, batch: &RecordBatch) -> Result<Option<Int8Array>, WriteError> {
        let at = match self.operation {
            None => return Ok(None),
            Some(Source::Missing) => return Ok(Some(Int8Array::from_value(OPERATION_UPSERT, batch.num_rows()))),
            Some(Source::At(at)) => at,
        };
        let Some(given) = batch.column(at).as_primitive_opt::<Int8Type>() else {
            return Err(WriteError::Rows(format!("column {OPERATION} is not of type tinyint")));
        };
        let operations = given.iter().map(|op| op.unwrap_or(OPERATION_UPSERT)).collect::<Vec<i8>>();
        match operations.iter().find(|op| ![OPERATION_UPSERT, OPERATION_DELETE].contains(op)) {
            Some(op) => Err(WriteError::Rows(format!(
                "column {OPERATION}: {op} is neither {OPERATION_UPSERT} (upsert) nor {OPERATION_DELETE} (delete)"
            ))),
            None => Ok(Some(operations.into())),
        }
    }
}

/// Whether a row is NULL, those of `except` apart.
fn has_null(array: &ArrayRef, except: Option<&BooleanArray>) -> bool {
    match (array.logical_nulls(), except) {
        (None, _) => false,
        (Some(nulls), None) => nulls.null_count() > 0,
        (Some(nulls), Some(except)) => (0..array.len()).any(|row| nulls.is_null(row) && !except.value(row)),
    }
}

type Places = (Vec<Source>, Vec<(usize, usize)>, Source);

fn by_position(target: &Target, source: &Schema) -> Result<Places, WriteError> {
    let open: Vec<usize> =
        target.partition.iter().enumerate().filter(|(_, value)| value.is_none()).map(|(key, _)| key).collect();
    let data = target.table.columns.len();
    let (wanted, found) = (data + open.len(), source.fields().len());
    if wanted != found {
        return Err(WriteError::Rows(format!(
            "the stream has {found} columns, {wanted} are expected: {data} data columns and {} partition columns",
            open.len()
        )));
    }
    let keys = open.into_iter().enumerate().map(|(i, key)| (key, data + i)).collect();
    Ok(((0..data).map(Source::At).collect(), keys, Source::Missing))
}

fn by_name(target: &Target, source: &Schema) -> Result<Places, WriteError> {
    let table = &target.table;
    let mut places = vec![Source::Missing; table.columns.len()];
    let (mut keys, mut operation) = (Vec::new(), Source::Missing);
    for (at, field) in source.fields().iter().enumerate() {
        let same = |column: &Column| column.name.eq_ignore_ascii_case(field.name());
        let twice = || WriteError::Rows(format!("column {} appears twice", field.name()));
        if let Some((_, place)) = table.columns.iter().zip(&mut places).find(|(column, _)| same(column)) {
            if matches!(place, Source::At(_)) {
                return Err(twice());
            }
            *place = Source::At(at);
        } else if let Some(key) = table.partition_keys.iter().position(same) {
            if keys.iter().any(|(other, _)| *other == key) {
                return Err(twice());
            }
            keys.push((key, at));
        } else if table.has_primary_key() && field.name().eq_ignore_ascii_case(OPERATION) {
            operation = Source::At(at);
        } else {
            return Err(WriteError::Rows(format!("{} has no column {}", table.name, field.name())));
        }
    }
    let missing = target
        .partition
        .iter()
        .enumerate()
        .find(|(key, value)| value.is_none() && !keys.iter().any(|(brought, _)| brought == key));
    if let Some((key, _)) = missing {
        let name = table.partition_keys.get(key).map(|key| key.name.as_str()).unwrap_or_default();
        return Err(WriteError::Rows(format!(
            "partition column {name} is missing: the target does not name its value"
        )));
    }
    Ok((places, keys, operation))
}

/// The layout on disk: DATETIME in milliseconds, timestamps as fine as the source has them.
fn stored_type(column: &Column, source: Option<&DataType>) -> DataType {
    let timestamp = match (&column.ty, source) {
        // Seconds and nanoseconds apart.
        (Type::Timestamp | Type::TimestampNtz, Some(DataType::Struct(_))) => TimeUnit::Nanosecond,
        (_, source) => source.map_or(TimeUnit::Microsecond, finest_unit),
    };
    arrow_type(&column.ty, Units { datetime: TimeUnit::Millisecond, timestamp })
}

/// Whether the timestamps of a source, at any depth, have the units of a session: that of DATETIME, that of TIMESTAMP.
fn units_fit(ty: &Type, source: &DataType, units: Option<(TimeUnit, TimeUnit)>) -> bool {
    let Some((datetime, timestamp)) = units else { return true };
    match (ty, source) {
        (Type::Datetime, DataType::Timestamp(unit, _)) => *unit == datetime,
        (Type::Timestamp | Type::TimestampNtz, DataType::Timestamp(unit, _)) => *unit == timestamp,
        (Type::Array(item), DataType::List(field) | DataType::LargeList(field)) => {
            units_fit(item, field.data_type(), units)
        }
        (Type::Map(key, value), DataType::Map(entries, _)) => match entries.data_type() {
            DataType::Struct(fields) => {
                fields.iter().zip([key, value]).all(|(field, ty)| units_fit(ty, field.data_type(), units))
            }
            _ => true,
        },
        (Type::Struct(types), DataType::Struct(fields)) => {
            types.iter().zip(fields).all(|((_, ty), field)| units_fit(ty, field.data_type(), units))
        }
        _ => true,
    }
}
