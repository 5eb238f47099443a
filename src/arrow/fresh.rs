//! The buffers of a batch that were not in what it was made of.

use std::collections::HashSet;
use std::ptr::NonNull;

use arrow_array::{Array, RecordBatch};
use arrow_buffer::{Buffer, MemoryPool};
use arrow_data::ArrayData;

/// Has `pool` account for the buffers of `made` that are not in `before`, each once.
pub fn claim_fresh(before: &RecordBatch, made: &RecordBatch, pool: &dyn MemoryPool) {
    let mut known: HashSet<NonNull<u8>> = HashSet::new();
    each_buffer(before, &mut |buffer| {
        known.insert(buffer.data_ptr());
    });
    claim_all_but(known, made, pool);
}

/// Has `pool` account for the buffers of `made` whose memory does not begin at one of the places that are `known`, each once.
pub fn claim_all_but(mut known: HashSet<NonNull<u8>>, made: &RecordBatch, pool: &dyn MemoryPool) {
    each_buffer(made, &mut |buffer| {
        if buffer.capacity() > 0 && known.insert(buffer.data_ptr()) {
            buffer.claim(pool);
        }
    });
}

/// Visits every buffer of a batch, some of them more than once.
pub(super) fn each_buffer(batch: &RecordBatch, visit: &mut dyn FnMut(&Buffer)) {
    batch.columns().iter().for_each(|column| each_of(&column.to_data(), visit));
}

fn each_of(data: &ArrayData, visit: &mut dyn FnMut(&Buffer)) {
    data.buffers().iter().chain(data.nulls().map(|nulls| nulls.buffer())).for_each(&mut *visit);
    data.child_data().iter().for_each(|child| each_of(child, visit));
}
