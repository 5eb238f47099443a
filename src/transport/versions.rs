//! Which version of the Storage API is spoken with whom.
//!
//! With `protocol=auto` a first call is made in version 1, which every service of today speaks, unless it needs a later one. Only a
//! service that does not know the call is asked in the next version, and what it then turns out to speak is remembered for its
//! endpoint: in the usual case no request is made for the sake of the version.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Kind, Result};
use crate::options::{self, Options};
use crate::proto::{Version, may_lack_version};

/// The choice of a client, and what it has learned.
#[derive(Debug)]
pub(super) struct Versions {
    /// The only version; `None` for whichever is spoken.
    only: Option<Version>,
    /// Versions that the service at an endpoint does not speak, while it speaks a later one.
    lacking: Mutex<HashMap<String, HashSet<Version>>>,
}

impl Versions {
    pub(super) fn new(options: &Options) -> Self {
        let only = match options.text(&options::PROTOCOL) {
            Some("1") => Some(Version::V1),
            Some("2") => Some(Version::V2),
            Some("3") => Some(Version::V3),
            _ => None,
        };
        Versions { only, lacking: Mutex::default() }
    }

    /// Begins to look for a version from `least` on that the service at an endpoint speaks.
    pub(super) fn negotiate<'a>(&'a self, endpoint: &'a str, least: Version) -> Result<Negotiation<'a>> {
        let mut untried = self.candidates(endpoint, least)?.into_iter();
        let version = untried.next().ok_or_else(|| Error::new(Kind::Internal, "there is no version to be spoken"))?;
        Ok(Negotiation { versions: self, endpoint, version, untried, lacking: Vec::new(), first_failure: None })
    }

    fn candidates(&self, endpoint: &str, least: Version) -> Result<Vec<Version>> {
        if let Some(only) = self.only {
            if only < least {
                let message = format!(
                    "version {} of the Storage API does not have this: set option {} to auto, 2 or 3",
                    u8::from(only),
                    options::PROTOCOL.name
                );
                return Err(Error::new(Kind::Unsupported, message));
            }
            return Ok(vec![only]);
        }
        let lacking = self.lacking();
        let lacks = |version: &Version| lacking.get(endpoint).is_some_and(|lacking| lacking.contains(version));
        Ok(Version::ALL.into_iter().filter(|version| *version >= least && !lacks(version)).collect())
    }

    fn lacking(&self) -> MutexGuard<'_, HashMap<String, HashSet<Version>>> {
        self.lacking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A first call that is made in one version after the other until the service understands it.
#[derive(Debug)]
pub struct Negotiation<'a> {
    versions: &'a Versions,
    endpoint: &'a str,
    version: Version,
    untried: std::vec::IntoIter<Version>,
    lacking: Vec<Version>,
    first_failure: Option<Error>,
}

