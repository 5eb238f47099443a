//! How the rows of a table lie in its files: buckets, and the order inside them.

use anyhow::{Context, Result};

use crate::catalog::{ClusteringKind, SortColumn, Table};

/// How rows are distributed over buckets and sorted inside. Columns are numbers of data columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub distribution: Distribution,
    /// Columns that each file is sorted by, and whether they ascend. NULL comes first when they ascend.
    pub sort: Vec<(usize, bool)>,
}

/// How a row finds its bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// There are no buckets.
    None,
    /// By the hash of some columns (see `hash`).
    Hash { columns: Vec<usize>, buckets: u32 },
    /// By ranges of the values of some columns, fixed when rows are committed.
    Range { columns: Vec<usize>, buckets: u32 },
}

impl Layout {
    /// The layout of a table. Rows with a primary key are hashed by it and not sorted: the order of operations counts.
    pub fn of(table: &Table) -> Result<Layout> {
        let number = |name: &String| {
            table
                .columns
                .iter()
                .position(|column| column.name.eq_ignore_ascii_case(name))
                .with_context(|| format!("{} has no column {name}, by which it is clustered", table.name))
        };
        let numbers = |names: &[String]| names.iter().map(number).collect::<Result<Vec<usize>>>();
        let buckets = table.bucket_count().unwrap_or_default();
        if table.has_primary_key() {
            let columns = numbers(&table.properties.primary_key)?;
            return Ok(Layout {
                distribution: Distribution::Hash { columns, buckets: buckets.max(1) },
                sort: Vec::new(),
            });
        }
        let Some(clustering) = &table.properties.clustering else {
            return Ok(Layout { distribution: Distribution::None, sort: Vec::new() });
        };
        let columns = numbers(&clustering.columns)?;
        let distribution = match clustering.kind {
            ClusteringKind::Hash => Distribution::Hash { columns: columns.clone(), buckets: buckets.max(1) },
            ClusteringKind::Range => Distribution::Range { columns: columns.clone(), buckets },
        };
        let by = |sort: &SortColumn| Ok((number(&sort.column)?, sort.ascending));
        let mut sort = clustering.sort.iter().map(by).collect::<Result<Vec<_>>>()?;
        if sort.is_empty() && clustering.kind == ClusteringKind::Range {
            sort = columns.into_iter().map(|column| (column, true)).collect();
        }
        Ok(Layout { distribution, sort })
    }
}
