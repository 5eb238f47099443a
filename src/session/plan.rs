//! The result of planning: everything a worker needs to read a split.

use arrow_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::arrow::policy::Policies;
use crate::arrow::{ColumnFacts, Units, expected, time_unit};
use crate::error::Result;
use crate::proto::answer::DataSchema;
use crate::proto::call::{Rows, TimeUnits};
use crate::proto::{Source, Version};

/// A plan. What is serialised here is the content of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What is read.
    pub source: Source,
    /// Where its rows are served.
    pub data_endpoint: String,
    /// The version of the Storage API that the session belongs to.
    pub version: Version,
    /// Where the service wanted requests to go when it was last asked; empty if it did not say.
    pub route_token: String,
    /// Id of the session.
    pub session_id: String,
    /// How the rows are addressed.
    pub cut: Cut,
    /// The partitions that were asked for; none for all.
    pub partitions: Vec<String>,
    /// The bucket of each split, in mode `Bucket`.
    pub buckets: Vec<i64>,
    /// Whether the service may leave rows out, because there is a filter.
    pub filtered: bool,
    /// What the library filters by, as text; `None` for nothing.
    pub residual: Option<String>,
    /// Columns that are read for that only.
    pub hidden: Vec<String>,
    /// Columns in the order of the stream.
    pub columns: DataSchema,
    /// Units that were asked for.
    pub units: TimeUnits,
    /// How values are delivered.
    pub policies: Policies,
    /// End of the session's life.
    pub expires_at_ms: Option<i64>,
    /// Estimate of the rows.
    pub estimated_rows: Option<i64>,
    /// Estimate of the bytes.
    pub estimated_bytes: Option<i64>,
}

/// How the rows of a session are addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cut {
    /// The service made this many splits.
    Splits(i64),
    /// The client cuts `total` rows into splits of `per_split`.
    Rows {
        /// Rows of the session.
        total: i64,
        /// Rows of every split but the last.
        per_split: i64,
    },
}

impl Cut {
    pub fn split_count(self) -> i64 {
        match self {
            Cut::Splits(count) => count,
            Cut::Rows { total, per_split } => total / per_split + i64::from(total % per_split != 0),
        }
    }
}

impl Plan {
    /// The schema of the batches that arrive, hidden columns included.
    pub fn schema(&self) -> Result<Schema> {
        let units = Units {
            timestamp: time_unit(&self.units.timestamp_unit)?,
            datetime: time_unit(&self.units.datetime_unit)?,
        };
        let data = self.columns.data_columns.len() + self.columns.system_columns.len();
        let facts = self.columns.columns().enumerate().map(|(index, column)| ColumnFacts {
            name: &column.name,
            type_text: &column.type_text,
            nullable: column.nullable,
            is_partition: index >= data,
        });
        expected(facts, units)
    }

    /// Which columns of it are delivered; `None` for all.
    pub fn delivered(&self, schema: &Schema) -> Option<Vec<usize>> {
        let is_hidden = |name: &str| self.hidden.iter().any(|hidden| hidden.to_lowercase() == name.to_lowercase());
        let delivered = schema.fields().iter().enumerate().filter(|(_, field)| !is_hidden(field.name()));
        (!self.hidden.is_empty()).then(|| delivered.map(|(index, _)| index).collect())
    }

    pub fn split_count(&self) -> i64 {
        self.cut.split_count()
    }

    /// The number of rows, if they are addressed by it.
    pub fn addressed_rows(&self) -> Option<i64> {
        match self.cut {
            Cut::Splits(_) => None,
            Cut::Rows { total, .. } => Some(total),
        }
    }

    /// The one partition that was asked for, if it is named by all its keys. Which keys there are is only known where the plan
    /// delivers them.
    pub fn only_partition(&self) -> Option<&str> {
        let [one] = self.partitions.as_slice() else { return None };
        let named: Vec<&str> =
            one.split(['/', ',']).filter_map(|pair| pair.split_once('=')).map(|(key, _)| key).collect();
        let keys = &self.columns.partition_columns;
        let is_named = |name: &String| named.iter().any(|key| key.trim().eq_ignore_ascii_case(name));
        (named.len() == keys.len() && keys.iter().all(|key| is_named(&key.name))).then_some(one.as_str())
    }

    /// The rows of a split; `None` if there is no such split.
    pub fn rows(&self, index: i64) -> Option<Rows> {
        if !(0..self.split_count()).contains(&index) {
            return None;
        }
        Some(match self.cut {
            Cut::Splits(_) => Rows::Split { index },
            Cut::Rows { total, per_split } => {
                let start = index * per_split;
                Rows::Range { start, count: per_split.min(total - start) }
            }
        })
    }
}

#[cfg(test)]
pub(super) fn sample(cut: Cut) -> Plan {
    use crate::proto::TableName;
    use crate::proto::answer::Column;
    let column = |name: &str| Column { name: name.into(), type_text: "bigint".into(), nullable: true };
    Plan {
        source: Source::Table(TableName { project: "p".into(), schema: "default".into(), table: "t".into() }),
        data_endpoint: "http://h:1".into(),
        version: Version::V1,
        route_token: String::new(),
        session_id: "S1".into(),
        cut,
        partitions: Vec::new(),
        buckets: Vec::new(),
        filtered: true,
        residual: None,
        hidden: vec![],
        columns: DataSchema {
            data_columns: vec![column("a")],
            system_columns: vec![],
            partition_columns: vec![column("pt")],
        },
        units: TimeUnits { timestamp_unit: "nano".into(), datetime_unit: "milli".into() },
        policies: Policies::default(),
        expires_at_ms: Some(1_795_425_619_000),
        estimated_rows: None,
        estimated_bytes: Some(7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_ranges_cover_every_row_once() {
        for (total, per_split, count) in
            [(0, 10, 0), (1, 10, 1), (10, 10, 1), (11, 10, 2), (100, 7, 15), (5, i64::MAX, 1)]
        {
            let plan = sample(Cut::Rows { total, per_split });
            assert_eq!(plan.split_count(), count);
            let mut next = 0;
            for index in 0..count {
                let Some(Rows::Range { start, count }) = plan.rows(index) else { panic!("no range") };
                assert_eq!(start, next);
                assert!(count > 0);
                next += count;
            }
            assert_eq!(next, total);
            assert!(plan.rows(count).is_none() && plan.rows(-1).is_none());
        }
    }

    #[test]
    fn partition_columns_are_marked() {
        let schema = sample(Cut::Splits(1)).schema().unwrap();
        assert!(!schema.field(0).metadata().contains_key("maxcompute.partition_key"));
        assert_eq!(schema.field(1).metadata()["maxcompute.partition_key"], "true");
    }
}
