//! Merge on read: the visible rows of a bucket.

use anyhow::Result;
use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;

use super::bucket::Bucket;
use super::merge::Merge;

/// For every file of the bucket, which of its rows are visible once all files have been applied.
///
/// One bit per row and the keys of one pass are all it holds. Files that were replaced must not be among them.
pub fn visible(bucket: &Bucket<'_>) -> Result<Vec<BooleanBuffer>> {
    let passes = bucket.passes();
    visible_in(bucket, passes)
}

/// The same with a given number of passes.
pub(super) fn visible_in(bucket: &Bucket<'_>, passes: u64) -> Result<Vec<BooleanBuffer>> {
    let rows = usize::try_from(bucket.rows())?;
    let mut bits = BooleanBufferBuilder::new(rows);
    bits.append_n(rows, false);
    for pass in 0..passes {
        let mut merge = Merge::default();
        for (file, span) in bucket.spans() {
            bucket.scan(file, span.start, |key, deletes, position| match () {
                () if key[0] % passes != pass => {}
                () if deletes => merge.delete(key),
                () => merge.upsert(key, position),
            })?;
        }
        merge.visible().for_each(|position| bits.set_bit(position as usize, true));
    }
    let bits = bits.finish();
    Ok(bucket.spans().map(|(_, span)| bits.slice(span.start as usize, (span.end - span.start) as usize)).collect())
}
