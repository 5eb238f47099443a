//! Partitions that a filter rules out by their names, so that nothing of them has to be read.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

use super::constants::Constants;
use crate::arrow::is_partition_key;
use crate::error::Result;
use crate::predicate::{Predicate, Selection};

/// A condition on nothing but partition keys.
#[derive(Debug)]
pub(super) struct KeyFilter {
    keys: SchemaRef,
    selection: Selection,
}

impl KeyFilter {
    /// Those among the conditions that a filter demands of rows with the columns of `delivered`.
    pub(super) fn of(filter: &Predicate, delivered: &Schema) -> Vec<Self> {
        filter.conjuncts().iter().filter_map(|condition| KeyFilter::one(condition, delivered)).collect()
    }

    fn one(condition: &Predicate, delivered: &Schema) -> Option<Self> {
        let mut named = Vec::new();
        condition.visit_columns(&mut |column| named.push(column.name().to_lowercase()));
        let is_named = |name: &String| named.contains(&name.to_lowercase());
        let fields = delivered.fields().iter().filter(|field| is_partition_key(field) && is_named(field.name()));
        let keys = Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()));
        // It fails if there is another column in the condition.
        let selection = Selection::new(condition, &keys).ok()?;
        Some(KeyFilter { keys, selection })
    }

    /// Whether no row of a plan that was asked for these partitions can meet the condition. `false` where that is not known.
    pub(super) fn rules_out(&self, partitions: &[String]) -> Result<bool> {
        match Constants::of(&self.keys, partitions) {
            Some(row) => Ok(self.selection.apply(&row.rows(&self.keys, 1)?)?.num_rows() == 0),
            None => Ok(false),
        }
    }
}