impl Negotiation<'_> {
    /// The version in which the call is to be made now.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Judges how the call went in this version: what it brought, `None` if it is to be made in the next one, or its failure.
    pub fn settle<T>(&mut self, called: Result<T>) -> Result<Option<T>> {
        let is_open = self.versions.only.is_none();
        match called {
            Err(error) if is_open && may_lack_version(&error) => {
                log::info!("{} may not speak version {}: {error}", self.endpoint, u8::from(self.version));
                self.lacking.push(self.version);
                let failure = self.first_failure.take().unwrap_or(error);
                self.version = self.untried.next().ok_or_else(|| failure.clone())?;
                self.first_failure = Some(failure);
                Ok(None)
            }
            // A failure without an answer, or of a gateway, says nothing about the service.
            Err(error) if matches!(error.server().http_status, 0 | 500..) => Err(error),
            called => {
                if !self.lacking.is_empty() {
                    log::info!("{} speaks version {} of the Storage API", self.endpoint, u8::from(self.version));
                    let lacking = self.lacking.drain(..);
                    self.versions.lacking().entry(self.endpoint.to_owned()).or_default().extend(lacking);
                }
                called.map(Some)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::failure::Failure;

    fn versions(protocol: &str) -> Versions {
        let mut options = Options::new();
        options.set("protocol", protocol).unwrap();
        Versions::new(&options)
    }

    fn failure(status: u16, code: &str) -> Error {
        let body = format!(r#"{{"Code":"{code}","Message":"x"}}"#);
        Failure { status, body: body.as_bytes(), ..Failure::default() }.into_error()
    }

    /// Makes a call to a service that answers each version with a status and a code; status 200 is a success.
    fn call(versions: &Versions, least: Version, answers: [(u16, &str); 3]) -> (Result<Version>, Vec<u8>) {
        let mut asked = Vec::new();
        let mut negotiation = match versions.negotiate("http://h", least) {
            Ok(negotiation) => negotiation,
            Err(error) => return (Err(error), asked),
        };
        loop {
            let version = negotiation.version();
            asked.push(u8::from(version));
            let (status, code) = answers[usize::from(u8::from(version)) - 1];
            let called = if status == 200 { Ok(()) } else { Err(failure(status, code)) };
            match negotiation.settle(called) {
                Ok(Some(())) => return (Ok(version), asked),
                Ok(None) => {}
                Err(error) => return (Err(error), asked),
            }
        }
    }

    #[test]
    fn the_usual_case_takes_one_call() {
        let versions = versions("auto");
        for _ in 0..2 {
            let (version, asked) = call(&versions, Version::V1, [(200, ""); 3]);
            assert_eq!((version.unwrap(), asked), (Version::V1, vec![1]));
        }
        let (version, asked) = call(&versions, Version::V2, [(200, ""); 3]);
        assert_eq!((version.unwrap(), asked), (Version::V2, vec![2]));
        let (_, asked) = call(&versions, Version::V1, [(404, "NoSuchTable"), (200, ""), (200, "")]);
        assert_eq!(asked, [1], "a service that names what is missing speaks the version");
    }

    #[test]
    fn what_is_not_spoken_is_learned_once() {
        let versions = versions("auto");
        let service = [(404, ""), (501, "NotImplemented"), (200, "")];
        let (version, asked) = call(&versions, Version::V1, service);
        assert_eq!((version.unwrap(), asked), (Version::V3, vec![1, 2, 3]));
        assert_eq!(call(&versions, Version::V1, service).1, [3]);
        assert_eq!(call(&versions, Version::V2, service).1, [3]);
    }

    #[test]
    fn nothing_is_learned_from_a_service_that_knows_nothing() {
        let versions = versions("auto");
        let (result, asked) = call(&versions, Version::V1, [(404, "InvalidURI"), (404, ""), (404, "")]);
        assert_eq!((result.unwrap_err().server().code.as_str(), asked), ("InvalidURI", vec![1, 2, 3]));
        assert_eq!(call(&versions, Version::V1, [(200, ""); 3]).1, [1]);
    }

    #[test]
    fn a_refusal_in_a_later_version_is_an_answer() {
        let versions = versions("auto");
        let (result, asked) = call(&versions, Version::V1, [(404, ""), (403, "NoPermission"), (200, "")]);
        assert_eq!((result.unwrap_err().kind(), asked), (Kind::PermissionDenied, vec![1, 2]));
        assert_eq!(call(&versions, Version::V1, [(404, ""), (200, ""), (200, "")]).1, [2]);
    }

    #[test]
    fn numbers_are_strict() {
        let (result, asked) = call(&versions("3"), Version::V1, [(200, ""), (200, ""), (404, "")]);
        assert_eq!((result.unwrap_err().kind(), asked), (Kind::NotFound, vec![3]));
        let (result, asked) = call(&versions("1"), Version::V2, [(200, ""); 3]);
        assert_eq!((result.unwrap_err().kind(), asked), (Kind::Unsupported, vec![]));
    }
}
