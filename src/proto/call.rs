//! What is asked for, whatever the version of the Storage API.

/// How a table is cut into splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitMode {
    /// By stored bytes.
    Size,
    /// Into a number of splits.
    Parallelism,
    /// Not at all: the reader addresses rows.
    RowOffset,
    /// One split per bucket.
    Bucket,
}

impl SplitMode {
    /// The word on the wire.
    pub(super) const fn name(self) -> &'static str {
        match self {
            SplitMode::Size => "Size",
            SplitMode::Parallelism => "Parallelism",
            SplitMode::RowOffset => "RowOffset",
            SplitMode::Bucket => "Bucket",
        }
    }
}

/// A read session to be created. Instances take nothing of it but the time units.
#[derive(Debug, Clone)]
pub struct ReadSession {
    /// Data columns to read.
    pub data_columns: Vec<String>,
    /// Partition columns to read, after the data columns.
    pub partition_columns: Vec<String>,
    /// Partitions to read; empty for all.
    pub partitions: Vec<String>,
    /// Buckets to read; empty for all.
    pub bucket_ids: Vec<u32>,
    /// How to cut.
    pub split: SplitOptions,
    /// Upper limit of files per split; 0 for none.
    pub max_files: u64,
    /// Units of time columns.
    pub units: TimeUnits,
    /// Predicate; empty for none.
    pub filter: String,
    /// Whether a predicate that is not supported may be ignored.
    pub filter_fallback: bool,
    /// Whether to estimate rows and bytes. Versions 2 and 3 always do.
    pub estimate: bool,
    /// Changes between two states of the table instead of its rows; not in version 1.
    pub incremental: Option<Incremental>,
}

/// How to cut a table.
#[derive(Debug, Clone, Copy)]
pub struct SplitOptions {
    /// The way.
    pub mode: SplitMode,
    /// Bytes or splits, depending on the mode; ignored by the others.
    pub number: u64,
    /// Whether a split may hold rows of several partitions.
    pub cross_partition: bool,
}

/// Units of time columns: `second`, `milli`, `micro` or `nano`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TimeUnits {
    /// TIMESTAMP and TIMESTAMP_NTZ.
    pub timestamp_unit: String,
    /// DATETIME.
    pub datetime_unit: String,
}

/// Which changes of a table are read: those after the start, up to and with the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incremental {
    /// `append` or `cdc`.
    pub mode: String,
    /// The state after which changes count.
    pub start: Moment,
    /// The last state that counts.
    pub end: Moment,
}

/// A state of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// The beginning, or the newest state.
    Open,
    /// A version.
    Version(u64),
    /// A time, as text such as `2024-01-01 00:00:00`.
    Time(String),
}

/// Which rows of a session are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// A planned split.
    Split {
        /// Its index in the session.
        index: i64,
    },
    /// A range of rows of a session that is addressed by rows.
    Range {
        /// First row, counted over the whole session.
        start: i64,
        /// Number of rows.
        count: i64,
    },
}

/// How answers are compressed: version 1 compresses the buffers inside of record batches, versions 2 and 3 the body as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// LZ4 frames.
    Lz4,
    /// Zstandard frames.
    Zstd,
}

/// The most rows of a batch that the service can be asked for.
pub(crate) const MOST_BATCH_ROWS: u64 = 20_000;

/// The form in which a reader wants all its rows.
#[derive(Debug, Clone)]
pub struct RowsForm {
    /// Upper limit of rows per batch.
    pub max_batch_rows: u64,
    /// Upper limit of uncompressed bytes per batch; 0 for none.
    pub max_batch_bytes: u64,
    /// Compression, if any.
    pub compression: Option<Compression>,
    /// Columns, in the order of the session; empty for all of them. Not in version 1.
    pub columns: Vec<String>,
}

/// A call for rows.
#[derive(Debug, Clone, Copy)]
pub struct ReadRows<'a> {
    /// Which.
    pub rows: Rows,
    /// Rows to leave out at the start. Not in version 1, and not for instances.
    pub skip: u64,
    /// In which form.
    pub form: &'a RowsForm,
}

/// A look at a table without a session.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// Upper limit of rows; the service has one of its own.
    pub limit: Option<u64>,
    /// Partition, `key=value/key=value`; empty for any.
    pub partition: String,
    /// Columns, delivered in the order of the table; empty for all.
    pub columns: Vec<String>,
}

#[cfg(test)]
pub(super) fn sample(mode: SplitMode) -> ReadSession {
    ReadSession {
        data_columns: vec!["a".into()],
        partition_columns: vec![],
        partitions: vec!["pt=a".into()],
        bucket_ids: vec![],
        split: SplitOptions { mode, number: 0, cross_partition: true },
        max_files: 0,
        units: TimeUnits { timestamp_unit: "nano".into(), datetime_unit: "milli".into() },
        filter: "a > 1".into(),
        filter_fallback: false,
        estimate: true,
        incremental: None,
    }
}
