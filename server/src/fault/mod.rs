//! Faults on purpose: a plan of rules, which requests they strike, and what happens to bodies then.
//!
//! Nothing here knows a protocol: `http::faults` asks the plan about each request and answers in the protocol's words.

mod arrow;
mod body;
mod effect;
mod plan;
mod state;

pub use body::warp;
pub use effect::{Effect, Side, State};
pub use plan::{Rule, parse, parse_effect};
pub use state::{Faults, Shot};
