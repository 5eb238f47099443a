//! What is known about a split before it is read.

use super::parts::Parts;
use super::plan::Plan;
use crate::proto::call::Rows;

/// Facts and estimates about one split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitInfo {
    /// Rows before any filter; `None` if only the service knows.
    pub rows: Option<i64>,
    /// Number of the first row within its service session; `None` if the split is not addressed by rows.
    pub start_row: Option<i64>,
    /// The split's even share of the bytes that the service estimates for the session.
    pub estimated_bytes: Option<i64>,
    /// The one partition that all rows are in.
    pub partition: Option<String>,
    /// The bucket that all rows are in.
    pub bucket: Option<i64>,
    /// The split's share of the session, from 0 to 1; while that is being planned, of the splits that are known.
    pub weight: f64,
}

impl SplitInfo {
    /// `None` if there is no such split.
    pub(super) fn of(parts: &Parts, index: i64) -> Option<Self> {
        let (plan, local) = parts.locate(index)?;
        let (start_row, rows) = match plan.rows(local)? {
            Rows::Split { .. } => (None, None),
            Rows::Range { start, count } => (Some(start), Some(count)),
        };
        let weight = match (rows, parts.sum_of_known(Plan::addressed_rows)) {
            (Some(rows), Some(total)) if total > 0 => rows as f64 / total as f64,
            _ => 1.0 / (parts.split_count() - parts.base()).max(1) as f64,
        };
        let bytes = parts.sum(|plan| plan.estimated_bytes);
        Some(SplitInfo {
            rows,
            start_row,
            estimated_bytes: bytes.map(|bytes| (bytes as f64 * weight) as i64),
            partition: plan.only_partition().map(str::to_owned),
            bucket: usize::try_from(local).ok().and_then(|local| plan.buckets.get(local)).copied(),
            weight,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::parts::tests::transport;
    use super::super::plan::{Cut, sample};
    use super::*;

    #[test]
    fn splits_by_rows_are_known_exactly() {
        let plan = |total, partition: &str| Plan {
            partitions: vec![partition.into()],
            estimated_bytes: Some(1000),
            ..sample(Cut::Rows { total, per_split: 10 })
        };
        let parts = Parts::new(&transport(), vec![plan(15, "pt=1"), plan(5, "pt=2")]).unwrap();
        let of = |index| SplitInfo::of(&parts, index).unwrap();
        assert_eq!(of(1).rows.zip(of(1).start_row), Some((5, 10)));
        assert_eq!((of(0).weight, of(2).weight, of(0).estimated_bytes), (0.5, 0.25, Some(1000)));
        assert_eq!((of(2).partition.as_deref(), of(2).start_row, of(2).bucket), (Some("pt=2"), Some(0), None));
        assert!(SplitInfo::of(&parts, 3).is_none() && SplitInfo::of(&parts, -1).is_none());
    }

    #[test]
    fn planned_splits_have_a_share_and_their_bucket() {
        let plan = Plan { buckets: vec![7, 9], estimated_bytes: None, ..sample(Cut::Splits(2)) };
        let info = SplitInfo::of(&Parts::new(&transport(), vec![plan]).unwrap(), 1).unwrap();
        let unknown = (info.rows, info.start_row, info.estimated_bytes, info.partition.clone());
        assert_eq!((unknown, info.bucket, info.weight), ((None, None, None, None), Some(9), 0.5));
    }

    #[test]
    fn one_partition_is_known_if_it_is_named_in_full() {
        for (names, expected) in [
            (&["pt=1"][..], Some("pt=1")),
            (&["pt=1", "pt=2"], None),
            (&[], None),
            (&["pt=1/qt=2"], None), // There is one key: this is no name of ours.
        ] {
            let partitions = names.iter().map(|name| (*name).to_owned()).collect();
            let plan = Plan { partitions, ..sample(Cut::Splits(1)) };
            assert_eq!(plan.only_partition(), expected, "{names:?}");
        }
    }
}
