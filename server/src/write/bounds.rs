//! The boundaries between the buckets of a range-clustered table or partition.
//!
//! They are chosen from a sample of the first rows that are committed, and kept in the footer of every file, so that
//! rows that come later find the same buckets. Overwriting chooses new ones.

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::WriteError;
use super::order::Rows;
use crate::catalog::Column;
use crate::types::{Stage, conform};

/// Where the boundaries are kept in the footer of a file.
pub const BOUNDS_KEY: &str = "maxstorage.range_bounds";

/// Ascending keys; bucket `i` has the keys from boundary `i - 1` on and below boundary `i`. NULL is the lowest key.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    keys: RecordBatch,
}

impl Bounds {
    /// Boundaries that cut `sample` (the cluster columns of some rows) into at most `buckets` about equal parts. Equal
    /// keys are never cut apart.
    pub fn choose(sample: &RecordBatch, buckets: u32) -> Result<Bounds, WriteError> {
        let all: Vec<(usize, bool)> = (0..sample.num_columns()).map(|column| (column, true)).collect();
        let rows = Rows::new(&all, sample.schema_ref())?.of(sample)?;
        let mut order: Vec<u32> = (0..sample.num_rows() as u32).collect();
        order.sort_unstable_by(|a, b| rows.row(*a as usize).cmp(&rows.row(*b as usize)));
        let mut cuts: Vec<u32> = Vec::new();
        for bucket in 1..u64::from(buckets) {
            let at = bucket * order.len() as u64 / u64::from(buckets.max(1));
            let Some(candidate) = order.get(at as usize).copied() else { break };
            let key = rows.row(candidate as usize);
            // The lowest key is no boundary: nothing lies below it.
            let last = cuts.last().or(order.first()).copied();
            if last.is_some_and(|last| key > rows.row(last as usize)) {
                cuts.push(candidate);
            }
        }
        let keys = take_record_batch(sample, &UInt32Array::from(cuts)).context("cannot pick boundaries")?;
        Ok(Bounds { keys })
    }

    /// The bucket of every row. `keys` are the cluster columns of the rows, of the types `columns`.
    pub fn buckets(&self, keys: &[ArrayRef], columns: &[Column]) -> Result<Vec<u32>, WriteError> {
        let mut arrays = Vec::new();
        for ((array, column), field) in keys.iter().zip(columns).zip(self.keys.schema_ref().fields()) {
            // Files may hold timestamps in other units. Changing the unit keeps the order.
            let array = conform(array, &column.ty, field.data_type(), Stage::Store).map_err(anyhow::Error::from)?;
            arrays.push(array);
        }
        let keys = RecordBatch::try_new(self.keys.schema(), arrays).context("cluster columns do not fit")?;
        let all: Vec<(usize, bool)> = (0..keys.num_columns()).map(|column| (column, true)).collect();
        let converter = Rows::new(&all, self.keys.schema_ref())?;
        let (bounds, rows) = (converter.of(&self.keys)?, converter.of(&keys)?);
        let bounds: Vec<_> = bounds.iter().collect();
        Ok(rows.iter().map(|row| bounds.partition_point(|bound| *bound <= row) as u32).collect())
    }

    /// The boundaries as a text for a footer.
    pub fn to_text(&self) -> Result<String> {
        let mut writer = StreamWriter::try_new(Vec::new(), self.keys.schema_ref())?;
        writer.write(&self.keys)?;
        writer.finish()?;
        Ok(STANDARD.encode(writer.into_inner()?))
    }

    /// Boundaries from a footer.
    pub fn from_text(text: &str) -> Result<Bounds> {
        let bytes = STANDARD.decode(text).context("damaged range boundaries")?;
        let mut reader = StreamReader::try_new(bytes.as_slice(), None)?;
        let keys = reader.next().context("range boundaries without rows")??;
        Ok(Bounds { keys })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;
    use crate::types::Type;

    fn batch(values: &[Option<i64>]) -> RecordBatch {
        let array: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        RecordBatch::try_from_iter_with_nullable([("k", array, true)]).unwrap()
    }

    #[test]
    fn twelve_values_make_three_buckets() {
        let values: Vec<Option<i64>> = (1..=12).map(Some).collect();
        let bounds = Bounds::choose(&batch(&values), 3).unwrap();
        let columns = [Column::new("k", Type::BigInt, true)];
        let buckets = bounds.buckets(batch(&values).columns(), &columns).unwrap();
        assert_eq!(buckets, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(Bounds::from_text(&bounds.to_text().unwrap()).unwrap(), bounds);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, rng_seed: RngSeed::Fixed(20_261_124), ..ProptestConfig::default()
        })]

        #[test]
        fn buckets_are_ordered_and_never_share_a_key(
            sample in prop::collection::vec(prop::option::of(-20i64..20), 0..80),
            rows in prop::collection::vec(prop::option::of(-30i64..30), 0..80), count in 1u32..9,
        ) {
            let bounds = Bounds::choose(&batch(&sample), count).unwrap();
            let columns = [Column::new("k", Type::BigInt, true)];
            let buckets = bounds.buckets(batch(&rows).columns(), &columns).unwrap();
            let mut pairs: Vec<(Option<i64>, u32)> = rows.into_iter().zip(buckets).collect();
            pairs.sort_unstable();
            prop_assert!(pairs.windows(2).all(|w| w[0].1 <= w[1].1 && (w[0].0 != w[1].0 || w[0].1 == w[1].1)));
            prop_assert!(pairs.iter().all(|pair| pair.1 < count));
        }
    }
}
