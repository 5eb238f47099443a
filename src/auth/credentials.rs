//! Credentials and where they come from.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::options::{self, Options};

/// An AccessKey, with the STS token if it is a temporary one, and the application's AccessKey if there is one.
#[derive(Clone)]
pub struct Credentials {
    /// AccessKey ID.
    pub id: String,
    /// AccessKey secret.
    pub secret: Zeroizing<String>,
    /// STS token of a temporary AccessKey.
    pub token: Option<Zeroizing<String>>,
    /// AccessKey ID and secret of the application account.
    pub app: Option<(String, Zeroizing<String>)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Supplies the credentials of each request.
#[derive(Debug, Clone)]
pub enum Source {
    /// The same credentials for the life of the client.
    Static(Credentials),
}

impl Source {
    /// Reads the identity options. `variable` looks up environment variables and is called only if the options ask for it.
    pub fn from_options(options: &Options, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut options = options.clone();
        if options.text(&options::CREDENTIALS) == Some("environment") {
            options.load_environment(variable)?;
        }
        let part = |key: &options::Key, other: &options::Key| match (options.text(key), options.text(other)) {
            (Some(id), Some(secret)) => Ok(Some((id.to_owned(), Zeroizing::new(secret.to_owned())))),
            (None, None) => Ok(None),
            _ => {
                Err(Error::new(Kind::InvalidOption, format!("options {} and {} belong together", key.name, other.name)))
            }
        };
        let (id, secret) = part(&options::ACCESS_KEY_ID, &options::ACCESS_KEY_SECRET)?.ok_or_else(|| {
            Error::new(
                Kind::InvalidOption,
                "no credentials: set access_key_id and access_key_secret, or credentials=environment with \
                 ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            )
        })?;
        let app = part(&options::APP_ID, &options::APP_SECRET)?;
        let token = options.text(&options::SECURITY_TOKEN).map(|token| Zeroizing::new(token.to_owned()));
        for (key, value) in [(&options::ACCESS_KEY_ID, id.as_str())]
            .into_iter()
            .chain(token.as_ref().map(|token| (&options::SECURITY_TOKEN, token.as_str())))
            .chain(app.as_ref().map(|(id, _)| (&options::APP_ID, id.as_str())))
        {
            if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Error::new(
                    Kind::InvalidOption,
                    format!("{} must be printable ASCII without blanks, because it is sent in a header", key.name),
                ));
            }
        }
        Ok(Source::Static(Credentials { id, secret, token, app }))
    }

    /// The credentials to sign the next request with.
    pub fn current(&self) -> &Credentials {
        match self {
            Source::Static(credentials) => credentials,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options::new();
        for (key, value) in pairs {
            options.set(key, value).unwrap();
        }
        options
    }

    #[test]
    fn environment_is_read_only_when_asked() {
        let variables = |name: &str| Some(format!("value-of-{name}"));
        let error = Source::from_options(&options(&[]), variables).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidOption);
        let source = Source::from_options(&options(&[("credentials", "environment")]), variables).unwrap();
        assert_eq!(source.current().id, "value-of-ODPS_STS_ACCESS_KEY_ID");
    }

    #[test]
    fn half_a_pair_is_refused() {
        for pairs in
            [&[("access_key_id", "a")][..], &[("access_key_id", "a"), ("access_key_secret", "b"), ("app.id", "c")]]
        {
            assert_eq!(Source::from_options(&options(pairs), |_| None).unwrap_err().kind(), Kind::InvalidOption);
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let all = options(&[("access_key_id", "a"), ("access_key_secret", "CANARY1"), ("security_token", "CANARY2")]);
        assert!(!format!("{:?}", Source::from_options(&all, |_| None).unwrap()).contains("CANARY"));
    }
}
