//! The files that a session may read, in the order of its answer.

use std::collections::HashMap;

use super::partitions;
use super::request::{CreateRequest, SplitMode};
use crate::catalog::{DataFile, Partition, Table};
use crate::error::ApiError;
use crate::filter::{self, BlockFacts, Bound, Facts};

/// A file that may be read, and its partition.
pub struct Candidate {
    pub file: DataFile,
    pub partition: Option<Partition>,
}

impl Candidate {
    /// The values of the partition.
    pub fn values(&self) -> &[String] {
        self.partition.as_ref().map_or(&[], |partition| &partition.values)
    }

    pub fn partition_id(&self) -> i64 {
        self.partition.as_ref().map_or(0, |partition| partition.id)
    }

    /// Partition and bucket: rows of one key are in one place.
    pub fn place(&self) -> (i64, Option<u32>) {
        (self.partition_id(), self.file.bucket)
    }
}

/// Refuses to read by buckets what was written before there were any.
pub fn demand_buckets(table: &Table, request: &CreateRequest, files: &[DataFile]) -> Result<(), ApiError> {
    let by_bucket = request.split_options.split_mode == SplitMode::Bucket || !request.required_bucket_ids.is_empty();
    match by_bucket && files.iter().any(|file| file.bucket.is_none()) {
        true => Err(ApiError::argument(format!(
            "{} has rows that were written before it was clustered: overwrite them to read by buckets",
            table.name
        ))),
        false => Ok(()),
    }
}

/// The files of the chosen partitions and required buckets, in the order of the answer: partition by partition, in
/// primary-key tables bucket by bucket, inside that in commit order. In mode Bucket a bucket that may span partitions
/// comes as a whole.
pub fn candidates(
    table: &Table,
    request: &CreateRequest,
    files: Vec<DataFile>,
    chosen: Vec<Partition>,
) -> Vec<Candidate> {
    let mut candidates = in_partitions(table, files, chosen);
    let required = &request.required_bucket_ids;
    if !required.is_empty() {
        candidates.retain(|c| c.file.bucket.is_some_and(|bucket| required.contains(&i64::from(bucket))));
    }
    let by_bucket = request.split_options.split_mode == SplitMode::Bucket;
    if by_bucket && request.split_options.cross_partition {
        candidates.sort_by_key(|candidate| candidate.file.bucket);
    } else if by_bucket || table.has_primary_key() {
        // In their order already, so only runs of one partition are sorted.
        for run in candidates.chunk_by_mut(|a, b| a.partition_id() == b.partition_id()) {
            run.sort_by_key(|candidate| candidate.file.bucket);
        }
    }
    candidates
}

/// What a predicate may assume about the partition columns.
pub fn partition_facts(table: &Table, candidate: &Candidate) -> Vec<Facts> {
    let keys = table.partition_keys.iter().zip(candidate.values());
    keys.map(|(key, value)| partitions::facts(value, &key.ty)).collect()
}

/// Whether the values of the partition leave it open that a row matches.
pub fn may_match(table: &Table, predicate: &Option<Bound>, candidate: &Candidate) -> bool {
    predicate.as_ref().is_none_or(|predicate| {
        let mut facts: BlockFacts = vec![Facts::UNKNOWN; table.columns.len()];
        facts.extend(partition_facts(table, candidate));
        filter::can_match(predicate, &facts)
    })
}

fn in_partitions(table: &Table, files: Vec<DataFile>, chosen: Vec<Partition>) -> Vec<Candidate> {
    if table.partition_keys.is_empty() {
        return files.into_iter().map(|file| Candidate { file, partition: None }).collect();
    }
    let mut by_partition: HashMap<i64, Vec<DataFile>> = HashMap::new();
    for file in files {
        if let Some(id) = file.partition_id {
            by_partition.entry(id).or_default().push(file);
        }
    }
    let mut ordered = Vec::new();
    for partition in chosen {
        for file in by_partition.remove(&partition.id).unwrap_or_default() {
            ordered.push(Candidate { file, partition: Some(partition.clone()) });
        }
    }
    ordered
}
