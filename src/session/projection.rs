//! The columns that one read delivers.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};

use super::{Plan, Session};
use crate::arrow::is_partition_key;
use crate::error::{Error, Kind, Result};
use crate::options::{self, Key, Options};

/// All columns that a session delivers, or fewer, in its order, before policies change their form.
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    schema: SchemaRef,
    /// The columns that are asked for where a read may name them: rows without columns do not come alone.
    asked: SchemaRef,
    /// Places in the schema of what arrives; `None` for all of them.
    places: Option<Vec<usize>>,
}

impl Projection {
    /// The columns that read options name, by the rule of scan options: without any name all of them. Options that a session was
    /// opened with therefore name just its columns.
    pub(crate) fn new(session: &Session, read: &Options) -> Result<Self> {
        let all = session.plain();
        if read.flag(&options::READ_ROW_COUNT_ONLY) {
            let asked = all.project(narrowest(all).as_slice()).map_err(unfit)?;
            return Ok(Projection {
                schema: Arc::new(Schema::empty()),
                asked: Arc::new(asked),
                places: Some(Vec::new()),
            });
        }
        let columns = all.fields().iter().take_while(|field| !is_partition_key(field)).count();
        // Columns that only a filter needs are not delivered.
        let delivered = session.arriving().1;
        let mut wanted = HashSet::new();
        let lists = [(&options::COLUMNS, 0..columns), (&options::PARTITION_COLUMNS, columns..all.fields().len())];
        for (key, places) in lists {
            for name in read.list(key) {
                let place = places.clone().find(|place| all.field(*place).name().to_lowercase() == name.to_lowercase());
                wanted.insert(place.ok_or_else(|| unknown(session.plan(), key, &name))?);
            }
        }
        if wanted.is_empty() || wanted.len() == all.fields().len() {
            return Ok(Projection {
                schema: Arc::clone(all),
                asked: Arc::clone(all),
                places: delivered.map(|places| places.to_vec()),
            });
        }
        let mut places: Vec<usize> = wanted.into_iter().collect();
        places.sort_unstable();
        let schema = Arc::new(all.project(&places).map_err(unfit)?);
        if let Some(delivered) = delivered {
            places = places.iter().filter_map(|place| delivered.get(*place).copied()).collect();
        }
        Ok(Projection { asked: Arc::clone(&schema), schema, places: Some(places) })
    }

    /// The schema of every batch.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The schema of what a request asks for that can name columns.
    pub(crate) fn asked(&self) -> &SchemaRef {
        &self.asked
    }

    /// Names of the columns, as a request names them; none for all.
    pub(crate) fn names(&self) -> Vec<String> {
        let fields = self.places.iter().flat_map(|_| self.asked.fields());
        fields.map(|field| field.name().clone()).collect()
    }

    /// These columns of a batch, which may have just them already.
    pub(crate) fn apply(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let Some(places) = &self.places else { return Ok(batch) };
        if batch.num_columns() == places.len() {
            return Ok(batch);
        }
        let columns = places.iter().map(|place| Arc::clone(batch.column(*place))).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(unfit)
    }
}

/// The place of the column whose values take the fewest bytes, as far as their type tells.
fn narrowest(schema: &Schema) -> Option<usize> {
    let width = |data_type: &DataType| match data_type {
        DataType::Boolean => 0,
        DataType::Utf8 | DataType::Binary => 64,
        other => other.primitive_width().unwrap_or(1024),
    };
    (0..schema.fields().len()).min_by_key(|place| width(schema.field(*place).data_type()))
}

fn unfit(error: ArrowError) -> Error {
    Error::new(Kind::Internal, format!("columns do not fit the schema: {error}"))
}

fn unknown(plan: &Plan, key: &Key, name: &str) -> Error {
    Error::new(
        Kind::InvalidOption,
        format!("{} names {name}, which the session of {} does not read", key.name, plan.source),
    )
}
