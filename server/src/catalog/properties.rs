//! What a table is, beyond its columns.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Table;

/// The kinds of tables, by the names of the metadata service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    Managed,
    MaterializedView,
    VirtualView,
    External,
}

impl TableKind {
    /// The name that the metadata service and error messages use.
    pub fn name(self) -> &'static str {
        match self {
            TableKind::Managed => "MANAGED_TABLE",
            TableKind::MaterializedView => "MATERIALIZED_VIEW",
            TableKind::VirtualView => "VIRTUAL_VIEW",
            TableKind::External => "EXTERNAL_TABLE",
        }
    }

    /// Whether the table has rows of its own.
    pub fn stores_rows(self) -> bool {
        matches!(self, TableKind::Managed | TableKind::MaterializedView)
    }
}

impl FromStr for TableKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [TableKind::Managed, TableKind::MaterializedView, TableKind::VirtualView, TableKind::External]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| format!("\"{text}\" is not a kind of table"))
    }
}

/// How rows are distributed over buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusteringKind {
    Hash,
    Range,
}

/// A column that buckets are sorted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortColumn {
    pub column: String,
    pub ascending: bool,
}

/// `CLUSTERED BY` and `RANGE CLUSTERED BY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clustering {
    pub kind: ClusteringKind,
    pub columns: Vec<String>,
    /// `SORTED BY`; empty if rows are not sorted inside a bucket.
    pub sort: Vec<SortColumn>,
    /// `INTO n BUCKETS`; 0 for a range-clustered table whose count the server chooses.
    pub buckets: u32,
}

/// Everything that `CREATE TABLE` says beside columns and partition columns. Stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableProperties {
    pub comment: String,
    /// Days that rows are kept, as declared; the server deletes nothing by it.
    pub lifecycle: Option<i64>,
    pub clustering: Option<Clustering>,
    /// `transactional=true`.
    pub transactional: bool,
    /// Columns of `PRIMARY KEY`, in declared order.
    pub primary_key: Vec<String>,
    /// All other `TBLPROPERTIES`, as given.
    pub extra: BTreeMap<String, String>,
    /// The query of a view or materialized view.
    pub view_text: Option<String>,
}

impl TableProperties {
    /// Whether every row has a bucket.
    pub fn has_buckets(&self) -> bool {
        self.clustering.is_some() || !self.primary_key.is_empty()
    }
}

impl Table {
    /// Whether rows have a key and are merged on read.
    pub fn has_primary_key(&self) -> bool {
        !self.properties.primary_key.is_empty()
    }

    /// Buckets of a clustered or primary-key table, `None` for all others.
    pub fn bucket_count(&self) -> Option<u32> {
        /// Buckets of a primary-key table that does not say `write.bucket.num`.
        const DEFAULT_BUCKETS: u32 = 16;
        match &self.properties.clustering {
            Some(clustering) => Some(clustering.buckets),
            None if self.has_primary_key() => {
                let declared = self.properties.extra.get("write.bucket.num").and_then(|text| text.parse().ok());
                Some(declared.unwrap_or(DEFAULT_BUCKETS))
            }
            None => None,
        }
    }
}
