//! What this server does where the protocol documents leave a choice about reading. Options of `serve`.

use crate::types::{CharText, Delivery, Timestamps, Zone};

/// How much a predicate filters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FilterMode {
    /// Blocks in which provably no row matches are skipped, as the service does.
    #[default]
    Block,
    /// Only matching rows are delivered and counted.
    Exact,
    /// The predicate is checked and not used.
    Ignore,
}

/// What happens to JSON columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum JsonColumns {
    /// Sessions over them are refused.
    #[default]
    Error,
    /// They are delivered as text.
    Utf8,
}

/// Options of reading.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Reading {
    /// What predicates do: block skips whole blocks as the service does, exact delivers matching rows only, ignore
    /// delivers everything.
    #[arg(long, value_enum, default_value = "block")]
    pub filter: FilterMode,
    /// JSON columns in a read session: error refuses it as the service does, utf8 delivers their text.
    #[arg(long, value_enum, default_value = "error")]
    pub json: JsonColumns,
    /// Times that the Arrow unit of a session cannot hold: the nearest one that fits, their low bits, NULL, or an answer
    /// that breaks off; struct delivers every TIMESTAMP as seconds and nanoseconds.
    #[arg(long, value_enum, default_value = "clamp")]
    pub timestamps: Timestamps,
    /// CHAR values: with the blanks that make them as long as their type, or without.
    #[arg(long = "char", value_enum, default_value = "padded")]
    pub char_text: CharText,
    /// Zone of projects without the property odps.sql.timezone, an offset such as +08:00, UTC or Asia/Shanghai: for times
    /// without a zone in incremental reads.
    #[arg(long, value_name = "ZONE", default_value = "Asia/Shanghai")]
    pub time_zone: Zone,
    /// Read times without a zone in predicates in the zone of the project; without it in UTC, as official clients
    /// write them.
    #[arg(long)]
    pub zoned_predicates: bool,
    /// Refuse predicates that name partition columns, instead of selecting partitions by them.
    #[arg(long)]
    pub reject_partition_predicates: bool,
    /// Deliver splits, and blocks inside them, in an order drawn with this seed: for finding hidden reliance on order.
    #[arg(long, value_name = "SEED")]
    pub shuffle: Option<u64>,
}

impl Reading {
    /// How values are put on the wire.
    pub fn delivery(&self) -> Delivery {
        Delivery { timestamps: self.timestamps, char_text: self.char_text }
    }
}
