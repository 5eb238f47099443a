//! What the server has done: counters of requests, and the pages that show them.

mod chart;
mod counts;
mod page;
mod prometheus;
mod snapshot;
mod units;

pub use counts::Observed;
pub use page::page;
pub use prometheus::text;
pub use snapshot::Snapshot;
