//! Who asks: credentials, the sources they come from, and request signatures. No I/O; `transport` asks the sources.

mod answer;
mod command;
mod credentials;
mod profile;
mod sign;
mod source;
mod sts;
mod time;

pub use answer::read as read_answer;
pub use credentials::{App, Credentials, checked};
pub use profile::find as find_profile;
pub use sign::{Signature, Signer, SigningInput};
use source::sts_endpoint;
pub use source::{Metadata, ProfilePlace, Source, app, source};
pub use sts::Role;
