//! The columns that one read delivers.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use super::{Plan, Session};
use crate::arrow::is_partition_key;
use crate::error::{Error, Kind, Result};
use crate::options::{self, Key, Options};

/// All columns that a session delivers, or fewer, in its order.
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    schema: SchemaRef,
    /// Places in the schema of what arrives; `None` for all of them.
    places: Option<Vec<usize>>,
}

impl Projection {
    /// The columns that read options name, by the rule of scan options: without any name all of them. Options that a session was
    /// opened with therefore name just its columns.
    pub(crate) fn new(session: &Session, read: &Options) -> Result<Self> {
        let all = session.schema();
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
            return Ok(Projection { schema: Arc::clone(all), places: delivered.map(|places| places.to_vec()) });
        }
        let mut places: Vec<usize> = wanted.into_iter().collect();
        places.sort_unstable();
        let schema = all.project(&places).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        if let Some(delivered) = delivered {
            places = places.iter().filter_map(|place| delivered.get(*place).copied()).collect();
        }
        Ok(Projection { schema: Arc::new(schema), places: Some(places) })
    }

    /// The schema of every batch.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Names of the columns, as a request names them; none for all.
    pub(crate) fn names(&self) -> Vec<String> {
        let fields = self.places.iter().flat_map(|_| self.schema.fields());
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
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::new(Kind::Internal, error.to_string()))
    }
}

fn unknown(plan: &Plan, key: &Key, name: &str) -> Error {
    Error::new(
        Kind::InvalidOption,
        format!("{} names {name}, which the session of {} does not read", key.name, plan.source),
    )
}
