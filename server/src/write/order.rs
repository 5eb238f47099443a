//! Whether rows come in the order that a clustered table announces.

use anyhow::Context;
use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::Schema;
use arrow::row::{OwnedRow, RowConverter, SortField};
use serde::{Deserialize, Serialize};

use super::error::WriteError;
use super::layout::{Distribution, Layout};

/// The lowest and the highest cluster key of some rows, as bytes that compare as the keys do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyRange {
    pub first: Vec<u8>,
    pub last: Vec<u8>,
}

/// Checks the order of rows, and remembers the range of their keys if the table is range-clustered.
pub struct OrderCheck {
    sort: Rows,
    last: Option<OwnedRow>,
    keys: Option<Rows>,
    range: Option<KeyRange>,
}

/// Turns some columns of a batch into rows that compare bytewise. NULL comes first when a column ascends.
pub struct Rows {
    columns: Vec<usize>,
    converter: RowConverter,
}

impl Rows {
    /// Rows of these columns; `true` ascends.
    pub fn new(columns: &[(usize, bool)], schema: &Schema) -> Result<Rows, WriteError> {
        let field = |(column, ascending): &(usize, bool)| {
            let options = SortOptions { descending: !ascending, nulls_first: *ascending };
            SortField::new_with_options(schema.field(*column).data_type().clone(), options)
        };
        let converter =
            RowConverter::new(columns.iter().map(field).collect()).context("cannot sort by these columns")?;
        Ok(Rows { columns: columns.iter().map(|(column, _)| *column).collect(), converter })
    }

    /// The rows of a batch.
    pub fn of(&self, batch: &RecordBatch) -> Result<arrow::row::Rows, WriteError> {
        let arrays: Vec<_> = self.columns.iter().map(|column| batch.column(*column).clone()).collect();
        Ok(self.converter.convert_columns(&arrays).context("cannot compare rows")?)
    }
}

impl OrderCheck {
    /// A check by the order of a layout.
    pub fn new(layout: &Layout, schema: &Schema) -> Result<OrderCheck, WriteError> {
        let keys = match &layout.distribution {
            Distribution::Range { columns, .. } => {
                let columns: Vec<_> = columns.iter().map(|column| (*column, true)).collect();
                Some(Rows::new(&columns, schema)?)
            }
            _ => None,
        };
        Ok(OrderCheck { sort: Rows::new(&layout.sort, schema)?, last: None, keys, range: None })
    }

    /// Refuses rows that come before the ones that were seen.
    pub fn see(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        let rows = self.sort.of(batch)?;
        for row in &rows {
            if self.last.as_ref().is_some_and(|last| row < last.row()) {
                return Err(WriteError::Rows("the rows of the block are not in the RequiredOrdering".into()));
            }
            self.last = Some(row.owned());
        }
        if let Some(keys) = &self.keys {
            for key in &keys.of(batch)? {
                let key = key.as_ref();
                match &mut self.range {
                    None => self.range = Some(KeyRange { first: key.to_vec(), last: key.to_vec() }),
                    Some(range) if key < range.first.as_slice() => range.first = key.to_vec(),
                    Some(range) if key > range.last.as_slice() => range.last = key.to_vec(),
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }

    /// The range of the keys that were seen.
    pub fn range(self) -> Option<KeyRange> {
        self.range
    }
}
