//! Who asks: credentials and request signatures.

mod credentials;
mod sign;

pub use credentials::{Credentials, Source};
pub use sign::{Signature, Signer, SigningInput};
