//! What the server has done: counters of requests, and the pages that show them.

mod counts;

pub use counts::Observed;
