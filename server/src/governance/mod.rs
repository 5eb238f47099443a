//! Who may do what, how much of it at once, and what it costs: the rules of the product page.

mod policy;
mod principal;

pub use policy::Policy;
pub use principal::{Caller, OWNER, Principal};
